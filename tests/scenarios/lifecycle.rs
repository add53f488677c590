//! What containers do, and what is heard of it.

use super::support::images::{BROKEN, CRASHER, DEAF, ILL, JOB, SLEEPER, WELL};
use super::world::{World, of};
use bowline::engine::EngineError;
use bowline::model::{Health, Healthcheck, RestartPolicy, State};
use bowline::plan::Step;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_stream::StreamExt;

pub async fn start_and_stop_may_be_said_twice(world: &World) {
    let container = world.create("web", of(SLEEPER)).await;
    assert_eq!(world.state(&container).await, State::Created);
    for _ in 0..2 {
        world.perform(Step::Start(container.clone())).await;
        assert_eq!(world.state(&container).await, State::Running);
    }
    for _ in 0..2 {
        let grace = Some(Duration::ZERO);
        world.perform(Step::Stop { container: container.clone(), grace }).await;
        assert!(matches!(world.state(&container).await, State::Exited { .. }));
    }
}

pub async fn a_process_that_takes_no_notice_is_killed(world: &World) {
    let container = world.run("web", of(DEAF)).await;
    let grace = Some(Duration::from_secs(1));
    let begun = tokio::time::Instant::now();
    world.perform(Step::Stop { container: container.clone(), grace }).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(world.state(&container).await, State::Exited { code: 137 });
}

pub async fn a_killed_container_is_not_restarted(world: &World) {
    let mut spec = of(SLEEPER);
    spec.restart = RestartPolicy::Always;
    let container = world.run("web", spec).await;
    let signal = "SIGKILL".to_owned();
    world.perform(Step::Signal { container: container.clone(), signal: signal.clone() }).await;
    world.until_state(&container, |state| state == State::Exited { code: 137 }).await;
    let error = world.attempt(Step::Signal { container, signal }).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { status: 409, .. }), "{error}");
}

pub async fn a_crashed_container_is_restarted(world: &World) {
    let mut spec = of(CRASHER);
    spec.restart = RestartPolicy::Always;
    let container = world.run("web", spec).await;
    world.until_state(&container, |state| state == State::Restarting).await;
    world.until_state(&container, |state| state == State::Running).await;
    world.perform(Step::Stop { container: container.clone(), grace: Some(Duration::ZERO) }).await;
    world.until_state(&container, |state| matches!(state, State::Exited { .. })).await;
}

pub async fn a_policy_gives_up_after_its_retries(world: &World) {
    let mut spec = of(CRASHER);
    spec.restart = RestartPolicy::OnFailure { max_retries: 1 };
    let container = world.run("web", spec).await;
    world.until_state(&container, |state| state == State::Exited { code: 3 }).await;
}

pub async fn an_exit_code_is_told(world: &World) {
    for (name, image, code) in [("a", CRASHER, 3), ("b", JOB, 0)] {
        let container = world.run(name, of(image)).await;
        world.until_state(&container, |state| state == State::Exited { code }).await;
    }
}

pub async fn a_paused_container_goes_on(world: &World) {
    let container = world.run("web", of(SLEEPER)).await;
    world.pause(&container);
    assert_eq!(world.state(&container).await, State::Paused);
    let error = world.attempt(Step::Start(container.clone())).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { status: 409, .. }), "{error}");
    for _ in 0..2 {
        world.perform(Step::Unpause(container.clone())).await;
        assert_eq!(world.state(&container).await, State::Running);
    }
}

pub async fn a_pause_is_no_verdict_on_health(world: &World) {
    for (name, image, before, after) in [
        ("well", WELL, Health::Healthy, Health::Starting),
        ("ill", ILL, Health::Unhealthy, Health::Unhealthy),
    ] {
        let container = world.run(name, of(image)).await;
        world.until_health(&container, before).await;
        world.pause(&container);
        world.perform(Step::Unpause(container.clone())).await;
        // Its first check since may have ended already.
        let told = world.engine.watch(&container).await.unwrap().health;
        assert!(told == before || told == after, "{name} is {told:?}");
        let seen = world.observe().await.containers;
        let seen = seen.iter().find(|seen| seen.name == container.name).unwrap().health;
        assert!(seen == before || seen == after, "{name} is {seen:?}");
        world.until_health(&container, before).await;
    }
}

pub async fn what_runs_is_removed_by_force(world: &World) {
    let container = world.run("web", of(SLEEPER)).await;
    for _ in 0..2 {
        world.perform(Step::Remove(container.clone())).await;
        assert!(world.observe().await.containers.is_empty());
    }
}

pub async fn health_begins_and_becomes_healthy(world: &World) {
    let container = world.create("web", of(WELL)).await;
    assert_eq!(world.engine.watch(&container).await.unwrap().health, Health::Unchecked);
    world.perform(Step::Start(container.clone())).await;
    assert_eq!(world.engine.watch(&container).await.unwrap().health, Health::Starting);
    world.until_health(&container, Health::Healthy).await;
    assert_eq!(world.only().await.health, Health::Healthy);
}

pub async fn health_fails_with_its_output(world: &World) {
    let container = world.run("web", of(ILL)).await;
    world.until_health(&container, Health::Unhealthy).await;
    let sighting = world.engine.watch(&container).await.unwrap();
    assert_eq!(sighting.health_output.as_deref(), Some("no db"));
    assert_eq!(sighting.state, State::Running);
}

pub async fn a_disabled_check_says_nothing(world: &World) {
    let mut spec = of(WELL);
    let test = Some(vec!["NONE".to_owned()]);
    spec.healthcheck = Some(Healthcheck { test, ..Healthcheck::default() });
    let container = world.run("web", spec).await;
    assert_eq!(world.engine.watch(&container).await.unwrap().health, Health::Unchecked);
    assert!(world.only().await.spec.healthcheck.unwrap().is_disabled());
}

pub async fn what_cannot_start_is_refused(world: &World) {
    let container = world.create("web", of(BROKEN)).await;
    let error = world.attempt(Step::Start(container.clone())).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, EngineError::Refused { status: 400, .. }), "{text}");
    assert!(text.contains("/no/such"), "{text}");
    assert_eq!(world.state(&container).await, State::Created);
}

pub async fn each_act_is_heard(world: &World) {
    let mut events = world.engine.events().await.unwrap();
    let container = world.run("web", of(SLEEPER)).await;
    world.pause(&container);
    world.perform(Step::Unpause(container.clone())).await;
    world.perform(Step::Rename { container: container.clone(), to: world.name("new") }).await;
    let container = bowline::plan::ContainerRef::named(world.name("new"));
    world.perform(Step::Stop { container: container.clone(), grace: None }).await;
    world.perform(Step::Remove(container)).await;
    let wanted =
        ["create", "start", "pause", "unpause", "rename", "kill", "die", "stop", "destroy"];
    let mut missing = BTreeSet::from(wanted);
    let heard = tokio::time::timeout(Duration::from_secs(10), async {
        while !missing.is_empty() {
            let event = events.next().await.unwrap().unwrap();
            if event.stack == Some(world.stack()) {
                missing.remove(event.action.as_str());
            }
        }
    });
    let heard = heard.await.is_ok();
    assert!(heard, "not heard: {missing:?}");
}

pub async fn the_output_is_told(world: &World) {
    let container = world.create("web", of(JOB)).await;
    for _ in 0..2 {
        world.perform(Step::Start(container.clone())).await;
        world.until_state(&container, |state| matches!(state, State::Exited { .. })).await;
        // What the start before wrote is not told again.
        assert_eq!(world.engine.tail(&container, 5).await.unwrap(), ["done"]);
        // The engine tells apart what is more than a second apart.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
}
