//! What must outlive the process, on disk under the state directory.

mod notes;

pub use notes::Notes;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The kind of notes that tell, by stack, that it has taken over a Compose project.
pub const ADOPTED: &str = "adopted";

/// The file that holds the key of secrets' digests.
const KEY_FILE: &str = "digest.key";

/// The file that a running agent has locked.
const LOCK_FILE: &str = "agent.lock";

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

/// Keeps other agents off a state directory, as long as it lives.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] File);

/// Locks the state directory for one agent; the system unlocks it when the process ends, however
/// that comes about.
pub fn lock(state_dir: &Path) -> Result<Lock, StoreError> {
    prepare(state_dir)?;
    let path = state_dir.join(LOCK_FILE);
    let failed = |cause| StoreError { operation: "lock", path: path.clone(), cause };
    let file =
        OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => {
            Err(failed(io::Error::other("another agent runs with it")))
        }
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

/// The key under which contents are digested, 32 bytes. It is made once for each state directory:
/// with another one, containers with configs or secrets are replaced once.
pub fn digest_key(state_dir: &Path) -> Result<[u8; 32], StoreError> {
    prepare(state_dir)?;
    let path = state_dir.join(KEY_FILE);
    let failed = |operation| {
        let path = path.clone();
        move |cause| StoreError { operation, path, cause }
    };
    match File::open(&path) {
        Ok(mut file) => {
            let mut key = [0; 32];
            file.read_exact(&mut key).map_err(failed("read the key"))?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(state_dir, &path),
        Err(error) => Err(failed("read the key")(error)),
    }
}

/// Writes a new key beside its place and links it there, so that of two processes one wins and
/// neither reads half a key.
fn make_key(state_dir: &Path, path: &Path) -> Result<[u8; 32], StoreError> {
    let failed = |cause| StoreError { operation: "write the key", path: path.to_owned(), cause };
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let temporary = state_dir.join(format!("{KEY_FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed)?;
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(failed)?;
    let linked = std::fs::hard_link(&temporary, path);
    std::fs::remove_file(&temporary).map_err(failed)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => digest_key(state_dir),
        Err(error) => Err(failed(error)),
    }
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
    fn the_key_is_made_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/b");
        let key = digest_key(&state).unwrap();
        assert_eq!(digest_key(&state).unwrap(), key);
        let mode = std::fs::metadata(state.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(digest_key(&dir.path().join("other")).unwrap(), key);
    }

    #[test]
    fn a_state_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = digest_key(&file.path().join("below")).unwrap_err().to_string();
        assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
    }
}
