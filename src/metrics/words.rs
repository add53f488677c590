//! The words that may be label values, so that no peer can make series without bound.

/// What stands for every word that is not known.
pub(super) const OTHER: &str = "other";

/// Calls to the engine.
const OPERATIONS: &[&str] = &[
    "connect",
    "copy",
    "create_container",
    "create_network",
    "create_volume",
    "disconnect",
    "events",
    "exec",
    "import",
    "info",
    "inspect_container",
    "inspect_image",
    "list_containers",
    "list_networks",
    "list_volumes",
    "logs",
    "ping",
    "pull",
    "remove_container",
    "remove_image",
    "remove_network",
    "remove_volume",
    "rename",
    "signal",
    "start",
    "stop",
    "unpause",
    "update",
];

/// Docker's event actions for containers, networks, volumes and images
/// (Docker Engine API, "Monitor events").
const EVENTS: &[&str] = &[
    "attach",
    "commit",
    "connect",
    "copy",
    "create",
    "delete",
    "destroy",
    "detach",
    "die",
    "disconnect",
    "exec_create",
    "exec_die",
    "exec_start",
    "export",
    "health_status",
    "import",
    "kill",
    "load",
    "mount",
    "oom",
    "pause",
    "prune",
    "pull",
    "push",
    "remove",
    "rename",
    "resize",
    "restart",
    "save",
    "start",
    "stop",
    "tag",
    "unmount",
    "unpause",
    "untag",
    "update",
];

/// Whether a call is about no object that could be missing or refuse: where it fails, the engine does.
pub(super) fn asks_for_all(operation: &str) -> bool {
    ["info", "list_containers", "list_networks", "list_volumes"].contains(&operation)
}

pub(super) fn known_operation(operation: &str) -> &'static str {
    known(operation, OPERATIONS)
}

/// Docker writes `health_status: healthy` and `exec_die: command`; the first word is the action.
pub(super) fn known_event(action: &str) -> &'static str {
    known(action.split(':').next().unwrap_or_default().trim(), EVENTS)
}

fn known(word: &str, words: &[&'static str]) -> &'static str {
    words.iter().find(|known| **known == word).copied().unwrap_or(OTHER)
}
