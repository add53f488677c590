//! What the agent remembers between passes, and forgets when it ends.

use super::crashes::Crashes;
use super::desired::Want;
use super::pulls::Pulls;
use super::steering::Short;
use super::waiting::Left;
use crate::model::{ContentDigest, SourceName, Stack, StackName};
use crate::status::{Acts, ConfigStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What is remembered between passes.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) crashes: Crashes,
    pub(super) pulls: Pulls,
    /// Stacks that had a pass.
    pub(super) passed: BTreeSet<StackName>,
    /// What the last pass over each stack said.
    pub(super) told: BTreeMap<StackName, String>,
    /// How the last pass over each stack left it, for those that depend on it.
    pub(super) left: BTreeMap<StackName, Left>,
    /// What passes that are under way work towards, and how they are ended early.
    pub(super) under_way: BTreeMap<StackName, UnderWay>,
    /// The last definition of each stack that held, as this process knows it.
    pub(super) good: BTreeMap<StackName, (ContentDigest, Arc<Stack>)>,
    /// The definition of each stack that was begun last, as this process knows it.
    pub(super) begun: BTreeMap<StackName, (ContentDigest, Arc<Stack>)>,
    /// Stacks for which the checkout shows nothing but the newest files.
    pub(super) unlaid: BTreeSet<StackName>,
    /// Which stacks have services that wait for images, and what is kept so long.
    pub(super) short: BTreeMap<StackName, Short>,
    /// What does not help a stack of this definition.
    pub(super) stuck: BTreeMap<StackName, (Stack, Acts)>,
    /// Sources that were tried.
    pub(super) tried: BTreeSet<SourceName>,
    pub(super) ready: bool,
    /// What became of the configuration that was read last.
    pub(super) config: ConfigStatus,
}

/// A pass over a stack.
pub(super) struct UnderWay {
    /// What it works towards.
    pub(super) want: Want,
    /// Ends it early.
    pub(super) stop: CancellationToken,
    /// Has it begin nothing more.
    pub(super) brake: CancellationToken,
}

impl Memory {
    /// What did not help `stack` when it was defined as it is now.
    pub(super) fn stuck_of(&self, name: &StackName, stack: &Stack) -> Acts {
        let known = self.stuck.get(name).filter(|(defined, _)| defined == stack);
        known.map(|(_, acts)| acts.clone()).unwrap_or_default()
    }

    pub(super) fn note_stuck(&mut self, name: &StackName, stack: &Stack, acts: &Acts) {
        if acts.is_empty() {
            self.stuck.remove(name);
        } else {
            self.stuck.insert(name.clone(), (stack.clone(), acts.clone()));
        }
    }
}
