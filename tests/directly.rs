//! Orders by hand where no agent runs: the command does what an agent would, for that stack alone. On
//! the simulated engine, and by the program on a real one with `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::agent::{AgentError, Alone, Views};
use bowline::engine::Engine;
use bowline::model::{Query, SourceName, StackName};
use bowline::status::{
    HoldReason, Order, PassResult, RevisionPrefix, RollbackTo, RolloutPhase, StackStatus,
};
use bowline::store::HoldRecord;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use support::agent::{Agent, Settings};
use support::packed::Image;
use support::program::{Ended, command, run, signal, wait};
use support::repository::Git;
use support::site::{Site, until};
use support::stacks::{Stacks, containers, is_running, lives, variable};
use tokio_util::sync::CancellationToken;

fn name(text: &str) -> StackName {
    StackName::new(text).unwrap()
}

fn back_to(commit: &str) -> Order {
    Order::Rollback(RollbackTo { to: Some(RevisionPrefix::new(&commit[..8]).unwrap()) })
}

fn write(site: &Site, stack: &str, image: &str, more: &str) {
    site.image(image);
    let text = format!("services: {{ web: {{ image: {image} }} }}\n{more}\n");
    site.git.write(&format!("{stack}/compose.yaml"), &text);
}

/// The images of a stack's containers.
async fn images(site: &Site, stack: &str) -> Vec<String> {
    let observed = site.sim.observe(&Query::owned_by(name(stack))).await.unwrap();
    observed.containers.iter().map(|it| it.spec.image.to_string()).collect()
}

/// This process in the place of an agent, for the stack `shop`.
fn alone(site: &Site) -> Result<Alone, AgentError> {
    let (views, stop) = (Views::default(), CancellationToken::new());
    Alone::open(site.config(), Arc::new(site.sim.clone()), views, stop, &name("shop"))
}

/// Has an order carried out until the pass that has seen it is over, and nothing more is under way.
async fn carry_out(alone: &Alone, order: &Order) -> StackStatus {
    let done = alone.obey(order).await.unwrap();
    let is_over = || {
        let status = alone.status().filter(|it| {
            let is_under_way = it.rollout.as_ref().is_some_and(|it| it.phase.is_under_way());
            let seen = it.last_pass.as_ref().is_some_and(|pass| pass.started >= done.at);
            seen && !is_under_way
        });
        status.is_some()
    };
    let watching = async {
        until("the order to be carried out", async || is_over()).await;
        alone.stop();
    };
    tokio::join!(watching, alone.work());
    alone.status().unwrap()
}

