//! A dependency that is not required is not waited for in vain.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::{ImageConfig, Query, StackName, State};
use bowline::pass::preview;
use bowline::plan::Step;
use bowline::status::PassResult;
use std::sync::Arc;
use std::time::Duration;
use support::passes::{pass, stack};
use tokio::time::Instant;

const STACK: &str = "name: s\nservices:\n  db: { image: 'db:1' }\n  \
    web: { image: 'web:1', depends_on: { db: { condition: service_started, required: false } } }\n";

fn sim(db: Option<Behaviour>) -> (Sim, Arc<dyn Engine>) {
    let sim = Sim::new();
    let config = || ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    sim.image_add("web:1", config(), Behaviour::default());
    if let Some(behaviour) = db {
        sim.image_add("db:1", config(), behaviour);
    }
    (sim.clone(), Arc::new(sim))
}

async fn state(sim: &Sim, name: &str) -> Option<State> {
    let query = Query::owned_by(StackName::new("s").unwrap());
    let found = sim.observe(&query).await.unwrap().containers;
    found.into_iter().find(|one| one.name == name).map(|one| one.state)
}

/// Its own change fails, or is never begun since its image cannot be pulled.
#[tokio::test(start_paused = true)]
async fn the_dependent_starts_as_soon_as_it_is_known_that_the_other_does_not() {
    let refused = Some("exec: no such file".to_owned());
    let broken = Behaviour { fails_to_start: refused, ..Behaviour::default() };
    for db in [Some(broken), None] {
        let (sim, engine) = sim(db.clone());
        let began = Instant::now();
        let report = pass(&engine, &stack(STACK)).await;
        assert_eq!(report.result, PassResult::Failed);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}, with {db:?}: {}", report.message);
        assert_eq!(state(&sim, "s-web-1").await, Some(State::Running), "{db:?}");
        assert_ne!(state(&sim, "s-db-1").await, Some(State::Running));
    }
}

#[tokio::test(start_paused = true)]
async fn what_starts_late_is_waited_for_all_the_same() {
    let (sim, engine) = sim(Some(Behaviour::default()));
    sim.delay(Duration::from_millis(100));
    let report = pass(&engine, &stack(STACK)).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let query = Query::owned_by(StackName::new("s").unwrap());
    let found = sim.observe(&query).await.unwrap().containers;
    let started = |name: &str| found.iter().find(|one| one.name == name).unwrap().started;
    assert!(started("s-db-1") < started("s-web-1"));
}

#[tokio::test]
async fn a_change_that_is_left_out_of_a_plan_is_not_waited_for() {
    let (_, engine) = sim(Some(Behaviour::default()));
    let plan = preview(&*engine, &stack(STACK), None).await.unwrap();
    let waits = |plan: &bowline::plan::Plan| {
        let steps = plan.changes.iter().flat_map(|change| &change.steps);
        steps.filter(|step| matches!(step, Step::Await { required: false, .. })).count()
    };
    assert_eq!(waits(&plan), 1);
    let is_db = |change: &bowline::plan::Change| {
        change.object.service().is_some_and(|service| service.as_str() == "db")
    };
    let left = plan.without(is_db);
    assert_eq!((waits(&left), left.changes.len()), (0, 2), "{left}");
}
