//! Brings a checked tree into the long form of every attribute. It never adds a default that only
//! the engine would add.

mod mounts;
mod ports;

use super::node::{Map, Mark, Node, Value};
use super::notes::Notes;
use super::{shell, units};
use std::path::{Component, Path, PathBuf};

/// What relative paths are relative to.
pub(crate) struct Base<'a> {
    pub(crate) directory: &'a Path,
}

impl Base<'_> {
    /// `path` made absolute and free of `.` and `..`.
    pub(crate) fn absolute(&self, path: &str) -> String {
        clean(&self.directory.join(path)).to_string_lossy().into_owned()
    }
}

/// `path` without `.`, `..` and double slashes.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if cleaned.file_name().is_some() => {
                cleaned.pop();
            }
            Component::ParentDir if cleaned.has_root() => {}
            other => cleaned.push(other),
        }
    }
    cleaned
}

/// Brings a whole file into its long form.
pub(crate) fn canonical(root: &mut Node, base: &Base<'_>, notes: &mut Notes) {
    for section in ["networks", "volumes", "configs", "secrets"] {
        each(root, section, |path, node| resource(path, section, node, base, notes));
    }
    each(root, "services", |path, node| service(path, node, base, notes));
}

fn each(root: &mut Node, section: &str, mut change: impl FnMut(&str, &mut Node)) {
    let entries = root.as_map_mut().and_then(|map| map.get_mut(section)).and_then(Node::as_map_mut);
    for (key, node) in entries.into_iter().flatten() {
        change(&format!("{section}.{key}"), node);
    }
}

fn resource(path: &str, section: &str, node: &mut Node, base: &Base<'_>, notes: &mut Notes) {
    if node.is_null() {
        node.value = Value::Map(Map::new());
    }
    let mark = node.place();
    let Some(map) = node.as_map_mut() else { return };
    if let Some(external) = map.get("external").filter(|node| node.as_map().is_some()).cloned() {
        notes.warning(mark, path, "`external.name` is old; write `external: true` and `name`");
        match (external.get("name"), map.get("name")) {
            (Some(old), Some(new)) if old.value != new.value => {
                notes.error(mark, path, "`name` and `external.name` differ; keep `name`");
            }
            (Some(old), _) => drop(map.insert("name".to_owned(), old.clone())),
            (None, _) => {}
        }
        map.insert("external".to_owned(), external.with(Value::Bool(true)));
    }
    let is_external = map.get("external").and_then(Node::as_bool) == Some(true);
    if is_external && section != "networks" {
        for key in map.keys().filter(|key| *key != "external" && *key != "name") {
            notes.error(mark, path, format!("`external` and `{key}` exclude each other"));
        }
    }
    edit(map, "labels", |node| pairs(node, true));
    edit(map, "driver_opts", |node| pairs(node, true));
    if let Some(file) = map.get_mut("file")
        && let Some(text) = file.as_str()
    {
        file.value = Value::Str(base.absolute(text));
    }
    let is_bind = |key: &str, wanted: &str, map: &Map| {
        map.get(key).and_then(Node::as_str).is_some_and(|text| text == wanted)
    };
    if section == "volumes" && is_bind("driver", "local", map) {
        edit(map, "driver_opts", |options| {
            let Some(options) = options.as_map_mut() else { return };
            if is_bind("o", "bind", options)
                && let Some(device) = options.get_mut("device")
                && let Some(text) = device.as_str()
            {
                device.value = Value::Str(base.absolute(text));
            }
        });
    }
}

fn edit(map: &mut Map, key: &str, change: impl FnOnce(&mut Node)) {
    if let Some(node) = map.get_mut(key) {
        change(node);
    }
}

fn service(path: &str, node: &mut Node, base: &Base<'_>, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    for (key, value) in map.iter_mut() {
        attribute(&format!("{path}.{key}"), key, value, base, notes);
    }
}

