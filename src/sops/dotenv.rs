//! Files of variables: a line each, the section in lines that begin with `sops_`.

use super::metadata::Metadata;
use super::opening::{Opening, damaged};
use super::{Keys, SopsError};
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;

/// How the keys of the section begin.
const SECTION: &str = "sops_";
/// How a sealed comment begins.
const SEALED_COMMENT: &str = "#ENC[";

/// The lines of the file as they were before; without comments that were sealed.
pub(super) fn open(file: &[u8], keys: &Keys) -> Result<Vec<u8>, SopsError> {
    let malformed = |cause: String| SopsError::Malformed { form: "dotenv", cause };
    let text = std::str::from_utf8(file).map_err(|error| malformed(error.to_string()))?;
    let mut section = Vec::new();
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with(SEALED_COMMENT) {
            continue;
        }
        let pair = (!line.starts_with('#')).then(|| line.split_once('='));
        match pair {
            None => lines.push(Line::Comment(line)),
            Some(None) => return Err(malformed(format!("line {} has no `=`", index + 1))),
            Some(Some((key, value))) => match key.strip_prefix(SECTION) {
                Some(key) => section.push((key, value.replace("\\n", "\n"))),
                None => lines.push(Line::Pair(key, value)),
            },
        }
    }
    let metadata = Metadata::read(nested(section), "dotenv")?;
    let mut opening = Opening::begin(&metadata, keys)?;
    let mut out = Vec::new();
    for line in lines {
        match line {
            Line::Comment(comment) => out.extend(comment.bytes()),
            Line::Pair(key, value) => {
                out.extend(key.bytes().chain([b'=']));
                out.extend(open_value(key, value, &mut opening)?.bytes());
            }
        }
        out.push(b'\n');
    }
    opening.end()?;
    Ok(out)
}

enum Line<'a> {
    Comment(&'a str),
    Pair(&'a str, &'a str),
}

/// A value as it is written: what is a line break in it stands there as `\n`.
fn open_value(key: &str, value: &str, opening: &mut Opening<'_>) -> Result<String, SopsError> {
    let path = [key.to_owned()];
    if !opening.seals(&path) {
        opening.plain(&value.replace("\\n", "\n"));
        return Ok(value.to_owned());
    }
    let opened = opening.sealed(&path, Some(value))?;
    let text = String::from_utf8(opened.bytes).map_err(|_| damaged(&path, "is no text"))?;
    Ok(text.replace('\n', "\\n"))
}

/// The section as the mapping that was flattened: `age__list_0__map_enc` is `age[0].enc`.
fn nested(section: Vec<(&str, String)>) -> Mapping {
    let mut map = Mapping::new();
    let mut lists: BTreeMap<&str, BTreeMap<&str, Mapping>> = BTreeMap::new();
    for (key, value) in section {
        let Some((list, rest)) = key.split_once("__list_") else {
            map.insert(key.into(), value.into());
            continue;
        };
        let (index, field) = rest.split_once("__map_").unwrap_or((rest, ""));
        let item = lists.entry(list).or_default().entry(index).or_default();
        item.insert(field.into(), value.into());
    }
    for (list, items) in lists {
        let items = items.into_values().map(Value::Mapping).collect();
        map.insert(list.into(), Value::Sequence(items));
    }
    map
}
