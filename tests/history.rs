//! What happened to a stack, and why a service is as it is: told by an agent on the simulated engine over
//! the real socket to the real program, and without an agent from the disk.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::agent::{Alone, Views};
use bowline::engine::Engine;
use bowline::model::{Query, StackName};
use bowline::status::{Grounds, Order, PassResult, Suspension};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use support::agent::{Agent as AgentProcess, Settings};
use support::docker::docker;
use support::packed::Image;
use support::program::bowline;
use support::repository::Git;
use support::site::{Agent, Site, until};
use support::stacks::Stacks;
use support::wait;
use tokio_util::sync::CancellationToken;

/// What no output may hold.
const SECRET: &str = "hunter2-of-the-shop";

fn push(site: &Site, image: &str, message: &str) -> String {
    site.image(image);
    let text = format!(
        "services: {{ web: {{ image: {image}, environment: {{ DB_PASSWORD: {SECRET}-{message} }} }} }}\n"
    );
    site.git.write("shop/compose.yaml", &text).push(message)
}

async fn applied(agent: &Agent, commit: &str) {
    until(&format!("{commit} to be applied"), async || {
        agent.stack("shop").is_some_and(|it| it.applied_revision.is_some_and(|at| at.0 == commit))
    })
    .await;
}

/// What `bowline history` says in JSON.
async fn history(site: &Site) -> Vec<Value> {
    let out = site.run(&["history", "shop", "-o", "json"]).await.expect(0).out;
    let value: Value = serde_json::from_str(&out).unwrap();
    value["deployments"].as_array().unwrap().clone()
}

/// The same once there are so many.
async fn history_of(site: &Site, count: usize) -> Vec<Value> {
    until(&format!("{count} deployments"), async || history(site).await.len() == count).await;
    history(site).await
}

/// The columns of each entry that do not depend on time, the newest first.
fn told(entries: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |it: &Value| {
        let author = text(&it["commit"]["author"]);
        format!("{} {} {} {author}", it["id"], text(&it["cause"]), text(&it["result"]))
    };
    entries.iter().map(line).collect()
}

/// A site whose agent has brought up the first commit, which runs `shop:1`.
async fn begun() -> (Site, Agent) {
    let site = Site::new("monitor: 10ms");
    let first = push(&site, "shop:1", "Begin");
    let agent = site.start();
    applied(&agent, &first).await;
    (site, agent)
}

