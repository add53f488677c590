//! Checks of canaries: what is asked, when, and what follows. On the simulated engine, whose containers
//! here are on the host's network, with real servers; the time is virtual where passes are made by the
//! test itself.

// Only tests are here; the lint sees that of functions that are marked as one.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "canary/server.rs"]
mod server;
mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::execute::{Notice, Onlooker};
use bowline::model::{ImageConfig, Query, StackName};
use bowline::pass::{Means, Moment, Subject};
use bowline::plan::Aim;
use bowline::rollout::Progress;
use bowline::status::{Cause, PassResult, Report, RolloutVerdict};
use server::Server;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::passes::{means, stack};
use support::prometheus::{Prometheus, present};
use support::site::{Site, until};

/// What a Prometheus says that has nothing to say.
const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
const SAMPLE: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"3"]}]}}"#;
const BAD_QUERY: &str = r#"{"status":"error","errorType":"bad_data","error":"1:4: parse error"}"#;

/// Three containers whose first is held for a minute, and asked about all 25 seconds: at once, after 25,
/// 50 and 60 seconds.
fn manifest(image: &str, checks: &str, more: &str) -> String {
    format!(
        "name: s\nservices:\n  web:\n    image: {image}\n    scale: 3\n    network_mode: host\n    \
         x-bowline: {{ canary: {{ hold: 60s, interval: 25s, {checks} }} }}\n    {more}\n"
    )
}

fn page(server: &Server) -> String {
    format!("http: {{ port: {}, path: /healthz }}", server.port)
}

fn alert(server: &Server) -> String {
    alert_at(&format!("127.0.0.1:{}", server.port), "errors > 1")
}

fn alert_at(address: &str, query: &str) -> String {
    format!("prometheus: {{ url: 'http://{address}', query: '{query}' }}")
}

fn add_images(sim: &Sim) {
    for image in ["web:1", "web:2"] {
        let config = ImageConfig { command: vec!["serve".into()], ..ImageConfig::default() };
        sim.image_add(image, config, Behaviour::default());
    }
}

/// A stack whose first version is up, and what is remembered of the passes over its second.
struct Scene {
    sim: Sim,
    checks: String,
    /// More keys of the service.
    more: &'static str,
    remembered: Mutex<BTreeMap<bowline::model::ServiceName, Progress>>,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    async fn with(checks: String) -> Self {
        Self::with_more(checks, "").await
    }

    async fn with_more(checks: String, more: &'static str) -> Self {
        let sim = Sim::new();
        add_images(&sim);
        let scene =
            Self { sim, checks, more, remembered: Mutex::default(), warnings: Arc::default() };
        let report = scene.pass("web:1", Aim::Hold).await;
        assert!(report.result.is_success(), "{}", report.message);
        scene
    }

    async fn pass(&self, image: &str, aim: Aim) -> Report {
        let engine: Arc<dyn Engine> = Arc::new(self.sim.clone());
        let (warnings, slots) = (Arc::clone(&self.warnings), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&slots);
        let onlooker: Onlooker = Arc::new(move |notice| match notice {
            Notice::Unjudged(slot, why) => {
                warnings.lock().unwrap().push(format!("{slot}: {why}"));
            }
            Notice::Slot(slot) => {
                noted.lock().unwrap().push((slot.slot.clone(), slot.phase));
            }
            _ => {}
        });
        let means = Means { onlooker, ..means(engine) };
        let stack = stack(&manifest(image, &self.checks, self.more));
        let subject = Subject { stack: &stack, source: None, revision: None };
        let earlier = self.remembered.lock().unwrap().clone();
        let by_hand = Moment::by_hand(Duration::ZERO);
        let report = means
            .reconcile(&subject, &Moment { now: self.sim.now(), aim, earlier, ..by_hand })
            .await;
        let mut remembered = self.remembered.lock().unwrap();
        for (slot, phase) in slots.lock().unwrap().drain(..) {
            remembered.entry(slot.service).or_default().note(slot.number, phase);
        }
        report
    }

    async fn update(&self) -> Report {
        self.pass("web:2", Aim::Update).await
    }

    /// How many containers run the new version.
    async fn updated(&self) -> usize {
        let query = Query::owned_by(StackName::new("s").unwrap());
        let all = self.sim.observe(&query).await.unwrap().containers;
        all.iter().filter(|container| container.spec.image.as_str() == "web:2").count()
    }

    /// That the update failed by its first container alone, and why.
    async fn goes_back(&self, words: &str) {
        let report = self.update().await;
        let [rollout] = &report.rollouts[..] else { panic!("{report:#?}") };
        assert_eq!(rollout.verdict, RolloutVerdict::RollBack);
        assert_eq!((rollout.cause, rollout.failed), (Some(Cause::Check), 1));
        let why = rollout.why.as_ref().unwrap();
        assert!(why.starts_with("container s-web-1 failed as a canary: "), "{why}");
        assert!(why.contains(words) && report.message.contains(words), "{why}\n{}", report.message);
        assert_eq!(self.updated().await, 1, "another one was begun");
    }

