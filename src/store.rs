//! What must outlive the process, on disk under the state directory: the locks of the agent and of stacks,
//! the key of secrets' digests, small notes, the inventory, a small database, and the history of deployments,
//! another one.
//!
//! Losing the inventory loses history, never control: whose an object on the engine is, its labels
//! say. So no failure of the inventory ends the agent. What Compose made has no such labels: a stack
//! that was taken over by `bowline adopt`, and not by its file, must be adopted again if that note is
//! lost.

mod adopted;
mod by_hand;
mod deployments;
mod file;
mod inventory;
mod jobs;
mod key;
mod lock;
mod look;
mod notes;
mod record;

pub use adopted::Adopted;
pub use by_hand::{NoWayBack, Wanted};
pub use deployments::{Deployments, Found, HistoryBounds, HistoryMishap, HistoryUnread, Rows};
pub use inventory::{Inventory, Mishap};
pub use jobs::Jobs;
pub use key::{digest_key, digest_key_to_look};
pub use lock::{Lock, lock, lock_stack};
pub use look::{Standing, holder, holder_of_stack, look};
pub use notes::Notes;
pub use record::{
    Applied, Begun, Good, HeldBack, HoldRecord, ImageRecord, Origin, Paused, ProgressRecord,
    RemovalRecord, StackRecord, UsedImage,
};

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {cause}; give another directory with --state-dir or `state_dir`", path.display())]
pub struct StoreError {
    /// What was tried.
    pub operation: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    pub cause: io::Error,
}

/// Gives what was made at `path` to the owner of the directory that it lies in. What root makes by hand
/// must not be in the way of an agent that is not root.
fn belongs_to_its_directory(path: &Path) {
    let Some(directory) = path.parent().and_then(|parent| parent.metadata().ok()) else { return };
    if rustix::process::geteuid().is_root() && directory.uid() != 0 {
        // It fails only where the next start of the agent does the same.
        let _ = lchown(path, Some(directory.uid()), Some(directory.gid()));
    }
}

/// Makes the state directory, for its owner alone, unless it is there.
pub fn prepare(state_dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(|cause| StoreError {
        operation: "make the state directory",
        path: state_dir.to_owned(),
        cause,
    })
}

#[cfg(test)]
mod victim;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StackName;

    /// Only root can try it; CI is root.
    #[test]
    fn what_root_makes_by_hand_belongs_to_the_agent_s_user() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        lchown(dir.path(), Some(4711), Some(4712)).unwrap();
        digest_key(dir.path()).unwrap();
        drop(lock(dir.path()).unwrap());
        drop(lock_stack(dir.path(), &StackName::new("shop").unwrap()).unwrap());
        drop(Inventory::open(dir.path()));
        Notes::of(dir.path(), "contents").write("c0ffee", "one").unwrap();
        let made = ["digest.key", "agent.lock", "locks", "locks/shop", "state.redb", "contents"];
        for path in made.into_iter().chain(["contents/c0ffee"]) {
            let found = dir.path().join(path).metadata().unwrap();
            assert_eq!((found.uid(), found.gid()), (4711, 4712), "{path}");
        }
    }
}