async fn pause_by_hand(site: &Site) {
    let name = StackName::new("shop").unwrap();
    let observed = site.sim.observe(&Query::owned_by(name)).await.unwrap();
    site.sim.pause(&observed.containers[0].name).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_repaired_while_the_file_is_in_error_is_drift() {
    let (site, agent) = begun().await;
    site.git.write("shop/compose.yaml", "services: { web: { imgae: 'shop:2' } }\n").push("Typo");
    history_of(&site, 2).await;
    pause_by_hand(&site).await;
    let entries = history_of(&site, 3).await;
    let causes: Vec<_> = entries.iter().map(|it| it["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["drift", "commit", "commit"]);
    agent.end().await;
}

fn database(site: &Site) -> PathBuf {
    site.dir.path().join("state/history.redb")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pass_that_changed_something_is_told_with_who_why_and_what() {
    let (site, agent) = begun().await;
    let second = push(&site, "shop:2", "Bump");
    applied(&agent, &second).await;
    history_of(&site, 2).await;
    pause_by_hand(&site).await;
    let entries = history_of(&site, 3).await;
    assert_eq!(
        told(&entries),
        ["3 drift changed Test", "2 commit changed Test", "1 commit changed Test"]
    );
    let table = site.run(&["history", "shop", "-n", "2"]).await.expect(0).out;
    assert_eq!(table.lines().count(), 3, "{table}");
    let head: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["ID", "WHEN", "REVISION", "AUTHOR", "CAUSE", "RESULT", "TOOK", "WHAT"]);
    let row = table.lines().nth(2).unwrap();
    assert!(row.contains(&second[..12]) && row.ends_with("Bump"), "{table}");

    let one = site.run(&["history", "shop", "2"]).await.expect(0).out;
    for part in [
        format!("revision:  {second}"),
        "commit:    Bump (Test)".to_owned(),
        "cause:     commit".to_owned(),
        "services.web.image: want shop:2, is shop:1".to_owned(),
        "replace   container web/1: done in".to_owned(),
        "web: shop:2 sha256:".to_owned(),
    ] {
        assert!(one.contains(&part), "no {part:?} in\n{one}");
    }
    let yaml = site.run(&["history", "shop", "1", "-o", "yaml"]).await.expect(0).out;
    assert!(yaml.contains("\ncause: commit\n"), "{yaml}");

    let why = site.run(&["explain", "shop", "web"]).await.expect(0).out;
    for part in [
        format!("shop/web from infra, git asks for {} (Test: Bump)", &second[..12]),
        "shop-web-1: running for ".to_owned(),
        "image shop:2 (".to_owned(),
        format!("by commit {} (Test: Bump)", &second[..12]),
        "differs: nothing".to_owned(),
        "unpaused container web/1 to repair drift".to_owned(),
        "image: shop:1 -> shop:2".to_owned(),
    ] {
        assert!(why.contains(&part), "no {part:?} in\n{why}");
    }
    let missing = site.run(&["explain", "shop", "db"]).await.expect(1);
    missing.says(&["shop has no service db"]);
    site.run(&["history", "shop", "9"]).await.expect(1).says(&["history goes from 1 to 3"]);
    site.run(&["history", "blog"]).await.expect(1).says(&["there is no stack blog"]);

    agent.end().await;
    let later = history(&site).await;
    assert_eq!(told(&later), told(&entries), "the disk says the same");
    let one_later = site.run(&["history", "shop", "2"]).await.expect(0).says(&["no agent answers"]);
    assert!(one_later.out.contains("want shop:2, is shop:1"), "{}", one_later.out);
    let all: String = std::fs::read(database(&site)).unwrap().iter().map(|b| *b as char).collect();
    for text in [&one, &yaml, &why, &one_later.out, &all] {
        assert!(!text.contains(SECRET), "a secret is told:\n{text}");
    }
    assert!(all.contains("(hidden)"), "the variable is not in it at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_name_who_gave_them_and_what_keeps_failing_is_one_entry() {
    let (site, agent) = begun().await;
    let first = agent.stack("shop").unwrap().applied_revision.unwrap().0;
    let second = push(&site, "shop:2", "Bump");
    applied(&agent, &second).await;
    history_of(&site, 2).await;
    site.run(&["rollback", "shop"]).await.expect(0);
    let entries = history_of(&site, 3).await;
    let user = bowline::control::user(rustix::process::getuid().as_raw()).0;
    let back = &entries[0];
    assert_eq!((&back["order"], &back["by"]), (&"rollback".into(), &user.as_str().into()));
    assert_eq!(back["revision"], first.as_str());
    assert_eq!(back["instead_of"], second.as_str());
    assert_eq!(back["result"], "rolled_back");

    site.run(&["pause", "shop"]).await.expect(0);
    let entries = history_of(&site, 4).await;
    assert_eq!(entries[0]["order"], "pause");
    site.run(&["retry", "shop", "--no-wait"]).await.expect(0);
    let entries = history_of(&site, 5).await;
    assert_eq!(
        (&entries[0]["order"], &entries[0]["revision"]),
        (&"retry".into(), &second.as_str().into())
    );

    let third = push(&site, "shop:3", "Go on");
    site.git.write("shop/compose.yaml", "services: { web: { image: 'shop:nowhere' } }\n");
    applied(&agent, &third).await;
    let bad = site.git.push("Break");
    let entries = history_of(&site, 7).await;
    assert_eq!(told(&entries)[..2], ["7 commit failed Test", "6 commit changed Test"]);
    assert_eq!(entries[0]["revision"], bad.as_str());
    assert!(entries[0]["message"].as_str().unwrap().contains("is held back"), "{}", entries[0]);

    site.sim.go_down();
    let fourth = push(&site, "shop:4", "Mend");
    until("the failure to come again", async || {
        let newest = history(&site).await.swap_remove(0);
        newest["result"] == "failed" && newest["times"].as_u64() >= Some(3)
    })
    .await;
    site.sim.come_back();
    applied(&agent, &fourth).await;
    let entries = history_of(&site, 9).await;
    assert_eq!(told(&entries)[..2], ["9 retry changed Test", "8 commit failed Test"]);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_while_the_engine_was_away_is_drift_and_no_other_try() {
    let (site, agent) = begun().await;
    history_of(&site, 1).await;
    site.sim.go_down();
    site.run(&["sync", "shop"]).await.expect(0);
    // A pass of its own may have failed before.
    let newest = async |words: &str| told(&history(&site).await)[0].ends_with(words);
    until("the order's pass", async || newest(" by_hand failed Test").await).await;
    site.sim.crash("shop-web-1", 137);
    site.sim.come_back();
    until("the repair", async || newest(" drift changed Test").await).await;
    let why = site.run(&["explain", "shop", "web"]).await.expect(0).out;
    let told =
        "started container web/1 to repair drift\n    it had ended with code 137 (SIGKILL)\n";
    assert!(why.contains(told), "{why}");
    agent.end().await;
}

/// Each order is answered by a process that ends at once, as if it were killed: no pass has seen it.
#[tokio::test(flavor = "multi_thread")]
async fn each_order_is_told_with_who_when_and_what_also_after_a_crash_before_its_pass() {
    let (site, agent) = begun().await;
    history_of(&site, 1).await;
    agent.end().await;
    let shop = StackName::new("shop").unwrap();
    let reason = Some(Grounds::new("moving the disk").unwrap());
    let mut given = Vec::new();
    for order in [
        Order::Pause,
        Order::Suspend(Suspension { reason }),
        Order::Resume,
        Order::Retry,
        Order::Sync,
    ] {
        let (engine, stop) = (Arc::new(site.sim.clone()), CancellationToken::new());
        let alone = Alone::open(site.config(), engine, Views::default(), stop, &shop).unwrap();
        alone.recall().await.unwrap();
        given.push((order.word(), alone.obey(&order).await.unwrap().at.to_string()));
    }
    let agent = site.start();
    let entries = history_of(&site, 2).await;
    let newest = &entries[0];
    let user = bowline::control::user(rustix::process::getuid().as_raw()).0;
    assert_eq!((&newest["cause"], &newest["by"]), (&"by_hand".into(), &user.as_str().into()));
    assert_eq!(newest["order"], "pause, suspend, resume, retry, sync");
    let orders = newest["orders"].as_array().unwrap();
    let told: Vec<_> = orders.iter().map(|it| (it["order"].as_str().unwrap(), &it["at"])).collect();
    let given: Vec<_> = given.into_iter().map(|(word, at)| (word, Value::from(at))).collect();
    assert_eq!(told, given.iter().map(|(word, at)| (*word, at)).collect::<Vec<_>>());
    assert!(orders.iter().all(|it| it["by"] == user.as_str()), "{newest}");
    let full = site.run(&["history", "shop", "2"]).await.expect(0).out;
    for part in [
        format!("cause:     pause, suspend, resume, retry, sync by {user}\n"),
        format!(" UTC suspend by {user}: suspended; nothing is done to it until"),
        "(moving the disk)\n".to_owned(),
        format!(" UTC retry by {user}: nothing is held back; trying again\n"),
    ] {
        assert!(full.contains(&part), "no {part:?} in\n{full}");
    }
    agent.end().await;
    assert_eq!(
        site.inventory().stack(&shop).orders,
        [],
        "what the history tells is not kept twice"
    );
    let agent = site.start();
    until("a pass", async || agent.stack("shop").is_some_and(|it| it.last_pass.is_some())).await;
    agent.end().await;
    assert_eq!(history(&site).await.len(), 2, "nor told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_files_are_in_error_explain_says_so() {
    let (site, agent) = begun().await;
    site.git.write("shop/compose.yaml", "services: { web: { imagine: 1 } }\n").push("Break");
    until("the error to be seen", async || history(&site).await.len() == 2).await;
    let why = site.run(&["explain", "shop", "web"]).await.expect(0).out;
    let told = "\nwhat differs is not known: the stack's files are in error: ";
    assert!(why.contains(told), "{why}");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_history_loses_history_only() {
    let (site, agent) = begun().await;
    history_of(&site, 1).await;
    agent.end().await;
    let name = StackName::new("shop").unwrap();
    let before = site.sim.observe(&Query::owned_by(name.clone())).await.unwrap();
    let inventory = site.inventory().stacks();

    for damage in [None, Some("no database")] {
        match damage {
            None => std::fs::remove_file(database(&site)).unwrap(),
            Some(text) => std::fs::write(database(&site), text).unwrap(),
        }
        let agent = site.start();
        until("a pass", async || agent.stack("shop").is_some_and(|it| it.last_pass.is_some()))
            .await;
        let stack = agent.stack("shop").unwrap();
        assert_eq!(stack.last_pass.unwrap().result, PassResult::Unchanged);
        assert!(history(&site).await.is_empty());
        let text = site.run(&["history", "shop"]).await.expect(0).out;
        assert_eq!(text, "shop: nothing is known to have happened\n");
        let metrics = || agent.views.metrics.render();
        until("the history to be up", async || metrics().contains("bowline_history_up 1")).await;
        agent.end().await;
        let now = site.sim.observe(&Query::owned_by(name.clone())).await.unwrap();
        assert_eq!(now, before, "nothing was done");
        assert_eq!(
            site.inventory().stacks().keys().collect::<Vec<_>>(),
            inventory.keys().collect::<Vec<_>>()
        );
    }
    assert!(site.dir.path().join("state/history.redb.damaged-1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_cannot_be_written_stops_nobody() {
    let site = Site::new("monitor: 10ms");
    let first = push(&site, "shop:1", "Begin");
    std::fs::create_dir_all(database(&site)).unwrap();
    let agent = site.start();
    applied(&agent, &first).await;
    let metrics = || agent.views.metrics.render();
    until("the gauge", async || metrics().contains("bowline_history_up 0")).await;
    assert!(metrics().contains("bowline_inventory_up 1"));
    let entries = history_of(&site, 1).await;
    assert_eq!(told(&entries), ["1 commit changed Test"], "what waits for the disk is told");
    std::fs::remove_dir(database(&site)).unwrap();
    agent.end().await;
    assert_eq!(told(&history(&site).await), ["1 commit changed Test"], "and written at last");
}

#[test]
fn on_a_real_engine_an_update_a_repair_and_what_was_applied_by_hand_are_told_and_explained() {
    if support::engine().is_none() {
        return;
    }
    let _stacks = Stacks::named(&["history-shop", "history-hand"]);
    let image = Image::of_busybox("history-busybox:1");
    let write = |limit: &str| {
        let command = "command: [busybox, sleep, '600'], stop_signal: SIGKILL";
        format!("services: {{ web: {{ image: '{}', {command}, mem_limit: {limit} }} }}\n", image.0)
    };
    let git = Git::new();
    git.write("history-shop/compose.yaml", &write("32m")).push("Begin");
    let settings = Settings::new("history", &git.url(), "");
    let agent = AgentProcess::start(&settings);
    agent.until_ready();
    let socket = settings.socket();
    let socket = socket.to_str().unwrap();
    let history = |stack: &str| -> Vec<Value> {
        let ended =
            bowline(&settings.state_dir(), &["history", stack, "-o", "json", "--socket", socket]);
        let value: Value = serde_json::from_str(&ended.out).unwrap_or_default();
        value["deployments"].as_array().cloned().unwrap_or_default()
    };
    let history_of = |count: usize| {
        wait::until(&format!("{count} deployments"), || {
            Some(history("history-shop")).filter(|entries| entries.len() == count)
        })
    };
    history_of(1);
    let commit = git.write("history-shop/compose.yaml", &write("48m")).push("More memory");
    history_of(2);
    docker(&["kill", "history-shop-web-1"]);
    let entries = history_of(3);
    assert_eq!(
        told(&entries),
        ["3 drift changed Test", "2 commit changed Test", "1 commit changed Test"]
    );
    let explain = ["explain", "history-shop", "web", "--socket", socket];
    let why = bowline(&settings.state_dir(), &explain).expect(0).out;
    let id = docker(&["inspect", "--format", "{{.Image}}", "history-shop-web-1"]);
    let id = id.trim().trim_start_matches("sha256:");
    for part in [
        format!("git asks for {} (Test: More memory)", &commit[..12]),
        "history-shop-web-1: running for ".to_owned(),
        ", 0 restarts".to_owned(),
        format!("image {} ({})", image.0, &id[..12]),
        "(Test: Begin)".to_owned(),
        "differs: nothing".to_owned(),
        "started container web/1 to repair drift".to_owned(),
        "it had ended with code 137 (SIGKILL)".to_owned(),
        "updated container web/1 by commit".to_owned(),
        "mem_limit: 32m -> 48m".to_owned(),
    ] {
        assert!(why.contains(&part), "no {part:?} in\n{why}");
    }
    let full = ["history", "history-shop", "1", "--socket", socket];
    let full = bowline(&settings.state_dir(), &full).expect(0).out;
    assert!(full.contains(&format!("web: {} sha256:{id}", image.0)), "{full}");

    // The agent has its directory to itself; once it is gone, what is done by hand is noted there.
    let by_hand = tempfile::tempdir().unwrap();
    let file = by_hand.path().join("history-hand");
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("compose.yaml"), write("32m")).unwrap();
    let file = file.to_str().unwrap();
    bowline(&settings.state_dir(), &["apply", file]).expect(0);
    assert!(agent.terminate().success());
    assert_eq!(history("history-hand"), Vec::<Value>::new());
    bowline(&settings.state_dir(), &["remove", "history-hand"]).expect(0);
    bowline(&settings.state_dir(), &["apply", file]).expect(0);
    let entries = history("history-hand");
    assert_eq!(told(&entries), ["2 by_hand changed -", "1 by_hand removed -"]);
    assert_eq!((&entries[0]["order"], &entries[1]["order"]), (&"apply".into(), &"remove".into()));
    let explain = ["explain", "history-hand", "web", "--socket", socket];
    let why = bowline(&settings.state_dir(), &explain).expect(0).says(&["no agent answers"]).out;
    assert!(why.contains("made container web/1 by hand (apply by "), "{why}");
    assert!(why.contains("what differs is not known"), "{why}");
}
