//! Commands around the life of a service's containers. It never runs one.

use super::{At, flag, section, text, texts};
use crate::manifest::node::Node;
use crate::model::{Hook, Hooks, ImageRef};

/// The hooks of a service.
pub(crate) fn hooks(service: &Node, at: &mut At<'_>) -> Hooks {
    let mut of = |key: &str| {
        let items = service.get(key).map(Node::items).unwrap_or_default();
        items.iter().enumerate().map(|(index, node)| hook(node, key, index, at)).collect()
    };
    Hooks { pre_start: of("pre_start"), post_start: of("post_start"), pre_stop: of("pre_stop") }
}

fn hook(node: &Node, key: &str, index: usize, at: &mut At<'_>) -> Hook {
    let command: Vec<String> = texts(node, "command");
    // A container of its own runs what its image says.
    if command.is_empty() && key != "pre_start" {
        let mark = node.get("command").map_or(node.mark, Node::place);
        at.fail(mark, &format!("{key}.{index}.command"), "must name a program");
    }
    let image = text(node, "image").and_then(|written| {
        let image = ImageRef::written(written);
        if let Err(error) = &image {
            let mark = node.get("image").map_or(node.mark, Node::place);
            at.fail(mark, &format!("{key}.{index}.image"), error.to_string());
        }
        image.ok()
    });
    Hook {
        command,
        image,
        user: text(node, "user"),
        privileged: flag(node, "privileged"),
        working_dir: text(node, "working_dir"),
        environment: section(node, "environment")
            .map(|(key, value)| (key.to_string(), value.text()))
            .collect(),
        per_replica: flag(node, "per_replica"),
    }
}
