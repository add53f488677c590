//! Failures on demand, and how often each operation was called.

use crate::engine::EngineError;
use crate::plan::Step;
use std::collections::BTreeMap;
use std::time::Duration;

/// What shall go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub down: bool,
    /// Whether the registry does not answer.
    pub registry_away: bool,
    pub latency: Duration,
    pub calls: BTreeMap<&'static str, u64>,
    /// By operation and number of the call, from 1.
    pub failures: BTreeMap<(String, u64), EngineError>,
    /// Changing calls until the engine goes down.
    pub crash_after: Option<u64>,
}

impl Faults {
    /// Counts a call, or says why it fails.
    pub(super) fn count(&mut self, operation: &'static str) -> Result<(), EngineError> {
        if !is_look(operation) {
            match &mut self.crash_after {
                Some(0) => {
                    self.crash_after = None;
                    self.down = true;
                }
                Some(left) => *left -= 1,
                None => {}
            }
        }
        if self.down {
            return Err(unreachable());
        }
        let count = self.calls.entry(operation).or_default();
        *count += 1;
        match self.failures.remove(&(operation.to_owned(), *count)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// What a call to an engine that is down says.
pub(super) fn unreachable() -> EngineError {
    EngineError::Unreachable {
        endpoint: "sim".to_owned(),
        cause: "Connection refused (os error 111)".to_owned(),
    }
}

/// The name under which `step` is counted.
pub(super) fn operation(step: &Step) -> &'static str {
    match step {
        Step::PullImage { .. } => "pull",
        Step::RemoveImage { .. } => "remove image",
        Step::CreateNetwork { .. } => "create network",
        Step::RemoveNetwork { .. } => "remove network",
        Step::CreateVolume { .. } => "create volume",
        Step::RemoveVolume(_) => "remove volume",
        Step::CreateContainer(_) => "create",
        Step::Connect { .. } => "connect",
        Step::Disconnect { .. } => "disconnect",
        Step::Start(_) => "start",
        Step::Unpause(_) => "unpause",
        Step::Signal { .. } => "signal",
        Step::CopyFiles { .. } => "copy files into",
        Step::NoteContents { .. } => "note",
        Step::Stop { .. } => "stop",
        Step::Remove(_) => "remove",
        Step::Rename { .. } => "rename",
        Step::Update { .. } => "update",
        Step::Discard(_) => "discard",
        Step::Withdraw { .. } => "withdraw",
        Step::OweHooks(_) | Step::HooksDone(_) => "note hooks",
        Step::Await { .. } | Step::Finish { .. } => "wait for",
        Step::RunHooks { .. } => "exec",
        Step::Linger(_) => "linger",
    }
}

fn is_look(operation: &str) -> bool {
    ["facts", "observe", "stacks", "watch", "tail", "events"].contains(&operation)
}
