//! Adds what Compose derives once all files are together: names, the default network, and the
//! variables of env files. It never reads a file by itself.

use super::node::{Map, Mark, Node, Value};
use super::notes::Notes;
use std::collections::BTreeSet;

/// The profiles that services ask for.
pub(crate) fn profiles(root: &Node) -> BTreeSet<String> {
    let services = root.get("services").into_iter().flat_map(Node::entries);
    let wanted = services.filter_map(|(_, service)| service.get("profiles"));
    wanted.flat_map(Node::items).filter_map(Node::text).collect()
}

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
            dropped.insert(name.to_string());
        }
        active
    });
    dropped
}

/// Gives every network, volume, config and secret its name, and every service its networks and
/// what it depends on without saying so.
pub(crate) fn normalise(root: &mut Node, project: &str) {
    let mut default_used = false;
    for service in section(root, "services").into_iter().flat_map(Map::values_mut) {
        default_used |= join_default(service);
        imply_dependencies(service);
        complete_build(service);
        complete_replicas(service);
        give_hooks_an_image(service);
    }
    if default_used {
        let mark = Mark::default();
        let map =
            root.as_map_mut().map(|root| root.or_insert("networks".to_owned(), Node::map(mark)));
        if let Some(networks) = map {
            if networks.is_null() {
                networks.value = Value::Map(Map::new());
            }
            if let Some(networks) = networks.as_map_mut() {
                networks.or_insert("default", Node::map(mark));
            }
        }
    }
    for kind in ["networks", "volumes", "configs", "secrets", "models"] {
        for (key, resource) in section(root, kind).into_iter().flatten() {
            name_resource(key, resource, project);
        }
    }
}

/// What a service waits for because it shares something with another one.
fn imply_dependencies(service: &mut Node) {
    let texts = |key: &str| -> Vec<(String, Mark)> {
        let items = service.get(key).map(Node::items).unwrap_or_default().iter();
        items.filter_map(|item| Some((item.text()?, item.mark))).collect()
    };
    let mut implied: Vec<(String, Mark, bool)> = Vec::new();
    for (link, mark) in texts("links") {
        implied.push((link.split(':').next().unwrap_or_default().to_owned(), mark, true));
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let Some(node) = service.get(key) else { continue };
        if let Some(name) = node.as_str().and_then(|text| text.strip_prefix("service:")) {
            implied.push((name.to_owned(), node.mark, true));
        }
    }
    for (from, mark) in texts("volumes_from") {
        if !from.starts_with("container:") {
            implied.push((from.split(':').next().unwrap_or_default().to_owned(), mark, false));
        }
    }
    if implied.is_empty() {
        return;
    }
    let Some(map) = service.as_map_mut() else { return };
    let first = implied[0].1;
    let depends_on = map.or_insert("depends_on", Node::map(first));
    let Some(depends_on) = depends_on.as_map_mut() else { return };
    for (name, mark, restart) in implied {
        let node = |value: Value| Node::new(value, mark);
        let mut entry = Map::new();
        let condition = node(Value::str("service_started"));
        entry.insert("condition", condition);
        entry.insert("restart", node(Value::Bool(restart)));
        entry.insert("required", node(Value::Bool(true)));
        depends_on.or_insert(name, node(Value::Map(entry)));
    }
}

fn complete_build(service: &mut Node) {
    let build = service.as_map_mut().and_then(|map| map.get_mut("build"));
    let Some(build) = build.filter(|build| !build.is_null()) else { return };
    let mark = build.mark;
    let inline = build.get("dockerfile_inline").and_then(Node::text).unwrap_or_default();
    let written = build.get("dockerfile").and_then(Node::text).unwrap_or_default();
    let Some(map) = build.as_map_mut() else { return };
    if written.is_empty() && inline.is_empty() {
        map.insert("dockerfile", Node::str("Dockerfile", mark));
    }
}

/// Where both may say how many, both do.
fn complete_replicas(service: &mut Node) {
    let Some(scale) = service.get("scale").cloned() else { return };
    let deploy = service.as_map_mut().and_then(|map| map.get_mut("deploy"));
    if let Some(deploy) = deploy.and_then(Node::as_map_mut) {
        deploy.or_insert("replicas", scale);
    }
}

/// A step before the start runs in the service's own image unless it names another.
fn give_hooks_an_image(service: &mut Node) {
    let Some(image) = service.get("image").cloned() else { return };
    let hooks = service.as_map_mut().and_then(|map| map.get_mut("pre_start"));
    let Some(Value::Seq(hooks)) = hooks.map(|node| &mut node.value) else { return };
    for hook in hooks.iter_mut().filter_map(Node::as_map_mut) {
        hook.or_insert("image", image.clone());
    }
}

fn section<'a>(root: &'a mut Node, name: &str) -> Option<&'a mut Map> {
    root.as_map_mut()?.get_mut(name)?.as_map_mut()
}

/// Puts a service that says nothing of networks on the default one. Returns whether it is there.
fn join_default(service: &mut Node) -> bool {
    let mark = service.place();
    let Some(map) = service.as_map_mut() else { return false };
    if map.contains_key("provider") {
        return false;
    }
    let joined = map.get("networks").and_then(Node::as_map).filter(|map| !map.is_empty());
    if let Some(joined) = joined {
        return joined.contains_key("default");
    }
    if map.contains_key("network_mode") {
        return false;
    }
    let networks = Map::from_iter([("default".to_owned(), Node::null(mark))]);
    map.insert("networks", Node::new(Value::Map(networks), mark));
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
    map.insert("name", Node::str(name, mark));
}

/// Fills the nulls of `environment` and of a build's arguments from the variables.
pub(crate) fn resolve_nulls(
    service: &mut Node,
    lookup: super::interpolate::Lookup<'_>,
    path: &str,
    notes: &mut Notes,
) {
    let Some(map) = service.as_map_mut() else { return };
    let args = map.get_mut("build").and_then(Node::as_map_mut).and_then(|map| map.get_mut("args"));
    for (key, value) in args.and_then(Node::as_map_mut).into_iter().flatten() {
        fill(key, value, lookup);
    }
    let environment = map.get_mut("environment").and_then(Node::as_map_mut);
    for (key, value) in environment.into_iter().flatten() {
        fill(key, value, lookup);
        if key.ends_with(' ') {
            notes.error(value.mark, path, format!("variable `{key}` ends in a space"));
        }
    }
}

fn fill(key: &str, value: &mut Node, lookup: super::interpolate::Lookup<'_>) {
    if value.is_null()
        && let Some(found) = lookup(key)
    {
        value.value = Value::str(found);
    }
}
