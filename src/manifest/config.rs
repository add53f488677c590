//! The long form as JSON, equal to what `docker compose config --format json` prints. It never
//! shows what Compose leaves out: empty values, false flags, what nothing refers to.

use super::node::{Node, Text, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// Mappings with keys of the user's choice: nothing in them is left out.
const FREE: [&str; 14] = [
    "labels",
    "annotations",
    "driver_opts",
    "options",
    "sysctls",
    "aux_addresses",
    "args",
    "additional_contexts",
    "depends_on",
    "storage_opt",
    "environment",
    "networks",
    "models",
    "ulimits",
];

/// What is shown even if it is false, zero or an empty mapping: absent it would say something else.
const KEPT: [&str; 29] = [
    "attach",
    "bind",
    "blkio_config",
    "build",
    "credential_spec",
    "deploy",
    "develop",
    "enable_ipv4",
    "enable_ipv6",
    "healthcheck",
    "image",
    "init",
    "limits",
    "logging",
    "max_attempts",
    "parallelism",
    "placement",
    "provider",
    "replicas",
    "required",
    "reservations",
    "resources",
    "restart_policy",
    "retries",
    "rollback_config",
    "scale",
    "tmpfs",
    "update_config",
    "volume",
];

/// Sizes, which are texts, and left out when zero.
const SIZES: [&str; 7] = [
    "mem_limit",
    "mem_reservation",
    "memswap_limit",
    "mem_swappiness",
    "shm_size",
    "size",
    "memory",
];

/// Numbers that Compose keeps in 32 bits.
const SHORT_FLOATS: [&str; 3] = ["cpus", "cpu_percent", "max_failure_ratio"];

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As JSON: a command that is not said is null, what users keep in `x-` keys is left out but at
    /// the top.
    Json,
    /// As YAML: the other way round.
    Yaml,
}

/// The whole model.
pub(crate) fn config(
    root: &Node,
    extensions: &super::node::Map,
    project: &str,
    style: Style,
) -> Json {
    let mut out = Map::new();
    out.insert("name".to_owned(), Json::from(project));
    let mut services = Map::new();
    for (name, one) in root.get("services").into_iter().flat_map(Node::entries) {
        services.insert(name.to_string(), service(one, style));
    }
    services.sort_keys();
    out.insert("services".to_owned(), Json::Object(services));
    for kind in ["networks", "volumes", "configs", "secrets", "models"] {
        // Compose's JSON has no models.
        if kind == "models" && style == Style::Json {
            continue;
        }
        let mut section = Map::new();
        let used = used(root, kind);
        for (key, node) in root.get(kind).into_iter().flat_map(Node::entries) {
            if used.contains(key.as_str()) {
                section.insert(key.to_string(), resource(node, kind, style));
            }
        }
        section.sort_keys();
        if !section.is_empty() {
            out.insert(kind.to_owned(), Json::Object(section));
        }
    }
    for (key, node) in extensions {
        out.insert(key.to_string(), node.to_json());
    }
    Json::Object(out)
}

/// The keys of `kind` that a service refers to; Compose leaves the others out.
pub(crate) fn used<'a>(root: &'a Node, kind: &str) -> BTreeSet<&'a str> {
    let mut used = BTreeSet::new();
    for (_, service) in root.get("services").into_iter().flat_map(Node::entries) {
        if kind == "networks"
            && service
                .get("network_mode")
                .and_then(Node::as_str)
                .is_some_and(|mode| !mode.is_empty())
        {
            continue;
        }
        let build = service.get("build");
        for references in [service.get(kind), build.and_then(|build| build.get(kind))] {
            let Some(references) = references else { continue };
            used.extend(references.entries().map(|(key, _)| key.as_str()));
            let items = references.items().iter();
            let named = |item: &&Node| kind != "volumes" || is_volume(item);
            let source = |item: &'a Node| item.get("source").and_then(Node::as_str);
            used.extend(items.filter(named).filter_map(source));
        }
    }
    used
}

fn is_volume(item: &Node) -> bool {
    item.get("type").and_then(Node::as_str) == Some("volume")
}

