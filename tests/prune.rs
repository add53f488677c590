//! Stacks that leave their source: what is held, confirmed and taken away. In one process on the
//! simulated engine, with a real git repository, the real state directory and the real socket.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::engine::{Engine, EngineError};
use bowline::model::{ContainerSpec, ImageRef, Query, SourceName, StackName, labels};
use bowline::plan::NewContainer;
use bowline::status::HoldReason;
use bowline::store::{Adopted, HoldRecord, Origin};
use std::path::Path;
use std::sync::Arc;
use support::repository::Git;
use support::site::{Site, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_held_over_a_restart_until_it_is_confirmed_and_its_volume_stays() {
    let site = Site::new("");
    let agent = site.begin(&["a", "b", "c"]).await;
    site.git.remove("b").remove("c").push("Most of it is gone");
    assert!(agent.held("b").await.starts_with("more than half"));
    agent.held("c").await;
    let since = agent.stack("b").unwrap().departure.unwrap().since;
    agent.end().await;

    let agent = site.start();
    assert!(agent.held("b").await.starts_with("more than half"));
    assert_eq!(agent.stack("b").unwrap().departure.unwrap().since, since);
    let commit = site.git.write("README", "nothing").push("Another commit");
    until("a pass over the new commit", async || {
        agent.stack("a").is_some_and(|a| a.applied_revision.is_some_and(|at| at.0 == commit))
    })
    .await;
    assert_eq!(site.containers("b").await + site.containers("c").await, 2);
    assert!(agent.views.metrics.render().contains("bowline_departed_stacks{state=\"held\"} 2"));

    let listed = site.prune(&[]).await.expect(0).out;
    for words in ["b: left infra, held for", "goes: containers b-app-1", "stays: volumes b_data"] {
        assert!(listed.contains(words), "no `{words}` in\n{listed}");
    }
    let told = site.prune(&["--confirm", "b"]).await.expect(0).out;
    assert_eq!(told, "b: removed; its volumes stay, with their data: b_data\n");
    assert_eq!((site.containers("b").await, site.containers("c").await), (0, 1));
    site.prune(&["--confirm", "b"]).await.expect(1).says(&["b is not held"]);
    site.prune(&["--confirm"]).await.expect(0);
    assert_eq!((site.containers("a").await, site.containers("c").await), (1, 0));
    let query = Query::owned_by(StackName::new("c").unwrap());
    let volumes = site.sim.observe(&query).await.unwrap().volumes;
    assert_eq!(volumes.len(), 1);
    assert!(site.prune(&[]).await.expect(0).out.starts_with("nothing is held"));
    agent.end().await;
    let known = site.inventory().stacks();
    assert_eq!(known.keys().map(StackName::as_str).collect::<Vec<_>>(), ["a"]);
    let a = &known[&StackName::new("a").unwrap()];
    assert!(a.applied.as_ref().unwrap().revision.is_some());
    assert_eq!(a.holdings.containers, ["a-app-1".to_owned()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_and_then_removed_by_hand_is_held_no_longer_without_a_commit() {
    let site = Site::new("");
    let agent = site.begin(&["a", "b", "c"]).await;
    site.git.remove("b").remove("c").push("Most of it is gone");
    agent.held("b").await;
    agent.held("c").await;
    let means = support::passes::means(Arc::new(site.sim.clone()));
    means.remove(&Query::owned_by(StackName::new("b").unwrap()), None, false).await;
    until("b not to be held", async || agent.stack("b").is_none()).await;
    agent.held("c").await;
    agent.end().await;
    assert!(!site.inventory().stacks().contains_key(&StackName::new("b").unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_directory_is_held_also_if_that_happened_while_no_agent_ran() {
    let site = Site::new("");
    let agent = site.begin(&["a", "b", "c", "d"]).await;
    site.git.remove("b");
    site.write("bee", "b:2").git.push("Rename one");
    assert_eq!(agent.held("b").await, "it seems renamed to bee");
    agent.end().await;
    site.git.remove("c");
    site.write("sea", "c:1").git.push("Rename another");
    let agent = site.start();
    assert_eq!(agent.held("c").await, "it seems renamed to sea");
    assert_eq!(agent.held("b").await, "it seems renamed to bee");
    site.runs("sea").await;
    assert_eq!((site.containers("b").await, site.containers("c").await), (1, 1));

    site.write("c", "c:1").git.remove("sea").push("Back again");
    until("c not to be held", async || {
        agent.stack("c").is_some_and(|stack| stack.departure.is_none())
    })
    .await;
    // To the way back the same applies.
    assert_eq!(agent.held("sea").await, "it seems renamed to c");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_removed_stays_in_the_inventory_and_is_tried_again() {
    let site = Site::new("");
    let agent = site.begin(&["a", "b", "c"]).await;
    let refusal = |_| EngineError::Refused {
        operation: "remove",
        object: "container b-app-1".to_owned(),
        status: 500,
        message: "device busy".to_owned(),
    };
    for nth in 1..=4 {
        site.sim.fail("remove", nth, refusal(nth));
    }
    site.git.remove("b").push("One is gone");
    until("the failure in the status", async || {
        agent
            .stack("b")
            .is_some_and(|stack| stack.departure.is_some() && stack.message.contains("device busy"))
    })
    .await;
    let listed = site.prune(&[]).await.expect(0).out;
    assert!(listed.contains("b: left infra, could not be removed for"), "{listed}");
    assert!(listed.contains("device busy"), "{listed}");
    site.prune(&["--confirm", "b"]).await.expect(1).says(&["device busy", "tries again"]);
    agent.end().await;
    let record = site.inventory().stack(&StackName::new("b").unwrap());
    let removal = record.removal.unwrap();
    assert!(removal.failures >= 2 && removal.confirmed, "{removal:?}");

    // Whatever is left of the failures is used up by further attempts.
    let agent = site.start();
    site.is_gone("b").await;
    until("its record to be gone", async || agent.stack("b").is_none()).await;
    agent.end().await;
    assert!(!site.inventory().stacks().contains_key(&StackName::new("b").unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_inventory_loses_no_control() {
    let site = Site::new("");
    let agent = site.begin(&["a", "b", "c"]).await;
    agent.end().await;
    std::fs::write(site.dir.path().join("state/state.redb"), "damaged").unwrap();
    site.git.remove("c").push("One is gone");
    let agent = site.start();
    site.is_gone("c").await;
    assert_eq!((site.containers("a").await, site.containers("b").await), (1, 1));
    assert!(agent.views.metrics.render().contains("bowline_inventory_up 1"));
    agent.end().await;
    assert!(site.dir.path().join("state/state.redb.damaged-1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_while_the_inventory_cannot_be_read_and_what_was_held_is_so_later() {
    let site = Site::new("");
    let agent = site.begin(&["a", "b", "c", "d"]).await;
    site.git.remove("b");
    site.write("bee", "b:1").git.push("Rename one");
    agent.held("b").await;
    site.runs("bee").await;
    agent.end().await;

    // Another process has it open.
    let other = site.inventory();
    site.git.remove("c").remove("bee").push("Others are gone");
    let agent = site.start();
    until("the source", async || agent.stack("d").is_some_and(|d| d.last_success.is_some())).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    for name in ["b", "bee", "c"] {
        assert_eq!(site.containers(name).await, 1, "{name}");
    }
    drop(other);
    // Something to write, so that it is tried at once.
    site.write("d", "d:2").git.push("Another image");
    assert_eq!(agent.held("b").await, "it seems renamed to bee");
    site.is_gone("c").await;
    site.is_gone("bee").await;
    assert_eq!(site.containers("b").await, 1);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_of_a_source_outlives_an_agent_without_that_source() {
    let site = Site::new("");
    site.write("a", "a:1").git.push("Begin");
    std::fs::create_dir(site.dir.path().join("state")).unwrap();
    let since = jiff::Timestamp::UNIX_EPOCH;
    let held = StackName::new("held").unwrap();
    let inventory = site.inventory();
    inventory.update(&held, |record| {
        let source = SourceName::new("other").unwrap();
        let (file, left, depends_on) = (String::new(), Some(since), [].into());
        record.origin = Some(Origin { source, file, since, left, place: None, depends_on });
        record.held = Some(HoldRecord { reason: HoldReason::TooMany, since });
    });
    inventory.flush().unwrap();
    let record = inventory.stack(&held);
    drop(inventory);
    let agent = site.start();
    until("a pass", async || agent.stack("a").is_some_and(|a| a.last_success.is_some())).await;
    agent.end().await;
    assert_eq!(site.inventory().stack(&held), record);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_configuration_does_not_have_after_a_restart_is_kept_and_a_commit_still_counts()
 {
    let mut site = Site::new("");
    for path in ["one/a", "one/b", "one/c", "one/d", "one/e", "two/a", "two/b", "two/c", "two/e"] {
        site.write(path, "app:1");
    }
    site.git.push("Begin");
    site.source = ", path: one";
    let agent = site.start();
    for stack in ["a", "b", "c", "d", "e"] {
        site.runs(stack).await;
    }
    agent.end().await;

    // Another path, and a commit that takes away a stack there, while no agent runs.
    site.source = ", path: two";
    let agent = site.start();
    assert!(agent.held("d").await.contains("names another place of the source"));
    let listed = site.prune(&[]).await.expect(0).out;
    assert!(listed.contains("d: left infra, held for"), "{listed}");
    agent.end().await;
    site.git.remove("two/c").push("Without c");
    let agent = site.start();
    site.is_gone("c").await;
    assert!(agent.held("d").await.contains("names another place of the source"));
    site.prune(&["--confirm", "d"]).await.expect(0);
    assert_eq!(site.containers("d").await, 0);
    agent.end().await;

    // Another repository.
    site.git = Git::new();
    site.write("two/a", "app:1").write("two/b", "app:1").git.push("Begin");
    let agent = site.start();
    assert!(agent.held("e").await.contains("names another place of the source"));
    agent.end().await;

    // Another name: the stacks are those of a source that is gone, so nobody looks at them.
    (site.name, site.source) = ("other", "");
    site.write("two/c", "app:1").git.remove("two/b").push("Without b");
    let agent = site.start();
    site.runs("c").await;
    until("a pass over a", async || agent.stack("a").is_some_and(|it| it.last_success.is_some()))
        .await;
    agent.end().await;
    for stack in ["a", "b", "e"] {
        assert_eq!(site.containers(stack).await, 1, "{stack}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_can_confirm() {
    let site = Site::new("prune: { confirm: [b, c] }");
    let agent = site.begin(&["a", "b", "c"]).await;
    site.git.remove("b").remove("c").push("Most of it is gone");
    site.is_gone("b").await;
    site.is_gone("c").await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn former_images_are_removed_but_for_the_newest_and_those_with_other_names() {
    let site = Site::new("images: { keep: 1 }");
    site.write("a", "a:1").write("b", "other:1").git.push("Begin");
    let foreign = site.image("foreign:1");
    let agent = site.start();
    site.runs("a").await;
    until("the first version to be applied", async || {
        agent.stack("a").is_some_and(|stack| stack.last_success.is_some())
    })
    .await;
    for version in 2..=4 {
        let commit = site.write("a", &format!("a:{version}")).git.push("Next");
        until("the version", async || {
            let query = Query::owned_by(StackName::new("a").unwrap());
            let image = format!("a:{version}");
            let seen = site.sim.observe(&query).await.unwrap().containers;
            seen.iter().any(|one| one.spec.image.as_str() == image)
                && agent
                    .stack("a")
                    .and_then(|stack| stack.applied_revision)
                    .is_some_and(|it| it.0 == commit)
        })
        .await;
        if version == 2 {
            // Somebody else's name for an image that the stack ran.
            site.sim.tag("a:2", "somebody:2");
        }
    }
    let there = async |reference: &str| {
        let images = [bowline::model::ImageRef::new(reference).unwrap()].into();
        let query = Query { images, ..Query::owned_by(StackName::new("a").unwrap()) };
        !site.sim.observe(&query).await.unwrap().images.is_empty()
    };
    until("the first version to be gone", async || !there("a:1").await).await;
    for reference in ["a:2", "a:3", "a:4", "other:1", "somebody:2", &foreign] {
        assert!(there(reference).await, "{reference}");
    }
    assert!(agent.views.metrics.render().contains("bowline_images_removed_total 1"));
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_the_inventory_itself_is_asked_under_the_lock() {
    let site = Site::new("");
    let agent = site.begin(&["a", "b"]).await;
    site.git.remove("a").remove("b").write("README", "empty").push("All is gone");
    agent.held("a").await;
    agent.held("b").await;
    let lock = site.prune_at(Path::new("/nonexistent.sock"), &[]).await.expect(1);
    lock.says(&["no agent answers at /nonexistent.sock", "another agent runs with it"]);
    agent.end().await;
    let listed = site.prune(&["-o", "json"]).await.expect(0).out;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["stack"], "a");
    assert_eq!(listed[1]["held"], "the source holds no stack at all");
    // The engine of this other process is another one, so there is nothing to do for it.
    site.prune(&["--confirm", "a"]).await.expect(0);
    let left = site.inventory().stacks();
    assert_eq!(left.keys().map(StackName::as_str).collect::<Vec<_>>(), ["b"]);
}

/// A container as Docker Compose makes it.
fn compose_made(site: &Site, project: &str, service: &str) {
    site.image("c:1");
    let labels = [
        (labels::PROJECT, project),
        (labels::SERVICE, service),
        (labels::NUMBER, "1"),
        (labels::ONEOFF, "False"),
        (labels::CONFIG_HASH, "00"),
    ];
    let new = NewContainer {
        name: format!("{project}-{service}-1"),
        spec: ContainerSpec::new(ImageRef::new("c:1").unwrap()),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        keep_volumes: std::collections::BTreeMap::new(),
    };
    site.sim.foreign(&new).unwrap();
}

fn adopted(site: &Site) -> Adopted {
    Adopted::of(&site.dir.path().join("state"))
}

/// The containers of a stack, and what Compose made of it.
async fn all_of(site: &Site, stack: &str) -> usize {
    let query = Query { adopt: true, ..Query::owned_by(StackName::new(stack).unwrap()) };
    site.sim.observe(&query).await.unwrap().containers.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compose_made_of_a_stack_is_known_to_the_guard_told_and_removed_with_it() {
    let site = Site::new("");
    site.write("a", "a:1").write("c", "c:1");
    compose_made(&site, "b", "old");
    let app = "app: { image: b:1 }";
    site.image("b:1");
    let file = |more: &str| format!("x-bowline: {{ adopt: true }}\nservices: {{ {app}{more} }}\n");
    site.git
        .write("b/compose.yaml", &file(", old: { image: c:1, network_mode: bridge }"))
        .push("Begin");
    let agent = site.start();
    for name in ["a", "b", "c"] {
        site.runs(name).await;
    }
    let b = StackName::new("b").unwrap();
    until("the note", async || adopted(&site).has(&b, None)).await;
    let renamed =
        file(", old: { image: c:1, network_mode: bridge }").replace("adopt: true", "adopt: false");
    site.git.remove("b").write("bee/compose.yaml", &renamed).push("Rename it");
    assert_eq!(agent.held("b").await, "it seems renamed to bee");
    let listed = site.prune(&[]).await.expect(0).out;
    assert!(listed.contains("goes: containers b-app-1, b-old-1"), "{listed}");
    site.prune(&["--confirm", "b"]).await.expect(0);
    assert_eq!(all_of(&site, "b").await, 0);
    until("the note to be gone", async || !adopted(&site).has(&b, None)).await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_over_by_hand_is_so_for_the_agent_that_runs() {
    let site = Site::new("");
    compose_made(&site, "b", "app");
    site.write("a", "a:1").write("b", "c:1").git.push("Begin");
    let agent = site.start();
    until("the complaint", async || {
        agent.stack("b").is_some_and(|b| b.message.contains("not made by Bowline"))
    })
    .await;
    let b = StackName::new("b").unwrap();
    adopted(&site).note(&b, None).unwrap();
    until("success", async || agent.stack("b").is_some_and(|b| b.last_success.is_some())).await;
    assert_eq!(all_of(&site, "b").await, 1);

    // Once nothing is left of it, a stack of this name that comes later is not taken over.
    site.git.remove("b").write("broken/compose.yaml", "services: 3\n").push("It leaves");
    agent.held("b").await;
    let means = support::passes::means(Arc::new(site.sim.clone()));
    means.remove(&adopted(&site).owned_by(&b, None), None, false).await;
    until("the note to be gone", async || !adopted(&site).has(&b, None)).await;
    agent.end().await;
}
