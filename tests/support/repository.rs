//! A bare git repository, and the working copy that is pushed to it.

use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A repository to follow, and where to change it.
pub struct Git {
    dir: TempDir,
    work: Repository,
}

impl Git {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = RepositoryInitOptions::new();
        options.initial_head("main");
        let work = Repository::init_opts(dir.path().join("work"), &options).unwrap();
        options.bare(true);
        Repository::init_opts(dir.path().join("bare.git"), &options).unwrap();
        Self { dir, work }
    }

    /// Where the agent finds it.
    pub fn bare(&self) -> PathBuf {
        self.dir.path().join("bare.git")
    }

    pub fn url(&self) -> String {
        self.bare().to_str().unwrap().to_owned()
    }

    /// Writes a file of the working copy.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Removes a directory of the working copy.
    pub fn remove(&self, path: &str) -> &Self {
        std::fs::remove_dir_all(self.root().join(path)).unwrap();
        self
    }

    /// Deletes a file of the working copy.
    pub fn delete(&self, path: &str) -> &Self {
        std::fs::remove_file(self.root().join(path)).unwrap();
        self
    }

    /// Commits all that changed and pushes it; returns the commit.
    pub fn push(&self, message: &str) -> String {
        let mut index = self.work.index().unwrap();
        index.add_all(["."], IndexAddOption::DEFAULT, None).unwrap();
        index.update_all(["."], None).unwrap();
        index.write().unwrap();
        let tree = self.work.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("Test", "test@bowline.invalid").unwrap();
        let parent = self.work.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        let id = self.work.commit(Some("HEAD"), &who, &who, message, &tree, &parents).unwrap();
        let mut remote = self.work.remote_anonymous(&self.url()).unwrap();
        remote.push(&["refs/heads/main:refs/heads/main"], None).unwrap();
        id.to_string()
    }

    pub fn root(&self) -> &Path {
        self.work.workdir().unwrap()
    }
}
