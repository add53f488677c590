//! One-shot services run once for each of their definitions, and stacks go dependents first: on the
//! simulated engine, and with `BOWLINE_TEST_ENGINE=docker` on the real one.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::manifest::DigestKey;
use bowline::model::{Container, ImageConfig, ImageRef, Query, StackName, State};
use bowline::pass::{Moment, Subject, preview_in};
use bowline::plan::{Action, Circumstances, ContainerRef, Step};
use bowline::status::{PassResult, Report};
use bowline::store::Jobs;
use std::sync::Arc;
use std::time::Duration;
use support::docker::{docker, import_busybox};
use support::passes::{means, stack};
use support::program::{command, run};
use support::site::{Site, until};
use support::stacks::Stacks;
use tempfile::TempDir;

const STACK: &str = "t-job";
const MIGRATE: &str = "t-job-migrate-1";
/// Runs until it is stopped; ends well; fails.
const IMAGES: [&str; 3] = ["t-job-stays:1", "t-job-ends:1", "t-job-fails:1"];
/// What each of them does on the real engine.
const COMMANDS: [&str; 3] = [
    "[busybox, sleep, '600']",
    "[busybox, sh, -c, 'echo run >> /data/runs']",
    "[busybox, 'false']",
];

fn ends(code: i64) -> Behaviour {
    Behaviour { exits: Some((Duration::from_millis(5), code)), ..Behaviour::default() }
}

fn sim() -> Arc<dyn Engine> {
    let sim = Sim::new();
    for (image, behaviour) in IMAGES.into_iter().zip([Behaviour::default(), ends(0), ends(1)]) {
        let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
        sim.image_add(image, config, behaviour);
    }
    Arc::new(sim)
}

/// The versions of a stack's services, and whether its job fails.
#[derive(Clone, Copy)]
struct Versions {
    db: u8,
    migrate: u8,
    web: u8,
    fails: bool,
}

const FIRST: Versions = Versions { db: 1, migrate: 1, web: 1, fails: false };

impl Versions {
    fn text(self) -> String {
        let service = |kind: usize, version: u8, more: &str| {
            let (image, command) = (IMAGES[kind], COMMANDS[kind]);
            format!(
                "{{ image: {image}, command: {command}, pull_policy: never, network_mode: none, \
                 stop_signal: SIGKILL, volumes: ['data:/data'], environment: {{ V: '{version}' }}, {more} }}"
            )
        };
        let completed = "migrate: { condition: service_completed_successfully }";
        let started = "db: { condition: service_started }";
        let db = service(0, self.db, "");
        let job = if self.fails { 2 } else { 1 };
        let migrate = service(job, self.migrate, "restart: 'no', depends_on: [db]");
        let web = service(0, self.web, &format!("depends_on: {{ {started}, {completed} }}"));
        let last = service(0, 1, "depends_on: [web]");
        format!(
            "name: {STACK}\nservices:\n  db: {db}\n  migrate: {migrate}\n  web: {web}\n  \
             last: {last}\nvolumes: {{ data: }}\n"
        )
    }
}

/// A stack on an engine, and what is remembered of its jobs.
struct Scene {
    engine: Arc<dyn Engine>,
    state: TempDir,
    key: DigestKey,
    /// How often the job was begun.
    runs: usize,
}

impl Scene {
    fn on(engine: Arc<dyn Engine>) -> Self {
        let state = tempfile::tempdir().unwrap();
        Self { engine, state, key: DigestKey::new([7; 32]), runs: 0 }
    }

    fn jobs(&self) -> Jobs {
        Jobs::of(self.state.path())
    }

    async fn plan(&self, versions: Versions) -> String {
        let stack = stack(&versions.text());
        let completed = self.jobs().completed(&stack, &self.key);
        let around = Circumstances { completed, ..Circumstances::default() };
        preview_in(&around, &*self.engine, &stack).await.unwrap().to_string()
    }

    async fn pass(&mut self, versions: Versions) -> Report {
        let stack = stack(&versions.text());
        let subject = Subject { stack: &stack, source: None, revision: None };
        let completed = self.jobs().completed(&stack, &self.key);
        let moment = Moment { completed, ..Moment::by_hand(Duration::from_millis(200)) };
        let report = means(Arc::clone(&self.engine)).reconcile(&subject, &moment).await;
        let completed = &report.seen.as_ref().unwrap().completed;
        self.jobs().note(&stack, completed, |_| true, &self.key).unwrap();
        let of_job = report.actions.iter().filter(|action| {
            action.object.service().is_some_and(|service| service.as_str() == "migrate")
        });
        let begins = [Action::Create, Action::Start, Action::Replace, Action::Restart];
        self.runs += of_job.filter(|action| begins.contains(&action.action)).count();
        report
    }

