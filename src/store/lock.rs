//! Keeps a state directory for one agent, and each stack for one writer at a time.

use super::{StoreError, belongs_to_its_directory, prepare};
use crate::model::StackName;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file that a running agent has locked.
pub(super) const LOCK_FILE: &str = "agent.lock";
/// The directory of the files that are locked while a stack is changed, each called like its stack.
const STACKS: &str = "locks";

/// Keeps others off a state directory or a stack, as long as it lives. The system ends it with the
/// process, however that comes about.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked a moment ago has the file open, too. It fails only
        // where closing does all there is to do.
        let _ = self.0.unlock();
    }
}

/// Locks the state directory for one agent.
pub fn lock(state_dir: &Path) -> Result<Lock, StoreError> {
    prepare(state_dir)?;
    let path = state_dir.join(LOCK_FILE);
    take(&path)?.ok_or_else(|| StoreError {
        operation: "lock",
        path,
        cause: io::Error::other("another agent runs with it"),
    })
}

/// Locks one stack for who is about to change it: a pass of an agent, or a command. `None`: somebody else
/// is at it.
pub fn lock_stack(state_dir: &Path, stack: &StackName) -> Result<Option<Lock>, StoreError> {
    let path = stack_file(state_dir, stack);
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        prepare(directory)?;
        belongs_to_its_directory(directory);
    }
    take(&path)
}

pub(super) fn stack_file(state_dir: &Path, stack: &StackName) -> PathBuf {
    state_dir.join(STACKS).join(stack.as_str())
}

/// Locks the file `path`; `None`: somebody else has.
fn take(path: &Path) -> Result<Option<Lock>, StoreError> {
    let failed = |cause| StoreError { operation: "lock", path: path.to_owned(), cause };
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        // On a disk that has become read-only the agent goes on with what is there.
        .or_else(|error| if is_read_only(&error) { File::open(path) } else { Err(error) })
        .map_err(failed)?;
    belongs_to_its_directory(path);
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
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

    #[test]
    fn one_writer_at_a_time_has_a_stack_and_others_have_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let name = |name| StackName::new(name).unwrap();
        let held = lock_stack(&state, &name("shop")).unwrap();
        assert!(held.is_some() && lock_stack(&state, &name("shop")).unwrap().is_none());
        assert!(lock_stack(&state, &name("blog")).unwrap().is_some());
        lock(&state).unwrap();
        drop(held);
        assert!(lock_stack(&state, &name("shop")).unwrap().is_some());
    }
}
