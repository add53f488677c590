//! Files that are trees: YAML and JSON, and bytes, which sops puts into a JSON file.

use super::metadata::Metadata;
use super::opening::{Opening, damaged};
use super::sealed::{Kind, Opened};
use super::{Keys, SopsError, yaml};
use serde::Deserialize;
use serde_yaml::{Mapping, Number, Value};

/// The key of the section that sops adds.
const SECTION: &str = "sops";
/// The one key of a file of bytes.
const DATA: &str = "data";

const NO_TEXT: &str = "holds bytes that are no text; encrypt the file with `--input-type binary`";
const NO_VALUE: &str = "is encrypted as a type that it is not";

/// The documents of a YAML file.
pub(super) fn open_yaml(file: &[u8], keys: &Keys) -> Result<Vec<u8>, SopsError> {
    let form = "YAML";
    let documents: Result<Vec<Value>, _> =
        serde_yaml::Deserializer::from_slice(file).map(Value::deserialize).collect();
    let documents = documents.map_err(|error| malformed(form, &error))?;
    let documents = open_documents(documents, form, keys)?;
    Ok(yaml::written(&documents).into_bytes())
}

/// The value of a JSON file.
pub(super) fn open_json(file: &[u8], keys: &Keys) -> Result<Vec<u8>, SopsError> {
    let opened = open_documents(vec![json(file)?], "JSON", keys)?;
    let text = serde_json::to_vec_pretty(&opened[0]);
    text.map_err(|error| malformed("JSON", &error))
}

/// The bytes that a JSON file holds.
pub(super) fn open_bytes(file: &[u8], keys: &Keys) -> Result<Vec<u8>, SopsError> {
    let Value::Mapping(mut map) = json(file)? else { return Err(SopsError::Torn) };
    let metadata = take_section(&mut map, "JSON")?;
    if map.len() != 1 || !map.contains_key(DATA) {
        let cause = "it holds more than `data`; name it `.json` if that is what it is".to_owned();
        return Err(SopsError::Malformed { form: "binary", cause });
    }
    let mut opening = Opening::begin(&metadata, keys)?;
    let text = map.get(DATA).and_then(Value::as_str);
    let bytes = opening.sealed(&[DATA.to_owned()], text)?.bytes;
    opening.end()?;
    Ok(bytes)
}

fn json(file: &[u8]) -> Result<Value, SopsError> {
    serde_json::from_slice(file).map_err(|error| malformed("JSON", &error))
}

fn malformed(form: &'static str, error: &dyn std::error::Error) -> SopsError {
    SopsError::Malformed { form, cause: error.to_string() }
}

/// The section of the first document counts, as in sops; the MAC is over all of them.
fn open_documents(
    mut documents: Vec<Value>,
    form: &'static str,
    keys: &Keys,
) -> Result<Vec<Value>, SopsError> {
    let mut first = None;
    for document in &mut documents {
        let Value::Mapping(map) = document else { return Err(SopsError::Torn) };
        let section = take_section(map, form)?;
        first.get_or_insert(section);
    }
    let metadata = first.ok_or(SopsError::Torn)?;
    let mut opening = Opening::begin(&metadata, keys)?;
    for document in &mut documents {
        open_value(document, &mut vec![], &mut opening)?;
    }
    opening.end()?;
    Ok(documents)
}

fn take_section(map: &mut Mapping, form: &'static str) -> Result<Metadata, SopsError> {
    match map.shift_remove(SECTION) {
        Some(Value::Mapping(section)) => Metadata::read(section, form),
        _ => Err(SopsError::Torn),
    }
}

/// Opens what is sealed in `value`, in the order of the file. Items of a list have its path.
fn open_value(
    value: &mut Value,
    path: &mut Vec<String>,
    opening: &mut Opening<'_>,
) -> Result<(), SopsError> {
    match value {
        Value::Null => {}
        Value::Mapping(map) => {
            for (key, value) in map {
                let Some(key) = key.as_str() else {
                    return Err(damaged(path, "has a key that is no text"));
                };
                path.push(key.to_owned());
                open_value(value, path, opening)?;
                path.pop();
            }
        }
        Value::Sequence(items) => {
            for item in items {
                open_value(item, path, opening)?;
            }
        }
        Value::Tagged(_) => return Err(damaged(path, "has a tag, which sops does not write")),
        leaf if opening.seals(path) => {
            let opened = opening.sealed(path, leaf.as_str())?;
            *leaf = typed(opened).map_err(|cause| damaged(path, cause))?;
        }
        Value::String(text) => opening.plain(text),
        Value::Bool(flag) => opening.plain(if *flag { "True" } else { "False" }),
        Value::Number(number) => opening.plain(&decimal(number)),
    }
    Ok(())
}

/// A number without an exponent, as the MAC has it.
fn decimal(number: &Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => float.to_string(),
        None => number.to_string(),
    }
}

fn typed(opened: Opened) -> Result<Value, &'static str> {
    let text = String::from_utf8(opened.bytes).map_err(|_| NO_TEXT)?;
    match opened.kind {
        Kind::Text | Kind::Time => Ok(Value::String(text)),
        Kind::Bool => match text.as_str() {
            "True" => Ok(Value::Bool(true)),
            "False" => Ok(Value::Bool(false)),
            _ => Err(NO_VALUE),
        },
        Kind::Int | Kind::Float => number(&text).ok_or(NO_VALUE),
        Kind::Comment => Err(NO_VALUE),
    }
}

/// A whole number stays one.
fn number(text: &str) -> Option<Value> {
    let signed = || text.parse::<i64>().map(Number::from).ok();
    let unsigned = || text.parse::<u64>().map(Number::from).ok();
    let float = || text.parse::<f64>().map(Number::from).ok();
    signed().or_else(unsigned).or_else(float).map(Value::Number)
}