    /// A pass that succeeds, after which all is up; the job was begun `runs` times so far.
    async fn succeeds(&mut self, versions: Versions, result: PassResult, runs: usize) {
        let report = self.pass(versions).await;
        assert_eq!(report.result, result, "{}", report.message);
        let workload = report.workload.unwrap();
        assert_eq!((workload.up, self.runs), (workload.desired, runs));
        assert_eq!(self.plan(versions).await, "");
    }

    async fn container(&self, name: &str) -> Option<Container> {
        let query = Query::owned_by(StackName::new(STACK).unwrap());
        let found = self.engine.observe(&query).await.unwrap().containers;
        found.into_iter().find(|container| container.name == name)
    }

    async fn remove_job(&self) {
        let remove = Step::Remove(ContainerRef::named(MIGRATE));
        self.engine.perform(&remove, &|_| {}).await.unwrap();
    }
}

async fn a_job_runs_once_for_each_of_its_definitions(engine: Arc<dyn Engine>) {
    let mut scene = Scene::on(engine);
    scene.succeeds(FIRST, PassResult::Changed, 1).await;
    // Somebody clears ended containers away.
    scene.remove_job().await;
    scene.succeeds(FIRST, PassResult::Unchanged, 1).await;
    // Neither who waits for it nor what it depends on has it run again.
    let web = Versions { web: 2, ..FIRST };
    scene.succeeds(web, PassResult::Changed, 1).await;
    let db = Versions { db: 2, ..web };
    scene.succeeds(db, PassResult::Changed, 1).await;
    assert!(scene.container(MIGRATE).await.is_none());
    let second = Versions { migrate: 2, ..db };
    scene.succeeds(second, PassResult::Changed, 2).await;

    // One that fails is begun again, and has not come to its end.
    let failing = Versions { fails: true, ..second };
    let report = scene.pass(failing).await;
    assert_eq!((report.result, scene.runs), (PassResult::Crashing, 3), "{}", report.message);
    assert!(scene.plan(failing).await.starts_with("start     container migrate/1\n"));
    // The one before it did.
    let plan = scene.plan(second).await;
    assert!(plan.starts_with("remove    container migrate/1\n"), "{plan}");
    scene.succeeds(second, PassResult::Changed, 3).await;
    assert!(scene.container(MIGRATE).await.is_none());

    // What is not remembered is run.
    scene.jobs().forget(&StackName::new(STACK).unwrap());
    scene.succeeds(second, PassResult::Changed, 4).await;
    let state = scene.container(MIGRATE).await.unwrap().state;
    assert_eq!(state, State::Exited { code: 0 });
}

async fn a_stack_goes_dependents_first(engine: Arc<dyn Engine>) {
    let mut scene = Scene::on(Arc::clone(&engine));
    let report = scene.pass(FIRST).await;
    assert!(report.result.is_success(), "{}", report.message);
    let query = Query::owned_by(StackName::new(STACK).unwrap());
    let report = means(engine).remove(&query, None, true).await;
    assert_eq!(report.result, PassResult::Removed, "{}", report.message);
    let gone: Vec<_> = report.actions.iter().map(|action| action.object.to_string()).collect();
    let all = ["last/1", "web/1", "migrate/1", "db/1"].map(|slot| format!("container {slot}"));
    assert_eq!(gone, [&all[..], &["volume t-job_data".to_owned()]].concat());
}

async fn services_that_leave_a_stack_go_dependents_first(engine: Arc<dyn Engine>) {
    let mut scene = Scene::on(Arc::clone(&engine));
    assert!(scene.pass(FIRST).await.result.is_success());
    let only = format!(
        "name: {STACK}\nservices: {{ other: {{ image: {}, command: {}, pull_policy: never, \
         network_mode: none, stop_signal: SIGKILL }} }}\n",
        IMAGES[0], COMMANDS[0]
    );
    let stack = stack(&only);
    let subject = Subject { stack: &stack, source: None, revision: None };
    let report = means(engine).reconcile(&subject, &Moment::by_hand(Duration::ZERO)).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let done: Vec<_> = report.actions.iter().map(|action| action.object.to_string()).collect();
    let all = ["other/1", "last/1", "web/1", "migrate/1", "db/1"];
    assert_eq!(done, all.map(|slot| format!("container {slot}")));
}

