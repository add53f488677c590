//! Orders by hand: rollback, retry, pause and resume, to an agent on the simulated engine over the
//! real socket, by the real program; and noted in the inventory where no agent runs.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::{Healthcheck, ImageConfig, Query, StackName, State};
use bowline::pass::preview_in;
use bowline::plan::Aim;
use bowline::plan::Circumstances;
use bowline::rollout::waves;
use bowline::status::{PassResult, RolloutPhase, RolloutStatus, StackStatus, SyncStatus};
use bowline::store::{Inventory, StackRecord, lock_stack};
use std::sync::Arc;
use std::time::Duration;
use support::passes::{pass, stack};
use support::program::Ended;
use support::site::{Agent, Site, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// What is not known to hold is watched as shortly as can be.
const WATCH_SHORTLY: &str = "monitor: 10ms";

/// Writes a stack `shop` of two slots that pauses when an update fails, and pushes it. Returns the
/// commit.
fn push(site: &Site, image: &str) -> String {
    push_with(site, image, "pause")
}

fn push_with(site: &Site, image: &str, failure_action: &str) -> String {
    let update = format!("update_config: {{ failure_action: {failure_action} }}");
    let text =
        format!("services: {{ web: {{ image: {image}, deploy: {{ replicas: 2, {update} }} }} }}\n");
    site.git.write("shop/compose.yaml", &text).push(image)
}

/// An image whose containers cannot be started.
fn broken_image(site: &Site, image: &str) {
    let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    let fails_to_start = Some("exec: \"run\": permission denied".to_owned());
    site.sim.image_add(image, config, Behaviour { fails_to_start, ..Behaviour::default() });
}

/// An image whose containers take so long to be healthy.
fn slow_image(site: &Site, image: &str, takes: Duration) {
    let config = ImageConfig {
        command: vec!["run".into()],
        healthcheck: Some(Healthcheck {
            test: Some(vec!["CMD".into(), "check".into()]),
            interval: Some(Duration::from_millis(50)),
            retries: Some(1000),
            ..Healthcheck::default()
        }),
        ..ImageConfig::default()
    };
    let behaviour = Behaviour { healthy_after: Some(takes), ..Behaviour::default() };
    site.sim.image_add(image, config, behaviour);
}

/// A site whose agent has brought up a first commit.
async fn begun() -> (Site, Agent, String) {
    let site = Site::new(WATCH_SHORTLY);
    site.image("shop:1");
    let first = push(&site, "shop:1");
    let agent = site.start();
    applied(&agent, &first).await;
    (site, agent, first)
}

fn shop() -> StackName {
    StackName::new("shop").unwrap()
}

async fn applied(agent: &Agent, commit: &str) {
    until(&format!("{commit} to be applied"), async || {
        agent.stack("shop").is_some_and(|it| it.applied_revision.is_some_and(|at| at.0 == commit))
    })
    .await;
}

async fn shown(agent: &Agent, what: &str, fits: impl Fn(&StackStatus) -> bool) -> StackStatus {
    until(what, async || agent.stack("shop").is_some_and(|stack| fits(&stack))).await;
    agent.stack("shop").unwrap()
}

fn is_at(stack: &StackStatus, phase: RolloutPhase) -> bool {
    stack.rollout.as_ref().is_some_and(|rollout| rollout.phase == phase)
}

/// The images that the stack's running containers were made of.
async fn images(site: &Site) -> Vec<String> {
    let observed = site.sim.observe(&Query::owned_by(shop())).await.unwrap();
    let running = observed.containers.iter().filter(|it| it.state == State::Running);
    running.map(|it| it.spec.image.to_string()).collect()
}

/// A verb about the stack, with more arguments.
async fn order(site: &Site, verb: &str, more: &[&str]) -> Ended {
    site.run(&[&[verb, "shop"], more].concat()).await
}

fn record(site: &Site) -> StackRecord {
    site.inventory().stack(&shop())
}

/// Gives an order over the socket; returns once it is answered, sooner than a process would.
async fn answered(site: &Site, verb: &str) -> String {
    let mut stream = UnixStream::connect(site.socket()).await.unwrap();
    let head = "Host: bowline\r\nConnection: close\r\nContent-Type: application/json";
    let request =
        format!("POST /v1/stacks/shop/{verb} HTTP/1.1\r\n{head}\r\nContent-Length: 2\r\n\r\n{{}}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// What another process would find of the inventory if this one were killed now.
fn found_after_a_kill(site: &Site) -> StackRecord {
    let other = tempfile::tempdir().unwrap();
    let file = "state.redb";
    std::fs::copy(site.dir.path().join("state").join(file), other.path().join(file)).unwrap();
    let (inventory, mishap) = Inventory::open(other.path());
    assert_eq!(mishap, None);
    inventory.stack(&shop())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_answered_is_on_the_disk() {
    let (site, agent, _) = begun().await;
    for round in 0..5 {
        let answer = answered(&site, "pause").await;
        assert!(answer.contains("paused"), "{answer}");
        assert!(found_after_a_kill(&site).paused.is_some(), "round {round}");
        let answer = answered(&site, "resume").await;
        assert!(answer.contains("resumed"), "{answer}");
        assert_eq!(found_after_a_kill(&site).paused, None, "round {round}");
    }
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_runs_what_held_until_a_retry_and_each_waits_for_how_it_ends() {
    let (site, agent, first) = begun().await;
    let former = &first[..12];
    broken_image(&site, "shop:2");
    let second = push(&site, "shop:2");
    let newer = &second[..12];
    shown(&agent, "the update to rest", |it| is_at(it, RolloutPhase::Paused)).await;
    assert_eq!(images(&site).await, ["shop:1", "shop:1"]);
    let detail = order(&site, "status", &[]).await.expect(0).out;
    for words in
        ["paused for", "update: paused", "web/1: failed:", "web/2: waiting", "permission denied"]
    {
        assert!(detail.contains(words), "no `{words}` in\n{detail}");
    }

    let dry = order(&site, "rollback", &["--dry-run"]).await;
    assert!(dry.out.starts_with(&format!("shop: to {former}: ")), "{}", dry.all());
    assert!(agent.stack("shop").unwrap().held_back.is_none());
    let back = order(&site, "rollback", &[]).await.expect(0).out;
    assert_eq!(
        back,
        format!(
            "shop: going back to {former}; {newer} is held back\nshop: rolled back to {former}\n"
        )
    );
    let status = agent.stack("shop").unwrap();
    let held = status.held_back.clone().unwrap();
    assert!(held.by_hand && is_at(&status, RolloutPhase::RolledBack), "{status:?}");
    let listed = site.run(&["status"]).await.expect(0).out;
    assert!(listed.contains(&format!("{former} -> {newer}")), "{listed}");
    assert!(listed.contains(": rolled back by hand"), "{listed}");
    let page = agent.views.metrics.render();
    for line in [
        r#"bowline_stack_held_back{stack="shop"} 1"#,
        r#"bowline_rollbacks_total{reason="by_hand",stack="shop"} 1"#,
        r#"bowline_rollouts_total{result="paused",stack="shop"} 1"#,
        r#"bowline_rollout_phase{phase="rolled_back",stack="shop"} 1"#,
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line} is missing from\n{page}");
    }

    let again = order(&site, "retry", &["--timeout", "30s"]).await.expect(1);
    assert!(again.out.contains(&format!("shop: {newer} is no longer held back")), "{}", again.out);
    assert!(again.out.ends_with(&format!("shop: paused at {newer}\n")), "{}", again.out);
    again.says(&["web/1: failed:", "error: shop: ", "permission denied"]);
    site.image("shop:3");
    let third = push(&site, "shop:3");
    applied(&agent, &third).await;
    assert_eq!(images(&site).await, ["shop:3", "shop:3"]);
    agent.end().await;
    assert_eq!((record(&site).held_back, record(&site).paused), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_commit_that_fails_does_not_lead_to_what_somebody_went_back_from() {
    let (site, agent, first) = begun().await;
    site.image("shop:2");
    let second = push(&site, "shop:2");
    applied(&agent, &second).await;
    let dry = order(&site, "rollback", &["--dry-run"]).await.expect(2).out;
    assert!(dry.starts_with(&format!("shop: to {}: 2 changes\n", &first[..12])), "{dry}");
    for line in ["  wave 1: replace container web/1\n", "  wave 2: replace container web/2\n"] {
        assert!(dry.contains(line), "no `{line}` in\n{dry}");
    }
    assert_eq!(images(&site).await, ["shop:2", "shop:2"]);
    order(&site, "rollback", &[]).await.expect(0).says(&["web/2: up after ", "(2 of 2)"]);
    assert_eq!(images(&site).await, ["shop:1", "shop:1"]);

    broken_image(&site, "shop:3");
    let third = push_with(&site, "shop:3", "rollback");
    let status = shown(&agent, "the way back from the third commit", |stack| {
        let held = stack.held_back.as_ref().and_then(|held| held.revision.as_ref());
        held.is_some_and(|at| at.0 == third) && is_at(stack, RolloutPhase::RolledBack)
    })
    .await;
    let held = status.held_back.unwrap();
    assert_eq!((held.instead.unwrap().0, held.by_hand), (first, false));
    assert_eq!(images(&site).await, ["shop:1", "shop:1"]);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_fails_again_says_what_is_held_back_and_what_runs() {
    let (site, agent, first) = begun().await;
    broken_image(&site, "shop:2");
    let second = push_with(&site, "shop:2", "rollback");
    shown(&agent, "the way back", |stack| is_at(stack, RolloutPhase::RolledBack)).await;
    let again = order(&site, "retry", &["--timeout", "30s"]).await.expect(1);
    let (failed, runs) = (&second[..12], &first[..12]);
    let told = format!("shop: failed again at {failed}, and is held back; {runs} runs instead\n");
    assert!(again.out.ends_with(&told), "{}", again.all());
    assert!(!again.all().contains("up after 0.0 s"), "{}", again.all());
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_waits_for_a_command_that_is_at_work_on_a_stack_and_for_no_other() {
    let (site, agent, first) = begun().await;
    let held = lock_stack(&site.dir.path().join("state"), &shop()).unwrap();
    site.image("shop:2");
    site.write("blog", "blog:1");
    push(&site, "shop:2");
    site.runs("blog").await;
    // By the time that a further commit is applied elsewhere, this one would be here.
    let later = site.write("blog", "blog:2").git.push("Bump the other");
    let blog = || agent.stack("blog")?.applied_revision.filter(|at| at.0 == later);
    until("the other to go on", async || blog().is_some()).await;
    assert_eq!(images(&site).await, ["shop:1", "shop:1"], "{first}");
    drop(held);
    applied(&agent, &later).await;
    assert_eq!(images(&site).await, ["shop:2", "shop:2"]);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_stack_is_looked_at_while_a_command_is_at_work_on_it() {
    let (site, agent, _) = begun().await;
    let held = lock_stack(&site.dir.path().join("state"), &shop()).unwrap();
    assert!(held.is_some());
    site.run(&["suspend", "shop"]).await.expect(0);
    let last = || agent.stack("shop").and_then(|it| it.last_pass);
    let looked = || last().is_some_and(|pass| pass.result == PassResult::Suspended);
    until("a look at it", async || looked()).await;
    drop(held);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_apply_made_is_taken_over_with_a_word_in_the_history_and_only_once() {
    let site = Site::new(WATCH_SHORTLY);
    site.image("shop:1");
    let text = "name: shop\nservices: { web: { image: 'shop:1', deploy: { replicas: 2 } } }\n";
    pass(&(Arc::new(site.sim.clone()) as Arc<dyn Engine>), &stack(text)).await;
    let before = site.sim.observe(&Query::owned_by(shop())).await.unwrap().containers;
    let commit = site.git.write("shop/compose.yaml", text).push("Take it in");
    for _ in 0..2 {
        let agent = site.start();
        until("a pass", async || agent.stack("shop").is_some_and(|it| it.last_pass.is_some()))
            .await;
        applied(&agent, &commit).await;
        let told = site.run(&["history", "shop", "-o", "json"]).await.expect(0).out;
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let [entry] = told["deployments"].as_array().unwrap().as_slice() else { panic!("{told}") };
        assert_eq!(entry["message"], "took over what `bowline apply` had made", "{entry}");
        let table = site.run(&["history", "shop"]).await.expect(0).out;
        assert!(table.contains("unchanged  0.0s  took over what `bowline apply`"), "{table}");
        agent.end().await;
    }
    assert_eq!(site.sim.observe(&Query::owned_by(shop())).await.unwrap().containers, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_stays_as_it_is_until_it_is_resumed() {
    let (site, agent, _) = begun().await;
    let paused = order(&site, "pause", &[]).await.expect(0).out;
    assert_eq!(paused, "shop: paused; no further container is exchanged\n");
    site.image("shop:2");
    let second = push(&site, "shop:2");
    let status = shown(&agent, "the update to rest", |it| {
        it.revision.as_ref().is_some_and(|at| at.0 == second) && is_at(it, RolloutPhase::Paused)
    })
    .await;
    assert!(status.paused.unwrap().by_hand);
    assert_eq!(images(&site).await, ["shop:1", "shop:1"]);
    let listed = site.run(&["status"]).await.expect(0).out;
    assert!(listed.contains(": paused by hand"), "{listed}");
    let plan = site.run(&["plan", "--stack", "shop"]).await.expect(2);
    assert!(plan.out.contains("shop:2"), "{}", plan.out);
    plan.says(&["not now: ", "paused by hand; `bowline resume shop` does it"]);

    let resumed = order(&site, "resume", &[]).await.expect(0);
    let told = format!("shop: resumed; going on\nshop: as desired at {}\n", &second[..12]);
    assert_eq!(resumed.out, told);
    resumed.says(&["web/1: up after ", "web/2: up after ", "(2 of 2)"]);
    assert_eq!(images(&site).await, ["shop:2", "shop:2"]);
    let again = order(&site, "resume", &["--no-wait"]).await.expect(0).out;
    assert_eq!(again, "shop: it is neither paused nor suspended; looking again\n");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_in_the_middle_lets_the_slot_under_way_end_and_begins_no_other() {
    let (site, agent, _) = begun().await;
    slow_image(&site, "shop:2", Duration::from_secs(1));
    let second = push(&site, "shop:2");
    shown(&agent, "the first slot to start", |stack| {
        let rows = stack.rollout.as_ref().map(RolloutStatus::rows).unwrap_or_default();
        rows == ["web/1: starting", "web/2: waiting"]
    })
    .await;
    assert_eq!(agent.stack("shop").unwrap().sync, SyncStatus::OutOfSync);
    let page = agent.views.metrics.render();
    let line = r#"bowline_stack_condition{stack="shop",status="True",type="Reconciling"} 1"#;
    assert!(page.contains(line), "{line} is missing from\n{page}");
    let told = order(&site, "status", &[]).await.expect(0).out;
    assert!(told.contains(&format!("\nrolling out {} for ", &second[..12])), "{told}");
    order(&site, "pause", &[]).await.expect(0);
    shown(&agent, "the update to rest", |it| is_at(it, RolloutPhase::Paused)).await;
    let mut now = images(&site).await;
    now.sort();
    assert_eq!(now, ["shop:1", "shop:2"]);
    let failed = r#"bowline_reconcile_total{result="failed",stack="shop"} 0"#;
    let page = agent.views.metrics.render();
    assert!(page.contains(failed), "{failed} is missing from\n{page}");
    order(&site, "resume", &[]).await.expect(0);
    assert_eq!(images(&site).await, ["shop:2", "shop:2"]);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_over_in_time_is_an_error_and_goes_on() {
    let (site, agent, _) = begun().await;
    order(&site, "pause", &[]).await.expect(0);
    slow_image(&site, "shop:2", Duration::from_secs(2));
    let second = push(&site, "shop:2");
    shown(&agent, "the update to rest", |it| is_at(it, RolloutPhase::Paused)).await;
    let late = order(&site, "resume", &["--timeout", "100ms"]).await.expect(1);
    late.says(&["shop: not over after 0.1 s", "the agent goes on"]);
    applied(&agent, &second).await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_with_what_can() {
    let (site, agent, first) = begun().await;
    site.run(&["pause", "blog"]).await.expect(1).says(&["no stack blog; known are: shop"]);
    let slip = "no stack shpo (did you mean shop?)";
    for verb in [&["pause", "shpo"][..], &["history", "shpo"], &["explain", "shpo", "web"]] {
        site.run(verb).await.expect(1).says(&[slip]);
    }
    let alone = order(&site, "rollback", &[]).await.expect(1);
    alone.says(&["error: shop: there is no former revision that held"]);
    site.image("shop:2");
    let second = push(&site, "shop:2");
    applied(&agent, &second).await;
    let unknown = order(&site, "rollback", &["--to", "0000"]).await.expect(1);
    unknown.says(&[&format!("no revision that held is called 0000; known are {}", &first[..12])]);
    let wanted = order(&site, "rollback", &["--to", &second[..8]]).await.expect(1);
    wanted.says(&["is defined as what git asks for now"]);
    order(&site, "rollback", &["--to", "main"]).await.expect(1).says(&["`main` is no commit"]);
    let back = order(&site, "rollback", &["--to", &first[..8], "--no-wait"]).await.expect(0).out;
    assert!(back.starts_with(&format!("shop: going back to {}", &first[..12])), "{back}");
    agent.end().await;
    let held = record(&site).held_back.unwrap();
    assert_eq!((held.instead.revision.unwrap().0, held.revision.unwrap().0), (first, second));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_an_order_is_noted_where_nobody_waits_and_the_next_agent_goes_by_it() {
    let (site, agent, first) = begun().await;
    agent.end().await;
    let paused = order(&site, "pause", &[]).await.expect(0);
    let told =
        "shop: paused; nothing is exchanged without an agent, and the next one goes by this\n";
    assert_eq!(paused.out, told);
    paused.says(&["no agent answers at "]);
    assert!(record(&site).paused.unwrap().by_hand);
    let unknown = site.run(&["retry", "blog", "--no-wait"]).await.expect(1);
    unknown.says(&["knows no stack blog"]);
    let back = order(&site, "rollback", &["--no-wait"]).await.expect(1);
    back.says(&["no former revision that held"]);
    for verb in [&["rollback"][..], &["rollback", "--dry-run"], &["retry"], &["resume"]] {
        let told = order(&site, verb[0], &verb[1..]).await.expect(1);
        told.says(&["no agent answers at ", "no configuration at /etc/bowline/config.yaml"]);
    }
    assert!(record(&site).paused.is_some());

    site.image("shop:2");
    let second = push(&site, "shop:2");
    let agent = site.start();
    shown(&agent, "the update to rest", |it| is_at(it, RolloutPhase::Paused)).await;
    assert_eq!(images(&site).await, ["shop:1", "shop:1"]);
    agent.end().await;
    let back = order(&site, "rollback", &["--no-wait"]).await.expect(1);
    back.says(&["not known what git asks for now"]);
    let resumed = order(&site, "resume", &["--no-wait"]).await.expect(0).out;
    assert_eq!(resumed, "shop: resumed; this takes effect when an agent runs\n");
    let agent = site.start();
    applied(&agent, &second).await;
    agent.end().await;

    let back = order(&site, "rollback", &["--no-wait"]).await.expect(0).out;
    assert!(back.starts_with(&format!("shop: going back to {}; ", &first[..12])), "{back}");
    let held = record(&site).held_back.unwrap();
    assert_eq!((held.instead.revision.unwrap().0, held.revision.unwrap().0), (first, second));
    let agent = site.start();
    shown(&agent, "the way back", |it| is_at(it, RolloutPhase::RolledBack)).await;
    assert_eq!(images(&site).await, ["shop:1", "shop:1"]);
    agent.end().await;
    let retried = order(&site, "retry", &["--no-wait"]).await.expect(0).out;
    assert!(retried.contains("is no longer held back; this takes effect"), "{retried}");
    assert_eq!(record(&site).held_back, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_asked_at_the_socket_and_elsewhere_only_if_nobody_answers_there() {
    let (site, agent, first) = begun().await;
    let listed = site.run(&["status"]).await.expect(0).out;
    assert!(listed.starts_with("STACK ") && listed.contains(&first[..12]), "{listed}");
    let json = order(&site, "status", &["-o", "json"]).await.expect(0).out;
    let stack: StackStatus = serde_json::from_str(&json).unwrap();
    assert_eq!(stack.name, shop());
    site.run(&["status", "blog"]).await.expect(1).says(&["the agent knows no stack blog"]);
    let nobody = format!("http://127.0.0.1:{}", support::agent::free_port());
    let elsewhere = site.run(&["status", "--agent", &nobody]).await.expect(0);
    elsewhere.says(&["no agent answers at http://127.0.0.1:", "what the engine shows"]);
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn waves_keep_to_the_pace_of_each_service() {
    let text = |image: &str| {
        stack(&format!(
            "name: shop\nservices:\n  \
             web: {{ image: {image}, depends_on: [db], deploy: {{ replicas: 5, update_config: {{ parallelism: 2 }} }}, \
             x-bowline: {{ canary: {{ slots: 1, hold: 60s }} }} }}\n  \
             db: {{ image: {image} }}\n"
        ))
    };
    let sim = Sim::new();
    for image in ["shop:1", "shop:2"] {
        let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
        sim.image_add(image, config, Behaviour::default());
    }
    let engine: Arc<dyn Engine> = Arc::new(sim);
    assert!(pass(&engine, &text("shop:1")).await.result.is_success());
    let plan = preview_in(&updating(), &*engine, &text("shop:2")).await.unwrap();
    let shown: Vec<String> = waves(&plan)
        .iter()
        .map(|wave| {
            let objects = wave.iter().map(|&index| plan.changes[index].object.to_string());
            objects.collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(
        shown,
        [
            "container db/1",
            "container web/1",
            "container web/2 container web/3",
            "container web/4 container web/5"
        ]
    );
    assert!(waves(&preview_in(&updating(), &*engine, &text("shop:1")).await.unwrap()).is_empty());
}

fn updating() -> Circumstances {
    Circumstances { aim: Aim::Update, ..Circumstances::default() }
}
