//! The key of secrets' digests.

use super::{StoreError, belongs_to_its_directory, prepare};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file that holds the key.
const KEY_FILE: &str = "digest.key";

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

/// The same to look with: where there is none, one for this process alone, and nothing is written.
pub fn digest_key_to_look(state_dir: &Path) -> Result<[u8; 32], StoreError> {
    let path = state_dir.join(KEY_FILE);
    // One that may not even be looked for is none of ours.
    if path.try_exists().unwrap_or(false) {
        return digest_key(state_dir);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StoreError {
        operation: "make a key beside",
        path,
        cause: io::Error::other(error.to_string()),
    })?;
    Ok(key)
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
    belongs_to_its_directory(&temporary);
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
