//! The short form of `volumes`: `[SOURCE:]TARGET[:OPTIONS]`. It never checks that a source exists.

use super::{Base, bytes, clean, map_of};
use crate::manifest::node::{Node, Value};
use crate::manifest::notes::Notes;
use std::path::Path;

/// Brings every item into the long form.
pub(crate) fn expand(path: &str, node: &mut Node, base: &Base<'_>, notes: &mut Notes) {
    let Value::Seq(items) = &mut node.value else { return };
    for (index, item) in items.iter_mut().enumerate() {
        let path = format!("{path}.{index}");
        if let Some(text) = item.as_str() {
            match parse(text, item) {
                Ok(value) => item.value = value,
                Err(message) => {
                    notes.error(item.mark, &path, message);
                    continue;
                }
            }
        }
        finish(&path, item, base, notes);
    }
}

fn finish(path: &str, item: &mut Node, base: &Base<'_>, notes: &mut Notes) {
    let mark = item.mark;
    let Some(map) = item.as_map_mut() else { return };
    let is_bind = map.get("type").and_then(Node::as_str) == Some("bind");
    if let Some(size) =
        map.get_mut("tmpfs").and_then(Node::as_map_mut).and_then(|tmpfs| tmpfs.get_mut("size"))
    {
        bytes(&format!("{path}.tmpfs.size"), size, notes);
    }
    if let Some(target) = map.get_mut("target") {
        let text = target.as_str().unwrap_or_default();
        if !text.is_empty() {
            target.value = Value::Str(clean(Path::new(text)).to_string_lossy().into_owned());
        }
    }
    if !is_bind {
        return;
    }
    let Some(source) = map.get_mut("source") else {
        notes.error(mark, path, "a bind mount needs `source`");
        return;
    };
    let text = source.as_str().unwrap_or_default();
    if text.starts_with('~') {
        notes.error(source.mark, path, "`~` has no meaning for an agent; write an absolute path");
    } else {
        source.value = Value::Str(base.absolute(text));
    }
}

fn parse(text: &str, item: &Node) -> Result<Value, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let parts: Vec<&str> = text.split(':').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(format!("`{text}` has nothing between its colons"));
    }
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(format!("`{text}` has too many colons")),
    };
    let is_bind = source.is_some_and(|source| source.starts_with(['.', '/', '~', '\\']));
    let string = |text: &str| Value::Str(text.to_owned());
    let mut entries = vec![("type", string(if is_bind { "bind" } else { "volume" }))];
    entries.extend(source.map(|source| ("source", string(source))));
    entries.push(("target", string(target)));
    let mut bind = vec![("create_host_path", Value::Bool(true))];
    let mut volume = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => entries.push(("read_only", Value::Bool(true))),
            "nocopy" => volume.push(("nocopy", Value::Bool(true))),
            "z" | "Z" => bind.push(("selinux", string(option))),
            "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" => {
                bind.push(("propagation", string(option)));
            }
            "rw" | "cached" | "delegated" | "consistent" => {}
            _ => return Err(format!("`{option}` is no option of a mount")),
        }
    }
    let (key, inner) = if is_bind { ("bind", bind) } else { ("volume", volume) };
    entries.push((key, map_of(item.mark, inner)));
    Ok(map_of(item.mark, entries))
}
