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

/// How many replicas the update is shown with.
pub(super) const REPLICAS: u32 = 3;

/// Replicas that are exchanged one after the other: the new one is up before the old one ends, and
/// is watched from then on. The old one serves for a while after it was told to end.
const SPREAD: [(&str, &str); 4] = [
    ("[\"serve\"]", "[\"serve\", \"--linger\", \"500ms\"]"),
    ("interval: 2s", "interval: 500ms"),
    ("retries: 3", "retries: 2"),
    (
        "    mem_limit: 64m\n",
        "    mem_limit: 64m
    deploy:
      replicas: 3
      update_config: { order: start-first, monitor: 2s, failure_action: rollback }
      rollback_config: { order: start-first, monitor: 2s }
",
    ),
];
/// One address before all replicas; each connection goes to one that is well.
const DOOR: &str = "
  door:
    image: bowline-demo:1
    command: [\"serve\", \"--door\", \"web:8080\"]
    ports:
      - \"127.0.0.1:PORT:8080\"
    restart: unless-stopped
";
/// Version 2.
const NEXT: [(&str, &str); 1] = [("VERSION: \"1\"", "VERSION: \"2\"")];
/// Version 3 listens on another port, and its health check asks at the old one.
const BROKEN: [(&str, &str); 2] = [
    ("VERSION: \"2\"", "VERSION: \"3\""),
    ("[\"serve\", \"--linger\"", "[\"serve\", \"--listen\", \"0.0.0.0:9090\", \"--linger\""),
];

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

    /// More replicas, with a door before them at `port`; returns the commit.
    pub(super) fn spread(&self, port: u16) -> anyhow::Result<String> {
        let text = edited(self.read()?, &SPREAD) + &DOOR.replace("PORT", &port.to_string());
        self.write(&text, "Three replicas behind a door")
    }

    /// A version that works; returns the commit.
    pub(super) fn next(&self) -> anyhow::Result<String> {
        self.write(&edited(self.read()?, &NEXT), "Version 2")
    }

    /// A version whose health check never passes; returns the commit.
    pub(super) fn broken(&self) -> anyhow::Result<String> {
        self.write(&edited(self.read()?, &BROKEN), "Version 3")
    }

    fn read(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.root.join(FILE))?)
    }

    fn write(&self, manifest: &str, message: &str) -> anyhow::Result<String> {
        std::fs::write(self.root.join(FILE), manifest)?;
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

fn edited(text: String, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text, |text, (from, to)| text.replace(from, to))
}
