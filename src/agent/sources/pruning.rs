//! What left a source: looked for on the engine, and judged.

use super::super::World;
use super::super::desired::{Outline, outline_of};
use super::Watched;
use crate::engine::EngineError;
use crate::model::{SourceName, StackName};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Has the stacks that left the source taken away, or held. Whether that is done, or must be tried
/// again.
pub(super) async fn prune(world: &Arc<World>, watched: &Watched) -> bool {
    let name = &watched.config.name;
    let rules = world.config().prune.clone();
    if !rules.enabled {
        return true;
    }
    if !world.inventory.is_read() {
        return false;
    }
    // Should it have been read only now, what was held is known from here on.
    world.remember();
    let (made, outlines) = match look(world, name).await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::warn!(source = %name, "cannot look for stacks that left the source: {error}");
            return false;
        }
    };
    let judgement = {
        let mut desired = world.desired();
        // Of one that left the configuration meanwhile, nothing is known that could be judged by.
        // And another may have come or changed, into which a stack may have moved.
        if watched.stop.is_cancelled() || !world.all_are_known(&desired) {
            return false;
        }
        let source = (name, &*watched.config.place());
        desired.judge(source, &made, &outlines, &rules.confirm, Timestamp::now())
    };
    world.remember();
    world.forget_adoptions(name, &judgement.forgotten).await;
    for stack in &judgement.removed {
        tracing::warn!(source = %name, stack = %stack, "the stack left the source; removing it");
    }
    for (stack, reason) in &judgement.held {
        tracing::warn!(
            source = %name, stack = %stack,
            "not removing {stack}: {reason}; `bowline prune --confirm {stack}` removes it"
        );
    }
    let held = judgement.held.into_keys();
    let concerned = judgement.removed.into_iter().chain(held).chain(judgement.freed);
    concerned.for_each(|stack| world.queue.add(stack));
    judgement.postponed.is_empty()
}

/// The stacks that a source made on the engine, and what those look like that may have left it.
async fn look(
    world: &World,
    name: &SourceName,
) -> Result<(BTreeSet<StackName>, BTreeMap<StackName, Outline>), EngineError> {
    let all = world.engine.stacks().await?;
    let made = all.into_iter().filter(|(_, source)| source.as_ref() == Some(name));
    let made: BTreeSet<StackName> = made.map(|(stack, _)| stack).collect();
    let undecided = world.desired().undecided(&made);
    let mut outlines = BTreeMap::new();
    for stack in undecided {
        let query = world.adopted.owned_by(&stack, Some(name));
        let observed = world.engine.observe(&query).await?;
        outlines.insert(stack, outline_of(&observed));
    }
    Ok((made, outlines))
}
