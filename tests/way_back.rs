//! The way back of a replacement that fails, on the simulated engine: what is done, and to whom.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::{Container, ImageConfig, Networking, Query, StackName, State};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::passes::{pass, stack};
use support::recorder::Recorder;

const CHECK: &str = "healthcheck: { test: [CMD, check], interval: 1s, start_interval: 1s, timeout: 1s, retries: 1 }";
const CHOSEN: &str = "networks: { one: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } }, two: { ipam: { config: [{ subnet: 10.9.1.0/24 }] } } }\n";
const GIVEN: &str = "networks: { one: {}, two: {} }\n";

struct Scene {
    sim: Sim,
    engine: Arc<dyn Engine>,
    recorder: Arc<Recorder>,
    service: &'static str,
    networks: &'static str,
}

impl Scene {
    /// The service with the first version up.
    async fn with(service: &'static str, networks: &'static str) -> Self {
        let sim = Sim::with_api(41);
        let config = ImageConfig { command: vec!["serve".to_owned()], ..ImageConfig::default() };
        sim.image_add("app:1", config, Behaviour::default());
        let (engine, recorder) = Recorder::over(Arc::new(sim.clone()));
        let scene = Self { sim, engine, recorder, service, networks };
        assert!(scene.pass(1).await, "the first version");
        scene.recorder.take();
        // All are healthy by then.
        tokio::time::advance(Duration::from_secs(5)).await;
        scene
    }

    /// Whether a pass over a version succeeds.
    async fn pass(&self, version: u32) -> bool {
        let text = format!(
            "name: s\nservices: {{ a: {{ image: app:1, environment: {{ V: '{version}' }}, {CHECK}, {} }} }}\n{}",
            self.service, self.networks
        );
        pass(&self.engine, &stack(&text)).await.result.is_success()
    }

    async fn old(&self) -> Container {
        let query = Query::owned_by(StackName::new("s").unwrap());
        let found = self.sim.observe(&query).await.unwrap().containers;
        found.into_iter().find(|it| it.name == "s-a-1").unwrap()
    }

    /// The names of the old container by its networks.
    async fn names(&self) -> BTreeMap<String, Vec<String>> {
        let Networking::Networks(networks) = self.old().await.spec.networking else {
            panic!("no networks")
        };
        let names =
            |endpoint: &bowline::model::Endpoint| endpoint.aliases.iter().cloned().collect();
        networks.iter().map(|(network, endpoint)| (network.clone(), names(endpoint))).collect()
    }

    async fn serves_as_before(&self, what: &str) {
        let old = self.old().await;
        assert_eq!(old.state, State::Running, "{what}");
        assert_eq!(old.spec.environment["V"].as_deref(), Some("1"), "{what}");
        let names = ["s_one", "s_two"].map(|name| (name.to_owned(), vec!["a".to_owned()]));
        assert_eq!(self.names().await, names.into(), "{what}");
    }
}

/// Runs and is never well.
fn never_well() -> Behaviour {
    Behaviour { healthy_after: None, ..Behaviour::default() }
}

/// Well, until its predecessor is drained.
fn sickens() -> Behaviour {
    Behaviour { unhealthy_after: Some(Duration::from_secs(3)), ..Behaviour::default() }
}

#[tokio::test(start_paused = true)]
async fn whoever_was_taken_out_of_its_names_or_stopped_is_brought_back_and_nobody_else_is_touched()
{
    const START_FIRST: &str = "networks: [one, two], deploy: { update_config: { order: start-first } }, \
                               x-bowline: { drain: 9s }";
    const ALONE: &str = "networks: [one, two], x-bowline: { drain: 9s }";
    const OF_TWO: &str = "networks: [one, two], scale: 2, x-bowline: { drain: 9s }";
    let begins = ["create s-a-1.next", "start s-a-1.next"];
    let withdrawn = ["withdraw s-a-1"; 2];
    let led_to = ["connect s-a-1"; 2];
    let gives_up = ["stop s-a-1.next"];
    let returns = ["start s-a-1"];
    let swaps = ["create s-a-1.next", "stop s-a-1", "start s-a-1.next"];
    for (what, service, networks, fate, expected) in [
        (
            "it was up when it was looked at last",
            START_FIRST,
            CHOSEN,
            sickens(),
            [&begins[..], &withdrawn, &gives_up, &led_to].concat(),
        ),
        (
            "the same, and it keeps its names",
            START_FIRST,
            GIVEN,
            sickens(),
            [&begins[..], &gives_up].concat(),
        ),
        ("it never was up", START_FIRST, CHOSEN, never_well(), [&begins[..], &gives_up].concat()),
        (
            "the only one keeps its names",
            ALONE,
            CHOSEN,
            never_well(),
            [&swaps[..], &gives_up, &returns].concat(),
        ),
        (
            "the other one is found",
            OF_TWO,
            CHOSEN,
            never_well(),
            [&begins[..1], &withdrawn, &swaps[1..], &gives_up, &led_to, &returns].concat(),
        ),
    ] {
        let scene = Scene::with(service, networks).await;
        scene.sim.behave("s-a-1.next", fate);
        assert!(!scene.pass(2).await, "{what}");
        let done = scene.recorder.take();
        // A container is made on its first network, and joined to the second.
        let joins = "connect s-a-1.next";
        let done: Vec<_> = done.iter().map(String::as_str).filter(|line| *line != joins).collect();
        assert_eq!(done, expected, "{what}");
        scene.serves_as_before(what).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_cut_off_from_a_network_while_it_is_led_to_again_is_led_to_again_by_the_next_pass()
 {
    let service = "networks: [one, two], scale: 2, x-bowline: { drain: 1s }";
    let mut steps = 0;
    loop {
        let scene = Scene::with(service, CHOSEN).await;
        scene.sim.behave("s-a-1.next", never_well());
        scene.sim.crash_after(steps);
        assert!(!scene.pass(2).await);
        let crashed =
            scene.sim.observe(&Query::owned_by(StackName::new("s").unwrap())).await.is_err();
        scene.sim.come_back();
        if !crashed {
            assert!(steps > 10, "the way back alone is longer: {steps}");
            break;
        }
        assert!(!scene.pass(2).await);
        scene.serves_as_before(&format!("a crash after {steps} steps")).await;
        steps += 1;
    }
}
