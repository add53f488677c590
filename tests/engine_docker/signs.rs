//! What containers tell of themselves while they run: health, output, events.

use super::specs::{network, texts};
use super::support::docker::{Corner, PATIENCE};
use bowline::engine::Engine;
use bowline::model::{ContainerSpec, Endpoint, Health, Healthcheck, State};
use bowline::plan::Step;
use std::time::Duration;
use tokio_stream::StreamExt;

#[tokio::test]
async fn a_health_check_s_verdict_and_last_words_are_seen() {
    let corner = corner!("t-docker-health");
    let check = |script: &str| {
        Some(Healthcheck {
            test: Some(texts(&["CMD-SHELL", script])),
            interval: Some(Duration::from_millis(100)),
            retries: Some(1),
            ..Healthcheck::default()
        })
    };
    let well = ContainerSpec { healthcheck: check("true"), ..corner.sleeper() };
    let ill = ContainerSpec { healthcheck: check("echo no db; false"), ..corner.sleeper() };
    for (name, spec, health) in [("a", well, Health::Healthy), ("b", ill, Health::Unhealthy)] {
        let container = corner.create(name, spec).await;
        corner.perform(Step::Start(container.clone())).await;
        let seen = tokio::time::timeout(PATIENCE, async {
            loop {
                let sighting = corner.engine.watch(&container).await.unwrap();
                if sighting.health == health {
                    break sighting;
                }
            }
        });
        let output = seen.await.expect("a verdict in time").health_output;
        assert_eq!(output.as_deref(), (name == "b").then_some("no db"));
    }
    let seen: Vec<_> = corner.observe().await.containers.iter().map(|c| c.health).collect();
    assert_eq!(seen, [Health::Healthy, Health::Unhealthy]);
}

#[tokio::test]
async fn a_terminal_s_output_is_told_line_by_line() {
    let corner = corner!("t-docker-tty");
    let script = "busybox printf 'one\\ntwo\\nthree'";
    let spec = ContainerSpec {
        command: Some(texts(&["sh", "-c", script])),
        tty: true,
        ..corner.sleeper()
    };
    let container = corner.create("web", spec).await;
    corner.perform(Step::Start(container.clone())).await;
    corner.until(&container, |state| state == State::Exited { code: 0 }).await;
    let lines = corner.engine.tail(&container, 3).await.unwrap();
    assert_eq!(lines[..2], ["one", "two"]);
}

#[tokio::test]
async fn events_name_the_stack_of_containers_networks_and_volumes() {
    let corner = corner!("t-docker-events");
    let mut events = corner.engine.events().await.unwrap();
    let spec = network(&corner, "front", "10.231.22.0/28").await;
    corner.observe().await;
    let web = corner.create("web", corner.sleeper()).await;
    corner.perform(Step::Start(web.clone())).await;
    corner
        .perform(Step::Connect {
            container: web.clone(),
            network: spec.name,
            endpoint: Endpoint::default(),
        })
        .await;
    corner.perform(Step::Remove(web)).await;

    let mut missing = vec!["create", "start", "connect", "die", "destroy"];
    let all_heard = tokio::time::timeout(PATIENCE, async {
        while !missing.is_empty() {
            let event = events.next().await.unwrap().unwrap();
            assert!(!event.action.starts_with("exec"), "{event:?}");
            if event.stack == Some(corner.stack()) {
                missing.retain(|action| *action != event.action);
            }
        }
    })
    .await;
    assert!(all_heard.is_ok(), "not heard: {missing:?}");
}
