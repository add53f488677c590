//! Keeps a state directory for one agent.

use super::{StoreError, belongs_to_its_directory, prepare};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file that a running agent has locked.
pub(super) const LOCK_FILE: &str = "agent.lock";

/// Keeps other agents off a state directory, as long as it lives.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked a moment ago has the file open, too. It fails only
        // where closing does all there is to do.
        let _ = self.0.unlock();
    }
}

/// Locks the state directory for one agent; the system unlocks it when the process ends, however
/// that comes about.
pub fn lock(state_dir: &Path) -> Result<Lock, StoreError> {
    prepare(state_dir)?;
    let path = state_dir.join(LOCK_FILE);
    let failed = |cause| StoreError { operation: "lock", path: path.clone(), cause };
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        // On a disk that has become read-only the agent goes on with what is there.
        .or_else(|error| if is_read_only(&error) { File::open(&path) } else { Err(error) })
        .map_err(failed)?;
    belongs_to_its_directory(&path);
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => {
            Err(failed(io::Error::other("another agent runs with it")))
        }
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_at_a_time_has_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        let error = lock(dir.path()).unwrap_err().to_string();
        assert!(error.contains("agent.lock: another agent runs with it"), "{error}");
        drop(held);
        lock(dir.path()).unwrap();
    }
}
