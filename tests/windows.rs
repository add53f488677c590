//! Windows: what waits for one, what does not, and when it begins. Agents on the simulated engine whose
//! time goes by as fast as they let it, with a real git repository and the real state directory.

#![allow(clippy::unwrap_used)]

#[path = "windows/begun.rs"]
mod begun_last;
#[path = "windows/files.rs"]
mod files;
mod support;

use bowline::agent::Clock;
use bowline::engine::Engine;
use bowline::engine::sim::Behaviour;
use bowline::model::{
    Container, ContainerId, Health, ImageConfig, Query, Revision, StackName, State,
};
use bowline::plan::{ContainerRef, Step};
use bowline::status::{PassResult, RolloutPhase, StackStatus};
use bowline::store::StackRecord;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use support::site::{Agent, Site, until};
use tokio::time::{Instant, sleep};

/// From ten in the evening in Berlin to midnight.
const EVENING: &str =
    "schedule: { allow: [{ cron: '0 22 * * *', for: 2h, timezone: Europe/Berlin }] }";
const OPENS: &str = "2026-11-22T22:00:00+01:00";
const SHUTS: &str = "2026-11-23T00:00:00+01:00";

/// How long a state may take to come, in the time of the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two slots, with so long between them.
const SLOW: &str = ", scale: 2, deploy: { update_config: { delay: 4s } }";

/// Watched for two days.
const WATCHED: &str = ", deploy: { update_config: { monitor: 48h } }";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A clock that says `text` now, and goes with the time of the test.
fn clock(text: &str) -> Clock {
    let (begins, began) = (time(text), Instant::now());
    Clock::new(move || begins + SignedDuration::try_from(began.elapsed()).unwrap())
}

/// Seconds before `text`.
fn before(text: &str, seconds: i64) -> String {
    (time(text) - SignedDuration::from_secs(seconds)).to_string()
}

/// A stack `web` of one service.
fn write(site: &Site, image: &str, more: &str) {
    site.image(image);
    let text = format!("services: {{ app: {{ image: '{image}'{more} }} }}\n");
    site.git.write("web/compose.yaml", &text);
}

fn push(site: &Site, image: &str) -> String {
    write(site, image, "");
    site.git.push(image)
}

async fn containers(site: &Site) -> Vec<Container> {
    let query = Query::owned_by(StackName::new("web").unwrap());
    site.sim.observe(&query).await.unwrap().containers
}

/// The images that serve.
async fn images(site: &Site) -> Vec<String> {
    let all = containers(site).await;
    let running = all.iter().filter(|it| it.state == State::Running);
    running.map(|it| it.spec.image.to_string()).collect()
}

async fn runs(site: &Site, image: &str) {
    until(&format!("{image} to run"), async || images(site).await == [image]).await;
}

/// Waits until `image` runs, and tells when that was.
async fn begins(site: &Site, clock: &Clock, image: &str) -> Timestamp {
    let began = Instant::now();
    while images(site).await != [image] {
        assert!(began.elapsed() < Duration::from_secs(300), "{image} does not begin");
        sleep(Duration::from_millis(50)).await;
    }
    clock.now()
}

/// That it was just then.
#[track_caller]
fn just(at: Timestamp, expected: &str) {
    let late = at.duration_since(time(expected));
    assert!(
        !late.is_negative() && late < SignedDuration::from_secs(2),
        "{late:?} after {expected}"
    );
}

