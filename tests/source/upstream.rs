//! A repository to follow, made with the git program, and a source that follows it.

use bowline::model::SourceName;
use bowline::source::{Checkout, Location, Reference, Repository, SourceError, Spec};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

/// A working repository and the state directory of its follower.
pub(crate) struct Upstream {
    pub(crate) directory: TempDir,
}

impl Upstream {
    /// Without any commit.
    pub(crate) fn empty() -> Self {
        let upstream = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(upstream.path()).unwrap();
        upstream.git(&["init", "--quiet", "--initial-branch=main"]);
        upstream
    }

    /// With one commit that holds `files`.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let upstream = Self::empty();
        upstream.commit(files);
        upstream
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("upstream")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The place of `path` in the checkout.
    pub(crate) fn shown(&self, path: &str) -> PathBuf {
        self.state().join("s/checkout").join(path)
    }

    /// Writes `files`, commits all that changed, and returns the commit.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, content) in files {
            write(&self.path().join(name), content);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=x"]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path(), arguments)
    }

    pub(crate) fn follow(&self, reference: Reference) -> Repository {
        follow(Location::Local(self.path()), reference, &self.state())
    }
}

pub(crate) fn follow(location: Location, reference: Reference, state: &Path) -> Repository {
    let name = SourceName::new("s").unwrap();
    let spec =
        Spec { name, location, reference, credentials: None, submodules: false, verify: None };
    Repository::open(spec, state)
}

pub(crate) fn sync(repository: &mut Repository) -> Result<Checkout, SourceError> {
    repository.sync(&AtomicBool::new(false))
}

pub(crate) fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Runs git without the user's configuration; what it printed.
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
