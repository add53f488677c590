//! An agent on the simulated engine that follows a repository with a submodule, and one with a pointer of
//! Git LFS.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod support;

use git2::{FileMode, Oid, Repository, Signature};
use support::repository::Git;
use support::site::{Agent, Site, until};

/// Commits a submodule at `vendor` on top of what was pushed last, and pushes it.
fn pin(git: &Git, commit: Oid) {
    let work = Repository::open(git.root()).unwrap();
    let head = work.head().unwrap().peel_to_commit().unwrap();
    let mut tree = work.treebuilder(Some(&head.tree().unwrap())).unwrap();
    tree.insert("vendor", commit, FileMode::Commit.into()).unwrap();
    let tree = work.find_tree(tree.write().unwrap()).unwrap();
    let who = Signature::now("Test", "test@bowline.invalid").unwrap();
    work.commit(Some("HEAD"), &who, &who, "Pin", &tree, &[&head]).unwrap();
    let mut remote = work.remote_anonymous(&git.url()).unwrap();
    remote.push(&["refs/heads/main:refs/heads/main"], None).unwrap();
}

/// What is wrong with the source, once something is.
async fn trouble(agent: &Agent) -> String {
    let message = || {
        let board = agent.views.shared.board();
        board.sources().next().map(|source| source.message.clone()).unwrap_or_default()
    };
    until("the source to be in trouble", async || !message().is_empty()).await;
    message()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_in_a_submodule_runs_and_a_commit_that_cannot_be_had_changes_nothing() {
    let vendor = Git::new();
    let stack = |image: &str| format!("services: {{ app: {{ image: '{image}' }} }}\n");
    vendor.write("shop/compose.yaml", &stack("shop:1"));
    let first = vendor.push("Begin");
    let mut site = Site::new("");
    site.source = ", submodules: true";
    site.image("shop:1");
    site.write("web", "web:1");
    let modules = format!("[submodule \"v\"]\n\tpath = vendor\n\turl = {}\n", vendor.url());
    site.git.write(".gitmodules", &modules).push("Begin");
    pin(&site.git, first.parse().unwrap());
    let agent = site.start();
    site.runs("shop").await;
    site.runs("web").await;

    pin(&site.git, Oid::from_str(&"1".repeat(40)).unwrap());
    let told = trouble(&agent).await;
    assert!(told.contains(".gitmodules:1: submodule `v`"), "{told}");
    assert!(told.contains("what was there stays"), "{told}");
    assert_eq!((site.containers("shop").await, site.containers("web").await), (1, 1));
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_is_a_pointer_of_git_lfs_is_in_error_and_the_others_go_on() {
    let site = Site::new("");
    let agent = site.begin(&["web"]).await;
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    site.git.write("big/compose.yaml", pointer);
    site.write("shop", "shop:1");
    site.git.push("Big");
    site.runs("shop").await;
    let message = || agent.stack("big").map(|status| status.message).unwrap_or_default();
    until("big to be in error", async || message().contains("a pointer of Git LFS")).await;
    assert_eq!(site.containers("web").await, 1);
    agent.end().await;
}
