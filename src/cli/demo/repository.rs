//! The demo's git repository: one stack, from manifests/hello.

use anyhow::Context;
use git2::{IndexAddOption, Repository, Signature};
use std::path::{Path, PathBuf};

/// The stack's manifest, as it is in manifests/.
const MANIFEST: &str = include_str!("../../../manifests/hello/compose.yaml");
/// The stack's name here: one of its own, so that a stack `hello` on the same engine is not touched.
pub(super) const STACK: &str = "bowline-demo";
/// The manifest's file.
const FILE: &str = "demo/compose.yaml";

/// A repository in a temporary directory.
pub(super) struct Git {
    repository: Repository,
    root: PathBuf,
}

impl Git {
    /// A repository with the stack in it, and its first commit.
    pub(super) fn init(root: &Path) -> anyhow::Result<(Self, String)> {
        let repository = Repository::init(root).context("cannot make the demo's repository")?;
        let git = Self { repository, root: root.to_owned() };
        std::fs::create_dir(root.join("demo"))?;
        std::fs::write(
            root.join(FILE),
            MANIFEST.replace("name: hello", &format!("name: {STACK}")),
        )?;
        let commit = git.commit("Run the demo")?;
        Ok((git, commit))
    }

    /// Changes the manifest and commits; returns the commit.
    pub(super) fn change(&self, edits: &[(&str, &str)], message: &str) -> anyhow::Result<String> {
        let path = self.root.join(FILE);
        let mut text = std::fs::read_to_string(&path)?;
        for (from, to) in edits {
            text = text.replace(from, to);
        }
        std::fs::write(&path, text)?;
        self.commit(message)
    }

    fn commit(&self, message: &str) -> anyhow::Result<String> {
        let mut index = self.repository.index()?;
        index.add_all(["."], IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = self.repository.find_tree(index.write_tree()?)?;
        let who = Signature::now("Bowline demo", "demo@bowline.invalid")?;
        let parent = self.repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        let id = self.repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents)?;
        Ok(id.to_string())
    }
}