fn resource(node: &Node, kind: &str, style: Style) -> Json {
    let mut resource = typed(node, kind, style);
    if kind == "networks"
        && let Some(map) = resource.as_object_mut()
    {
        // The options of `ipam` are read and not shown.
        let mut ipam = map.remove("ipam").unwrap_or(json!({}));
        if let Some(ipam) = ipam.as_object_mut() {
            ipam.remove("options");
        }
        let is_empty = ipam.as_object().is_none_or(Map::is_empty);
        if style == Style::Json || !is_empty {
            map.insert("ipam".to_owned(), ipam);
        }
    }
    resource
}

fn service(node: &Node, style: Style) -> Json {
    let mut out = Map::new();
    for (key, value) in node.entries() {
        match key.as_str() {
            "env_file" | "label_file" | "pull_refresh_after" => {}
            // An empty list says more than none.
            "command" | "entrypoint" => drop(out.insert(key.to_string(), value.to_json())),
            _ => {
                if let Some(value) = field(key, value, "service", style) {
                    out.insert(key.to_string(), value);
                }
            }
        }
    }
    for key in ["command", "entrypoint"] {
        match style {
            Style::Json => drop(out.entry(key).or_insert(Json::Null)),
            Style::Yaml if out.get(key) == Some(&Json::Null) => drop(out.shift_remove(key)),
            Style::Yaml => {}
        }
    }
    out.sort_keys();
    Json::Object(out)
}

/// A value with keys of Compose's, or a list or a single one; `kind` is the key above it.
fn typed(node: &Node, kind: &str, style: Style) -> Json {
    match &node.value {
        Value::Map(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                if let Some(value) = field(key, value, kind, style) {
                    out.insert(key.to_string(), value);
                }
            }
            complete(&mut out, kind, style);
            Json::Object(out)
        }
        Value::Seq(items) => items.iter().map(|item| typed(item, kind, style)).collect(),
        _ => node.to_json(),
    }
}

/// What the value under `key` is shown as, if it is.
fn field(key: &str, node: &Node, kind: &str, style: Style) -> Option<Json> {
    if key.starts_with("x-") {
        return (style == Style::Yaml).then(|| node.to_json());
    }
    let text = node.as_str().unwrap_or_default();
    let value = match key {
        "ssh" => ssh(node),
        "mode" if matches!(kind, "configs" | "secrets") => file_mode(node),
        "delay" | "monitor" if text == "0s" && kind != "restart_policy" => return None,
        _ if SIZES.contains(&key) && text == "0" => return None,
        _ if SHORT_FLOATS.contains(&key) => short_float(node),
        "ulimits" => limits(node),
        _ if FREE.contains(&key) => free(key, node, style),
        _ => typed(node, key, style),
    };
    let says_so = KEPT.contains(&key)
        && matches!(value, Json::Bool(_) | Json::Number(_) | Json::Object(_))
        || kind == "discrete_resource_spec";
    (says_so || !is_empty(&value)).then_some(value)
}

/// Adds what Compose shows even where nothing was said.
fn complete(out: &mut Map<String, Json>, kind: &str, style: Style) {
    if style == Style::Yaml {
        return;
    }
    match kind {
        "deploy" => {
            out.entry("placement").or_insert(json!({}));
            out.entry("resources").or_insert(json!({}));
        }
        "watch" => drop(out.entry("exec").or_insert(json!({"command": null}))),
        "post_start" | "pre_stop" | "pre_start" | "exec" => {
            out.entry("command").or_insert(Json::Null);
        }
        // These have Compose's inner names, by an oversight that has become its format.
        "weight_device" => {
            rename(out, &[("path", "Path", json!("")), ("weight", "Weight", json!(0))]);
        }
        "device_read_bps" | "device_read_iops" | "device_write_bps" | "device_write_iops" => {
            rename(out, &[("path", "Path", json!("")), ("rate", "Rate", json!("0"))]);
        }
        _ => {}
    }
}

fn rename(out: &mut Map<String, Json>, names: &[(&str, &str, Json)]) {
    for (from, to, absent) in names {
        let value = out.remove(*from).unwrap_or_else(|| absent.clone());
        out.insert((*to).to_owned(), value);
    }
}

