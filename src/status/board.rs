//! All that is known now, of every stack and source.

use super::{
    HeldBackStatus, PassResult, PausedStatus, Report, SlotNotice, SourceReport, SourceStatus,
    StackStatus, SuspendedStatus, Workload, fold, progress,
};
use crate::model::{Revision, SourceName, StackName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The current state, into which reports are folded.
#[derive(Debug, Clone, Default)]
pub struct Board {
    stacks: BTreeMap<StackName, StackStatus>,
    sources: BTreeMap<SourceName, SourceStatus>,
    /// What the passes under way work towards, where that is not the commit that git asks for.
    towards: BTreeMap<StackName, Towards>,
}

/// What a pass works towards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Towards {
    /// The definition of a commit, where that is known; it may be held back.
    Commit(Option<Revision>),
    /// That nothing of the stack is left.
    Nothing,
}

/// What is remembered of a stack, whatever its passes tell.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// The source that asks for it.
    pub source: Option<SourceName>,
    /// That what git asks for is held back.
    pub held_back: Option<HeldBackStatus>,
    /// That containers are not exchanged.
    pub paused: Option<PausedStatus>,
    /// That nothing is done.
    pub suspended: Option<SuspendedStatus>,
    /// The commit that runs.
    pub runs: Option<Revision>,
}

/// A copy of the whole board; the body of `/v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// By name.
    pub stacks: Vec<StackStatus>,
    /// By name.
    pub sources: Vec<SourceStatus>,
    /// Absent where no agent answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigStatus>,
}

/// The configuration that an agent goes by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// When it was read.
    pub read_at: Timestamp,
    /// Keys that were changed since the start, and take a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits_restart: Vec<String>,
    /// What is wrong with what was read after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl ConfigStatus {
    /// What of the configuration in the file is not in effect, in words.
    pub fn trouble(&self) -> Option<String> {
        if let Some(error) = &self.refused {
            return Some(format!("the configuration stays as it was: {error}"));
        }
        let waits = self.awaits_restart.join(", ");
        (!waits.is_empty()).then(|| format!("a restart is needed for {waits}"))
    }
}

impl Board {
    /// A pass over `stack` at `revision` begins; optional, for those who look meanwhile.
    pub fn begin(&mut self, stack: &StackName, revision: Option<&Revision>, now: Timestamp) {
        self.towards.remove(stack);
        fold::begin(self.entry(stack), revision, now);
    }

    /// The pass under way works towards something else than the commit that it began at.
    pub fn note_towards(&mut self, stack: &StackName, towards: Towards) {
        self.towards.insert(stack.clone(), towards);
    }

    /// A slot of `stack` came to another phase.
    pub fn note_slot(&mut self, stack: &StackName, notice: &SlotNotice<'_>, now: Timestamp) {
        self.note_change(stack, now);
        progress::slot(self.entry(stack), notice, now);
    }

    /// The pass under way over `stack` begins to change something.
    pub fn note_change(&mut self, stack: &StackName, now: Timestamp) {
        let towards = self.towards.get(stack).cloned();
        fold::change(self.entry(stack), towards.as_ref(), now);
    }

    /// The pass under way over `stack` begins to pull `image`.
    pub fn note_pull(&mut self, stack: &StackName, image: &str) {
        fold::pull(self.entry(stack), image);
    }

    /// Whether the pass under way over `stack` changes something.
    pub fn is_changing(&self, stack: &StackName) -> bool {
        self.stacks.get(stack).is_some_and(fold::is_changing)
    }

    /// How the containers of `stack` are in the middle of a pass.
    pub fn note_workload(&mut self, stack: &StackName, workload: Workload) {
        if let Some(status) = self.stacks.get_mut(stack) {
            status.workload = Some(workload);
        }
    }

    /// What is known before a pass tells. What the last one said of a hold that is over is outdated.
    pub fn note_remembered(&mut self, stack: &StackName, known: Remembered) {
        let Some(status) = self.stacks.get_mut(stack) else { return };
        let Remembered { source, held_back, paused, suspended, runs } = known;
        let ended = (status.held_back.is_some() && held_back.is_none())
            || (status.paused.is_some() && paused.is_none())
            || (status.suspended.is_some() && suspended.is_none());
        if ended {
            status.message.clear();
        }
        (status.held_back, status.paused, status.suspended) = (held_back, paused, suspended);
        status.applied_revision = status.applied_revision.take().or(runs);
        status.source = source.or(status.source.take());
    }

    /// A pass has ended. After [`PassResult::Removed`] the stack is known no more.
    pub fn note(&mut self, report: &Report) {
        if report.result == PassResult::Removed {
            self.forget(&report.stack);
        } else {
            fold::pass(self.entry(&report.stack), report);
        }
    }

    /// A fetch has ended.
    pub fn note_source(&mut self, report: &SourceReport) {
        let former = self.sources.remove(&report.source);
        self.sources.insert(report.source.clone(), fold::fetch(former, report));
    }

    /// The stack is ours no more.
    pub fn forget(&mut self, stack: &StackName) {
        self.stacks.remove(stack);
        self.towards.remove(stack);
    }

    /// The source is watched no more.
    pub fn forget_source(&mut self, source: &SourceName) {
        self.sources.remove(source);
    }

    /// What is known of one stack.
    pub fn stack(&self, name: &StackName) -> Option<&StackStatus> {
        self.stacks.get(name)
    }

    /// All stacks, by name.
    pub fn stacks(&self) -> impl Iterator<Item = &StackStatus> {
        self.stacks.values()
    }

    /// All sources, by name.
    pub fn sources(&self) -> impl Iterator<Item = &SourceStatus> {
        self.sources.values()
    }

    /// A copy of all of it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            stacks: self.stacks.values().cloned().collect(),
            sources: self.sources.values().cloned().collect(),
            config: None,
        }
    }

    fn entry(&mut self, stack: &StackName) -> &mut StackStatus {
        self.stacks.entry(stack.clone()).or_insert_with(|| fold::unseen(stack.clone()))
    }
}

#[cfg(test)]
mod tests;
