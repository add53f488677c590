//! What wakes the agent, and what does not: on the simulated engine, whose calls are counted, with a
//! real git repository.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::engine::Engine;
use bowline::model::{Limits, Query, RestartPolicy, StackName, State};
use bowline::status::{PassResult, SyncStatus};
use std::time::Duration;
use support::site::{Agent, Site, until};
use tokio::time::sleep;

/// How often the engine was looked at so far, once no pass is under way any more.
async fn looks(site: &Site) -> u64 {
    let count = || site.sim.calls().get("observe").copied().unwrap_or_default();
    loop {
        let before = count();
        sleep(Duration::from_millis(600)).await;
        if count() == before {
            return before;
        }
    }
}

async fn knows(agent: &Agent, stacks: &[&str], commit: &str) {
    until("passes over the commit", async || {
        let at = |name: &&str| agent.stack(name).and_then(|stack| stack.applied_revision);
        stacks.iter().all(|name| at(name).is_some_and(|at| at.0 == commit))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_concerns_no_stack_asks_the_engine_nothing_about_them() {
    let site = Site::new("");
    let agent = site.begin(&["a", "b"]).await;
    // What its own acts made it hear was looked at once more.
    let before = looks(&site).await;
    let commit = site.git.write("README", "nothing").push("Nothing of theirs");
    knows(&agent, &["a", "b"], &commit).await;
    assert_eq!(looks(&site).await, before);

    let commit = site.write("b", "b:2").git.push("Another image for one");
    knows(&agent, &["a", "b"], &commit).await;
    assert!(looks(&site).await > before);
    let query = Query::owned_by(StackName::new("b").unwrap());
    let found = site.sim.observe(&query).await.unwrap().containers;
    assert_eq!(found[0].spec.image.as_str(), "b:2");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_moves_wakes_the_stack_that_uses_it() {
    let site = Site::new("");
    let agent = site.begin(&["a", "b"]).await;
    looks(&site).await;
    let image = site.image("docker.io/library/a:1");
    let of_a = async || {
        let query = Query::owned_by(StackName::new("a").unwrap());
        site.sim.observe(&query).await.unwrap().containers
    };
    assert_ne!(of_a().await[0].image_id, image);
    site.sim.tag("docker.io/library/a:1", "a:1");
    until("the new image to run", async || {
        let found = of_a().await;
        found.len() == 1 && found[0].image_id == image
    })
    .await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_only_reported_where_a_stack_says_so_until_git_asks_for_something_else() {
    let site = Site::new("");
    site.image("a:1");
    let file = |limit: &str| {
        format!(
            "x-bowline: {{ drift: report }}\nservices: {{ app: {{ image: a:1, mem_limit: {limit} }} }}\n"
        )
    };
    site.git.write("a/compose.yaml", &file("32m")).push("Begin");
    let agent = site.start();
    site.runs("a").await;
    looks(&site).await;
    let limits = Limits { memory: Some(48 << 20), ..Limits::default() };
    site.sim.edit_limits("a-app-1", &limits, RestartPolicy::No).unwrap();
    site.sim.pause("a-app-1").unwrap();
    let reported = async |agent: &Agent| {
        until("the report", async || {
            let last = agent.stack("a").and_then(|stack| stack.last_pass);
            last.is_some_and(|pass| pass.result == PassResult::Drifted)
        })
        .await;
        let status = agent.stack("a").unwrap();
        assert_eq!(status.sync, SyncStatus::OutOfSync);
        status.message
    };
    let message = reported(&agent).await;
    assert!(message.contains("services.app.state: want running, is paused"), "{message}");
    agent.end().await;

    // Another process knows what the first one brought about.
    let agent = site.start();
    assert!(reported(&agent).await.contains("services.app.mem_limit: want 32m, is 48m"));
    let query = Query::owned_by(StackName::new("a").unwrap());
    let found = site.sim.observe(&query).await.unwrap().containers.remove(0);
    assert_eq!((found.state, found.spec.limits.memory), (State::Paused, Some(48 << 20)));

    site.git.write("a/compose.yaml", &file("64m")).push("Another limit");
    until("git's word", async || {
        let found = site.sim.observe(&query).await.unwrap().containers.remove(0);
        found.state == State::Running && found.spec.limits.memory == Some(64 << 20)
    })
    .await;
    agent.end().await;
}
