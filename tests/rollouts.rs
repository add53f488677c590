//! Updates of generated services on the simulated engine, in virtual time, looked at after every
//! call: what must hold is stated in the words of the policy, without the planner.

// Only tests are here; the lint sees that of functions that are marked as one.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "rollouts/case.rs"]
mod case;
#[path = "rollouts/eye.rs"]
mod eye;
#[path = "rollouts/needs.rs"]
mod needs;
mod support;
#[path = "rollouts/world.rs"]
mod world;

use bowline::engine::sim::{Behaviour, Sim};
use bowline::engine::{Engine, EngineError};
use bowline::model::ImageConfig;
use bowline::pass::{Moment, Pause, Subject};
use bowline::plan::Aim;
use bowline::status::{PassResult, Report, RolloutVerdict};
use case::{Fate, Service, WasUp, fate, service};
use eye::Promise;
use proptest::prelude::*;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use support::passes::{means, pass, stack};
use tokio::time::sleep;
use world::{Seen, World, verdict};

/// Runs in virtual time.
fn in_virtual_time<T>(scene: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(scene)
}

/// What is there after what follows from the end of an update to version 2, and after a mended
/// version 3.
async fn conclude(world: &World, service: &Service, fate: Fate, report: &Report) -> Vec<Vec<Seen>> {
    let (v1, v2) = (stack(&service.manifest(1)), stack(&service.manifest(2)));
    let told = || format!("{:?} {}\n{:#?}", report.rollouts, report.message, world.eye.acts());
    let mut sights = Vec::new();
    match (verdict(report), service.fails(fate)) {
        (_, None) => {
            assert!(report.result.is_success(), "{}", told());
            world.is(service, 2).await;
            let before = world.eye.acts().len();
            for aim in [Aim::Update, Aim::Hold] {
                assert!(world.pass(&v2, aim).await.unwrap().actions.is_empty());
            }
            assert_eq!(world.eye.acts().len(), before, "a second pass did something");
            sights.push(world.seen().await);
        }
        (Some(RolloutVerdict::RollBack), Some(_)) => {
            assert!(!report.result.is_success());
            world.forget();
            let back = world.pass(&v1, Aim::Rollback).await.unwrap();
            assert!(back.result.is_success(), "{}", back.message);
            world.is(service, 1).await;
            sights.push(world.seen().await);
        }
        (Some(RolloutVerdict::Paused), Some(was_up)) => {
            assert!(!report.result.is_success());
            serves_on(world, service, was_up).await;
            let before = world.eye.acts().len();
            let rest = world.pass_with(&v2, Aim::Update, Pause::All).await.unwrap();
            let exchanged = world.eye.acts()[before..].iter().any(|act| act.contains("create"));
            assert!(!exchanged && rest.result != PassResult::Unchanged, "{}", told());
        }
        (_, Some(was_up)) => serves_on(world, service, was_up).await,
    }
    world.eye.check();
    world.forget();
    let v3 = world.pass(&stack(&service.manifest(3)), Aim::Update).await.unwrap();
    assert!(v3.result.is_success(), "{}\n{:#?}", v3.message, world.eye.acts());
    assert_eq!(verdict(&v3), Some(RolloutVerdict::Completed));
    world.is(service, 3).await;
    world.eye.check();
    sights.push(world.seen().await);
    sights
}

/// Where no new container ever came up, each slot's former one serves.
async fn serves_on(world: &World, service: &Service, was_up: WasUp) {
    if was_up.0 {
        return;
    }
    let mut seen = world.seen().await;
    seen.retain(|(name, ..)| !name.ends_with(bowline::model::labels::TEMPORARY));
    world.goal(service, 1, &seen);
}

fn never_twice(world: &World) {
    let made = world.eye.made("app:2");
    assert!(made.values().all(|count| *count == 1), "{made:?} {:#?}", world.eye.acts());
}

