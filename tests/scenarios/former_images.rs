//! Running an image of the past by its id.

use super::support::images::SLEEPER;
use super::support::passes::{means, stack};
use super::world::World;
use bowline::model::{Container, Query, ServiceName, Stack, State};
use bowline::pass::{Moment, Subject};
use bowline::plan::{Circumstances, plan};
use bowline::status::{PassResult, Report};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A service `web` that runs `image`.
fn web(world: &World, image: &str, policy: &str) -> Stack {
    let name = world.stack();
    stack(&format!(
        "name: {name}\nservices: {{ web: {{ image: '{image}', pull_policy: {policy}, network_mode: none, \
         stop_grace_period: 1s }} }}\n"
    ))
}

async fn pass(world: &World, stack: &Stack, pinned: &[&str]) -> Report {
    let web = ServiceName::new("web").unwrap();
    let pinned: BTreeMap<_, _> = pinned.iter().map(|id| (web.clone(), (*id).to_owned())).collect();
    let moment = Moment { pinned, ..Moment::by_hand(Duration::ZERO) };
    let subject = Subject { stack, source: None, revision: None };
    means(Arc::clone(&world.engine)).reconcile(&subject, &moment).await
}

/// A pass that brings `stack` about, and one after it that finds nothing to do.
async fn settle(world: &World, stack: &Stack, pinned: &[&str], result: PassResult) -> Container {
    let report = pass(world, stack, pinned).await;
    assert_eq!(report.result, result, "{report:#?}");
    let again = pass(world, stack, pinned).await;
    assert_eq!((again.result, again.reasons), (PassResult::Unchanged, Vec::new()));
    let found = world.only().await;
    assert_eq!(found.state, State::Running);
    found
}

pub async fn an_image_of_the_past_is_run_by_its_id_though_its_name_moved(world: &World) {
    let name = format!("{}:1", world.name("moving"));
    let good = world.image(&name, "good");
    let (missing, always) = (web(world, &name, "missing"), web(world, &name, "always"));
    let first = settle(world, &missing, &[], PassResult::Changed).await;
    assert_eq!(first.image_id, good);
    // While the name stands for it, nothing needs the id, and nothing is pulled.
    let same = settle(world, &always, &[&good], PassResult::Unchanged).await;
    assert_eq!((&same.id, same.spec.image.as_str()), (&first.id, name.as_str()));

    let bad = world.image(&name, "bad");
    // One that runs it already, by the name of then, stays.
    let same = settle(world, &always, &[&good], PassResult::Unchanged).await;
    assert_eq!(same.id, first.id);
    let second = settle(world, &missing, &[], PassResult::Changed).await;
    assert_eq!(second.image_id, bad);

    let report = pass(world, &always, &[&good]).await;
    assert_eq!(report.result, PassResult::Changed, "{report:#?}");
    let reasons: Vec<_> = report.reasons.iter().map(ToString::to_string).collect();
    let short = |id: &str| id["sha256:".len()..][..12].to_owned();
    let said = format!("services.web.image: want {}, is {name}", short(&good));
    assert!(reasons.iter().any(|reason| reason.contains(&said)), "{reasons:?}");
    let back = settle(world, &always, &[&good], PassResult::Unchanged).await;
    assert_eq!((back.image_id.as_str(), back.spec.image.as_str()), (good.as_str(), good.as_str()));

    // Where the name stands for it again, the container is what it should be.
    world.tag(&good, &name);
    let same = settle(world, &missing, &[], PassResult::Unchanged).await;
    assert_eq!(same.id, back.id);

    let forward = settle(world, &web(world, SLEEPER, "missing"), &[], PassResult::Changed).await;
    assert_eq!(forward.spec.image.as_str(), SLEEPER);
    assert_ne!(forward.image_id, good);
}

pub async fn an_image_of_the_past_that_is_gone_is_told_and_its_name_taken(world: &World) {
    let name = format!("{}:1", world.name("moving"));
    let now = world.image(&name, "now");
    let gone = format!("sha256:{}", "0".repeat(64));
    let stack = web(world, &name, "missing");
    let found = settle(world, &stack, &[&gone], PassResult::Changed).await;
    assert_eq!(found.image_id, now);
    let observed = world.engine.observe(&Query::of(&stack)).await.unwrap();
    let pinned = [(ServiceName::new("web").unwrap(), gone)].into();
    let plan = plan(&stack, &observed, &Circumstances { pinned, ..Circumstances::default() });
    let notes: Vec<_> = plan.notes.iter().map(ToString::to_string).collect();
    let said =
        format!("(000000000000) is not on this engine any more; it runs what {name} stands for");
    assert!(notes.len() == 1 && notes[0].contains(&said), "{notes:?}");
}