/// A site of two stacks, and their first two commits, which an agent that has ended brought about.
async fn left() -> (Site, String, String) {
    let site = Site::new("monitor: 10ms");
    let mut commits = Vec::new();
    for image in ["app:1", "app:2"] {
        for stack in ["shop", "blog"] {
            write(&site, stack, image, "");
        }
        commits.push(site.git.push(image));
        let agent = site.start();
        for stack in ["shop", "blog"] {
            until(&format!("{stack} to run {image}"), async || {
                let status = agent.stack(stack);
                let at = status.and_then(|it| it.applied_revision);
                at.is_some_and(|at| at.0 == *commits.last().unwrap())
            })
            .await;
        }
        agent.end().await;
    }
    let [first, second] = commits.try_into().unwrap();
    (site, first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_carried_out_and_no_other_stack_is_touched() {
    let (site, first, _) = left().await;
    write(&site, "shop", "app:3", "");
    write(&site, "news", "app:3", "");
    let third = site.git.remove("blog").push("Much else");
    let engine = site.sim.stacks().await.unwrap();

    let alone = alone(&site).unwrap();
    assert_eq!(alone.fetch().await.unwrap(), None);
    let status = carry_out(&alone, &back_to(&first)).await;
    assert_eq!(status.rollout.unwrap().phase, RolloutPhase::RolledBack);
    assert_eq!(status.held_back.unwrap().revision.unwrap().0, third);
    assert_eq!(status.last_pass.unwrap().result, PassResult::RolledBack);
    drop(alone);
    assert_eq!(images(&site, "shop").await, ["app:1"]);
    assert_eq!(
        images(&site, "blog").await,
        ["app:2"],
        "what left its source is an agent's to judge"
    );
    assert_eq!(site.sim.stacks().await.unwrap(), engine, "nothing new is begun");
    let blog = site.inventory().stack(&name("blog"));
    assert!(blog.removal.is_none() && blog.held.is_none(), "{blog:?}");

    let alone = self::alone(&site).unwrap();
    alone.fetch().await.unwrap();
    let status = carry_out(&alone, &Order::Retry).await;
    drop(alone);
    assert_eq!(status.applied_revision.unwrap().0, third);
    assert_eq!(
        (images(&site, "shop").await, images(&site, "news").await.len()),
        (vec!["app:3".into()], 0)
    );

    let agent = site.start();
    site.runs("news").await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_newer_is_begun_before_the_order_is_noted() {
    let (site, _, second) = left().await;
    write(&site, "shop", "app:3", "");
    site.git.push("Not wanted");
    let lives =
        || async { site.sim.observe(&Query::owned_by(name("shop"))).await.unwrap().containers };
    let before = lives().await;
    let alone = alone(&site).unwrap();
    alone.fetch().await.unwrap();
    carry_out(&alone, &back_to(&second)).await;
    assert_eq!(lives().await, before, "it ran what is gone back to all along");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_source_is_away_what_was_fetched_before_will_do() {
    let (site, first, _) = left().await;
    let (there, away) = (site.git.bare(), site.git.bare().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    let alone = alone(&site).unwrap();
    let trouble = alone.fetch().await.unwrap().unwrap();
    assert!(trouble.contains("source infra"), "{trouble}");
    carry_out(&alone, &back_to(&first)).await;
    assert_eq!(images(&site, "shop").await, ["app:1"]);
    drop(alone);
    std::fs::remove_dir_all(site.dir.path().join("state/sources")).unwrap();
    let unread = self::alone(&site).unwrap().fetch().await.unwrap_err().to_string();
    assert!(unread.starts_with("nothing of source infra can be read: source infra"), "{unread}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_ahead_fetches_nothing_and_changes_nothing() {
    let (site, first, second) = left().await;
    write(&site, "shop", "app:3", "");
    site.git.push("Not looked at");
    let before = site.inventory().stacks();
    let alone = alone(&site).unwrap();
    alone.recall().await.unwrap();
    let preview = alone.preview_rollback(&RollbackTo::default()).await.unwrap();
    assert_eq!((preview.revision.unwrap().0, preview.changes.len()), (first, 1));
    assert_eq!(preview.waves, [["replace container web/1"]]);
    drop(alone);
    assert_eq!(images(&site, "shop").await, ["app:2"]);
    assert_eq!(site.inventory().stacks(), before);
    let checkout = site.dir.path().join("state/sources/infra/checkout/shop/compose.yaml");
    let shown = std::fs::read_to_string(&checkout).unwrap();
    assert!(shown.contains("app:2"), "{second}: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_depends_on_is_taken_as_the_last_agent_left_it() {
    let (site, _, second) = left().await;
    write(&site, "shop", "app:3", "x-bowline: { depends_on: [blog] }");
    let third = site.git.push("Depend on blog");
    let alone = alone(&site).unwrap();
    alone.fetch().await.unwrap();
    let status = carry_out(&alone, &Order::Retry).await;
    drop(alone);
    assert_eq!(status.applied_revision.unwrap().0, third);

    write(&site, "shop", "app:4", "x-bowline: { depends_on: [blog] }");
    site.git.push("Again");
    let inventory = site.inventory();
    inventory.update(&name("blog"), |it| it.applied.as_mut().unwrap().result = PassResult::Failed);
    inventory.flush().unwrap();
    drop(inventory);
    let alone = self::alone(&site).unwrap();
    alone.fetch().await.unwrap();
    let status = carry_out(&alone, &Order::Retry).await;
    assert_eq!(status.last_pass.unwrap().result, PassResult::Waiting);
    assert!(status.message.contains("blog: its last pass ended as failed"), "{}", status.message);
    assert_eq!(images(&site, "shop").await, ["app:3"], "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_do_for_a_stack_is_told_before_anything_is_done() {
    let (site, first, _) = left().await;
    let agent = site.start();
    until("the lock to be taken", async || alone(&site).is_err()).await;
    let locked = alone(&site).err().unwrap().to_string();
    assert!(locked.contains("another agent runs with it"), "{locked}");
    agent.end().await;

    let mut config = site.config();
    config.sources[0].name = SourceName::new("other").unwrap();
    let (engine, views, stop) =
        (Arc::new(site.sim.clone()), Views::default(), CancellationToken::new());
    let open = |config, name| {
        let (engine, views, stop) = (engine.clone(), views.clone(), stop.clone());
        Alone::open(config, engine, views, stop, &name).err().unwrap().to_string()
    };
    let moved = open(config, name("shop"));
    assert!(moved.contains("shop came from source infra, which the config"), "{moved}");
    let unknown = open(site.config(), name("news"));
    assert!(unknown.ends_with("knows no stack news"), "{unknown}");

    let inventory = site.inventory();
    let held = HoldRecord { reason: HoldReason::TooMany, since: jiff::Timestamp::UNIX_EPOCH };
    inventory.update(&name("shop"), |record| record.held = Some(held));
    inventory.flush().unwrap();
    drop(inventory);
    site.git.remove("shop").push("Away");
    let alone = alone(&site).unwrap();
    alone.fetch().await.unwrap();
    let refused = alone.obey(&back_to(&first)).await.unwrap_err().to_string();
    assert!(refused.contains("it left its source"), "{refused}");
}

/// `bowline` with a verb about `shop` and the configuration of `site`, on a simulated engine that knows
/// no image.
async fn order(site: &Site, verb: &[&str]) -> Ended {
    site.config();
    let file = site.config_file();
    site.run(&[verb, &["--config", file.to_str().unwrap()]].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_how_it_ended_and_what_it_goes_by() {
    let (site, first, second) = left().await;
    let dry = order(&site, &["rollback", "shop", "--dry-run"]).await.expect(2);
    assert!(dry.out.starts_with(&format!("shop: to {}: ", &first[..12])), "{}", dry.out);
    dry.says(&["no agent answers at ", "; doing it here, with the state in "]);
    assert_eq!(site.inventory().stack(&name("shop")).held_back, None);

    std::fs::rename(site.git.bare(), site.git.bare().with_extension("away")).unwrap();
    let back = order(&site, &["rollback", "shop"]).await.expect(1);
    let told = format!("shop: going back to {}; {} is held back\n", &first[..12], &second[..12]);
    assert!(back.out.starts_with(&told), "{}", back.out);
    back.says(&[
        "warning: source infra ",
        "; going by what was fetched before",
        "error: shop: pull",
    ]);
    let held = site.inventory().stack(&name("shop")).held_back.unwrap();
    assert_eq!(held.instead.revision.unwrap().0, first);
    let elsewhere = order(&site, &["retry", "news"]).await.expect(1);
    elsewhere.says(&["knows no stack news"]);
    let empty = site.dir.path().join("nothing");
    for verb in [&["pause", "news"][..], &["retry", "news"]] {
        let at = ["--state-dir", empty.to_str().unwrap()];
        order(&site, &[verb, &at].concat()).await.expect(1).says(&["knows no stack news"]);
        assert!(!empty.exists(), "{verb:?} is refused, and makes the state directory");
    }
    let missing = site.run(&["retry", "shop", "--config", "/nowhere.yaml"]).await.expect(1);
    missing.says(&["/nowhere.yaml"]);
    let still = site.inventory().stack(&name("shop")).held_back;
    assert!(still.is_some(), "an order was noted that nobody could carry out");
}

const IMAGE: &str = "e2e-direct-busybox:1";
const STACKS: [&str; 2] = ["e2e-direct", "e2e-direct-other"];

/// Writes both stacks at `version`, which takes so long to be healthy.
fn write_both(git: &Git, version: &str, takes: Duration) -> String {
    let script =
        format!("busybox sleep {}; busybox touch /ok; busybox sleep 3600", takes.as_secs_f64());
    for stack in STACKS {
        let text = format!(
            "name: {stack}\nservices:\n  web:\n    image: {IMAGE}\n    command: [busybox, sh, '-c', '{script}']\n    \
             stop_signal: SIGKILL\n    network_mode: none\n    environment: {{ V: '{version}' }}\n    \
             healthcheck: {{ test: [CMD, busybox, test, '-f', /ok], interval: 200ms, retries: 300 }}\n    \
             deploy: {{ replicas: 2 }}\n"
        );
        git.write(&format!("{stack}/compose.yaml"), &text);
    }
    git.push(version)
}

/// The versions of the containers of the first stack that run.
fn versions() -> Vec<String> {
    let all = containers(STACKS[0]);
    let running = all.values().filter(|one| is_running(one));
    running.filter_map(|one| variable(one, "V").map(str::to_owned)).collect()
}

#[test]
fn on_a_real_engine_the_program_does_what_an_agent_would_and_ends_as_it_was_told() {
    if support::engine().is_none() {
        return;
    }
    let _image = Image::of_busybox(IMAGE);
    let _stacks = Stacks::named(&STACKS);
    let git = Git::new();
    let settings = Settings::new("e2e-direct", &git.url(), "monitor: 100ms");
    let agent_at = |commit: &str| {
        let agent = Agent::start(&settings);
        for stack in STACKS {
            agent.until_stack(stack, |status| status["applied_revision"] == *commit);
        }
        agent
    };
    let commits = ["1", "2"].map(|version| {
        let commit = write_both(&git, version, Duration::ZERO);
        // Ended as a lost machine ends it: its socket stays behind.
        agent_at(&commit).kill();
        commit
    });
    let (file, socket) = (settings.file(), settings.socket());
    let order = |arguments: &[&str]| {
        let fixed = ["--config", file.to_str().unwrap(), "--socket", socket.to_str().unwrap()];
        command(&settings.state_dir(), &[arguments, &fixed].concat())
    };
    let others = lives(STACKS[1]);
    let slow = Duration::from_secs(4);
    let third = write_both(&git, "3", slow);

    let back = run(&mut order(&["rollback", STACKS[0], "--to", &commits[0]])).expect(0);
    assert!(
        back.out.ends_with(&format!("e2e-direct: rolled back to {}\n", &commits[0][..12])),
        "{}",
        back.out
    );
    back.says(&["web/1: up after ", "(2 of 2)"]);
    assert_eq!(versions(), ["1", "1"]);

    let late = run(&mut order(&["retry", STACKS[0], "--timeout", "500ms"])).expect(1);
    late.says(&["e2e-direct: not over after 0.5 s", "; what was started goes on running"]);
    assert_eq!(versions().len(), 2, "{:#?}", containers(STACKS[0]));

    let mut interrupted =
        order(&["retry", STACKS[0]]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(interrupted.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "e2e-direct: nothing is held back; trying again\n");
    signal(&interrupted, Signal::INT);
    let ended = wait(&mut interrupted, Duration::from_secs(20)).expect("SIGINT ends it in time");
    assert_eq!(ended.code(), Some(1));

    let on = run(&mut order(&["retry", STACKS[0]])).expect(0);
    assert!(
        on.out.ends_with(&format!("e2e-direct: as desired at {}\n", &third[..12])),
        "{}",
        on.out
    );
    assert_eq!(versions(), ["3", "3"]);
    assert_eq!(lives(STACKS[1]), others, "the other stack was touched");
    assert!(agent_at(&third).terminate().success());
    let names: BTreeSet<String> = containers(STACKS[0]).into_keys().collect();
    assert_eq!(names, ["e2e-direct-web-1", "e2e-direct-web-2"].map(str::to_owned).into());
}