async fn update_and_mend(service: &Service, fate: Fate, seed: u64) -> Vec<Vec<Seen>> {
    let world = World::with(service, &[fate, Fate::Well(300)], seed).await;
    world.eye.expect(Promise::of(service));
    let report = world.pass(&stack(&service.manifest(2)), Aim::Update).await.unwrap();
    world.eye.check();
    let ended = verdict(&report).unwrap();
    let told = || format!("{report:?}\n{:#?}", world.eye.acts());
    assert!(service.verdicts(fate).contains(&ended), "{}", told());
    never_twice(&world);
    conclude(&world, service, fate, &report).await
}

/// The agent is lost after some calls, a few times, and away for a while.
async fn update_with_losses(service: &Service, fate: Fate, losses: &[(u64, u64)], seed: u64) {
    let world = World::with(service, &[fate, Fate::Well(300)], seed).await;
    world.eye.expect(Promise::of(service));
    let v2 = stack(&service.manifest(2));
    let mut report = None;
    for (calls, away) in losses {
        world.eye.cut_after(Some(*calls));
        report = world.pass(&v2, Aim::Update).await;
        world.eye.cut_after(None);
        if report.is_some() {
            break;
        }
        sleep(Duration::from_secs(*away)).await;
    }
    let report = match report {
        Some(report) => report,
        None => world.pass(&v2, Aim::Update).await.unwrap(),
    };
    world.eye.check();
    never_twice(&world);
    let ended = verdict(&report);
    let told = || format!("{report:?}\n{:#?}", world.eye.acts());
    // All may have been done before the loss.
    let may_be_over = service.verdicts(fate).contains(&RolloutVerdict::Completed);
    assert!(ended.map_or(may_be_over, |it| service.verdicts(fate).contains(&it)), "{}", told());
    conclude(&world, service, fate, &report).await;
}

/// Another definition comes after some calls of the pass towards version 2: the pass is told to stop,
/// or the agent is lost.
async fn overtaken(before: &Service, after: &Service, fate: Fate, calls: u64, lost: bool) {
    let world = World::with(before, &[fate, Fate::Well(300)], calls).await;
    world.eye.expect(Promise::between(before, after));
    let v2 = stack(&before.manifest(2));
    world.eye.cut_after(Some(calls));
    if lost {
        world.pass(&v2, Aim::Update).await;
    } else {
        world.pass_stopped_when_cut(&v2).await;
    }
    world.eye.cut_after(None);
    world.eye.check();
    world.forget();
    let begun = world.eye.made("app:2");
    let report = world.pass(&stack(&after.manifest(3)), Aim::Update).await.unwrap();
    world.eye.check();
    assert!(report.result.is_success(), "{}\n{:#?}", report.message, world.eye.acts());
    world.is(after, 3).await;
    assert_eq!(world.eye.made("app:2"), begun, "the newest does not win");
    let made = world.eye.made("app:3");
    assert!(made.values().all(|count| *count == 1), "made twice: {made:?}");
}

/// What befalls engines and registries.
fn mishap() -> impl Strategy<Value = (&'static str, EngineError)> {
    let refused = |status, message: &str| {
        let (object, message) = ("container".to_owned(), message.to_owned());
        EngineError::Refused { operation: "do", object, status, message }
    };
    let errors = vec![
        refused(500, "write /var/lib/docker/x: no space left on device"),
        refused(500, "error while doing a thing: cannot allocate memory"),
        EngineError::Unreachable { endpoint: "sim".into(), cause: "refused".into() },
        EngineError::TimedOut { operation: "do", object: "container".into(), seconds: 60 },
    ];
    let calls = vec!["create", "start", "stop", "remove", "rename", "watch", "observe", "tail"];
    (prop::sample::select(calls), prop::sample::select(errors))
}

