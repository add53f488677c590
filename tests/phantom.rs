//! A stack that is as desired is never touched: pass after pass over all of manifests/, by new
//! connections in between, and across a restart of the engine. On the simulated engine, and with
//! `BOWLINE_TEST_ENGINE=docker` on a real one of the test's own. Needs root there.

// Only tests are here; the lint sees that of functions that are marked as one.
#![allow(clippy::unwrap_used)]

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::manifest::{DigestKey, Request, load};
use bowline::model::{ImageConfig, Query, Stack, State};
use bowline::status::PassResult;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::own_engine::OwnEngine;
use support::packed::{Image, OF_MANIFESTS};
use support::passes::pass;

const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");
const PASSES: usize = 24;
/// What this engine gives to every container that asks for nothing else, and does not tell.
const SETTINGS: &str = r#"{"default-shm-size": "32m", "log-opts": {"max-size": "5m"},
    "default-ulimits": {"core": {"Name": "core", "Soft": 0, "Hard": 0}}}"#;
/// A new connection is made after so many, as after a restart of the agent.
const RECONNECT: usize = 5;

/// The stacks of manifests/, but for those with an image that cannot be made here.
fn stacks(missing: &[&str]) -> Vec<Stack> {
    let entries = std::fs::read_dir(MANIFESTS).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.map(|path| path.join("compose.yaml")).collect();
    files.retain(|path| path.exists());
    files.sort();
    let read = |path: &Path| std::fs::read(path);
    let stacks = files.into_iter().map(|file| {
        let request = Request::new(vec![file], DigestKey::new([7; 32]));
        load(&request, &read).unwrap_or_else(|problems| panic!("{problems}")).stack
    });
    let lacks = |stack: &Stack| {
        let mut images = stack.services.values().map(|service| service.container.image.as_str());
        images.any(|image| missing.contains(&image))
    };
    let stacks: Vec<_> = stacks.filter(|stack| !lacks(stack)).collect();
    assert!(stacks.len() >= 2);
    stacks
}

/// How long containers may take to run after a restart of the engine.
const START_BOUND: std::time::Duration = std::time::Duration::from_secs(30);
/// Between two looks at them.
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);

/// The ids of all containers, all of which run.
async fn ids(engine: &Arc<dyn Engine>, stacks: &[Stack]) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for stack in stacks {
        let query = Query::owned_by(stack.name.clone());
        let mut containers = engine.observe(&query).await.unwrap().containers;
        // One that needs another at its start is started again by the engine until that one is there.
        let end = tokio::time::Instant::now() + START_BOUND;
        while containers.iter().any(|it| it.state == State::Restarting) {
            assert!(tokio::time::Instant::now() < end, "{query:?} does not come up");
            tokio::time::sleep(LOOK).await;
            containers = engine.observe(&query).await.unwrap().containers;
        }
        for container in containers {
            assert_eq!(container.state, State::Running, "{}", container.name);
            ids.insert(container.name, container.id.0);
        }
    }
    ids
}

async fn first_pass(engine: &Arc<dyn Engine>, stacks: &[Stack]) {
    for stack in stacks {
        let report = pass(engine, stack).await;
        assert_eq!(report.result, PassResult::Changed, "{}: {}", stack.name, report.message);
    }
}

/// One pass over all; the number of actions is always 0.
async fn quiet_pass(number: usize, engine: &Arc<dyn Engine>, stacks: &[Stack]) {
    for stack in stacks {
        let report = pass(engine, stack).await;
        let what = format!("pass {number} over {}: {:?}", stack.name, report.reasons);
        assert_eq!(report.actions.len(), 0, "{what}");
        assert_eq!(report.result, PassResult::Unchanged, "{what}: {}", report.message);
    }
}

#[tokio::test(start_paused = true)]
async fn on_the_simulated_engine() {
    let sim = Sim::new();
    for image in OF_MANIFESTS {
        let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
        sim.image_add(image, config, Behaviour::default());
    }
    let engine: Arc<dyn Engine> = Arc::new(sim);
    let stacks = stacks(&[]);
    first_pass(&engine, &stacks).await;
    let before = ids(&engine, &stacks).await;
    for number in 0..PASSES {
        tokio::time::advance(Duration::from_secs(600)).await;
        quiet_pass(number, &engine, &stacks).await;
    }
    assert_eq!(ids(&engine, &stacks).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn across_a_restart_of_the_engine() {
    if support::engine().is_none() {
        return;
    }
    let mut own = OwnEngine::start("phantom", SETTINGS);
    let mut missing = Vec::new();
    for image in OF_MANIFESTS {
        match Image::of_manifests(image, &format!("t-phantom-{image}")) {
            Some(made) => own.load(&made.0, image),
            None => missing.push(image),
        }
    }
    let stacks = stacks(&missing);

    let mut engine: Arc<dyn Engine> = Arc::new(own.connect());
    first_pass(&engine, &stacks).await;
    let before = ids(&engine, &stacks).await;
    for number in 0..PASSES {
        if number == PASSES / 2 {
            own.restart();
        }
        if number % RECONNECT == 0 {
            engine = Arc::new(own.connect());
        }
        quiet_pass(number, &engine, &stacks).await;
    }
    assert_eq!(ids(&engine, &stacks).await, before);
}
