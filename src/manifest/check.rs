//! Whether the parts of a stack fit together: what is referred to is there, and nothing excludes
//! another thing. It never changes anything.

use super::node::Node;
use super::notes::Notes;
use std::collections::{BTreeMap, BTreeSet};

/// Checks that what stands at the top of a file, in its long form, says one thing.
pub(crate) fn objects(root: &Node, notes: &mut Notes) {
    let entries = |section: &str| -> Vec<(String, &Node)> {
        let section_node = root.get(section).into_iter().flat_map(Node::entries);
        section_node.map(|(key, node)| (format!("{section}.{key}"), node)).collect()
    };
    let is_external = |node: &Node| node.get("external").and_then(Node::as_bool).unwrap_or(false);
    for (path, volume) in entries("volumes") {
        if !is_external(volume) {
            continue;
        }
        for (key, node) in volume.entries() {
            if !["external", "name"].contains(&key.as_str()) && !key.starts_with("x-") {
                let message = format!("`external` and `{key}` exclude each other");
                notes.error(node.place(), &path, message);
            }
        }
    }
    for (section, sources) in [
        ("configs", &["file", "environment", "content"][..]),
        ("secrets", &["file", "environment"]),
    ] {
        for (path, object) in entries(section) {
            let said: Vec<&str> =
                sources.iter().copied().filter(|key| object.get(key).is_some()).collect();
            let others = ["external", "driver"].iter().any(|key| object.get(key).is_some());
            if said.len() > 1 {
                let message = format!("{} exclude each other", backquoted(&said, "and"));
                notes.error(object.place(), &path, message);
            } else if said.is_empty() && !others {
                let message = format!("needs one of {}", backquoted(sources, "or"));
                notes.error(object.place(), &path, message);
            }
        }
    }
}

fn backquoted(keys: &[&str], last: &str) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    keys.join(&format!(" {last} "))
}

/// Checks the long form; `inactive` are the services that no profile selects.
pub(crate) fn check(root: &Node, inactive: &BTreeSet<String>, notes: &mut Notes) {
    let services = services(root);
    for (name, service) in &services {
        let path = format!("services.{name}");
        check_service(&path, service, notes);
        check_references(root, &path, service, notes);
        check_limits(&path, service, notes);
        check_mounts(&path, service, notes);
        check_build(&path, service, notes);
        check_dependencies(&path, service, &services, inactive, notes);
    }
    check_circles(&services, notes);
    check_container_names(&services, notes);
}

pub(crate) fn replicas(service: &Node) -> i128 {
    let deploy = service.get("deploy").and_then(|deploy| deploy.get("replicas"));
    deploy.or_else(|| service.get("scale")).and_then(Node::as_int).unwrap_or(1)
}

/// The services of the long form, by name.
pub(crate) fn services(root: &Node) -> BTreeMap<&str, &Node> {
    let entries = root.get("services").into_iter().flat_map(Node::entries);
    entries.map(|(name, node)| (name.as_str(), node)).collect()
}

fn check_service(path: &str, service: &Node, notes: &mut Notes) {
    let mark = service.place();
    let says = |key: &str| service.get(key).is_some_and(|node| node.as_str() != Some(""));
    if !["image", "build", "provider"].into_iter().any(says) {
        notes.error(mark, path, "needs `image` or `build`");
    }
    if says("network_mode")
        && service.get("networks").and_then(Node::as_map).is_some_and(|map| !map.is_empty())
    {
        notes.error(mark, path, "`network_mode` and `networks` exclude each other");
    }
    if let Some(name) = service.get("container_name")
        && replicas(service) > 1
    {
        let message = "`container_name` names one container, and there are several replicas";
        notes.error(name.place(), path, message);
    }
}

