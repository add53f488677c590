//! What the stacks of one `apply` wait for in each other: they come one after the other, each after
//! those that it depends on.

use super::target::Found;
use crate::engine::Engine;
use crate::model::{Stack, StackName};
use crate::status::Report;
use std::collections::{BTreeMap, BTreeSet};

/// The stacks that others depend on.
pub(super) struct Ahead {
    /// Those of this run that some depend on.
    awaited: BTreeSet<StackName>,
    /// Why those that depend on each must wait, if they must.
    obstacles: BTreeMap<StackName, Option<String>>,
    /// What is there before.
    on_engine: BTreeSet<StackName>,
}

impl Ahead {
    /// The stacks of `found`, none of which was begun.
    pub(super) async fn of(found: &Found, engine: &dyn Engine) -> anyhow::Result<Self> {
        let stacks = found.entries.iter().filter_map(|entry| entry.loaded.as_ref().ok());
        let awaited: BTreeSet<StackName> =
            stacks.flat_map(|loaded| loaded.stack.policy.depends_on.clone()).collect();
        let on_engine = if awaited.is_empty() {
            BTreeSet::new()
        } else {
            engine.stacks().await?.into_keys().collect()
        };
        Ok(Self { awaited, obstacles: BTreeMap::new(), on_engine })
    }

    /// Why `stack` must wait, if it must. One that is not of this run is looked after by others: it is
    /// enough that it is there.
    pub(super) fn obstacle(&self, stack: &Stack) -> Option<String> {
        let why = |other: &StackName| match self.obstacles.get(other) {
            Some(obstacle) => obstacle.clone(),
            None if self.on_engine.contains(other) => None,
            None => Some("it is neither here nor on the engine".to_owned()),
        };
        let others = stack.policy.depends_on.iter();
        let waits = others.filter_map(|other| Some((other, why(other)?)));
        let lines: Vec<String> =
            waits.map(|(other, why)| format!("waiting for stack {other}: {why}")).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Whether others depend on a stack: then they wait until it is up.
    pub(super) fn is_awaited(&self, stack: &StackName) -> bool {
        self.awaited.contains(stack)
    }

    /// Notes how a pass over a stack ended.
    pub(super) fn note(&mut self, report: &Report) {
        self.obstacles.insert(report.stack.clone(), report.obstacle());
    }
}
