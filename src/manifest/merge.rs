//! Lays one file over another (specification, "Merge"). It never checks what it merges.

use super::node::{Directive, Map, Node, Value};
use super::notes::Notes;

/// Lays `over` on `base`.
pub(crate) fn merge(base: &mut Node, over: Node, path: &[&str], notes: &mut Notes) {
    match over.directive {
        Some(Directive::Override) => return *base = Node { directive: None, ..over },
        Some(Directive::Reset) => return base.value = Value::Null,
        None => {}
    }
    let attribute = match path {
        ["services", _, attribute @ ..] => attribute.join("."),
        _ => path.join("."),
    };
    let name = attribute.as_str();
    if ["command", "entrypoint", "healthcheck.test"].contains(&name) {
        return *base = over;
    }
    if over.is_null() {
        return;
    }
    if base.is_null() {
        return *base = over;
    }
    let mut over = over;
    if name == "extra_hosts" {
        to_entries(base);
        to_entries(&mut over);
    } else if is_either(name) {
        to_map(base, name);
        to_map(&mut over, name);
    } else if ["dns", "dns_search", "tmpfs", "env_file"].contains(&name) {
        to_list(base);
        to_list(&mut over);
    }
    if name == "logging" && drivers_differ(base, &over) {
        return *base = over;
    }
    let place = over.place();
    match (&mut base.value, over.value) {
        (Value::Map(base), Value::Map(over)) => merge_maps(base, over, path, notes),
        (Value::Seq(base), Value::Seq(over)) => append(base, over, name),
        (Value::Map(_) | Value::Seq(_), _) | (_, Value::Map(_) | Value::Seq(_)) => {
            notes.error(place, &path.join("."), "cannot be laid over a value of another kind");
        }
        (value, over) => {
            *value = over;
            base.mark = place;
        }
    }
}

/// Takes out what stands under `!reset`, for a file that is laid over nothing.
pub(crate) fn drop_resets(node: &mut Node) {
    match &mut node.value {
        Value::Map(map) => {
            map.retain(|_, value| value.directive != Some(Directive::Reset));
            map.values_mut().for_each(drop_resets);
        }
        Value::Seq(items) => {
            items.retain(|value| value.directive != Some(Directive::Reset));
            items.iter_mut().for_each(drop_resets);
        }
        _ => {}
    }
}

fn merge_maps(base: &mut Map, over: Map, path: &[&str], notes: &mut Notes) {
    for (key, value) in over {
        let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
        if value.directive == Some(Directive::Reset) {
            base.shift_remove(&key);
            continue;
        }
        match base.get_mut(&key) {
            Some(existing) => merge(existing, value, &path, notes),
            None => drop(base.insert(key.clone(), value)),
        }
    }
}

/// Whether both name a driver, and not the same: then the options of one mean nothing to the other.
fn drivers_differ(base: &Node, over: &Node) -> bool {
    match (base.get("driver"), over.get("driver")) {
        (Some(base), Some(over)) => base.value != over.value,
        _ => false,
    }
}

/// Attributes that are a mapping or a list of pairs or names.
fn is_either(name: &str) -> bool {
    let is_labels = name.ends_with(".labels");
    is_labels || ["environment", "labels", "sysctls", "depends_on", "networks"].contains(&name)
}

fn to_map(node: &mut Node, name: &str) {
    let Value::Seq(items) = &node.value else { return };
    let entries = items.iter().map(|item| {
        let text = item.text().unwrap_or_default();
        if name == "depends_on" {
            let condition = Node::str("service_started", item.mark);
            let entry = Map::from_iter([("condition".to_owned(), condition)]);
            return (text, item.with(Value::Map(entry)));
        }
        match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), item.with(Value::Str(value.to_owned()))),
            None => (text, item.with(Value::Null)),
        }
    });
    node.value = Value::Map(entries.collect());
}

/// A mapping of hosts as a list of `host=address`.
fn to_entries(node: &mut Node) {
    let Value::Map(map) = &node.value else { return };
    let mut entries = Vec::new();
    for (host, addresses) in map {
        for address in addresses.as_seq().unwrap_or(std::slice::from_ref(addresses)) {
            let text = format!("{host}={}", address.text().unwrap_or_default());
            entries.push(Node::str(text, address.mark));
        }
    }
    node.value = Value::Seq(entries);
}

fn to_list(node: &mut Node) {
    if matches!(node.value, Value::Str(_)) {
        node.value = Value::Seq(vec![node.clone()]);
    }
}

/// Adds the items of `over`; one that stands for the same thing takes the place of the older.
fn append(base: &mut Vec<Node>, over: Vec<Node>, name: &str) {
    for item in over {
        let key = identity(&item, name);
        match base.iter_mut().find(|older| identity(older, name) == key) {
            Some(older) => *older = item,
            None => base.push(item),
        }
    }
}

/// What an item stands for: a mount for its target, all else for itself.
fn identity(item: &Node, name: &str) -> String {
    let long = |key: &str| item.get(key).and_then(Node::text);
    match (name, item.as_str()) {
        ("volumes" | "devices", Some(text)) => {
            text.split(':').nth(1).unwrap_or(text).trim_end_matches('/').to_owned()
        }
        ("volumes" | "devices", None) => long("target").unwrap_or_default(),
        ("secrets", Some(text)) => format!("/run/secrets/{text}"),
        ("secrets", None) => long("target")
            .unwrap_or_else(|| format!("/run/secrets/{}", long("source").unwrap_or_default())),
        ("configs", Some(text)) => format!("/{text}"),
        ("configs", None) => {
            long("target").unwrap_or_else(|| format!("/{}", long("source").unwrap_or_default()))
        }
        ("env_file", None) => long("path").unwrap_or_default(),
        (_, _) => item.text().unwrap_or_else(|| {
            let entries: Vec<_> =
                item.entries().map(|(key, value)| (key.clone(), value.text())).collect();
            format!("{entries:?}")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;

    fn merged(base: &str, over: &str) -> Node {
        let parse = |text| yaml::parse(text, 0).unwrap().remove(0);
        let mut base = parse(base);
        merge(&mut base, parse(over), &["services", "test"], &mut Notes::default());
        base
    }

    #[test]
    fn mappings_merge_lists_append_and_scalars_are_replaced() {
        let node = merged("a: {x: 1, l: [1, 2]}\n", "a: {x: 2, y: 3, l: [2, 3]}\n");
        let a = node.get("a").unwrap();
        assert_eq!(a.get("x").unwrap().as_int(), Some(2));
        let items: Vec<_> = a.get("l").unwrap().items().iter().map(Node::as_int).collect();
        assert_eq!(items, [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_command_is_replaced_and_a_mount_takes_the_place_of_its_target() {
        let node = merged(
            "command: [a, b]\nvolumes: ['x:/d', 'y:/e']\n",
            "command: [c]\nvolumes: ['z:/d']\n",
        );
        assert_eq!(node.get("command").unwrap().items().len(), 1);
        let volumes: Vec<_> =
            node.get("volumes").unwrap().items().iter().filter_map(Node::as_str).collect();
        assert_eq!(volumes, ["z:/d", "y:/e"]);
    }

    #[test]
    fn reset_takes_out_and_override_replaces() {
        let node = merged("a: [1]\nb: [1]\n", "a: !reset null\nb: !override [2]\n");
        assert!(node.get("a").is_none());
        assert_eq!(node.get("b").unwrap().items().len(), 1);
    }
}
