//! Adds what Compose derives once all files are together: names, the default network, and the
//! variables of env files. It never reads a file by itself.

use super::node::{Map, Mark, Node, Value};
use super::notes::Notes;
use std::collections::BTreeSet;

/// Drops the services whose profiles are not selected.
pub(crate) fn select(root: &mut Node, profiles: &BTreeSet<String>) -> BTreeSet<String> {
    let mut dropped = BTreeSet::new();
    let Some(services) = section(root, "services") else { return dropped };
    services.retain(|name, service| {
        let wanted = service.get("profiles").map(Node::items).unwrap_or_default();
        let active = wanted.is_empty()
            || profiles.contains("*")
            || wanted.iter().filter_map(Node::as_str).any(|one| profiles.contains(one));
        if !active {
            dropped.insert(name.clone());
        }
        active
    });
    dropped
}

/// Gives every network, volume, config and secret its name, and every service its networks.
pub(crate) fn normalise(root: &mut Node, project: &str) {
    let mut default_used = false;
    for service in section(root, "services").into_iter().flat_map(Map::values_mut) {
        default_used |= join_default(service);
    }
    if default_used {
        let mark = Mark::default();
        let map = root.as_map_mut().map(|root| {
            root.entry("networks".to_owned()).or_insert(Node::new(Value::Map(Map::new()), mark))
        });
        if let Some(networks) = map {
            if networks.is_null() {
                networks.value = Value::Map(Map::new());
            }
            if let Some(networks) = networks.as_map_mut() {
                let empty = Node::new(Value::Map(Map::new()), mark);
                networks.entry("default".to_owned()).or_insert(empty);
            }
        }
    }
    for kind in ["networks", "volumes", "configs", "secrets"] {
        for (key, resource) in section(root, kind).into_iter().flatten() {
            name_resource(key, resource, project);
        }
    }
}

fn section<'a>(root: &'a mut Node, name: &str) -> Option<&'a mut Map> {
    root.as_map_mut()?.get_mut(name)?.as_map_mut()
}

fn join_default(service: &mut Node) -> bool {
    let mark = service.place();
    let Some(map) = service.as_map_mut() else { return false };
    let joins = map.get("networks").and_then(Node::as_map).is_some_and(|map| !map.is_empty());
    if map.contains_key("network_mode") || joins {
        return map
            .get("networks")
            .and_then(Node::as_map)
            .is_some_and(|m| m.contains_key("default"));
    }
    let networks = Map::from_iter([("default".to_owned(), Node::null(mark))]);
    map.insert("networks".to_owned(), Node::new(Value::Map(networks), mark));
    true
}

fn name_resource(key: &str, resource: &mut Node, project: &str) {
    let mark = resource.place();
    let Some(map) = resource.as_map_mut() else { return };
    if map.get("name").is_some_and(|name| name.as_str() != Some("")) {
        return;
    }
    let external = map.get("external").and_then(Node::as_bool) == Some(true);
    let name = if external { key.to_owned() } else { format!("{project}_{key}") };
    map.insert("name".to_owned(), Node::str(name, mark));
}

/// Fills the nulls of `environment` from the variables.
pub(crate) fn resolve_nulls(
    service: &mut Node,
    lookup: super::interpolate::Lookup<'_>,
    path: &str,
    notes: &mut Notes,
) {
    let environment = service.as_map_mut().and_then(|map| map.get_mut("environment"));
    for (key, value) in environment.and_then(Node::as_map_mut).into_iter().flatten() {
        if value.is_null()
            && let Some(found) = lookup(key)
        {
            value.value = Value::Str(found);
        }
        if key.ends_with(' ') {
            notes.error(value.mark, path, format!("variable `{key}` ends in a space"));
        }
    }
}