async fn shown(agent: &Agent, what: &str, fits: impl Fn(&StackStatus) -> bool) -> StackStatus {
    let end = Instant::now() + PATIENCE;
    loop {
        let stack = agent.stack("web");
        match stack.filter(|stack| fits(stack)) {
            Some(stack) => return stack,
            None => assert!(Instant::now() < end, "waited for {what}: {:#?}", agent.stack("web")),
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The stack once it waits for its window, with what it asks for.
async fn waits(agent: &Agent, commit: &str) -> StackStatus {
    let wants = |it: &StackStatus| it.revision.as_ref().is_some_and(|at| at.0 == commit);
    shown(agent, "it to wait for its window", |it| it.window.is_some() && wants(it)).await
}

async fn applied(agent: &Agent, commit: &str) {
    let is_at = |it: &StackStatus| it.applied_revision.as_ref().is_some_and(|at| at.0 == commit);
    shown(agent, "the commit to be applied", is_at).await;
}

/// A site on whose engine an agent has brought `web:1` to hold, within the window.
async fn begun() -> (Site, String) {
    let site = Site::new(EVENING);
    for other in ["other", "more"] {
        site.write(other, &format!("{other}:1"));
    }
    let first = push(&site, "web:1");
    let agent = site.start_at(clock("2026-11-21T22:30:00+01:00"));
    applied(&agent, &first).await;
    agent.end().await;
    (site, first)
}

#[tokio::test(start_paused = true)]
async fn a_new_commit_waits_through_a_restart_and_begins_when_the_window_opens() {
    let (site, first) = begun().await;
    let second = push(&site, "web:2");
    let agent = site.start_at(clock("2026-11-22T12:00:00+01:00"));
    let status = waits(&agent, &second).await;
    assert_eq!(status.message, "waiting for its window, opens 2026-11-22 22:00 +01:00");
    let window = status.window.unwrap();
    assert_eq!(window.opens, Some(time(OPENS)));
    assert_eq!(window.instead.unwrap().0, first);
    assert_eq!(status.last_pass.unwrap().result, PassResult::Waiting);
    let page = agent.views.metrics.render();
    assert!(page.contains("bowline_stack_waits_for_window{stack=\"web\"} 1"), "{page}");
    let listed = site.run(&["status"]).await.expect(0).out;
    let versions = format!("{} -> {}", &first[..12], &second[..12]);
    for words in [versions.as_str(), "waiting for its window, opens 2026-11-22 22:00 +01:00"] {
        assert!(listed.contains(words), "no `{words}` in\n{listed}");
    }
    assert_eq!(images(&site).await, ["web:1"]);
    let plan = site.run(&["plan", "--stack", "web"]).await.expect(2);
    assert!(plan.out.contains("web:2"), "{}", plan.out);
    plan.says(&["not now: waiting for its window, opens 2026-11-22 22:00 +01:00"]);
    agent.end().await;

    let clock = clock(&before(OPENS, 60));
    let agent = site.start_at(clock.clone());
    waits(&agent, &second).await;
    just(begins(&site, &clock, "web:2").await, OPENS);
    applied(&agent, &second).await;
    assert!(agent.stack("web").unwrap().window.is_none());
    let page = agent.views.metrics.render();
    assert!(page.contains("bowline_stack_waits_for_window{stack=\"web\"} 0"), "{page}");
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_told_before_the_older_commit_that_is_held_back() {
    let (site, first) = begun().await;
    let nowhere = "services: { app: { image: 'web:nowhere' } }\n";
    let second = site.git.write("web/compose.yaml", nowhere).push("Nowhere");
    let agent = site.start_at(clock("2026-11-22T22:30:00+01:00"));
    shown(&agent, "the way back", |it| it.held_back.as_ref().is_some_and(|it| it.reached)).await;
    agent.end().await;
    let third = push(&site, "web:2");
    let agent = site.start_at(clock("2026-11-23T12:00:00+01:00"));
    let status = waits(&agent, &third).await;
    assert_eq!(status.last_pass.unwrap().result, PassResult::Waiting);
    assert_eq!(status.held_back.unwrap().revision.unwrap().0, second);
    assert_eq!(status.applied_revision.unwrap().0, first);
    assert_eq!(status.window.unwrap().instead.unwrap().0, first);
    let listed = site.run(&["status"]).await.expect(0).out;
    assert!(listed.contains("  waiting for its window, opens 2026-11-23 22:00"), "{listed}");
    let wide = site.run(&["status", "-o", "wide"]).await.expect(0).out;
    assert!(wide.contains("held back for "), "{wide}");
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_first_deployment_waits_too() {
    let site = Site::new(EVENING);
    let first = push(&site, "web:1");
    let clock = clock(&before(OPENS, 30));
    let agent = site.start_at(clock.clone());
    let status = waits(&agent, &first).await;
    assert_eq!(status.message, "waiting for its window, opens 2026-11-22 22:00 +01:00");
    assert!(containers(&site).await.is_empty());
    just(begins(&site, &clock, "web:1").await, OPENS);
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn drift_is_repaired_to_what_was_begun_last() {
    let (site, _) = begun().await;
    let second = push(&site, "web:2");
    let agent = site.start_at(clock("2026-11-22T12:00:00+01:00"));
    waits(&agent, &second).await;
    let lost = containers(&site).await.remove(0);
    let container = ContainerRef::of(&lost);
    let id = |all: Vec<Container>| all.first().map(|it| it.id.clone());
    site.sim.by_hand(&Step::Stop { container: container.clone(), grace: None }).unwrap();
    site.sim.by_hand(&Step::Remove(container)).unwrap();
    let is_new = |found: Option<ContainerId>| found.is_some_and(|found| found != lost.id);
    until("another container", async || is_new(id(containers(&site).await))).await;
    runs(&site, "web:1").await;
    waits(&agent, &second).await;
    agent.end().await;
}

/// What `web:1` stands for moves while a window is shut, and comes when it opens.
async fn waits_when_moved(moves: impl Fn(&Site, &str, ImageConfig)) {
    let site = Site::new(EVENING);
    write(&site, "web:1", ", pull_policy: always");
    site.sim.registry_add("web:1", config("run"), Behaviour::default());
    let first = site.git.push("Begin");
    let agent = site.start_at(clock("2026-11-21T22:30:00+01:00"));
    applied(&agent, &first).await;
    agent.end().await;
    let former = containers(&site).await.remove(0).id;
    moves(&site, "web:1", config("other"));
    let clock = clock(&before(OPENS, 30));
    let agent = site.start_at(clock.clone());
    shown(&agent, "a pass", |it| it.last_pass.is_some()).await;
    while clock.now() < time(OPENS) - SignedDuration::from_secs(1) {
        assert_eq!(containers(&site).await[0].id, former);
        sleep(Duration::from_millis(500)).await;
    }
    let is_other = async || containers(&site).await.iter().all(|it| it.id != former);
    until("the new image to run", is_other).await;
    just(clock.now(), OPENS);
    agent.end().await;
}

fn config(command: &str) -> ImageConfig {
    ImageConfig { command: vec![command.into()], ..ImageConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn another_image_of_a_name_in_the_registry_waits() {
    waits_when_moved(|site, image, config| {
        site.sim.registry_add(image, config, Behaviour::default());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn another_image_of_a_name_that_somebody_pulled_waits() {
    waits_when_moved(|site, image, config| {
        site.sim.image_add(image, config, Behaviour::default());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_was_begun_is_finished_whatever_is_pushed_meanwhile() {
    let site = Site::new(EVENING);
    write(&site, "web:1", SLOW);
    let first = site.git.push("Begin");
    let agent = site.start_at(clock("2026-11-22T22:30:00+01:00"));
    applied(&agent, &first).await;
    agent.end().await;
    write(&site, "web:2", SLOW);
    let second = site.git.push("Next");
    let clock = clock(&before(SHUTS, 3));
    let agent = site.start_at(clock.clone());
    let both = async || images(&site).await;
    until("the update to begin", async || both().await.contains(&"web:2".to_owned())).await;
    assert!(clock.now() < time(SHUTS));
    until("the window to shut", async || clock.now() > time(SHUTS)).await;
    assert!(both().await.contains(&"web:1".to_owned()), "the second slot comes after that");
    write(&site, "web:3", SLOW);
    let third = site.git.push("After that");
    until("it to end", async || both().await == ["web:2", "web:2"]).await;
    let status = waits(&agent, &third).await;
    assert_eq!(status.window.unwrap().opens, Some(time("2026-11-23T22:00:00+01:00")));
    assert_eq!(images(&site).await, ["web:2", "web:2"]);
    // What was finished is told so, though something else waits.
    applied(&agent, &second).await;
    let status = agent.stack("web").unwrap();
    assert_eq!(status.rollout.unwrap().phase, RolloutPhase::Completed);
    assert_eq!(status.last_pass.unwrap().result, PassResult::Waiting);
    assert!(status.last_success.is_some());
    agent.end().await;
    let record = site.inventory().stack(&StackName::new("web").unwrap());
    let (held, at) = (record.good.unwrap().revision, record.applied.unwrap());
    assert_eq!((held, at.revision), (Some(Revision(second.clone())), Some(Revision(second))));
    assert!(at.result.is_success());
}

#[tokio::test(start_paused = true)]
async fn going_back_does_not_wait_and_goes_on_when_git_moves_outside_of_a_window() {
    let (site, first) = begun().await;
    let exits = Some((Duration::from_millis(3500), 3));
    site.sim.image_add("web:bad", config("run"), Behaviour { exits, ..Behaviour::default() });
    site.git.write(
        "web/compose.yaml",
        "services: { app: { image: 'web:bad', deploy: { update_config: { monitor: 5s } } } }\n",
    );
    let bad = site.git.push("Bad");
    let clock = clock(&before(SHUTS, 2));
    let agent = site.start_at(clock.clone());
    let status = shown(&agent, "it to be held back", |it| it.held_back.is_some()).await;
    assert!(clock.now() > time(SHUTS));
    assert_eq!(status.held_back.unwrap().revision.unwrap().0, bad);
    runs(&site, "web:1").await;
    let third = push(&site, "web:3");
    let status = waits(&agent, &third).await;
    assert_eq!(status.held_back.unwrap().instead.unwrap().0, first);
    assert_eq!(images(&site).await, ["web:1"]);
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn by_hand_a_retry_begins_at_once_and_a_rollback_leaves_what_runs() {
    let (site, first) = begun().await;
    let second = push(&site, "web:2");
    let agent = site.start_at(clock("2026-11-22T12:00:00+01:00"));
    waits(&agent, &second).await;
    site.run(&["sync", "web"]).await.expect(0);
    let told = site.run(&["retry", "web", "--no-wait"]).await.expect(0).out;
    assert!(told.contains("what git asks for waits for its window no longer"), "{told}");
    runs(&site, "web:2").await;
    applied(&agent, &second).await;

    let third = push(&site, "web:3");
    waits(&agent, &third).await;
    let told = site.run(&["rollback", "web", "--no-wait"]).await.expect(0).out;
    let (to, from) = (&first[..12], &second[..12]);
    let next = format!("{} begins when its window opens, 2026-11-22 22:00 +01:00", &third[..12]);
    let expected = format!("going back to {to}; {from} is held back; {next}");
    assert!(told.contains(&expected), "{told}");
    runs(&site, "web:1").await;
    let status = waits(&agent, &third).await;
    assert!(status.held_back.is_some(), "{status:?}");
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_left_git_goes_when_the_window_opens() {
    let (site, _) = begun().await;
    site.git.remove("web").push("Without");
    let clock = clock(&before(OPENS, 30));
    let agent = site.start_at(clock.clone());
    let status = shown(&agent, "it to wait", |it| it.departure.is_some()).await;
    assert!(status.message.starts_with("waiting for its window, opens"), "{}", status.message);
    assert_eq!(images(&site).await, ["web:1"]);
    while !containers(&site).await.is_empty() {
        sleep(Duration::from_millis(50)).await;
    }
    just(clock.now(), OPENS);
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stack_says_its_own_windows_and_the_newest_file_counts() {
    let site = Site::new("");
    let opens = "x-bowline: { schedule: { allow: [{ cron: '0 22 * * *', for: 2h }] } }\n";
    let write = |image: &str, windows: &str| {
        site.image(image);
        let text = format!("{windows}services: {{ app: {{ image: '{image}' }} }}\n");
        site.git.write("web/compose.yaml", &text).push(image)
    };
    let first = write("web:1", "");
    let agent = site.start_at(clock("2026-11-22T12:00:00Z"));
    applied(&agent, &first).await;
    // It says nothing new of what runs.
    let second = write("web:1", opens);
    applied(&agent, &second).await;
    let third = write("web:2", opens);
    waits(&agent, &third).await;
    assert_eq!(images(&site).await, ["web:1"]);
    let fourth = write("web:2", "");
    applied(&agent, &fourth).await;
    assert_eq!(images(&site).await, ["web:2"]);
    agent.end().await;
}

/// Changes what is remembered of the stack, as another version of Bowline or a damaged disk would have left it.
fn remember(site: &Site, change: impl FnOnce(&mut StackRecord)) {
    let inventory = site.inventory();
    assert!(inventory.update(&StackName::new("web").unwrap(), change));
    inventory.flush().unwrap();
}

fn record(site: &Site) -> StackRecord {
    site.inventory().stack(&StackName::new("web").unwrap())
}

async fn remove_by_hand(site: &Site) -> ContainerId {
    let lost = containers(site).await.remove(0);
    let container = ContainerRef::of(&lost);
    site.sim.by_hand(&Step::Stop { container: container.clone(), grace: None }).unwrap();
    site.sim.by_hand(&Step::Remove(container)).unwrap();
    lost.id
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_waits_for_its_window_holds_up_none_that_depends_on_it() {
    let site = Site::new("");
    let schedule = "x-bowline: { schedule: { allow: [{ cron: '0 22 * * *', for: 2h }] } }";
    let write = |version: u32| {
        for (stack, text) in [("db", schedule), ("web", "x-bowline: { depends_on: [db] }")] {
            let image = format!("{stack}:{version}");
            site.image(&image);
            let text = format!("{text}\nservices: {{ app: {{ image: '{image}' }} }}\n");
            site.git.write(&format!("{stack}/compose.yaml"), &text);
        }
        site.git.push(&version.to_string())
    };
    let first = write(1);
    let agent = site.start_at(clock("2026-11-22T22:30:00Z"));
    applied(&agent, &first).await;
    agent.end().await;
    let second = write(2);
    let agent = site.start_at(clock("2026-11-23T12:00:00Z"));
    applied(&agent, &second).await;
    runs(&site, "web:2").await;
    let waits = agent.stack("db").unwrap();
    assert!(waits.window.is_some(), "{waits:?}");
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn when_a_window_opens_for_two_stacks_the_one_that_the_other_depends_on_comes_first() {
    let site = Site::new(EVENING);
    let write = |version: u32| {
        let db = format!("db:{version}");
        let slow =
            Behaviour { healthy_after: Some(Duration::from_secs(5)), ..Behaviour::default() };
        site.sim.image_add(&db, config("run"), slow);
        let check = "healthcheck: { test: [CMD, check], interval: 1s, retries: 9 }";
        let text = format!("services: {{ app: {{ image: '{db}', {check} }} }}\n");
        site.git.write("db/compose.yaml", &text);
        let web = format!("web:{version}");
        site.image(&web);
        let text = format!(
            "x-bowline: {{ depends_on: [db] }}\nservices: {{ app: {{ image: '{web}' }} }}\n"
        );
        site.git.write("web/compose.yaml", &text).push(&web)
    };
    let first = write(1);
    let agent = site.start_at(clock("2026-11-21T22:30:00+01:00"));
    applied(&agent, &first).await;
    agent.end().await;
    let second = write(2);
    let agent = site.start_at(clock(&before(OPENS, 60)));
    waits(&agent, &second).await;
    let query = Query::owned_by(StackName::new("db").unwrap());
    let began = Instant::now();
    while images(&site).await != ["web:2"] {
        assert!(began.elapsed() < Duration::from_secs(300), "web:2 does not begin");
        sleep(Duration::from_millis(10)).await;
    }
    let db = site.sim.observe(&query).await.unwrap().containers;
    let seen: Vec<_> = db.iter().map(|it| (it.spec.image.as_str(), it.health)).collect();
    assert_eq!(seen, [("db:2", Health::Healthy)]);
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_an_agent_a_noted_retry_says_that_it_begins_nothing_that_waits() {
    let (site, _) = begun().await;
    push(&site, "web:2");
    let told = site.run(&["retry", "web", "--no-wait"]).await.expect(0).out;
    let expected =
        "begins nothing that waits for a window: `bowline retry web` without `--no-wait` does";
    assert!(told.contains(expected), "{told}");
}
