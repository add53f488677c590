//! Stacks to which nothing is done.

use crate::desk::begin;
use crate::support::site::{Agent, Site, until};
use bowline::engine::Engine;
use bowline::model::{Query, StackName, State};
use bowline::status::{PassResult, StackStatus, SyncStatus};

async fn image(site: &Site, stack: &str) -> Option<String> {
    let query = Query::owned_by(StackName::new(stack).unwrap());
    let observed = site.sim.observe(&query).await.unwrap();
    Some(observed.containers.first()?.spec.image.to_string())
}

async fn state(site: &Site, stack: &str) -> Option<State> {
    let query = Query::owned_by(StackName::new(stack).unwrap());
    let observed = site.sim.observe(&query).await.unwrap();
    Some(observed.containers.first()?.state)
}

/// The status of a stack, once its last pass left it suspended and `fits` likes it.
async fn suspended(agent: &Agent, name: &str, fits: impl Fn(&StackStatus) -> bool) -> StackStatus {
    let is_so = |status: &StackStatus| {
        let result = status.last_pass.as_ref().map(|pass| pass.result);
        result == Some(PassResult::Suspended) && fits(status)
    };
    until("the stack to be told as suspended", async || {
        agent.stack(name).as_ref().is_some_and(is_so)
    })
    .await;
    agent.stack(name).unwrap()
}

