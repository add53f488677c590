//! What must be remembered of a container that the engine cannot keep: a container's labels cannot
//! change, but what was copied into it, what it was restarted for, or whether the hooks after its start
//! were run, can.

use crate::model::{ContainerId, ContentDigest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The digests of the contents that a container has, by target path.
pub type Contents = BTreeMap<String, ContentDigest>;

/// Keeps the contents that containers got after they were made, and whose hooks are still to be run.
/// Losing it means that they get the contents once more, and that hooks which a crash cut off are not
/// run again.
pub trait Notes: Send + Sync {
    /// What was noted of a container last.
    fn contents(&self, container: &ContainerId) -> Option<Contents>;

    /// Notes the contents that a container has now.
    fn note(&self, container: &ContainerId, contents: &Contents);

    /// Whether the hooks after a container's start are still to be run.
    fn owes_hooks(&self, container: &ContainerId) -> bool;

    /// Notes that they are.
    fn owe_hooks(&self, container: &ContainerId);

    /// Notes that they were run.
    fn hooks_done(&self, container: &ContainerId);

    /// Forgets a container that is gone.
    fn forget(&self, container: &ContainerId);
}

/// Notes that last as long as the process.
#[derive(Debug, Default)]
pub struct InMemory {
    contents: Mutex<BTreeMap<ContainerId, Contents>>,
    owing: Mutex<BTreeSet<ContainerId>>,
}

impl InMemory {
    fn owing(&self) -> MutexGuard<'_, BTreeSet<ContainerId>> {
        self.owing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes for InMemory {
    fn contents(&self, container: &ContainerId) -> Option<Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).get(container).cloned()
    }

    fn note(&self, container: &ContainerId, contents: &Contents) {
        let mut notes = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        notes.insert(container.clone(), contents.clone());
    }

    fn owes_hooks(&self, container: &ContainerId) -> bool {
        self.owing().contains(container)
    }

    fn owe_hooks(&self, container: &ContainerId) {
        self.owing().insert(container.clone());
    }

    fn hooks_done(&self, container: &ContainerId) {
        self.owing().remove(container);
    }

    fn forget(&self, container: &ContainerId) {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).remove(container);
        self.hooks_done(container);
    }
}
