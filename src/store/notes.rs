//! Small texts by name, a file each: written and read by an agent and by commands beside it. Losing
//! one costs a repetition, so a disk that cannot be written is no error.

use super::belongs_to_its_directory;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Texts below one directory.
#[derive(Debug, Clone)]
pub struct Notes {
    dir: PathBuf,
}

impl Notes {
    /// The notes of this `kind` in a state directory. Nothing is made before something is noted.
    pub fn of(state_dir: &Path, kind: &str) -> Self {
        Self { dir: state_dir.join(kind) }
    }

    /// What was noted under `name`; nothing if it cannot be read.
    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)?).ok()
    }

    /// Notes `text` under `name`, whole or not at all.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let Some(path) = self.path(name) else { return Ok(()) };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        belongs_to_its_directory(&self.dir);
        let half = path.with_extension(format!("new-{}", std::process::id()));
        let mut file = OpenOptions::new();
        file.write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&half)?
            .write_all(text.as_bytes())?;
        belongs_to_its_directory(&half);
        fs::rename(half, path)
    }

    /// Forgets what is noted under `name`.
    pub fn forget(&self, name: &str) {
        // What is left costs a few bytes and is never read again.
        let _ = self.path(name).map(fs::remove_file);
    }

    /// Where `name` is kept; names with anything but letters, digits, `-` and `_` are not.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let is_plain =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        is_plain.then(|| self.dir.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_noted_is_read_by_others_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let notes = || Notes::of(dir.path(), "contents");
        assert_eq!(notes().read("c0ffee"), None);
        notes().write("c0ffee", "one").unwrap();
        notes().write("c0ffee", "two").unwrap();
        notes().write("../c0ffee", "three").unwrap();
        assert_eq!(notes().read("c0ffee").as_deref(), Some("two"));
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let kept = dir.path().join("contents");
        assert_eq!((mode(kept.clone()), mode(kept.join("c0ffee"))), (0o700, 0o600));
        notes().forget("c0ffee");
        assert_eq!(notes().read("c0ffee"), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