/// A mapping with keys of the user's choice; below some of them Compose's keys follow.
fn free(key: &str, node: &Node, style: Style) -> Json {
    match (&node.value, key) {
        (Value::Map(map), "networks" | "models" | "depends_on") => Json::Object(
            map.iter().map(|(name, value)| (name.to_string(), typed(value, key, style))).collect(),
        ),
        (Value::Map(map), "args") => Json::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.to_string(), value.to_json()))
                .collect(),
        ),
        _ => node.to_json(),
    }
}

fn limits(node: &Node) -> Json {
    let limit = |value: &Node| match value.as_int() {
        Some(0) => json!({}),
        _ => typed(value, "ulimit", Style::Json),
    };
    Json::Object(node.entries().map(|(name, value)| (name.to_string(), limit(value))).collect())
}

/// `NAME=PATH` for each key, `NAME` alone for one of whoever builds.
fn ssh(node: &Node) -> Json {
    let shown = |(name, path): (&Text, &Node)| match path.text().filter(|path| !path.is_empty()) {
        Some(path) => Json::from(format!("{name}={path}")),
        None => Json::from(name.as_str()),
    };
    node.entries().map(shown).collect()
}

/// Permission bits in octal; a text is octal already.
fn file_mode(node: &Node) -> Json {
    let mode = match node.as_int() {
        Some(mode) => i64::try_from(mode).ok(),
        None => node.as_str().and_then(|text| i64::from_str_radix(text, 8).ok()),
    };
    mode.map_or_else(|| node.to_json(), |mode| Json::from(format!("0{mode:o}")))
}

fn short_float(node: &Node) -> Json {
    let Value::Float(number) = node.value else { return node.to_json() };
    #[expect(clippy::cast_possible_truncation, reason = "Compose keeps no more")]
    let short = number as f32;
    short
        .to_string()
        .parse()
        .map_or(Json::Null, |number| Node::new(Value::Float(number), node.mark).to_json())
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(flag) => !flag,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;

    fn shown(service: &str, style: Style) -> Json {
        let text = format!("services: {{a: {service}}}");
        let root = yaml::parse(&text, 0).unwrap().remove(0);
        config(&root, &super::super::node::Map::new(), "p", style)["services"]["a"].take()
    }

    #[test]
    fn empty_values_are_left_out_and_those_that_say_something_stay() {
        let service = "{image: i, tty: false, init: false, attach: false, scale: 0, cpus: 0.0, \
            mem_limit: '0', dns: [], labels: {a: ''}, command: [], healthcheck: {retries: 0}, \
            deploy: {update_config: {delay: 0s, parallelism: 0}, restart_policy: {delay: 0s}}, \
            networks: {n: , m: {aliases: []}}, ulimits: {x: 0, y: {soft: 0, hard: 1}}, x-own: 1}";
        let expected = json!({
            "image": "i", "init": false, "attach": false, "scale": 0, "labels": {"a": ""},
            "command": [], "entrypoint": null, "healthcheck": {"retries": 0},
            "deploy": {
                "update_config": {"parallelism": 0}, "restart_policy": {"delay": "0s"},
                "placement": {}, "resources": {},
            },
            "networks": {"n": null, "m": {}}, "ulimits": {"x": {}, "y": {"hard": 1}},
        });
        assert_eq!(shown(service, Style::Json), expected);
        assert_eq!(shown("{x-own: 1, command: }", Style::Yaml), json!({"x-own": 1}));
    }

    #[test]
    fn some_values_have_a_form_of_their_own() {
        let service = "{cpus: 1.23456789, secrets: [{source: s, mode: 0440}, {mode: '0400'}], \
            build: {ssh: {default: '', k: /x}, args: {A: , B: ''}}, \
            develop: {watch: [{path: /p}]}, blkio_config: {weight_device: [{path: x}]}}";
        let shown = shown(service, Style::Json);
        assert_eq!(shown["cpus"], json!(1.234_567_9));
        assert_eq!(shown["secrets"], json!([{"source": "s", "mode": "0440"}, {"mode": "0400"}]));
        assert_eq!(shown["build"], json!({"ssh": ["default", "k=/x"], "args": {"B": ""}}));
        let watch = json!([{"path": "/p", "exec": {"command": null}}]);
        assert_eq!(shown["develop"]["watch"], watch);
        let device = json!([{"Path": "x", "Weight": 0}]);
        assert_eq!(shown["blkio_config"]["weight_device"], device);
    }
}
