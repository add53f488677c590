//! Windows: what waits for one, what does not, and when it begins. Agents on the simulated engine whose
//! time goes by as fast as they let it, with a real git repository and the real state directory.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::agent::{Alone, Clock, Views};
use bowline::engine::Engine;
use bowline::engine::sim::Behaviour;
use bowline::model::{
    Container, ContainerId, ContentDigest, Health, ImageConfig, Query, Revision, StackName, State,
};
use bowline::plan::{ContainerRef, Step};
use bowline::status::{PassResult, RolloutPhase, StackStatus};
use bowline::store::StackRecord;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use support::site::{Agent, Site, until};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// From ten in the evening in Berlin to midnight.
const EVENING: &str =
    "schedule: { allow: [{ cron: '0 22 * * *', for: 2h, timezone: Europe/Berlin }] }";
const OPENS: &str = "2026-11-22T22:00:00+01:00";
const SHUTS: &str = "2026-11-23T00:00:00+01:00";

/// How long a state may take to come, in the time of the test.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// Two slots, with so long between them.
const SLOW: &str = ", scale: 2, deploy: { update_config: { delay: 4s } }";

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

#[tokio::test(start_paused = true)]
async fn files_that_containers_mount_wait_with_their_commit() {
    let site = Site::new(EVENING);
    let push = |content: &str| {
        write(&site, "web:1", ", volumes: ['./site:/site:ro']");
        site.git.write("web/site/index", content).push(content)
    };
    let first = push("one");
    let agent = site.start_at(clock("2026-11-21T22:30:00+01:00"));
    applied(&agent, &first).await;
    agent.end().await;
    let second = push("two");
    let agent = site.start_at(clock(&before(OPENS, 15)));
    waits(&agent, &second).await;
    let mounted = site.dir.path().join("state/sources/infra/checkout/web/site/index");
    let content = || std::fs::read_to_string(&mounted).unwrap();
    assert_eq!(content(), "one");
    // A later commit shows it at no time, since it is laid already.
    let third = push("three");
    waits(&agent, &third).await;
    assert_eq!(content(), "one");
    applied(&agent, &third).await;
    assert_eq!(content(), "three");
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
async fn while_what_was_begun_cannot_be_read_no_order_is_lost_and_nothing_is_touched() {
    let (site, first) = begun().await;
    let second = push(&site, "web:2");
    let agent = site.start_at(clock("2026-11-22T22:30:00+01:00"));
    applied(&agent, &second).await;
    site.run(&["rollback", "web", "--no-wait"]).await.expect(0);
    runs(&site, "web:1").await;
    agent.end().await;
    let held = record(&site).held_back.unwrap();
    let begun = record(&site).begun.unwrap();
    remember(&site, |record| {
        record.begun.as_mut().unwrap().revision = Some(Revision("f".repeat(40)));
    });

    // Another definition; what ran held, and the newest one is as it was.
    let third = push(&site, "web:3");
    let agent = site.start_at(clock("2026-11-23T12:00:00+01:00"));
    let is_told = |it: &StackStatus| it.message.contains("what was begun before cannot be read");
    let status = shown(&agent, "the problem to be told", is_told).await;
    assert_eq!(status.last_pass.unwrap().result, PassResult::Failed);
    assert!(status.message.starts_with("waiting for its window, opens"), "{}", status.message);
    assert_eq!(
        (status.revision.unwrap().0, images(&site).await),
        (third, vec!["web:1".to_owned()])
    );
    agent.end().await;
    assert_eq!(record(&site).held_back.as_ref(), Some(&held));

    // Once it can be read, all goes on as ordered.
    remember(&site, |record| record.begun = Some(begun));
    let agent = site.start_at(clock("2026-11-23T12:00:00+01:00"));
    let status = shown(&agent, "it to wait", |it| it.window.is_some()).await;
    assert_eq!(status.held_back.unwrap().instead.unwrap().0, first);
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_begun_within_the_window_waits_for_the_next_one() {
    // The registry is away; or somebody paused the stack.
    for is_paused in [false, true] {
        let (site, _) = begun().await;
        let agent = site.start_at(clock("2026-11-22T22:30:00+01:00"));
        shown(&agent, "a pass", |it| it.last_pass.is_some()).await;
        if is_paused {
            site.run(&["pause", "web"]).await.expect(0);
            site.image("web:2");
        } else {
            site.sim.registry_answers(false);
        }
        site.git.write("web/compose.yaml", "services: { app: { image: 'web:2' } }\n");
        let second = site.git.push("web:2");
        let ended = |it: &StackStatus| {
            let result = it.last_pass.as_ref().map(|pass| pass.result);
            let expected = if is_paused { PassResult::Paused } else { PassResult::Failed };
            it.revision.as_ref().is_some_and(|at| at.0 == second) && result == Some(expected)
        };
        shown(&agent, "a pass that could begin nothing", ended).await;
        agent.end().await;

        site.image("web:2");
        let agent = site.start_at(clock("2026-11-23T12:00:00+01:00"));
        if is_paused {
            until("the agent to answer", async || {
                site.run(&["resume", "web", "--no-wait"]).await.code == 0
            })
            .await;
        }
        waits(&agent, &second).await;
        let lost = remove_by_hand(&site).await;
        until("a repair", async || containers(&site).await.first().is_some_and(|it| it.id != lost))
            .await;
        runs(&site, "web:1").await;
        agent.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_judged_within_the_window_stays_held_back_though_nothing_of_it_ran() {
    let (site, first) = begun().await;
    site.git.write("web/compose.yaml", "services: { app: { image: 'web:none' } }\n");
    let second = site.git.push("An image that nobody has");
    let is_back = |it: &StackStatus| {
        it.last_pass.as_ref().is_some_and(|pass| pass.result == PassResult::RolledBack)
    };
    for at in ["2026-11-22T22:30:00+01:00", "2026-11-23T12:00:00+01:00"] {
        let agent = site.start_at(clock(at));
        let held = shown(&agent, "it to be held back", is_back).await.held_back.unwrap();
        let expected = (Some(Revision(second.clone())), Some(Revision(first.clone())));
        assert_eq!((held.revision, held.instead), expected, "at {at}");
        agent.end().await;
    }
}

/// Watched for two days.
const WATCHED: &str = ", deploy: { update_config: { monitor: 48h } }";

#[tokio::test(start_paused = true)]
async fn a_pass_over_what_was_begun_makes_way_when_the_window_opens_or_somebody_says_so() {
    for by_hand in [false, true] {
        let (site, _) = begun().await;
        write(&site, "web:2", WATCHED);
        site.git.push("Watched for long");
        let agent = site.start_at(clock("2026-11-22T22:30:00+01:00"));
        runs(&site, "web:2").await;
        agent.end().await;
        let third = push(&site, "web:3");
        let opens = "2026-11-23T22:00:00+01:00";
        let seconds = if by_hand { 3600 } else { 120 };
        let clock = clock(&before(opens, seconds));
        let agent = site.start_at(clock.clone());
        let status = shown(&agent, "a pass to begin", |_| true).await;
        assert_eq!((status.revision.unwrap().0, status.last_pass), (third, None));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(agent.stack("web").unwrap().last_pass, None, "the update is watched");
        assert_eq!(images(&site).await, ["web:2"]);
        if by_hand {
            site.run(&["retry", "web", "--no-wait"]).await.expect(0);
            runs(&site, "web:3").await;
            assert!(clock.now() < time(opens));
        } else {
            just(begins(&site, &clock, "web:3").await, opens);
        }
        agent.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_service_goes_back_alone_in_a_shut_window_the_others_keep_the_files_they_began_with()
 {
    let site = Site::new(EVENING);
    let exits = Some((Duration::from_millis(3500), 3));
    site.sim.image_add("web:bad", config("run"), Behaviour { exits, ..Behaviour::default() });
    site.image("web:1");
    let push = |image: &str, content: &str| {
        let back = "deploy: { update_config: { failure_action: rollback, monitor: 5s } }";
        let text = format!(
            "x-bowline: {{ rollback: off }}\nservices:\n  \
             app: {{ image: '{image}', volumes: ['./app:/site:ro'], {back} }}\n  \
             other: {{ image: 'web:1', volumes: ['./other:/site:ro'] }}\n"
        );
        site.git.write("web/compose.yaml", &text);
        site.git.write("web/app/index", content).write("web/other/index", content).push(content)
    };
    let first = push("web:1", "one");
    let agent = site.start_at(clock("2026-11-21T22:30:00+01:00"));
    applied(&agent, &first).await;
    push("web:bad", "two");
    let is_back = |it: &StackStatus| {
        let result = it.last_pass.as_ref().map(|pass| pass.result);
        it.held_back.is_some() && result == Some(PassResult::RolledBack)
    };
    shown(&agent, "one to go back", is_back).await;
    agent.end().await;
    let third = push("web:bad", "three");
    let agent = site.start_at(clock("2026-11-22T12:00:00+01:00"));
    waits(&agent, &third).await;
    let shown = |service: &str| {
        let path = format!("state/sources/infra/checkout/web/{service}/index");
        std::fs::read_to_string(site.dir.path().join(path)).unwrap()
    };
    assert_eq!((shown("app"), shown("other")), ("one".into(), "two".into()));
    agent.end().await;
}

/// A site whose stack mounts files, begun by an agent that ended within the window, and another commit.
async fn mounting() -> (Site, String) {
    let site = Site::new(EVENING);
    write(&site, "web:1", ", volumes: ['./site:/site:ro']");
    let first = site.git.write("web/site/index", "one").push("One");
    let agent = site.start_at(clock("2026-11-21T22:30:00+01:00"));
    applied(&agent, &first).await;
    agent.end().await;
    let second = site.git.write("web/site/index", "two").push("Two");
    (site, second)
}

fn mounted(site: &Site) -> String {
    let path = "state/sources/infra/checkout/web/site/index";
    std::fs::read_to_string(site.dir.path().join(path)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_fetch_of_an_agent_shows_containers_nothing_that_waits() {
    let (site, _) = mounting().await;
    // No pass is made towards files in error, so nobody lays what was begun after the fetch.
    site.git.write("web/compose.yaml", "services: 1\n");
    let third = site.git.push("In error");
    let agent = site.start_at(clock("2026-11-22T12:00:00+01:00"));
    let is_told = |it: &StackStatus| {
        let result = it.last_pass.as_ref().map(|pass| pass.result);
        it.revision.as_ref().is_some_and(|at| at.0 == third) && result == Some(PassResult::Invalid)
    };
    shown(&agent, "the error to be told", is_told).await;
    assert_eq!(mounted(&site), "one");
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_without_an_agent_shows_other_stacks_nothing_and_its_own_nothing_that_waits() {
    for (of, at, expected) in [
        ("other", "2026-11-22T22:30:00+01:00", "one"),
        ("web", "2026-11-22T12:00:00+01:00", "one"),
        ("web", "2026-11-22T22:30:00+01:00", "two"),
    ] {
        let site = Site::new(EVENING);
        site.write("other", "other:1");
        write(&site, "web:1", ", volumes: ['./site:/site:ro']");
        let first = site.git.write("web/site/index", "one").push("One");
        let agent = site.start_at(clock("2026-11-21T22:30:00+01:00"));
        applied(&agent, &first).await;
        site.runs("other").await;
        agent.end().await;
        site.git.write("web/site/index", "two").push("Two");
        let (views, stop) =
            (Views { clock: clock(at), ..Views::default() }, CancellationToken::new());
        let (engine, of) = (Arc::new(site.sim.clone()), StackName::new(of).unwrap());
        let alone = Alone::open(site.config(), engine, views, stop, &of).unwrap();
        assert_eq!(alone.fetch().await.unwrap(), None);
        assert_eq!(mounted(&site), expected, "an order about {of} at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkout_that_cannot_be_written_holds_up_no_repair() {
    let (site, second) = mounting().await;
    // What is to be laid is noted there first.
    std::fs::create_dir_all(site.dir.path().join("state/sources/infra/laid.new/x")).unwrap();
    let lost = remove_by_hand(&site).await;
    let agent = site.start_at(clock("2026-11-22T12:00:00+01:00"));
    waits(&agent, &second).await;
    until("a repair", async || containers(&site).await.first().is_some_and(|it| it.id != lost))
        .await;
    runs(&site, "web:1").await;
    agent.end().await;
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
async fn a_definition_that_another_version_knew_by_another_digest_is_known_again() {
    let other = || ContentDigest("of another version".to_owned());
    let (site, first) = begun().await;
    let second = push(&site, "web:2");
    let agent = site.start_at(clock("2026-11-22T22:30:00+01:00"));
    applied(&agent, &second).await;
    agent.end().await;
    remember(&site, |record| {
        record.begun.as_mut().unwrap().definition = other();
        record.good.as_mut().unwrap().definition = other();
    });
    site.git.write("README", "Says nothing new of it").push("Else");
    // In a shut window it is proven to be what git asks for.
    let agent = site.start_at(clock("2026-11-23T12:00:00+01:00"));
    shown(&agent, "a pass", |it| it.last_pass.is_some()).await;
    agent.end().await;
    let known = record(&site).begun.unwrap();
    assert!(known.definition != other(), "{known:?}");

    // In an open one, too, when somebody goes back.
    remember(&site, |record| record.good.as_mut().unwrap().definition = other());
    let agent = site.start_at(clock("2026-11-23T22:30:00+01:00"));
    shown(&agent, "a pass", |it| it.last_pass.is_some()).await;
    let told = site.run(&["rollback", "web", "--no-wait"]).await.expect(0).out;
    assert!(told.contains(&format!("going back to {}", &first[..12])), "{told}");
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
