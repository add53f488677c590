//! What must be remembered of a container that the engine cannot keep: a container's labels cannot
//! change, but what was copied into it, or what it was restarted for, can.

use crate::model::{ContainerId, ContentDigest};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The digests of the contents that a container has, by target path.
pub type Contents = BTreeMap<String, ContentDigest>;

/// Keeps the contents that containers got after they were made. Losing it means that they get them
/// once more.
pub trait Notes: Send + Sync {
    /// What was noted of a container last.
    fn contents(&self, container: &ContainerId) -> Option<Contents>;

    /// Notes the contents that a container has now.
    fn note(&self, container: &ContainerId, contents: &Contents);

    /// Forgets a container that is gone.
    fn forget(&self, container: &ContainerId);
}

/// Notes that last as long as the process.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<BTreeMap<ContainerId, Contents>>);

impl Notes for InMemory {
    fn contents(&self, container: &ContainerId) -> Option<Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(container).cloned()
    }

    fn note(&self, container: &ContainerId, contents: &Contents) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.insert(container.clone(), contents.clone());
    }

    fn forget(&self, container: &ContainerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(container);
    }
}
