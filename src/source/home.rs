//! Where the state of one source lies, and how a new clone takes the place of another.

use super::error::Fault;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where the state of one source lies.
#[derive(Debug, Clone)]
pub(super) struct Home(pub(super) PathBuf);

impl Home {
    /// The files of the commit that is shown.
    pub(super) fn checkout(&self) -> PathBuf {
        self.0.join("checkout")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The lock of the checkout alone.
    pub(super) fn hold(&self) -> PathBuf {
        self.0.join("hold")
    }

    /// What is laid over the checkout.
    pub(super) fn laid(&self) -> PathBuf {
        self.0.join("laid")
    }

    /// The files of another commit, for as long as they are read.
    pub(super) fn files(&self) -> PathBuf {
        self.0.join("files")
    }

    /// A file before it comes into the checkout.
    pub(super) fn half(&self) -> PathBuf {
        self.0.join("half")
    }

    pub(super) fn clone(&self) -> PathBuf {
        self.0.join("git")
    }

    /// A clone that is not complete yet, or one that another took the place of a moment ago.
    pub(super) fn begun(&self) -> PathBuf {
        self.0.join("git.new")
    }

    fn former(&self) -> PathBuf {
        self.0.join("git.old")
    }

    /// The index lists the files of ours in the checkout; the new clone needs it to remove them.
    pub(super) fn keep_index(&self) -> Result<(), Fault> {
        let index = self.clone().join("index");
        if git2::Index::open(&index).is_ok_and(|index| !index.is_empty()) {
            let kept = fs::copy(&index, self.begun().join("index"));
            return kept.map(drop).map_err(|error| Fault::io("keep the list of files", &error));
        }
        Ok(())
    }

    /// Puts the clone that was begun in the place of the one that is there, if one is: at once where the
    /// file system can exchange the two, or else in two steps. See [`Home::put_back`].
    pub(super) fn swap(&self) -> Result<(), Fault> {
        let (begun, clone) = (self.begun(), self.clone());
        settle_all(&begun)?;
        if !clone.exists() {
            rename(&begun, &clone)?;
            return settle(&self.0);
        }
        if renameat_with(CWD, &begun, CWD, &clone, RenameFlags::EXCHANGE).is_err() {
            self.swap_in_two_steps()?;
        }
        // The former one goes after that, and not before.
        settle(&self.0)?;
        self.tidy();
        Ok(())
    }

    fn swap_in_two_steps(&self) -> Result<(), Fault> {
        remove(&self.former())?;
        rename(&self.clone(), &self.former())?;
        rename(&self.begun(), &self.clone()).inspect_err(|_| {
            self.put_back();
        })
    }

    /// Puts a clone back that [`Home::swap`] took away, if it came no further. Whether it did.
    pub(super) fn put_back(&self) -> bool {
        // Where there is a clone this fails, and that one counts.
        fs::rename(self.former(), self.clone()).is_ok()
    }

    /// Removes what a crash, or a clone that was replaced, left behind. For who holds the lock.
    pub(super) fn tidy(&self) {
        self.put_back();
        for path in [self.begun(), self.former()] {
            if let Err(fault) = remove(&path) {
                // It costs space, no more; the next sync tries again.
                tracing::debug!("{fault}");
            }
        }
    }
}

pub(super) fn remove(path: &Path) -> Result<(), Fault> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Fault::io(format!("remove {}", path.display()), &error))
        }
        _ => Ok(()),
    }
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Fault> {
    fs::rename(from, to).map_err(|error| Fault::io(format!("write {}", to.display()), &error))
}

/// Writes a small file: after a loss of power it is there as it was, or as it is now.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Fault> {
    let half = path.with_extension("new");
    fs::write(&half, content)
        .map_err(|error| Fault::io(format!("write {}", path.display()), &error))?;
    settle(&half)?;
    rename(&half, path)?;
    path.parent().map_or(Ok(()), settle)
}

/// Has what a file holds, or what is in a directory, outlast a loss of power.
pub(super) fn settle(path: &Path) -> Result<(), Fault> {
    let settled = File::open(path).and_then(|file| file.sync_all());
    settled.map_err(|error| Fault::io(format!("write {}", path.display()), &error))
}

/// The same of a directory and the files in it, not of those below.
pub(super) fn settle_all(dir: &Path) -> Result<(), Fault> {
    let failed = |error: io::Error| Fault::io(format!("write {}", dir.display()), &error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_file() {
            settle(&entry.path())?;
        }
    }
    settle(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_clone_takes_the_place_of_another_at_once_or_in_two_steps() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home(dir.path().to_owned());
        let make = |path: PathBuf, text: &str| {
            fs::create_dir(&path).unwrap();
            fs::write(path.join("is"), text).unwrap();
        };
        let there = || fs::read_to_string(home.clone().join("is")).unwrap();
        make(home.clone(), "one");
        make(home.begun(), "two");
        home.swap().unwrap();
        assert_eq!(there(), "two");
        make(home.begun(), "three");
        home.swap_in_two_steps().unwrap();
        assert_eq!(there(), "three");
        assert!(!home.put_back(), "the one that is there counts");
        home.tidy();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        home.swap_in_two_steps().unwrap_err();
        assert_eq!(there(), "three", "there was none to take its place");
    }
}
