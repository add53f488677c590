//! Items of a list that stand for the same thing: the later one takes the place of the earlier
//! (specification, "Unique resources"). It never looks at more than one list.

use super::canonical::target_of;
use super::node::{Node, Value};
use std::collections::BTreeMap;

/// Applies it to all lists of a file.
pub(crate) fn unify(root: &mut Node) {
    let Some(root) = root.as_map_mut() else { return };
    for (_, service) in root.get_mut("services").and_then(Node::as_map_mut).into_iter().flatten() {
        unify_service(service);
    }
}

fn unify_service(service: &mut Node) {
    let Some(map) = service.as_map_mut() else { return };
    for (key, node) in map.iter_mut() {
        match key.as_str() {
            "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "links" | "profiles"
            | "tmpfs" | "annotations" | "environment" | "labels" | "sysctls" => {
                keep_last(node, up_to_equals);
            }
            "configs" => keep_last(node, |item| grant(item, "")),
            "secrets" => keep_last(node, |item| grant(item, "/run/secrets")),
            "devices" => keep_last(node, device),
            "env_file" => keep_last(node, |item| item.get("path").unwrap_or(item).text()),
            "expose" => keep_last(node, Node::text),
            "ports" => keep_last(node, port),
            "volumes" => keep_last(node, mount),
            "build" => {
                for key in ["tags", "args", "labels", "additional_contexts"] {
                    if let Some(node) = node.as_map_mut().and_then(|map| map.get_mut(key)) {
                        keep_last(node, up_to_equals);
                    }
                }
            }
            "deploy" => {
                if let Some(node) = node.as_map_mut().and_then(|map| map.get_mut("labels")) {
                    keep_last(node, up_to_equals);
                }
            }
            "networks" => {
                for (_, endpoint) in node.as_map_mut().into_iter().flatten() {
                    for key in ["aliases", "link_local_ips"] {
                        if let Some(list) = endpoint.as_map_mut().and_then(|map| map.get_mut(key)) {
                            keep_last(list, up_to_equals);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// Of items with the same identity the last one stays, in the first one's place. What has none
/// stays.
fn keep_last(node: &mut Node, identity: impl Fn(&Node) -> Option<String>) {
    let Value::Seq(items) = &mut node.value else { return };
    if items.len() < 2 {
        return;
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        let Some(key) = identity(&item) else {
            kept.push(item);
            continue;
        };
        if let Some(&place) = places.get(&key) {
            kept[place] = item;
        } else {
            places.insert(key, kept.len());
            kept.push(item);
        }
    }
    *items = kept;
}

fn up_to_equals(item: &Node) -> Option<String> {
    let text = item.text()?;
    Some(text.split_once('=').map_or(text.clone(), |(key, _)| key.to_owned()))
}

fn grant(item: &Node, directory: &str) -> Option<String> {
    let source = match item.as_str() {
        Some(name) => return Some(format!("{directory}/{name}")),
        None => item.get("source").and_then(Node::text),
    };
    let target = item.get("target").and_then(Node::text);
    target.or_else(|| Some(format!("{directory}/{}", source?)))
}

fn device(item: &Node) -> Option<String> {
    match item.as_str() {
        Some(text) => Some(text.split(':').nth(1).unwrap_or(text).to_owned()),
        None => item.get("target").and_then(Node::text),
    }
}

fn mount(item: &Node) -> Option<String> {
    match item.as_str() {
        Some(text) => target_of(text),
        None => item.get("target").and_then(Node::text),
    }
}

/// A short form stands for itself; it is looked at again once it is long.
fn port(item: &Node) -> Option<String> {
    if item.as_map().is_none() {
        return item.text();
    }
    let text = |key: &str| item.get(key).and_then(Node::text).filter(|text| !text.is_empty());
    Some(format!(
        "{}:{}:{}/{}",
        text("host_ip").unwrap_or_else(|| "0.0.0.0".to_owned()),
        text("published").unwrap_or_default(),
        text("target")?,
        text("protocol").unwrap_or_else(|| "tcp".to_owned()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;

    fn shown(service: &str) -> String {
        let mut root = yaml::parse(&format!("services: {{a: {service}}}"), 0).unwrap().remove(0);
        unify(&mut root);
        root.to_json()["services"]["a"].to_string()
    }

    #[test]
    fn the_later_item_takes_the_place_of_the_earlier_one_for_the_same_thing() {
        for (service, expected) in [
            ("{labels: [a=1, b=2, a=3]}", r#"{"labels":["a=3","b=2"]}"#),
            ("{cap_add: [X, Y, X]}", r#"{"cap_add":["X","Y"]}"#),
            ("{volumes: ['vx:/d', 'vy:/e', 'vz:/d:ro']}", r#"{"volumes":["vz:/d:ro","vy:/e"]}"#),
            (
                "{volumes: ['vx:/d', {type: bind, source: /y, target: /d}]}",
                r#"{"volumes":[{"type":"bind","source":"/y","target":"/d"}]}"#,
            ),
            (
                "{secrets: [s, {source: t, target: /run/secrets/s}]}",
                r#"{"secrets":[{"source":"t","target":"/run/secrets/s"}]}"#,
            ),
            ("{configs: [c, d, c]}", r#"{"configs":["c","d"]}"#),
            ("{devices: ['/a:/x', '/b:/x']}", r#"{"devices":["/b:/x"]}"#),
            ("{expose: [80, '80', 81]}", r#"{"expose":["80",81]}"#),
            (
                "{env_file: [x, {path: x, required: false}]}",
                r#"{"env_file":[{"path":"x","required":false}]}"#,
            ),
            (
                "{ports: [{target: 80, published: '80'}, {target: 80, published: '80', protocol: tcp}, {target: 80, published: '80', host_ip: 1.1.1.1}]}",
                r#"{"ports":[{"target":80,"published":"80","protocol":"tcp"},{"target":80,"published":"80","host_ip":"1.1.1.1"}]}"#,
            ),
            ("{group_add: [a, a]}", r#"{"group_add":["a","a"]}"#),
        ] {
            assert_eq!(shown(service), expected);
        }
    }
}
