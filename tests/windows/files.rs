//! Files that containers mount: those of what was begun stay in the checkout while something newer waits.

use crate::support::site::{Site, until};
use crate::{
    EVENING, OPENS, applied, before, clock, config, containers, remove_by_hand, runs, shown, waits,
    write,
};
use bowline::agent::{Alone, Views};
use bowline::engine::sim::Behaviour;
use bowline::model::StackName;
use bowline::status::{PassResult, StackStatus};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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