#[tokio::test]
async fn nothing_is_done_to_a_suspended_stack_across_a_restart_until_it_is_resumed() {
    let site = Site::new("");
    let (agent, desk) = begin(&site, &["shop", "blog"]).await;
    let told = site.run(&["suspend", "shop", "--reason", "the disk is moved"]).await.expect(0);
    assert!(told.out.contains("nothing is done to it until `bowline resume shop`"), "{told:?}");
    let status = suspended(&agent, "shop", |it| it.sync == SyncStatus::Synced).await;
    let said = status.suspended.unwrap();
    assert_eq!(said.reason.as_deref(), Some("the disk is moved"));
    let me = bowline::control::user(rustix::process::geteuid().as_raw());
    assert_eq!(said.by, me.0);
    assert!(status.message.contains("the disk is moved"), "{}", status.message);

    // What ends stays so, and is told; the neighbour is repaired.
    let gone = |stack: &'static str| {
        let query = Query::owned_by(StackName::new(stack).unwrap());
        let sim = site.sim.clone();
        async move {
            let observed = sim.observe(&query).await.unwrap();
            sim.crash(&observed.containers[0].name, 1);
        }
    };
    gone("shop").await;
    gone("blog").await;
    until("blog to be repaired", async || state(&site, "blog").await == Some(State::Running)).await;
    let status = suspended(&agent, "shop", |it| it.sync == SyncStatus::OutOfSync).await;
    assert!(status.message.contains("differs, and is left so: "), "{}", status.message);
    assert_ne!(state(&site, "shop").await, Some(State::Running));

    // Commits reach the neighbour alone.
    let newest = site.write("shop", "shop:2").write("blog", "blog:2").git.push("Next");
    until("blog to be updated", async || image(&site, "blog").await.as_deref() == Some("blog:2"))
        .await;
    suspended(&agent, "shop", |it| it.revision.as_ref().is_some_and(|at| at.0 == newest)).await;
    let page = agent.views.metrics.render();
    assert!(page.contains(r#"bowline_stack_suspended{stack="shop"} 1"#), "{page}");
    assert!(page.contains(r#"bowline_stack_suspended{stack="blog"} 0"#), "{page}");
    drop(desk);
    agent.end().await;

    let agent = site.start();
    suspended(&agent, "shop", |it| it.sync == SyncStatus::OutOfSync).await;
    assert_eq!(image(&site, "shop").await.as_deref(), Some("shop:1"));
    assert_ne!(state(&site, "shop").await, Some(State::Running));
    let table = site.run(&["status"]).await.expect(0);
    assert!(table.out.contains("suspended for "), "{table:?}");

    site.run(&["resume", "shop"]).await.expect(0);
    assert_eq!(image(&site, "shop").await.as_deref(), Some("shop:2"));
    assert_eq!(state(&site, "shop").await, Some(State::Running));
    assert!(agent.stack("shop").unwrap().suspended.is_none());
    agent.end().await;
}

#[tokio::test]
async fn a_suspended_stack_that_leaves_its_source_is_taken_away_only_once_it_is_resumed() {
    let site = Site::new("");
    let (agent, desk) = begin(&site, &["shop", "blog", "wiki"]).await;
    assert_eq!(desk.post("/v1/stacks/shop/suspend", r#"{"reason":"wait"}"#).await.status, 200);
    suspended(&agent, "shop", |_| true).await;
    site.git.remove("shop").push("Without shop");
    let status = suspended(&agent, "shop", |it| it.departure.is_some()).await;
    assert!(status.message.contains("would be taken away"), "{}", status.message);
    assert_eq!(site.containers("shop").await, 1);
    assert_eq!(desk.post("/v1/stacks/shop/resume", "").await.status, 200);
    site.is_gone("shop").await;
    agent.end().await;
}

/// What the checkout shows containers of `shop`.
fn shown(site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![site.dir.path().join("state/sources")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.ends_with("shop/conf/a") {
                found.push(std::fs::read_to_string(&path).unwrap_or_default());
            } else if path.is_dir() && !path.is_symlink() {
                open.push(path);
            }
        }
    }
    found
}

async fn holds(agent: &Agent, revision: &str) {
    until("the stack to hold", async || {
        agent.stack("shop").is_some_and(|it| {
            it.sync == SyncStatus::Synced && it.revision.is_some_and(|at| at.0 == revision)
        })
    })
    .await;
}

#[tokio::test]
async fn a_stack_that_went_back_keeps_its_files_while_it_is_suspended() {
    let site = Site::new("monitor: 10ms");
    site.image("shop:1");
    let text = "services: { app: { image: 'shop:1', volumes: ['./conf:/conf:ro'] } }\n";
    let first = site.git.write("shop/compose.yaml", text).write("shop/conf/a", "one").push("Begin");
    let agent = site.start();
    holds(&agent, &first).await;
    let second = site.git.write("shop/conf/a", "two").push("Other files");
    holds(&agent, &second).await;
    site.run(&["rollback", "shop"]).await.expect(0);
    assert_eq!(shown(&site), ["one"]);
    site.run(&["suspend", "shop"]).await.expect(0);
    suspended(&agent, "shop", |_| true).await;
    assert_eq!(shown(&site), ["one"]);
    // It takes effect with the resumption, also on the files.
    site.run(&["retry", "shop", "--no-wait"]).await.expect(0);
    suspended(&agent, "shop", |it| it.held_back.is_none()).await;
    assert_eq!(shown(&site), ["one"]);
    site.run(&["resume", "shop"]).await.expect(0);
    holds(&agent, &second).await;
    assert_eq!(shown(&site), ["two"]);
    agent.end().await;
}

#[tokio::test]
async fn files_that_a_suspended_stack_mounts_stay_as_they_were() {
    let site = Site::new("");
    site.image("shop:1");
    let text = "services: { app: { image: 'shop:1', volumes: ['./conf:/conf:ro'] } }\n";
    site.git.write("shop/compose.yaml", text).write("shop/conf/a", "one").push("Begin");
    let agent = site.start();
    site.runs("shop").await;
    let seen = || shown(&site);
    until("the stack to hold", async || {
        agent.stack("shop").is_some_and(|it| it.sync == SyncStatus::Synced)
    })
    .await;
    site.run(&["suspend", "shop"]).await.expect(0);
    let newest = site.git.write("shop/conf/a", "two").push("Other files");
    suspended(&agent, "shop", |it| it.revision.as_ref().is_some_and(|at| at.0 == newest)).await;
    assert_eq!(seen(), ["one"]);
    site.run(&["resume", "shop"]).await.expect(0);
    assert_eq!(seen(), ["two"]);
    agent.end().await;
}

#[tokio::test]
async fn without_an_agent_it_is_noted_for_the_next_one() {
    let site = Site::new("");
    let agent = site.begin(&["shop"]).await;
    until("the stack to be known", async || {
        agent.stack("shop").is_some_and(|it| it.last_success.is_some())
    })
    .await;
    agent.end().await;
    let told = site.run(&["suspend", "shop", "--reason", "by night"]).await.expect(0);
    assert!(told.out.contains("the next one goes by this"), "{told:?}");
    site.write("shop", "shop:2").git.push("Next");
    let agent = site.start();
    let status = suspended(&agent, "shop", |it| it.sync == SyncStatus::OutOfSync).await;
    assert_eq!(status.suspended.unwrap().reason.as_deref(), Some("by night"));
    assert_eq!(image(&site, "shop").await.as_deref(), Some("shop:1"));
    agent.end().await;
}
