//! What must outlive the process, on disk under the state directory: the lock of the agent, the key
//! of secrets' digests, small notes, and the inventory, a small database.
//!
//! Losing the inventory loses history, never control: whose an object on the engine is, its labels
//! say. So no failure of the inventory ends the agent. What Compose made has no such labels: a stack
//! that was taken over by `bowline adopt`, and not by its file, must be adopted again if that note is
//! lost.

mod adopted;
mod by_hand;
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
pub use inventory::{Inventory, Mishap};
pub use jobs::Jobs;
pub use key::digest_key;
pub use lock::{Lock, lock};
pub use look::{Standing, holder, look};
pub use notes::Notes;
pub use record::{
    Applied, Begun, Good, HeldBack, HoldRecord, ImageRecord, Origin, Paused, ProgressRecord,
    RemovalRecord, StackRecord, UsedImage,
};

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
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

/// Makes the state directory, for its owner alone, unless it is there.
pub fn prepare(state_dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(|cause| StoreError {
        operation: "make the state directory",
        path: state_dir.to_owned(),
        cause,
    })
}
