//! Services that need others: what comes first, and what is left alone when it fails.

use super::case::Fate;
use super::eye::Eye;
use super::support::passes::{means, stack};
use bowline::engine::sim::{Behaviour, Sim};
use bowline::engine::{Engine, EngineError};
use bowline::model::{ImageConfig, Query};
use bowline::pass::{Moment, Subject};
use bowline::plan::Aim;
use bowline::status::{PassResult, Report, RolloutVerdict};
use std::collections::BTreeSet;
use std::time::Duration;

/// A database and the page that needs it, each of a version.
fn manifest(db: u8, web: u8) -> String {
    let check =
        "healthcheck: { test: [CMD, check], interval: 500ms, retries: 2, start_period: 2s }";
    format!(
        "name: s\nservices:\n  \
         db: {{ image: \"app:{db}\", scale: 2, {check}, x-bowline: {{ start_timeout: 6s }} }}\n  \
         web: {{ image: \"app:{web}\", scale: 2, {check}, depends_on: {{ db: {{ condition: service_healthy }} }} }}\n"
    )
}

struct Pair {
    eye: Eye,
}

impl Pair {
    /// Both of version 1 are up; version 2 is of this fate, and so on.
    async fn with(fates: &[Fate]) -> Self {
        let sim = Sim::new();
        for (fate, version) in [Fate::Well(300)].iter().chain(fates).zip(1..) {
            fate.add(&sim, version, false);
        }
        let pair = Self { eye: Eye::new(sim, 11) };
        assert!(pair.pass(&manifest(1, 1)).await.result.is_success());
        pair
    }

    async fn pass(&self, text: &str) -> Report {
        let engine = self.eye.engine();
        let (stack, now) = (stack(text), self.eye.sim.now());
        let subject = Subject { stack: &stack, source: None, revision: None };
        let monitor = Duration::from_secs(3);
        let by_hand = Moment::by_hand(Duration::ZERO);
        let moment = Moment { now, aim: Aim::Update, monitor, ..by_hand };
        means(engine).reconcile(&subject, &moment).await
    }

    /// What the containers of a service are and since when.
    async fn lives(&self, service: &str) -> BTreeSet<String> {
        let query = Query::owned_by("s".to_owned().try_into().unwrap());
        let found = self.eye.sim.observe(&query).await.unwrap().containers;
        let of_it = found.iter().filter(|it| it.slot.service.as_str() == service);
        of_it.map(|it| format!("{} {} {:?}", it.name, it.state, it.started)).collect()
    }

    /// Where in the acts since `mark` those on a service's running containers lie.
    fn acts(&self, mark: usize, service: &str) -> Vec<usize> {
        let acts = self.eye.acts();
        let touches =
            |act: &String| !act.contains("create") && act.contains(&format!("s-{service}-"));
        (mark..acts.len()).filter(|&index| touches(&acts[index])).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_changes_after_those_that_it_needs_are_up() {
    let pair = Pair::with(&[Fate::Well(700)]).await;
    let mark = pair.eye.acts().len();
    let report = pair.pass(&manifest(2, 2)).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let (db, web) = (pair.acts(mark, "db"), pair.acts(mark, "web"));
    assert!(db.last() < web.first(), "{:#?}", pair.eye.acts());
}

#[tokio::test(start_paused = true)]
async fn a_service_stays_as_it_is_when_one_that_it_needs_fails() {
    for fate in [Fate::Ill, Fate::Refused, Fate::EndsEarly(0)] {
        let pair = Pair::with(&[fate]).await;
        let (db, web) = (pair.lives("db").await.len(), pair.lives("web").await);
        let report = pair.pass(&manifest(2, 2)).await;
        let of_db = report.rollouts.iter().find(|it| it.service.as_str() == "db").unwrap();
        assert_eq!(of_db.verdict, RolloutVerdict::RollBack);
        assert_eq!(report.rollouts.len(), 1, "only what failed is blamed: {:?}", report.rollouts);
        let left: BTreeSet<_> =
            pair.lives("web").await.into_iter().filter(|it| it.contains("running")).collect();
        assert_eq!(left, web, "{fate:?}");
        let db_now = pair.lives("db").await;
        assert_eq!(db_now.iter().filter(|it| it.contains("running")).count(), db);
    }
}

#[tokio::test(start_paused = true)]
async fn a_definition_is_not_blamed_for_what_it_needs_and_did_not_change() {
    let pair = Pair::with(&[Fate::Well(300)]).await;
    let ill = Behaviour { healthy_after: None, ..Behaviour::default() };
    for name in ["s-db-1", "s-db-2"] {
        pair.eye.sim.behave(name, ill.clone());
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let web = pair.lives("web").await;
    let report = pair.pass(&manifest(1, 2)).await;
    assert_eq!(report.result, PassResult::Failed);
    assert_eq!(report.rollouts, [], "{}", report.message);
    let left: BTreeSet<_> =
        pair.lives("web").await.into_iter().filter(|it| it.contains("running")).collect();
    assert_eq!(left, web);
    for name in ["s-db-1", "s-db-2"] {
        pair.eye.sim.behave(name, Behaviour::default());
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(pair.pass(&manifest(1, 2)).await.result, PassResult::Changed);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_had_now_is_waited_for_and_one_that_is_not_there_is_a_fault() {
    let pair = Pair::with(&[]).await;
    let web = pair.lives("web").await;
    let gone = pair.pass(&manifest(1, 2)).await;
    let verdicts: Vec<_> = gone.rollouts.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, [RolloutVerdict::RollBack], "{}", gone.message);
    assert_eq!(pair.lives("web").await, web);

    let config = ImageConfig { command: vec!["serve".into()], ..ImageConfig::default() };
    pair.eye.sim.registry_add("app:2", config, Behaviour::default());
    let message = "received unexpected HTTP status: 503".to_owned();
    let error = EngineError::PullFailed { image: "app:2".into(), message, transient: true };
    pair.eye.sim.fail("pull", 1, error);
    let report = pair.pass(&manifest(1, 2)).await;
    assert_eq!((report.result, report.rollouts), (PassResult::Failed, vec![]));
    assert_eq!(pair.lives("web").await, web);
    assert_eq!(pair.pass(&manifest(1, 2)).await.result, PassResult::Changed);
}