fn check_references(root: &Node, path: &str, service: &Node, notes: &mut Notes) {
    let declared = |kind: &str, key: &str| {
        root.get(kind).and_then(Node::as_map).is_some_and(|map| map.contains_key(key))
    };
    let mut refer = |kind: &str, key: &str, node: &Node| {
        if !declared(kind, key) {
            let one = kind.trim_end_matches('s');
            let keys = root.get(kind).into_iter().flat_map(Node::entries);
            let near = super::shape::suggestion(key, keys.map(|(key, _)| key.as_str()));
            let help = near.unwrap_or_else(|| format!("declare it under the top-level `{kind}`"));
            let message = format!("refers to undefined {one} `{key}`");
            notes.error_with_help(node.place(), path, message, Some(help));
        }
    };
    for (network, node) in service.get("networks").into_iter().flat_map(Node::entries) {
        refer("networks", network, node);
    }
    for (model, node) in service.get("models").into_iter().flat_map(Node::entries) {
        refer("models", model, node);
    }
    let built = service.get("build").and_then(|build| build.get("secrets"));
    for grant in built.map(Node::items).unwrap_or_default() {
        refer("secrets", grant.get("source").and_then(Node::as_str).unwrap_or_default(), grant);
    }
    let contexts = service.get("build").and_then(|build| build.get("additional_contexts"));
    for (_, node) in contexts.into_iter().flat_map(Node::entries) {
        let name = node.as_str().and_then(|text| text.strip_prefix("service:"));
        if let Some(name) = name {
            refer("services", name, node);
        }
    }
    for kind in ["configs", "secrets"] {
        for grant in service.get(kind).map(Node::items).unwrap_or_default() {
            let key = grant.get("source").and_then(Node::as_str).unwrap_or_default();
            refer(kind, key, grant);
        }
    }
    for mount in service.get("volumes").map(Node::items).unwrap_or_default() {
        let is_volume = mount.get("type").and_then(Node::as_str) == Some("volume");
        if let Some(source) = mount.get("source").and_then(Node::as_str).filter(|_| is_volume) {
            refer("volumes", source, mount);
        }
    }
}

/// What can be said in two places must be the same in both; a limit that is left out of
/// `deploy.resources` is none there.
fn check_limits(path: &str, service: &Node, notes: &mut Notes) {
    let below = |keys: &[&str]| keys.iter().try_fold(service, |node, key| node.get(key));
    let value = |node: Option<&Node>| match node.and_then(Node::text) {
        Some(text) => text.parse::<f64>().ok(),
        None => Some(0.0),
    };
    for (key, section, inner) in [
        ("scale", &["deploy"][..], "replicas"),
        ("cpus", &["deploy", "resources", "limits"], "cpus"),
        ("mem_limit", &["deploy", "resources", "limits"], "memory"),
        ("pids_limit", &["deploy", "resources", "limits"], "pids"),
        ("mem_reservation", &["deploy", "resources", "reservations"], "memory"),
    ] {
        let Some(plain) = service.get(key) else { continue };
        let Some(section_node) = below(section).filter(|node| node.as_map().is_some()) else {
            continue;
        };
        let deployed = section_node.get(inner);
        let says_none = key != "scale" && value(Some(plain)) == Some(0.0);
        if !says_none && value(Some(plain)) != value(deployed) {
            let other = format!("{}.{inner}", section.join("."));
            let message = if deployed.is_some() {
                format!("`{key}` and `{other}` differ; keep one")
            } else {
                format!("`{key}` and `{other}`, which says none, differ; put it there")
            };
            notes.error(plain.place(), path, message);
        }
    }
}

fn check_mounts(path: &str, service: &Node, notes: &mut Notes) {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (kind, key) in [("tmpfs", None), ("volumes", Some("target"))] {
        for (index, item) in
            service.get(kind).map(Node::items).unwrap_or_default().iter().enumerate()
        {
            let written = match key {
                Some(key) => item.get(key).and_then(Node::text),
                None => item.text().map(|text| text.split(':').next().unwrap_or("").to_owned()),
            };
            let target = super::paths::clean(std::path::Path::new(&written.unwrap_or_default()));
            let target = target.to_string_lossy().into_owned();
            if let Some(other) = taken.get(&target) {
                let message = format!("{target} is where `{other}` is mounted already");
                notes.error(item.place(), format_args!("{path}.{kind}.{index}"), message);
            } else {
                taken.insert(target, format!("{kind}.{index}"));
            }
        }
    }
}

