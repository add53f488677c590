//! What counts as begun, also where it cannot be read or was known by another digest, and what a pass over it does
//! when the window turns.

use crate::support::site::until;
use crate::{
    WATCHED, applied, before, begins, begun, clock, containers, images, just, push, record,
    remember, remove_by_hand, runs, shown, time, waits, write,
};
use bowline::model::{ContentDigest, Revision};
use bowline::status::{PassResult, StackStatus};
use std::time::Duration;
use tokio::time::sleep;

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