    async fn succeeds(&self) {
        let report = self.update().await;
        assert!(report.result.is_success(), "{}", report.message);
        assert_eq!(self.updated().await, 3);
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_asked_for_at_once_and_at_the_end_and_of_the_first_container_alone() {
    let server = Server::answering(|_| Some((200, "")));
    let scene = Scene::with(page(&server)).await;
    assert_eq!(server.asked(), 0, "a first deployment has no canary");
    let began = tokio::time::Instant::now();
    scene.succeeds().await;
    assert_eq!(server.asked(), 4);
    assert!(began.elapsed() >= Duration::from_secs(60));
    assert_eq!(scene.warnings(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_is_restored_or_gone_back_to_is_not_asked_about() {
    let server = Server::answering(|_| Some((500, "")));
    for aim in [Aim::Hold, Aim::Rollback] {
        let scene = Scene::with(page(&server)).await;
        let report = scene.pass("web:2", aim).await;
        assert!(report.result.is_success(), "{aim:?} {}", report.message);
    }
    assert_eq!(server.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_says_no_leads_back_at_once_or_with_the_last_question() {
    for number in [1, 4] {
        let server = Server::answering(move |n| Some((if n < number { 200 } else { 500 }, "")));
        let scene = Scene::with(page(&server)).await;
        scene.goes_back(&format!("http://127.0.0.1:{}/healthz answered 500", server.port)).await;
        assert_eq!(server.asked(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn three_questions_in_a_row_without_an_answer_are_one_too_many() {
    let server = Server::answering(|n| (n == 1).then_some((200, "")));
    let scene = Scene::with(page(&server)).await;
    scene.goes_back("3 times in a row").await;
    assert_eq!(server.asked(), 4);

    let server = Server::answering(|n| (n > 2).then_some((200, "")));
    let scene = Scene::with(page(&server)).await;
    scene.succeeds().await;

    // The hold is over with the fourth; whether it is well is not known before the fifth.
    for (fifth, sixth) in [(Some((204, "")), None), (None, Some((200, "")))] {
        let server = Server::answering(move |n| match n {
            1..=3 => Some((200, "")),
            4 => None,
            5 => fifth,
            _ => sixth,
        });
        let scene = Scene::with(page(&server)).await;
        scene.succeeds().await;
        assert_eq!(server.asked(), if fifth.is_some() { 5 } else { 6 });
    }
    let server = Server::answering(|n| (n < 4).then_some((200, "")));
    let scene = Scene::with(page(&server)).await;
    scene.goes_back("gave no answer").await;
    assert_eq!(server.asked(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_silence_counts_only_once_the_start_is_over() {
    // Where a health check says that it is.
    let server = Server::answering(|_| None);
    let scene = Scene::with_more(page(&server), "healthcheck: { test: [CMD, check] }").await;
    scene.goes_back("3 times in a row").await;
    assert_eq!(server.asked(), 3);

    // Without one it may take 90 s. The hold is over after 60 s, with the fourth question.
    let server = Server::answering(|n| (n > 6).then_some((200, "")));
    let scene = Scene::with(page(&server)).await;
    scene.succeeds().await;
    assert_eq!(server.asked(), 7);
    let server = Server::answering(|_| None);
    let scene = Scene::with(page(&server)).await;
    let began = tokio::time::Instant::now();
    scene.goes_back("3 times in a row").await;
    let took = began.elapsed().as_secs();
    assert!((100..105).contains(&took), "it took {took} s, asked after 90, 95 and 100 s");

    // What it says counts at once.
    let server = Server::answering(|_| Some((500, "")));
    let scene = Scene::with(page(&server)).await;
    scene.goes_back("answered 500").await;
    assert_eq!(server.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sample_of_an_alert_or_a_query_that_is_none_leads_back() {
    let server = Server::answering(|n| Some((200, if n == 4 { SAMPLE } else { EMPTY })));
    let scene = Scene::with(alert(&server)).await;
    scene.goes_back("has a sample: {} 3").await;
    assert_eq!(server.asked(), 4);

    let server = Server::answering(|_| Some((400, BAD_QUERY)));
    let scene = Scene::with(alert(&server)).await;
    scene.goes_back("refused the query: 1:4: parse error").await;
    assert_eq!(server.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_secret_of_the_stack_is_told_with_an_answer() {
    let secret = "environment: { DB_PASSWORD: 'hunter2\"swordfish' }";
    // What is told of an answer ends in the middle of the second one.
    let long = format!("hunter2\\\"swordfish {}hunter2\\\"swordfish", "x".repeat(170));
    let sample = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{"url":"{long}"}},"value":[1,"3"]}}]}}}}"#
    );
    let error = format!(r#"{{"status":"error","errorType":"bad_data","error":"{long}"}}"#);
    for (status, body, told) in
        [(200, sample, "has a sample: {url=\"(hidden) xxx"), (400, error, "query: (hidden) xxx")]
    {
        let body: &'static str = body.leak();
        let server = Server::answering(move |_| Some((status, body)));
        let scene = Scene::with_more(alert(&server), secret).await;
        let report = scene.update().await;
        let why = report.rollouts[0].why.as_ref().unwrap();
        assert!(why.contains(told), "{why}");
        assert!(!format!("{report:?}").contains("hunter2"), "{report:?}");
    }
    let page = "http: { port: 1, path: /hunter2swordfish/up }".to_owned();
    let secret = "environment: { DB_PASSWORD: hunter2swordfish }";
    let report = Scene::with_more(page, secret).await.update().await;
    let why = report.rollouts[0].why.as_ref().unwrap();
    assert!(why.contains("/(hidden)/up gave no answer"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_prometheus_that_is_silent_for_a_while_is_told_of_once() {
    let server = Server::answering(|n| if n < 4 { Some((503, "")) } else { Some((200, EMPTY)) });
    let scene = Scene::with(alert(&server)).await;
    scene.succeeds().await;
    let told = format!(
        "web/1: Prometheus at http://127.0.0.1:{} answered 503, and no result",
        server.port
    );
    assert_eq!(scene.warnings(), [told]);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_nobody_could_judge_is_held_anew_by_the_next_pass_and_blames_no_commit() {
    let server = Server::answering(|n| (n > 8).then_some((200, EMPTY)));
    let good_page = Server::answering(|_| Some((200, "")));
    let scene = Scene::with(format!("{}, {}", page(&good_page), alert(&server))).await;
    for tries in [1, 2] {
        let report = scene.update().await;
        assert_eq!(report.result, PassResult::Failed);
        assert_eq!(report.rollouts, [], "nothing is known of the definition");
        let words =
            "container s-web-1 could not be judged as a canary: Prometheus at http://127.0.0.1:";
        assert!(report.message.contains(words), "{}", report.message);
        assert_eq!((scene.updated().await, server.asked()), (1, 4 * tries));
    }
    scene.succeeds().await;
    assert_eq!((server.asked(), good_page.asked()), (12, 12));
    assert_eq!(scene.warnings().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_real_prometheus_is_understood() {
    if !present("prometheus") {
        return;
    }
    let prometheus = Prometheus::start(&[]);
    prometheus.value("vector(1)").await;
    let scene =
        async |query: &str| Scene::with(alert_at(&prometheus.address.to_string(), query)).await;
    scene("vector(3) > 2").await.goes_back("has a sample: {} 3").await;
    scene("scalar(vector(3)) > bool 2").await.goes_back("has a sample: 1").await;
    scene("sum(rate(").await.goes_back("refused the query: ").await;
    scene("up[1m]").await.goes_back("must ask for the values of one moment").await;
    for well in ["vector(1) > 2", "absent_so_far > 0", "scalar(vector(1)) > bool 2"] {
        let scene = scene(well).await;
        scene.succeeds().await;
        assert_eq!(scene.warnings(), Vec::<String>::new());
    }
}

/// A site whose agent watches little beside what is tested.
fn site() -> Site {
    let site = Site::new("monitor: 200ms");
    add_images(&site.sim);
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_canary_says_no_is_held_back_with_the_answer_as_the_reason() {
    let server = Server::answering(|n| Some((if n == 1 { 204 } else { 500 }, "")));
    let checks = page(&server);
    let text = |image: &str| manifest(image, &checks, "").replace("25s", "1s");
    let site = site();
    let commit = |image: &str| site.git.write("s/compose.yaml", &text(image)).push("Next");
    let good = commit("web:1");
    let agent = site.start();
    let applied = |commit: &str| {
        agent.stack("s").and_then(|it| it.applied_revision).is_some_and(|at| at.0 == *commit)
    };
    until("the first commit", async || applied(&good)).await;
    let bad = commit("web:2");
    let is_back = || {
        let pass = agent.stack("s")?.last_pass?;
        (pass.result == PassResult::RolledBack).then_some(())
    };
    until("the way back", async || is_back().is_some()).await;
    let held = agent.stack("s").unwrap().held_back.unwrap();
    assert_eq!(held.revision.unwrap().0, bad);
    assert!(held.reason.contains("/healthz answered 500"), "{}", held.reason);
    let page = agent.views.metrics.render();
    let counted = r#"bowline_rollbacks_total{reason="check",stack="s"} 1"#;
    assert!(page.contains(counted), "{page}");
    assert_eq!(server.asked(), 2, "the way back is not asked about");
    // Three of the first version, one of the second, and one in its place.
    assert_eq!(site.sim.calls().get("create"), Some(&5));
    agent.end().await;
}
