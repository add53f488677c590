//! Brings a checked tree into the long form of every attribute; what is in it already stays. It
//! never adds a default that only the engine would add, and leaves alone what is of a wrong kind.

mod build;
mod deploy;
mod devices;
mod mounts;
mod ports;

pub(crate) use mounts::target_of;

use super::lint::SHELL_SYNTAX;
use super::merge::{names_to_map, pairs_to_map, started, to_list};
use super::node::{Map, Mark, Node, Value};
use super::notes::Notes;
use super::trail::Trail;
use super::{shell, units};

/// Brings a whole file into its long form, as far as files that are laid over it need it: how a
/// value is written that is replaced does not matter.
pub(crate) fn canonical(root: &mut Node, notes: &mut Notes) {
    for section in ["networks", "volumes", "configs", "secrets", "models"] {
        each(root, section, |path, node| resource(path, section, node, notes));
    }
    each(root, "services", |path, node| service(path, node, notes));
}

/// Brings the values of a project, once all its files are together, into one form each: words,
/// pairs, sizes, durations.
pub(crate) fn values(root: &mut Node, notes: &mut Notes) {
    each(root, "services", |path, node| {
        for (key, node) in node.as_map_mut().into_iter().flatten() {
            value(&path.key(key), key, node, notes);
        }
    });
}

fn each(root: &mut Node, section: &str, mut change: impl FnMut(&Trail<'_>, &mut Node)) {
    let entries = root.as_map_mut().and_then(|map| map.get_mut(section)).and_then(Node::as_map_mut);
    let section = Trail::Start(section);
    for (key, node) in entries.into_iter().flatten() {
        change(&section.key(key), node);
    }
}

fn resource(path: &Trail<'_>, section: &str, node: &mut Node, notes: &mut Notes) {
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
            (Some(old), _) => drop(map.insert("name", old.clone())),
            (None, _) => {}
        }
        map.insert("external", external.with(Value::Bool(true)));
    }
    edit(map, "labels", |node| pairs(node, true));
    edit(map, "driver_opts", |node| pairs(node, true));
    if section == "networks" {
        edit(map, "ipam", |ipam| {
            let Some(ipam) = ipam.as_map_mut() else { return };
            edit(ipam, "options", |node| pairs(node, true));
        });
    }
}

fn edit(map: &mut Map, key: &str, change: impl FnOnce(&mut Node)) {
    if let Some(node) = map.get_mut(key) {
        change(node);
    }
}

/// Brings one service into its long form.
pub(crate) fn service(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    for (key, value) in map.iter_mut() {
        attribute(&path.key(key), key, value, notes);
    }
    if map.get("dns").is_some_and(|dns| dns.items().is_empty()) {
        map.shift_remove("dns");
    }
}

fn attribute(path: &Trail<'_>, key: &str, node: &mut Node, notes: &mut Notes) {
    match key {
        "dns" => {
            to_list(node);
            if let Value::Seq(items) = &mut node.value {
                items.retain(|item| item.as_str() != Some(""));
            }
        }
        "dns_search" | "tmpfs" | "label_file" => to_list(node),
        "env_file" => env_file(node),
        "configs" | "secrets" => {
            for_items(node, |item| grant(path, item, key == "secrets", notes));
        }
        "depends_on" => depends_on(node),
        "networks" => networks(node),
        "models" => names_to_map(node, Vec::new),
        "ports" => ports::expand(path, node, notes),
        "volumes" => mounts::expand(path, node, notes),
        "devices" => devices::expand(path, node, notes),
        "gpus" => devices::gpus(path, node, notes),
        "build" => build::build(path, node, notes),
        _ => {}
    }
}

fn value(path: &Trail<'_>, key: &str, node: &mut Node, notes: &mut Notes) {
    match key {
        "command" | "entrypoint" => command(path, node, notes),
        "environment" => pairs(node, false),
        "labels" | "sysctls" | "annotations" | "storage_opt" => pairs(node, true),
        "expose" | "group_add" => for_items(node, text),
        "extra_hosts" => extra_hosts(path, node, notes),
        "mem_limit" | "mem_reservation" | "memswap_limit" | "shm_size" => bytes(path, node, notes),
        "mem_swappiness" => text(node),
        "stop_grace_period" => duration(path, node, notes),
        "healthcheck" => healthcheck(path, node, notes),
        "logging" => {
            if let Some(map) = node.as_map_mut() {
                edit(map, "options", |options| pairs(options, true));
            }
        }
        "blkio_config" => blkio(path, node, notes),
        "build" => build::values(path, node, notes),
        "develop" => build::develop(path, node, notes),
        "deploy" => deploy::deploy(path, node, notes),
        "post_start" | "pre_stop" | "pre_start" => {
            for_items(node, |item| build::hook(path, item, notes));
        }
        "provider" => provider(node),
        "pull_policy" if node.as_str() == Some("if_not_present") => {
            node.value = Value::str("missing");
        }
        _ => {}
    }
}

