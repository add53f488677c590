//! Commands around the life of a service's containers. It never runs one.

use super::{flag, section, text, texts};
use crate::manifest::node::Node;
use crate::model::{Hook, Hooks};

/// The hooks of a service.
pub(crate) fn hooks(service: &Node) -> Hooks {
    let of = |key: &str| {
        let items = service.get(key).map(Node::items).unwrap_or_default();
        items.iter().map(hook).collect()
    };
    Hooks { pre_start: of("pre_start"), post_start: of("post_start"), pre_stop: of("pre_stop") }
}

fn hook(node: &Node) -> Hook {
    Hook {
        command: texts(node, "command"),
        image: text(node, "image"),
        user: text(node, "user"),
        privileged: flag(node, "privileged"),
        working_dir: text(node, "working_dir"),
        environment: section(node, "environment")
            .map(|(key, value)| (key.to_string(), value.text()))
            .collect(),
        per_replica: flag(node, "per_replica"),
    }
}