fn check_build(path: &str, service: &Node, notes: &mut Notes) {
    let watch = service.get("develop").and_then(|develop| develop.get("watch"));
    for item in watch.map(Node::items).unwrap_or_default() {
        let text = |key: &str| item.get(key).and_then(Node::text).unwrap_or_default();
        if !["rebuild", "restart"].contains(&text("action").as_str()) && text("target").is_empty() {
            let message = format!("`{}` needs `target`", text("action"));
            notes.error(item.place(), format_args!("{path}.develop.watch"), message);
        }
    }
    let Some(build) = service.get("build") else { return };
    if build.get("dockerfile").is_some() && build.get("dockerfile_inline").is_some() {
        let message = "`dockerfile` and `dockerfile_inline` exclude each other";
        notes.error(build.place(), format_args!("{path}.build"), message);
    }
    let platforms = build.get("platforms").map(Node::items).unwrap_or_default();
    if let Some(platform) = service.get("platform").and_then(Node::as_str)
        && !platform.is_empty()
        && !platforms.is_empty()
        && !platforms.iter().any(|one| one.as_str() == Some(platform))
    {
        let message = format!("`platforms` must hold the service's own, `{platform}`");
        notes.error(build.place(), format_args!("{path}.build"), message);
    }
}

fn check_dependencies(
    path: &str,
    service: &Node,
    services: &BTreeMap<&str, &Node>,
    inactive: &BTreeSet<String>,
    notes: &mut Notes,
) {
    for (name, node) in service.get("depends_on").into_iter().flat_map(Node::entries) {
        if services.contains_key(name.as_str()) {
            continue;
        }
        let required = node.get("required").and_then(Node::as_bool).unwrap_or(true);
        let message = match (inactive.contains(name.as_str()), required) {
            (true, false) => continue,
            (true, true) => format!("depends on `{name}`, which no selected profile turns on"),
            (false, _) => format!("depends on undefined service `{name}`"),
        };
        let help = super::shape::suggestion(name, services.keys().copied());
        notes.error_with_help(node.place(), path, message, help);
    }
}

fn check_circles(services: &BTreeMap<&str, &Node>, notes: &mut Notes) {
    let mut done = BTreeSet::new();
    for start in services.keys() {
        let mut trail = vec![*start];
        let mut pending = vec![dependencies(services, start)];
        while let Some(next) = pending.last_mut() {
            match next.pop() {
                None => {
                    pending.pop();
                    done.extend(trail.pop());
                }
                Some(name) if done.contains(name) => {}
                Some(name) => {
                    if let Some(at) = trail.iter().position(|one| *one == name) {
                        let circle: Vec<_> = trail[at..].iter().copied().chain([name]).collect();
                        let mark = services.get(name).map(|node| node.place()).unwrap_or_default();
                        let message =
                            format!("dependencies go in a circle: {}", circle.join(" -> "));
                        notes.error(mark, format_args!("services.{name}"), message);
                        return;
                    }
                    pending.push(dependencies(services, name));
                    trail.push(name);
                }
            }
        }
    }
}

fn dependencies<'a>(services: &BTreeMap<&'a str, &'a Node>, name: &str) -> Vec<&'a str> {
    let Some(service) = services.get(name) else { return vec![] };
    let entries = service.get("depends_on").into_iter().flat_map(Node::entries);
    let known = |name: &&str| services.contains_key(name);
    entries.map(|(name, _)| name.as_str()).filter(known).collect()
}

fn check_container_names(services: &BTreeMap<&str, &Node>, notes: &mut Notes) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (service, node) in services {
        let Some(written) = node.get("container_name") else { continue };
        let name = written.as_str().unwrap_or_default();
        let path = format!("services.{service}.container_name");
        if let Some(other) = taken.insert(name, service) {
            let message = format!("`{name}` is the name of the container of `{other}` already");
            notes.error(written.mark, &path, message);
        }
    }
}
