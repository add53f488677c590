//! The long form as JSON, equal to what `docker compose config --format json` prints. It never
//! shows what Compose leaves out: empty values and false flags.

use super::node::{Node, Value};
use serde_json::{Map, Number, Value as Json, json};
use std::collections::BTreeSet;

/// The whole model.
pub(crate) fn config(root: &Node, extensions: &super::node::Map, project: &str) -> Json {
    let mut out = Map::new();
    out.insert("name".to_owned(), Json::from(project));
    let mut services = Map::new();
    for (name, one) in root.get("services").into_iter().flat_map(Node::entries) {
        services.insert(name.clone(), service(one));
    }
    out.insert("services".to_owned(), Json::Object(services));
    for kind in ["networks", "volumes", "configs", "secrets"] {
        let mut section = Map::new();
        let used = used(root, kind);
        for (key, node) in root.get(kind).into_iter().flat_map(Node::entries) {
            if !used.contains(key.as_str()) {
                continue;
            }
            let mut resource = pruned(node, kind);
            if kind == "networks"
                && let Some(map) = resource.as_object_mut()
            {
                let ipam = map.remove("ipam").unwrap_or(Json::Null);
                map.insert("ipam".to_owned(), without_options(ipam));
            }
            section.insert(key.clone(), resource);
        }
        if !section.is_empty() {
            out.insert(kind.to_owned(), Json::Object(section));
        }
    }
    for (key, node) in extensions {
        out.insert(key.clone(), verbatim(node));
    }
    Json::Object(out)
}

/// The keys of `kind` that a service refers to; Compose leaves the others out.
fn used<'a>(root: &'a Node, kind: &str) -> BTreeSet<&'a str> {
    let mut used = BTreeSet::new();
    for (_, service) in root.get("services").into_iter().flat_map(Node::entries) {
        let Some(references) = service.get(kind) else { continue };
        used.extend(references.entries().map(|(key, _)| key.as_str()));
        let items = references.items().iter();
        used.extend(items.filter_map(|item| item.get("source").and_then(Node::as_str)));
    }
    used
}

fn without_options(ipam: Json) -> Json {
    let Json::Object(mut ipam) = ipam else { return json!({}) };
    ipam.remove("options");
    Json::Object(ipam)
}

fn service(node: &Node) -> Json {
    let mut out = Map::new();
    for (key, value) in node.entries() {
        let value = match key.as_str() {
            "command" | "entrypoint" | "init" | "environment" | "labels" | "networks" => {
                verbatim(value)
            }
            "env_file" => continue,
            "deploy" => deploy(value),
            "mem_limit" | "mem_reservation" | "memswap_limit" | "shm_size"
                if value.as_str() == Some("0") =>
            {
                continue;
            }
            _ => pruned(value, key),
        };
        let keeps = matches!(key.as_str(), "command" | "entrypoint" | "scale" | "healthcheck");
        if keeps || !is_empty(&value) || key == "init" {
            out.insert(key.clone(), value);
        }
    }
    for key in ["command", "entrypoint"] {
        out.entry(key).or_insert(Json::Null);
    }
    Json::Object(out)
}

/// Compose always prints `placement` and `resources`.
fn deploy(node: &Node) -> Json {
    let mut deploy = pruned(node, "deploy");
    if let Some(map) = deploy.as_object_mut() {
        map.entry("placement").or_insert(json!({}));
        map.entry("resources").or_insert(json!({}));
    }
    deploy
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

fn verbatim(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int(number) => integer(*number),
        Value::Float(number) => float(*number),
        Value::Time(text) | Value::Str(text) => Json::from(text.as_str()),
        Value::Seq(items) => items.iter().map(verbatim).collect(),
        Value::Map(map) => {
            Json::Object(map.iter().map(|(key, value)| (key.clone(), verbatim(value))).collect())
        }
    }
}

/// The value without what is empty in it; free mappings keep their empty texts.
fn pruned(node: &Node, key: &str) -> Json {
    match &node.value {
        Value::Map(map) => {
            let free = ["labels", "driver_opts", "options", "sysctls", "aux_addresses"];
            let is_free = free.contains(&key);
            let entries = map.iter().map(|(key, value)| (key.clone(), pruned(value, key)));
            let kept = |key: &str, value: &Json| {
                if key == "size" && value == "0" {
                    return false;
                }
                is_free
                    || !is_empty(value)
                    || matches!(
                        key,
                        "replicas" | "parallelism" | "required" | "volume" | "bind" | "tmpfs"
                    )
            };
            Json::Object(entries.filter(|(key, value)| kept(key, value)).collect())
        }
        Value::Seq(items) => items.iter().map(|item| pruned(item, key)).collect(),
        _ => verbatim(node),
    }
}

fn integer(number: i128) -> Json {
    i64::try_from(number)
        .map(Json::from)
        .or_else(|_| u64::try_from(number).map(Json::from))
        .unwrap_or(Json::Null)
}

fn float(number: f64) -> Json {
    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers in range are cast")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Json::from(number as i64);
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}
