//! The words that may be label values, so that no peer can make series without bound.

use crate::plan::Step;

/// What stands for every word that is not known.
pub(super) const OTHER: &str = "other";

/// Calls to the engine: the methods of `Engine`, the steps, and the verbs of their parts.
const OPERATIONS: &[&str] = &[
    "await",
    "connect",
    "copy",
    "create",
    "create_container",
    "create_network",
    "create_volume",
    "disconnect",
    "events",
    "facts",
    "info",
    "inspect",
    "inspect_container",
    "inspect_image",
    "inspect_network",
    "inspect_volume",
    "list",
    "list_containers",
    "list_images",
    "list_networks",
    "list_volumes",
    "logs",
    "observe",
    "ping",
    "pull",
    "remove",
    "remove_container",
    "remove_network",
    "remove_volume",
    "rename",
    "signal",
    "stacks",
    "start",
    "stop",
    "tail",
    "unpause",
    "update",
    "version",
    "watch",
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

/// The word under which a step's call is counted.
pub fn operation(step: &Step) -> &'static str {
    match step {
        Step::PullImage(_) => "pull",
        Step::CreateNetwork { .. } => "create_network",
        Step::RemoveNetwork { .. } => "remove_network",
        Step::CreateVolume { .. } => "create_volume",
        Step::RemoveVolume(_) => "remove_volume",
        Step::CreateContainer(_) => "create_container",
        Step::Connect { .. } => "connect",
        Step::Disconnect { .. } => "disconnect",
        Step::Start(_) => "start",
        Step::Unpause(_) => "unpause",
        Step::Signal { .. } => "signal",
        Step::Stop { .. } => "stop",
        Step::Remove(_) => "remove_container",
        Step::Rename { .. } => "rename",
        Step::Update { .. } => "update",
        Step::Await { .. } => "await",
    }
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