async fn befallen(service: &Service, mishaps: &[(u64, (&str, EngineError))], down: Option<u64>) {
    let world = World::with(service, &[Fate::Well(300)], 7).await;
    for (nth, (operation, error)) in mishaps {
        world.eye.sim.fail(operation, *nth, error.clone());
    }
    if let Some(steps) = down {
        world.eye.sim.crash_after(steps);
    }
    let v2 = stack(&service.manifest(2));
    for _ in 0..=mishaps.len() + 1 {
        let report = world.pass(&v2, Aim::Update).await.unwrap();
        let told = || format!("{report:?}\n{:#?}", world.eye.acts());
        let blamed = verdict(&report).is_some_and(|it| it != RolloutVerdict::Completed);
        assert!(!blamed, "the definition was blamed: {}", told());
        world.eye.sim.come_back();
        if report.result.is_success() {
            break;
        }
    }
    world.is(service, 2).await;
    never_twice(&world);
}

/// A version that ends so long after its start, which is also when it is up, watched for 5 s on an engine
/// each of whose calls takes a while.
async fn ends_in_its_watch(after: Duration, call: Duration) -> Option<RolloutVerdict> {
    let sim = Sim::new();
    let ends = Behaviour { exits: Some((after, 1)), ..Behaviour::default() };
    for (image, behaviour) in [("app:1", Behaviour::default()), ("app:2", ends)] {
        let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
        sim.image_add(image, config, behaviour);
    }
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let text = |image| format!("name: s\nservices: {{ a: {{ image: '{image}' }} }}\n");
    let report = pass(&engine, &stack(&text("app:1"))).await;
    assert!(report.result.is_success(), "{}", report.message);
    sim.delay(call);
    let second = stack(&text("app:2"));
    let subject = Subject { stack: &second, source: None, revision: None };
    let by_hand = Moment::by_hand(Duration::ZERO);
    let moment = Moment {
        now: sim.now(),
        aim: Aim::Update,
        monitor: Duration::from_secs(5),
        way_back: true,
        ..by_hand
    };
    let report = means(engine).reconcile(&subject, &moment).await;
    verdict(&report)
}

#[test]
fn what_ends_in_the_last_moments_of_its_watch_has_failed_however_long_its_log_takes_to_read() {
    for call in [0, 40, 150] {
        for after in (4_500..5_000).step_by(20) {
            let (after, call) = (Duration::from_millis(after), Duration::from_millis(call));
            let ended = in_virtual_time(ends_in_its_watch(after, call));
            assert_eq!(ended, Some(RolloutVerdict::RollBack), "after {after:?}, calls {call:?}");
        }
        let after = Duration::from_secs(8);
        let ended = in_virtual_time(ends_in_its_watch(after, Duration::from_millis(call)));
        assert_eq!(ended, Some(RolloutVerdict::Completed), "calls {call} ms");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_update_keeps_what_its_policy_promises_and_ends_as_it_says_in_whatever_order_calls_end(
        service in service(),
        fate in fate(),
        seeds in (any::<u64>(), any::<u64>()),
    ) {
        let one = in_virtual_time(update_and_mend(&service, fate, seeds.0));
        let other = in_virtual_time(update_and_mend(&service, fate, seeds.1));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn an_agent_that_is_lost_at_any_call_goes_on_and_comes_to_the_same_end(
        service in service(),
        fate in fate(),
        losses in prop::collection::vec((0u64..90, prop::sample::select(vec![0u64, 1, 20])), 1..3),
        seed in any::<u64>(),
    ) {
        in_virtual_time(update_with_losses(&service, fate, &losses, seed));
    }

    #[test]
    fn the_newest_definition_wins_and_changes_each_slot_once(
        before in service(),
        replicas in 1u32..=5,
        fate in fate(),
        calls in 0u64..120,
        lost in any::<bool>(),
    ) {
        let after = Service { replicas, ..before.clone() };
        in_virtual_time(overtaken(&before, &after, fate, calls, lost));
    }

    #[test]
    fn what_befalls_the_engine_is_not_held_against_a_definition(
        service in service(),
        mishaps in prop::collection::vec((1u64..6, mishap()), 1..3),
        down in prop::option::of(0u64..20),
    ) {
        in_virtual_time(befallen(&service, &mishaps, down));
    }
}
