//! The short form of `volumes`: `[SOURCE:]TARGET[:OPTIONS]`. It never checks that a source exists.

use super::{bytes, edit, map_of, pairs};
use crate::manifest::node::{Node, Value};
use crate::manifest::notes::Notes;
use crate::manifest::paths::clean;
use crate::manifest::trail::Trail;
use std::path::Path;

/// Brings every item into the long form.
pub(super) fn expand(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Value::Seq(items) = &mut node.value else { return };
    for (index, item) in items.iter_mut().enumerate() {
        let path = path.item(index);
        if let Some(text) = item.as_str() {
            match parse(text) {
                Ok(mount) => {
                    for option in &mount.unknown {
                        let message = format!("`{option}` is no option of a mount: no effect");
                        notes.warning(item.mark, path, message);
                    }
                    item.value = mount.value(item);
                }
                Err(message) => {
                    notes.error(item.mark, path, message);
                    continue;
                }
            }
        }
        finish(&path, item, notes);
    }
}

fn finish(path: &Trail<'_>, item: &mut Node, notes: &mut Notes) {
    let mark = item.mark;
    let Some(map) = item.as_map_mut() else { return };
    for kind in ["volume", "tmpfs"] {
        edit(map, kind, |options| {
            let Some(options) = options.as_map_mut() else { return };
            match kind {
                "volume" => edit(options, "labels", |labels| pairs(labels, true)),
                _ => edit(options, "size", |size| {
                    let field = path.key("tmpfs");
                    let field = field.key("size");
                    if size.as_int().is_some_and(|size| size < 0) {
                        notes.error(size.mark, field, "must not be negative");
                    }
                    bytes(&field, size, notes);
                }),
            }
        });
    }
    match map.get_mut("target") {
        Some(target) => {
            let text = target.as_str().unwrap_or_default();
            if !text.is_empty() {
                target.value = Value::str(clean(Path::new(text)).to_string_lossy().into_owned());
            }
        }
        None => notes.error(mark, path, "needs `target`"),
    }
}

/// Where the mount of a short form is to be in the container.
pub(crate) fn target_of(text: &str) -> Option<String> {
    let target = parse(text).ok()?.target;
    Some(clean(Path::new(&target)).to_string_lossy().into_owned())
}

#[derive(Debug, Default, PartialEq)]
struct Short {
    source: Option<String>,
    target: String,
    options: Vec<String>,
    unknown: Vec<String>,
    /// One or two characters, which are never looked into.
    bare: bool,
}

const PROPAGATION: [&str; 6] = ["shared", "rshared", "slave", "rslave", "private", "rprivate"];

fn parse(text: &str) -> Result<Short, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() <= 2 {
        return Ok(Short { target: text.to_owned(), bare: true, ..Short::default() });
    }
    let parts = parts(text);
    if parts.iter().any(String::is_empty) {
        return Err(format!("`{text}` has nothing between its colons"));
    }
    let (source, target, options) = match &parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source.clone()), target, ""),
        [source, target, options] => (Some(source.clone()), target, options.as_str()),
        _ => return Err(format!("`{text}` has too many colons")),
    };
    let mut short = Short { source, target: target.clone(), ..Short::default() };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let known = ["ro", "rw", "nocopy", "z", "Z"];
        // Options for other systems' engines, that never had an effect on Linux.
        let idle = ["cached", "delegated", "consistent"];
        if known.contains(&option) || PROPAGATION.contains(&option) {
            short.options.push(option.to_owned());
        } else if !idle.contains(&option) {
            short.unknown.push(option.to_owned());
        }
    }
    Ok(short)
}

/// The text cut at its colons, but for those of a drive (`c:\\x`) and within `${...}`.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    let mut last = ' ';
    for c in text.chars() {
        let part_is_letter = parts.last().is_some_and(|part| {
            part.len() == 1 && part.starts_with(|c: char| c.is_ascii_alphabetic())
        });
        match c {
            '{' if last == '$' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && !part_is_letter => {
                parts.push(String::new());
                last = c;
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        last = c;
    }
    parts
}

impl Short {
    fn value(self, item: &Node) -> Value {
        let string = |text: &str| Value::str(text);
        let is_bind = self.source.as_deref().is_some_and(|source| {
            source.starts_with(['.', '/', '~'])
                || source.starts_with("\\\\")
                || source.chars().nth(1) == Some(':')
        });
        let mut entries = vec![("type", string(if is_bind { "bind" } else { "volume" }))];
        entries.extend(self.source.map(|source| ("source", Value::str(source))));
        entries.push(("target", Value::str(self.target)));
        if self.bare {
            return map_of(item.mark, entries);
        }
        let mut bind = vec![("create_host_path", Value::Bool(true))];
        let mut volume = Vec::new();
        for option in &self.options {
            match option.as_str() {
                "ro" => entries.push(("read_only", Value::Bool(true))),
                "rw" => {}
                "nocopy" => volume.push(("nocopy", Value::Bool(true))),
                "z" | "Z" => bind.push(("selinux", string(option))),
                _ => bind.push(("propagation", string(option))),
            }
        }
        let (key, inner) = if is_bind { ("bind", bind) } else { ("volume", volume) };
        entries.push((key, map_of(item.mark, inner)));
        map_of(item.mark, entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_is_cut_at_its_colons_but_not_at_a_drive_s() {
        for (text, source, target) in [
            ("/d", None, "/d"),
            ("v:/d", None, "v:/d"),
            ("vol:/d:ro", Some("vol"), "/d"),
            ("C:/a:/x", Some("C:/a"), "/x"),
            ("./a:/b:z,rslave", Some("./a"), "/b"),
            ("${A:-/x}:/b", Some("${A:-/x}"), "/b"),
        ] {
            let short = parse(text).unwrap();
            assert_eq!(
                (short.source.as_deref(), short.target.as_str()),
                (source, target),
                "{text}"
            );
        }
        for text in ["", "aa:bb:cc:dd", "vol::ro", ":/d"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("vol:/d:r0,ro").unwrap().unknown, ["r0"]);
        assert_eq!(target_of("vol:/d/../e/").as_deref(), Some("/e"));
    }
}