#[tokio::test(start_paused = true)]
async fn simulated() {
    a_job_runs_once_for_each_of_its_definitions(sim()).await;
    a_stack_goes_dependents_first(sim()).await;
    services_that_leave_a_stack_go_dependents_first(sim()).await;
}

#[tokio::test]
async fn on_docker() {
    let Some(engine) = support::engine() else { return };
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let stacks = Stacks::named(&[STACK]);
    for image in IMAGES {
        import_busybox(&ImageRef::new(image).unwrap());
    }
    a_job_runs_once_for_each_of_its_definitions(Arc::clone(&engine)).await;
    let noted = docker(&["exec", "t-job-web-1", "busybox", "cat", "/data/runs"]);
    assert_eq!(noted.lines().count(), 3, "the failed one notes nothing: {noted}");
    stacks.clear();
    a_stack_goes_dependents_first(Arc::clone(&engine)).await;
    stacks.clear();
    services_that_leave_a_stack_go_dependents_first(engine).await;
    stacks.clear();
    for image in IMAGES {
        docker(&["rmi", image]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_moves_has_its_job_run_again_and_one_that_is_gone_is_not_missed() {
    let sim = Sim::new();
    let config = || ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    sim.image_add("job:1", config(), ends(0));
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let wanted = stack("name: s\nservices: { a: { image: job:1, restart: 'no' } }\n");
    let subject = Subject { stack: &wanted, source: None, revision: None };
    let by_hand = || Moment::by_hand(Duration::from_secs(1));
    let report = means(Arc::clone(&engine)).reconcile(&subject, &by_hand()).await;
    let completed = report.seen.unwrap().completed;
    assert_eq!(completed.len(), 1);
    sim.by_hand(&Step::Remove(ContainerRef::named("s-a-1"))).unwrap();
    let plan = async || {
        let completed = completed.clone();
        let around = Circumstances { completed, ..Circumstances::default() };
        preview_in(&around, &*engine, &wanted).await.unwrap().to_string()
    };
    assert_eq!(plan().await, "");
    sim.untag("job:1");
    assert_eq!(plan().await, "", "its image is not pulled for nothing");
    sim.image_add("job:1", config(), ends(0));
    assert!(plan().await.starts_with("create    container a/1\n"));
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_container_others_share_something_with_keeps_one() {
    let sim = Sim::new();
    let config = || ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    sim.image_add("job:1", config(), ends(0));
    sim.image_add("web:1", config(), Behaviour::default());
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let wanted = stack(
        "name: s\nservices:\n  data: { image: job:1, restart: 'no', scale: 1 }\n  \
         web: { image: web:1, volumes_from: [data] }\n",
    );
    let subject = Subject { stack: &wanted, source: None, revision: None };
    let moment = Moment::by_hand(Duration::from_secs(1));
    let report = means(Arc::clone(&engine)).reconcile(&subject, &moment).await;
    let completed = report.seen.unwrap().completed;
    assert_eq!(completed.len(), 1);
    sim.by_hand(&Step::Remove(ContainerRef::named("s-data-1"))).unwrap();
    let around = Circumstances { completed, ..Circumstances::default() };
    let plan = preview_in(&around, &*engine, &wanted).await.unwrap().to_string();
    assert!(plan.starts_with("create    container data/1\n"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_runs_a_job_again_only_for_another_definition_or_when_told_to() {
    let site = Site::new("monitor: 300ms");
    let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    site.sim.image_add("job:1", config, ends(0));
    site.image("web:1");
    let write = |version: u8, web: u8| {
        let text = format!(
            "services:\n  job: {{ image: job:1, restart: 'no', environment: {{ V: '{version}' }} }}\n  \
             web: {{ image: web:1, environment: {{ V: '{web}' }} }}\n"
        );
        site.git.write("s/compose.yaml", &text).push("Next")
    };
    let job = async || {
        let query = Query::owned_by(StackName::new("s").unwrap());
        let found = site.sim.observe(&query).await.unwrap().containers;
        found.into_iter().find(|one| one.name == "s-job-1").map(|one| one.state)
    };
    let ended = async || job().await == Some(State::Exited { code: 0 });
    let remove = || site.sim.by_hand(&Step::Remove(ContainerRef::named("s-job-1"))).unwrap();
    let noted = || std::fs::read_to_string(site.dir.path().join("state/jobs/s")).ok();
    let commit = write(1, 1);
    let agent = site.start();
    until("the job to end", ended).await;
    until("a note of it", async || noted().is_some()).await;
    let at = |commit: &str| {
        let applied = agent.stack("s").and_then(|stack| stack.applied_revision);
        applied.is_some_and(|at| at.0 == commit)
    };
    until("success", async || at(&commit)).await;
    remove();
    let commit = write(1, 2);
    until("a pass over the commit", async || at(&commit)).await;
    assert_eq!(job().await, None);
    agent.end().await;

    let agent = site.start();
    until("a pass", async || agent.stack("s").is_some_and(|it| it.last_success.is_some())).await;
    assert_eq!(job().await, None, "another process knows it");
    let before = noted();
    write(2, 2);
    until("the job to end again", ended).await;
    until("another note", async || noted() != before).await;
    remove();
    let socket = site.socket();
    let told = tokio::task::spawn_blocking(move || {
        let state = tempfile::tempdir().unwrap();
        let arguments = ["retry", "s", "--socket", socket.to_str().unwrap()];
        run(&mut command(state.path(), &arguments))
    });
    told.await.unwrap().expect(0);
    until("the job to end once more", ended).await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_runs_no_job_and_going_on_from_there_runs_none_that_had_ended() {
    let site = Site::new("monitor: 300ms");
    let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    site.sim.image_add("job:1", config.clone(), ends(0));
    site.sim.image_add("web:2", config, ends(1));
    site.image("web:1");
    let write = |job: u8, web: u8| {
        let text = format!(
            "services:\n  job: {{ image: job:1, restart: 'no', environment: {{ V: '{job}' }} }}\n  \
             web: {{ image: 'web:{web}', depends_on: {{ job: {{ condition: service_completed_successfully }} }} }}\n"
        );
        site.git.write("s/compose.yaml", &text).push("Next")
    };
    let containers = async || {
        let query = Query::owned_by(StackName::new("s").unwrap());
        let found = site.sim.observe(&query).await.unwrap().containers;
        let mut all: Vec<_> =
            found.iter().map(|one| format!("{} {}", one.name, one.spec.image)).collect();
        all.sort();
        all
    };
    let commit = write(1, 1);
    let agent = site.start();
    let applied = |commit: &str| {
        let applied = agent.stack("s").and_then(|stack| stack.applied_revision);
        applied.is_some_and(|at| at.0 == commit)
    };
    until("success", async || applied(&commit)).await;
    assert_eq!(containers().await, ["s-job-1 job:1", "s-web-1 web:1"]);
    let begun = || site.sim.calls().get("start").copied().unwrap_or_default();
    // It is started once the job has ended, and crashes.
    write(2, 2);
    until("the way back", async || {
        let last = agent.stack("s").and_then(|stack| stack.last_pass);
        last.is_some_and(|pass| pass.result == PassResult::RolledBack)
    })
    .await;
    assert_eq!(containers().await, ["s-web-1 web:1"], "the job of the other definition is gone");
    let before = begun();
    site.image("web:3");
    let commit = write(2, 3);
    until("success", async || applied(&commit)).await;
    assert_eq!(containers().await, ["s-web-1 web:3"], "it had run");
    assert_eq!(begun(), before + 1);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ran_while_another_service_was_gone_back_from_is_not_run_again() {
    let site = Site::new("monitor: 300ms");
    let config = || ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    site.sim.image_add("job:1", config(), ends(0));
    site.sim.image_add("web:2", config(), ends(1));
    let slow = Behaviour { healthy_after: Some(Duration::from_secs(1)), ..Behaviour::default() };
    site.sim.image_add("slow:1", config(), slow);
    site.image("web:1");
    // The job's turn comes once the failure of `web` has ended the first pass.
    let write = |version: u8| {
        let v = format!("environment: {{ V: '{version}' }}");
        let text = format!(
            "x-bowline: {{ rollback: off }}\nservices:\n  \
             web: {{ image: 'web:{version}', deploy: {{ update_config: {{ failure_action: rollback }} }} }}\n  \
             slow: {{ image: 'slow:1', {v}, healthcheck: {{ test: [CMD, check], interval: 100ms, start_interval: 100ms, retries: 50 }} }}\n  \
             job: {{ image: job:1, restart: 'no', {v}, depends_on: {{ slow: {{ condition: service_healthy }} }} }}\n"
        );
        site.git.write("s/compose.yaml", &text).push("Next")
    };
    let job = async || {
        let query = Query::owned_by(StackName::new("s").unwrap());
        let found = site.sim.observe(&query).await.unwrap().containers;
        found.into_iter().find(|one| one.name == "s-job-1")
    };
    let commit = write(1);
    let agent = site.start();
    until("success", async || {
        let applied = agent.stack("s").and_then(|stack| stack.applied_revision);
        applied.is_some_and(|at| at.0 == commit)
    })
    .await;
    write(2);
    let back = |agent: &support::site::Agent| {
        let last = agent.stack("s").and_then(|stack| stack.last_pass);
        last.is_some_and(|pass| pass.result == PassResult::RolledBack)
    };
    until("the way back", async || back(&agent)).await;
    let ran = job().await.unwrap();
    assert_eq!(ran.state, State::Exited { code: 0 });
    assert_eq!(ran.spec.environment["V"].as_deref(), Some("2"));
    agent.end().await;
    site.sim.by_hand(&Step::Remove(ContainerRef::named("s-job-1"))).unwrap();
    let agent = site.start();
    until("another pass", async || back(&agent)).await;
    assert!(job().await.is_none(), "it ran again");
    agent.end().await;
}

/// A site whose agent brought up a stack with a job that ended well, and that then gets a commit in which
/// nothing but the job changes, and fails a while after its start.
async fn a_job_fails(policy: &str, result: PassResult) -> (Site, support::site::Agent) {
    let site = Site::new("monitor: 300ms");
    let config = || ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    site.sim.image_add("job:1", config(), ends(0));
    let fails = Behaviour {
        exits: Some((Duration::from_millis(600), 3)),
        output: vec!["no such table".into()],
        ..Behaviour::default()
    };
    site.sim.image_add("job:2", config(), fails);
    site.image("web:1");
    let write = |job: u8| {
        let text = format!(
            "x-bowline: {policy}\nservices:\n  job: {{ image: 'job:{job}', restart: 'no' }}\n  \
             web: {{ image: 'web:1' }}\n"
        );
        site.git.write("s/compose.yaml", &text).push("Next")
    };
    let good = write(1);
    let agent = site.start();
    until("success", async || {
        let applied = agent.stack("s").and_then(|stack| stack.applied_revision);
        applied.is_some_and(|at| at.0 == good)
    })
    .await;
    let bad = write(2);
    ends_as(&agent, result).await;
    let status = agent.stack("s").unwrap();
    assert_eq!(status.revision.unwrap().0, bad);
    let why = "container s-job-1 is exited (3), but should end with exit code 0; its last output: no such table";
    assert!(status.message.contains(why), "{}", status.message);
    (site, agent)
}

async fn ends_as(agent: &support::site::Agent, result: PassResult) {
    until(&format!("a pass to end as {result:?}"), async || {
        let last = agent.stack("s").and_then(|stack| stack.last_pass);
        last.is_some_and(|pass| pass.result == result)
    })
    .await;
}

fn starts(site: &Site) -> u64 {
    site.sim.calls()["start"]
}

async fn stays_quiet(site: &Site) {
    let before = starts(site);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(starts(site), before, "something was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_changes_only_a_job_that_fails_is_held_back_and_tried_again_when_told_to() {
    let (site, agent) = a_job_fails("{}", PassResult::RolledBack).await;
    let held = || agent.stack("s").unwrap().held_back;
    assert!(held().unwrap().reason.contains("no such table"));
    stays_quiet(&site).await;
    let before = starts(&site);
    site.run(&["retry", "s"]).await.expect(1);
    ends_as(&agent, PassResult::RolledBack).await;
    assert_eq!(starts(&site), before + 1, "once for the retry");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rollback_a_job_that_failed_rests_until_it_is_resumed() {
    let (site, agent) = a_job_fails("{ rollback: off }", PassResult::Paused).await;
    assert_eq!(agent.stack("s").unwrap().held_back, None);
    stays_quiet(&site).await;
    let before = starts(&site);
    site.run(&["resume", "s"]).await;
    until("another start", async || starts(&site) == before + 1).await;
    ends_as(&agent, PassResult::Paused).await;
    stays_quiet(&site).await;
    agent.end().await;
}