fn command(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Some(text) = node.as_str() else { return };
    match shell::split(text) {
        Ok((words, rest)) => {
            let mark = node.mark;
            if let Some(rest) = rest {
                let message = format!(
                    "`{rest}` is left out: no shell reads this; write [\"sh\", \"-c\", \"...\"]"
                );
                notes.named_warning(SHELL_SYNTAX, mark, path, message);
            }
            node.value = Value::Seq(words.into_iter().map(|word| Node::str(word, mark)).collect());
        }
        Err(message) => notes.error(node.mark, path, message),
    }
}

/// A list of `KEY=VALUE` as a mapping; values as text.
fn pairs(node: &mut Node, null_is_empty: bool) {
    pairs_to_map(node);
    let Value::Map(map) = &mut node.value else { return };
    for value in map.values_mut() {
        match value.text() {
            Some(text) => value.value = Value::str(text),
            None if value.is_null() && null_is_empty => value.value = Value::str(""),
            None => {}
        }
    }
}

/// A scalar as a string.
fn text(node: &mut Node) {
    if let Some(text) = node.text() {
        node.value = Value::str(text);
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

fn env_file(node: &mut Node) {
    to_list(node);
    for_items(node, |item| {
        if item.as_str().is_some() {
            item.value = map_of(item.mark, vec![("path", item.value.clone())]);
        }
        let mark = item.mark;
        if let Some(map) = item.as_map_mut() {
            map.or_insert("required", Node::new(Value::Bool(true), mark));
        }
    });
}

fn grant(path: &Trail<'_>, item: &mut Node, is_secret: bool, notes: &mut Notes) {
    if item.as_str().is_some() {
        item.value = map_of(item.mark, vec![("source", item.value.clone())]);
    }
    let mark = item.mark;
    let Some(map) = item.as_map_mut() else { return };
    if let Some(mode) = map.get("mode")
        && mode.as_str().is_some_and(|text| i64::from_str_radix(text, 8).is_err())
    {
        let text = mode.as_str().unwrap_or_default();
        notes.error(mode.mark, path, format!("`{text}` is no file mode, such as \"0440\""));
    }
    let source = map.get("source").and_then(Node::text).unwrap_or_default();
    if is_secret && !map.contains_key("target") {
        map.insert("target", Node::str(format!("/run/secrets/{source}"), mark));
    }
}

fn depends_on(node: &mut Node) {
    names_to_map(node, started);
    for (_, one) in node.as_map_mut().into_iter().flatten() {
        let mark = one.mark;
        if let Some(map) = one.as_map_mut() {
            let required = Node::new(Value::Bool(true), mark);
            map.or_insert("required", required);
        }
    }
}

fn networks(node: &mut Node) {
    names_to_map(node, Vec::new);
    for (_, one) in node.as_map_mut().into_iter().flatten() {
        if let Some(map) = one.as_map_mut() {
            edit(map, "driver_opts", |options| pairs(options, true));
        }
    }
}

/// `host=address` items, sorted.
fn extra_hosts(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let mut found: Vec<(String, String, Mark)> = Vec::new();
    match &node.value {
        Value::Map(map) => {
            for (host, addresses) in map {
                let single = std::slice::from_ref(addresses);
                for address in addresses.as_seq().unwrap_or(single) {
                    found.push((
                        host.to_string(),
                        address.text().unwrap_or_default(),
                        address.mark,
                    ));
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
        _ => return,
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
fn bytes(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    match &node.value {
        Value::Int(_) => text(node),
        Value::Str(text) if text == "-1" => {}
        Value::Str(text) => match units::parse_bytes(text) {
            Ok(number) => node.value = Value::str(number.to_string()),
            Err(message) => notes.error(node.mark, path, message),
        },
        Value::Float(_) => {
            notes.error(node.mark, path, "a size is a whole number of bytes, or has a unit");
        }
        _ => {}
    }
}

fn duration(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Some(text) = node.as_str() else { return };
    match units::normal_duration(text) {
        Ok(text) => node.value = Value::str(text),
        Err(message) => notes.error(node.mark, path, message),
    }
}

fn healthcheck(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    for key in ["interval", "timeout", "start_period", "start_interval"] {
        edit(map, key, |node| duration(&path.key(key), node, notes));
    }
    edit(map, "test", |test| {
        if let Some(text) = test.as_str() {
            let words = ["CMD-SHELL", text].map(|word| Node::str(word, test.mark));
            test.value = Value::Seq(words.to_vec());
        }
        let first = test.items().first().and_then(Node::as_str);
        if !matches!(first, None | Some("CMD" | "CMD-SHELL" | "NONE")) {
            let message = "a list begins with \"CMD\", \"CMD-SHELL\" or \"NONE\"";
            notes.error(test.mark, path.key("test"), message);
        }
    });
}

fn blkio(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    for key in ["device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops"] {
        edit(map, key, |list| {
            for_items(list, |item| {
                let Some(limit) = item.as_map_mut() else { return };
                edit(limit, "rate", |rate| bytes(&path.key(key), rate, notes));
            });
        });
    }
}

/// Options are lists of texts.
fn provider(node: &mut Node) {
    let Some(map) = node.as_map_mut() else { return };
    edit(map, "options", |options| {
        for (_, value) in options.as_map_mut().into_iter().flatten() {
            if value.as_seq().is_none() {
                value.value = Value::Seq(vec![Node::new(value.value.clone(), value.mark)]);
            }
            for_items(value, text);
        }
    });
}
