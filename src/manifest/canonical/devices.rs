//! Devices of the host, as files and as requests to a driver. It never asks what the host has.

use super::{edit, for_items, map_of, pairs};
use crate::manifest::node::{Node, Value};
use crate::manifest::notes::Notes;
use crate::manifest::trail::Trail;

/// The short form of `devices`: `SOURCE[:TARGET[:PERMISSIONS]]`.
pub(super) fn expand(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    for_items(node, |item| {
        let Some(text) = item.as_str() else {
            if item.as_map().is_some() && item.get("target").is_none() {
                notes.error(item.mark, path, "needs `target`");
            }
            return;
        };
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
        let owned = |text: &str| Value::str(text);
        let entries = vec![
            ("source", owned(source)),
            ("target", owned(target)),
            ("permissions", owned(permissions)),
        ];
        item.value = map_of(item.mark, entries);
    });
}

/// `gpus`: all of them, or requests.
pub(super) fn gpus(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    if node.as_str() == Some("all") {
        let all = map_of(node.mark, vec![("count", Value::int(-1))]);
        node.value = Value::Seq(vec![Node::new(all, node.mark)]);
    }
    for_items(node, |item| {
        // Other keys are let pass, and mean nothing.
        let known = ["capabilities", "count", "device_ids", "driver", "options"];
        if let Some(map) = item.as_map_mut() {
            map.retain(|key, _| known.contains(&key.as_str()) || key.starts_with("x-"));
        }
    });
    requests(path, node, notes);
}

/// Requests of devices; one that says neither how many nor which is for all.
pub(super) fn requests(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    for_items(node, |item| {
        let mark = item.mark;
        let Some(map) = item.as_map_mut() else { return };
        edit(map, "options", |options| pairs(options, true));
        if map.contains_key("count") && map.contains_key("device_ids") {
            notes.error(mark, path, "`count` and `device_ids` exclude each other");
        }
        if !map.contains_key("count") && !map.contains_key("device_ids") {
            map.insert("count", Node::new(Value::int(-1), mark));
        }
        edit(map, "count", |count| {
            let Some(text) = count.as_str() else { return };
            match text.parse::<i64>() {
                _ if text.eq_ignore_ascii_case("all") => count.value = Value::int(-1),
                Ok(number) => count.value = Value::int(number),
                Err(_) => {
                    let message = format!("`{text}` is neither a number nor `all`");
                    notes.error(count.mark, path, message);
                }
            }
        });
    });
}