fn attribute(path: &str, key: &str, node: &mut Node, base: &Base<'_>, notes: &mut Notes) {
    match key {
        "command" | "entrypoint" => command(path, node, notes),
        "environment" => pairs(node, false),
        "labels" | "sysctls" => pairs(node, true),
        "dns" | "dns_search" | "tmpfs" => list(node),
        "env_file" => env_file(node, base),
        "expose" | "group_add" => {
            for_items(node, |item| item.value = Value::Str(item.text().unwrap_or_default()));
        }
        "configs" | "secrets" => {
            for_items(node, |item| grant(item, key == "secrets"));
        }
        "depends_on" => {
            names_to_map(node, || vec![("condition", Value::Str("service_started".to_owned()))]);
            for (_, one) in node.as_map_mut().into_iter().flatten() {
                let mark = one.mark;
                if let Some(map) = one.as_map_mut() {
                    let required = Node::new(Value::Bool(true), mark);
                    map.entry("required".to_owned()).or_insert(required);
                }
            }
        }
        "networks" => networks(node),
        "ports" => ports::expand(path, node, notes),
        "volumes" => mounts::expand(path, node, base, notes),
        "devices" => devices(path, node, notes),
        "extra_hosts" => extra_hosts(path, node, notes),
        "mem_limit" | "mem_reservation" | "memswap_limit" | "shm_size" => bytes(path, node, notes),
        "stop_grace_period" => duration(path, node, notes),
        "healthcheck" => healthcheck(path, node, notes),
        "logging" => {
            if let Some(map) = node.as_map_mut() {
                edit(map, "options", |options| pairs(options, true));
            }
        }
        "deploy" => deploy(path, node, notes),
        "pull_policy" if node.as_str() == Some("if_not_present") => {
            node.value = Value::Str("missing".to_owned());
        }
        _ => {}
    }
}

fn command(path: &str, node: &mut Node, notes: &mut Notes) {
    let Some(text) = node.as_str() else { return };
    match shell::split(text) {
        Ok(words) => {
            let mark = node.mark;
            node.value = Value::Seq(words.into_iter().map(|word| Node::str(word, mark)).collect());
        }
        Err(message) => notes.error(node.mark, path, message),
    }
}

/// A list of `KEY=VALUE` as a mapping; values as text.
fn pairs(node: &mut Node, null_is_empty: bool) {
    let mut map = Map::new();
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                let text = value.text().map(Value::Str);
                map.insert(key.clone(), value.with(text.unwrap_or(Value::Null)));
            }
        }
        Value::Seq(items) => {
            for item in items {
                let text = item.as_str().unwrap_or_default();
                let (key, value) = match text.split_once('=') {
                    Some((key, value)) => (key, Value::Str(value.to_owned())),
                    None => (text, Value::Null),
                };
                map.insert(key.to_owned(), item.with(value));
            }
        }
        _ => return,
    }
    if null_is_empty {
        for value in map.values_mut().filter(|value| value.is_null()) {
            value.value = Value::Str(String::new());
        }
    }
    node.value = Value::Map(map);
}

fn list(node: &mut Node) {
    if node.as_str().is_some() {
        node.value = Value::Seq(vec![Node::new(node.value.clone(), node.mark)]);
    }
}

fn for_items(node: &mut Node, change: impl FnMut(&mut Node)) {
    if let Value::Seq(items) = &mut node.value {
        items.iter_mut().for_each(change);
    }
}

/// A mapping with these entries, all at `mark`.
fn map_of(mark: Mark, entries: Vec<(&str, Value)>) -> Value {
    let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), Node::new(value, mark)));
    Value::Map(entries.collect())
}

fn env_file(node: &mut Node, base: &Base<'_>) {
    list(node);
    for_items(node, |item| {
        if item.as_str().is_some() {
            item.value = map_of(item.mark, vec![("path", item.value.clone())]);
        }
        if let Some(path) = item.as_map_mut().and_then(|map| map.get_mut("path")) {
            path.value = Value::Str(base.absolute(path.as_str().unwrap_or_default()));
        }
    });
}

fn grant(item: &mut Node, is_secret: bool) {
    if item.as_str().is_some() {
        item.value = map_of(item.mark, vec![("source", item.value.clone())]);
    }
    let mark = item.mark;
    let Some(map) = item.as_map_mut() else { return };
    let source = map.get("source").and_then(Node::text).unwrap_or_default();
    if is_secret && !map.contains_key("target") {
        map.insert("target".to_owned(), Node::str(format!("/run/secrets/{source}"), mark));
    }
}

fn names_to_map(node: &mut Node, entries: impl Fn() -> Vec<(&'static str, Value)>) {
    let Value::Seq(items) = &node.value else { return };
    let map = items.iter().map(|item| {
        let name = item.as_str().unwrap_or_default().to_owned();
        (name, item.with(map_of(item.mark, entries())))
    });
    node.value = Value::Map(map.collect());
}

fn networks(node: &mut Node) {
    names_to_map(node, Vec::new);
    for (_, one) in node.as_map_mut().into_iter().flatten() {
        if one.as_map().is_some_and(Map::is_empty) {
            one.value = Value::Null;
        }
        if let Some(map) = one.as_map_mut() {
            edit(map, "driver_opts", |options| pairs(options, true));
        }
    }
}

fn devices(path: &str, node: &mut Node, notes: &mut Notes) {
    for_items(node, |item| {
        let Some(text) = item.as_str() else { return };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, permissions) = match parts[..] {
            [one] => (one, one, "rwm"),
            [source, target] => (source, target, "rwm"),
            [source, target, permissions] => (source, target, permissions),
            _ => {
                notes.error(item.mark, path, format!("`{text}` has too many colons"));
                return;
            }
        };
        let owned = |text: &str| Value::Str(text.to_owned());
        item.value = map_of(
            item.mark,
            vec![
                ("source", owned(source)),
                ("target", owned(target)),
                ("permissions", owned(permissions)),
            ],
        );
    });
}

