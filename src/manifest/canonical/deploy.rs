//! `deploy`. It never looks at the attributes of a service that say the same.

use super::{bytes, devices, duration, edit, pairs};
use crate::manifest::node::{Node, Value};
use crate::manifest::notes::Notes;
use crate::manifest::trail::Trail;

pub(super) fn deploy(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    edit(map, "labels", |node| pairs(node, true));
    for (section, keys) in [
        ("update_config", ["delay", "monitor"]),
        ("rollback_config", ["delay", "monitor"]),
        ("restart_policy", ["delay", "window"]),
    ] {
        let Some(inner) = map.get_mut(section).and_then(Node::as_map_mut) else { continue };
        for key in keys {
            edit(inner, key, |node| duration(&path.key(section).key(key), node, notes));
        }
    }
    let resources = map.get_mut("resources").and_then(Node::as_map_mut);
    for (kind, limits) in resources.into_iter().flatten() {
        let Some(limits) = limits.as_map_mut() else { continue };
        let path = path.key("resources");
        let path = path.key(kind);
        edit(limits, "memory", |node| bytes(&path.key("memory"), node, notes));
        edit(limits, "devices", |node| devices::requests(&path.key("devices"), node, notes));
        edit(limits, "cpus", |node| match node.text().and_then(|text| text.parse::<f64>().ok()) {
            Some(number) => node.value = Value::Float(number),
            None => notes.error(node.mark, path, "`cpus` is a number, such as 0.5"),
        });
    }
}
