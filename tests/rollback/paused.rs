//! Somebody paused a container before the commit came.

use crate::stage::{CHECK, Of, site};
use crate::support::site::{Site, until};
use bowline::engine::sim::Behaviour;
use bowline::model::Health;
use bowline::status::PassResult;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_by_hand_is_not_held_against_the_commit_that_comes_after_it() {
    is_gone_past_a_pause(|_| {}, Health::Healthy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_unhealthy_before_a_pause_is_not_held_against_the_commit_that_comes_after_it() {
    let sickens = |site: &Site| {
        let ill = Behaviour { healthy_after: None, ..Behaviour::default() };
        site.sim.behave("s-a-1", ill);
    };
    is_gone_past_a_pause(sickens, Health::Unhealthy).await;
}

/// `befall` comes over a service, it is paused, and a commit changes its neighbour alone.
async fn is_gone_past_a_pause(befall: impl FnOnce(&Site), health: Health) {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let two = |version: u8| {
        format!(
            "services:\n  a: {{ image: 'web:1', {CHECK} }}\n  b: {{ image: 'web:{version}', {CHECK} }}\n"
        )
    };
    let agent = site.start();
    let first = of.commit(&two(1));
    of.applied(&agent, &first).await;
    of.until_serves(&["web:1", "web:1"]).await;

    befall(&site);
    let is_so = async |health: Health| {
        of.containers().await.iter().any(|it| it.name == "s-a-1" && it.health == health)
    };
    until("its health", async || is_so(health).await).await;
    // The one that was up before it was paused is none that is still watched.
    sleep(Duration::from_secs(1)).await;
    site.run(&["suspend", "s"]).await.expect(0);
    site.sim.pause("s-a-1").unwrap();
    let second = of.commit(&two(2));
    of.until_status(&agent, |status| status.revision.as_ref().unwrap().0 == second).await;
    // It ends with 1 where something is unhealthy.
    drop(site.run(&["resume", "s"]).await);
    let ended = [PassResult::Changed, PassResult::Unchanged, PassResult::RolledBack];
    let status = of
        .until_status(&agent, |status| {
            status.last_pass.as_ref().is_some_and(|pass| ended.contains(&pass.result))
        })
        .await;
    assert_eq!(status.held_back, None);
    until("its health again", async || is_so(health).await).await;
    let images: Vec<_> = of.containers().await.into_iter().map(|it| it.spec.image).collect();
    assert!(images.iter().any(|image| image.as_str() == "web:2"), "{images:?}");
    agent.end().await;
}