/// `host=address` items.
fn extra_hosts(path: &str, node: &mut Node, notes: &mut Notes) {
    let mut found: Vec<(String, String, Mark)> = Vec::new();
    match &node.value {
        Value::Map(map) => {
            for (host, addresses) in map {
                let single = std::slice::from_ref(addresses);
                for address in addresses.as_seq().unwrap_or(single) {
                    found.push((host.clone(), address.text().unwrap_or_default(), address.mark));
                }
            }
        }
        Value::Seq(items) => {
            for item in items {
                let text = item.as_str().unwrap_or_default();
                let Some((host, addresses)) = text.split_once('=').or(text.split_once(':')) else {
                    notes.error(item.mark, path, format!("`{text}` has no address"));
                    continue;
                };
                found.extend(
                    addresses.split(',').map(|one| (host.to_owned(), one.to_owned(), item.mark)),
                );
            }
        }
        _ => {}
    }
    found.sort();
    let items = found.into_iter().map(|(host, address, mark)| {
        if host.is_empty() || host.contains(':') {
            notes.error(mark, path, format!("`{host}` is no host name"));
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        Node::str(format!("{host}={}", bare.unwrap_or(&address)), mark)
    });
    node.value = Value::Seq(items.collect());
}

/// A size as the text of its number of bytes.
fn bytes(path: &str, node: &mut Node, notes: &mut Notes) {
    match &node.value {
        Value::Int(number) => node.value = Value::Str(number.to_string()),
        Value::Str(text) if text == "-1" => {}
        Value::Str(text) => match units::parse_bytes(text) {
            Ok(number) => node.value = Value::Str(number.to_string()),
            Err(message) => notes.error(node.mark, path, message),
        },
        _ => notes.error(node.mark, path, "a size is a whole number of bytes, or has a unit"),
    }
}

fn duration(path: &str, node: &mut Node, notes: &mut Notes) {
    match units::parse_duration(node.as_str().unwrap_or_default()) {
        Ok(duration) => node.value = Value::Str(units::print_duration(duration)),
        Err(message) => notes.error(node.mark, path, message),
    }
}

fn healthcheck(path: &str, node: &mut Node, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    for key in ["interval", "timeout", "start_period", "start_interval"] {
        edit(map, key, |node| duration(&format!("{path}.{key}"), node, notes));
    }
    edit(map, "test", |test| {
        if let Some(text) = test.as_str() {
            let words = ["CMD-SHELL", text].map(|word| Node::str(word, test.mark));
            test.value = Value::Seq(words.to_vec());
        }
        let first = test.items().first().and_then(Node::as_str);
        if !matches!(first, None | Some("CMD" | "CMD-SHELL" | "NONE")) {
            let message = "a list begins with \"CMD\", \"CMD-SHELL\" or \"NONE\"";
            notes.error(test.mark, &format!("{path}.test"), message);
        }
    });
}

fn deploy(path: &str, node: &mut Node, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    edit(map, "labels", |node| pairs(node, true));
    for (section, keys) in [
        ("update_config", ["delay", "monitor"]),
        ("rollback_config", ["delay", "monitor"]),
        ("restart_policy", ["delay", "window"]),
    ] {
        let Some(section_node) = map.get_mut(section) else { continue };
        let Some(inner) = section_node.as_map_mut() else { continue };
        for key in keys {
            edit(inner, key, |node| duration(&format!("{path}.{section}.{key}"), node, notes));
        }
    }
    let resources = map.get_mut("resources").and_then(Node::as_map_mut);
    for (kind, limits) in resources.into_iter().flatten() {
        let Some(limits) = limits.as_map_mut() else { continue };
        edit(limits, "memory", |node| {
            bytes(&format!("{path}.resources.{kind}.memory"), node, notes);
        });
        edit(limits, "cpus", |node| match node.text().and_then(|text| text.parse::<f64>().ok()) {
            Some(number) if number >= 0.0 => node.value = Value::Float(number),
            _ => notes.error(node.mark, path, "`cpus` is a number, such as 0.5"),
        });
    }
}
