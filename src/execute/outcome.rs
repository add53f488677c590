//! What became of a plan, why a change ended early, and what is heard meanwhile.

use super::{CheckFailed, HookFailed, NotReached, Unjudged};
use crate::engine::EngineError;
use crate::model::{ServiceName, Slot};
use crate::plan::Change;
use crate::rollout::Progress;
use crate::status::{ActionReport, RolloutReport, Shortage, SlotNotice};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The changes that were begun, in the order in which they ended.
    pub actions: Vec<ActionReport>,
    /// Changes not begun, because one that they come after failed, their service's update came to an
    /// early end, or the stop came first.
    pub skipped: usize,
    /// How the updates of services ended, those that did.
    pub rollouts: Vec<RolloutReport>,
    /// How far each service came, for a pass that goes on.
    pub progress: BTreeMap<ServiceName, Progress>,
    /// Whether an update ended before it was known how it ends.
    pub open: bool,
    /// Why it did, where a canary could not be judged.
    pub unjudged: Option<String>,
    /// The images that could not be had through no fault of the definition, and who waits for them.
    pub shortage: Shortage,
}

impl Outcome {
    /// Whether all was done, and what was watched held.
    pub fn is_complete(&self) -> bool {
        !self.open
            && self.skipped == 0
            && self.actions.iter().all(|action| action.error.is_none())
            && self.rollouts.iter().all(|rollout| rollout.failed == 0)
    }

    pub(super) fn note(
        &mut self,
        change: &Change,
        result: &Result<(), ChangeError>,
        took: Duration,
    ) {
        self.actions.push(ActionReport {
            object: change.object.clone(),
            action: change.action,
            reasons: change.reasons.clone(),
            error: result.as_ref().err().map(ToString::to_string),
            took,
        });
    }
}

/// Why a change ended early.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The engine refused a step or could not be reached.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A container did not come to where it should.
    #[error(transparent)]
    NotReached(#[from] NotReached),
    /// Another service, which must be up before, did not come to where it should.
    #[error(transparent)]
    Needed(NotReached),
    /// A hook failed.
    #[error(transparent)]
    Hook(#[from] HookFailed),
    /// A check of a canary failed.
    #[error(transparent)]
    Check(#[from] CheckFailed),
    /// Nobody could say whether a canary is well.
    #[error(transparent)]
    Unjudged(#[from] Unjudged),
}

/// What an onlooker hears while a plan is carried out.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A change begins.
    Began(&'a Change),
    /// A long step says how far it is.
    Doing(&'a Change, &'a str),
    /// A wait that is not required failed, or the engine could not do a part of a step.
    Warned(&'a Change, &'a str),
    /// A slot of a service that is updated came to another phase.
    Slot(SlotNotice<'a>),
    /// Nobody can say for now whether the container of this slot, a canary, is well.
    Unjudged(&'a Slot, &'a str),
    /// A change ended.
    Ended(&'a Change, Result<(), &'a ChangeError>, Duration),
}

/// Hears [`Notice`]s, from several tasks at once.
pub type Onlooker = Arc<dyn Fn(Notice<'_>) + Send + Sync>;
