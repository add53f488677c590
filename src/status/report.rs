//! What a pass and a fetch tell about themselves. They return these instead of errors.

use super::{
    Departure, HeldBackStatus, PausedStatus, RolloutReport, Seen, SuspendedStatus, WindowStatus,
};
use crate::model::{Commit, ContentDigest, Revision, ServiceName, SourceName, StackName};
use crate::plan::{Action, Change, Object, Problem, Reason};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What one pass over a stack found and did.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The stack.
    pub stack: StackName,
    /// Where it came from; absent for a directory or file given by hand.
    pub source: Option<SourceName>,
    /// The commit, where known.
    pub revision: Option<Revision>,
    /// The keyed digest of what it worked towards; absent where it did not come to that.
    pub definition: Option<ContentDigest>,
    /// When the pass began.
    pub started: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub result: PassResult,
    /// Why it ended so, in one or more lines; empty when there is nothing to say.
    pub message: String,
    /// How many fields differed when the pass began, by kind of object.
    pub drift: BTreeMap<DriftKind, usize>,
    /// The differences themselves, as the first plan of the pass had them.
    pub reasons: Vec<Reason>,
    /// The first plan of the pass, as text; empty where nothing was planned.
    pub plan: String,
    /// What was done, in the order in which it ended.
    pub actions: Vec<ActionReport>,
    /// What was done before and is still to be done, with the fields concerned: it does not help.
    pub stuck: Acts,
    /// The images that could not be had for now, and who waits for them.
    pub shortage: Shortage,
    /// What a person must mend.
    pub problems: Vec<Problem>,
    /// How the stack's containers were at the end; `None` when the engine could not tell.
    pub workload: Option<Workload>,
    /// What the stack owned and ran at the end; `None` when the engine could not tell.
    pub seen: Option<Seen>,
    /// That a pass for a source found the stack as `apply` had made it, in no source; where an agent tells
    /// it: for the first time.
    pub from_hand: bool,
    /// What became of the updates of services, where containers were exchanged.
    pub rollouts: Vec<RolloutReport>,
    /// That the stack's last good definition is asked for in place of what git asks for.
    pub held_back: Option<HeldBackStatus>,
    /// That containers are not exchanged for now.
    pub paused: Option<PausedStatus>,
    /// That nothing is done to the stack.
    pub suspended: Option<SuspendedStatus>,
    /// That what git asks for waits for a window.
    pub window: Option<WindowStatus>,
    /// The commit that waits for it, where what was begun before was worked on in its place: all else here
    /// is about that.
    pub waiting: Option<Revision>,
    /// That the stack left its source.
    pub departure: Option<Departure>,
}

impl Report {
    /// Of a pass over `stack` that begins, as if it failed at once: nothing was seen or done yet.
    pub fn begun(stack: StackName, started: Timestamp) -> Self {
        Self {
            stack,
            source: None,
            revision: None,
            definition: None,
            started,
            took: Duration::ZERO,
            result: PassResult::Failed,
            message: String::new(),
            drift: BTreeMap::new(),
            reasons: Vec::new(),
            plan: String::new(),
            actions: Vec::new(),
            stuck: Acts::new(),
            shortage: Shortage::default(),
            problems: Vec::new(),
            workload: None,
            seen: None,
            from_hand: false,
            rollouts: Vec::new(),
            held_back: None,
            paused: None,
            suspended: None,
            window: None,
            waiting: None,
            departure: None,
        }
    }

    /// How it ended for who asks whether what git asks for runs. What was held back or rested before ends
    /// with what waits, unless somebody said so.
    pub fn told(&self) -> PassResult {
        let is_settled = match self.result {
            PassResult::Paused => self.paused.as_ref().is_none_or(|paused| !paused.by_hand),
            result => result.is_success() || result == PassResult::RolledBack,
        };
        if self.waiting.is_some() && is_settled { PassResult::Waiting } else { self.result }
    }

    /// The commit that runs since this pass; `None`: that which ran before, or a part of another.
    pub fn runs(&self) -> Option<&Revision> {
        match &self.held_back {
            Some(held) if held.reached => held.instead.as_ref(),
            _ if self.result.is_success() => self.revision.as_ref(),
            _ => None,
        }
    }

    /// Whether what differed when it began may differ still.
    pub fn leaves_drift(&self) -> bool {
        !self.result.is_success() && self.result != PassResult::RolledBack
    }

    /// The commit that git asks for, where known.
    pub fn asked(&self) -> Option<&Revision> {
        self.waiting.as_ref().or(self.revision.as_ref())
    }
}

/// Images that could not be had, through no fault of the definition: the registry is away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shortage {
    /// The pulls that failed so.
    pub pulls: Vec<Change>,
    /// The services of which something was not begun for want of them.
    pub services: BTreeSet<ServiceName>,
}

/// Changes, and the fields that they are about.
pub type Acts = BTreeMap<(Object, Action), BTreeSet<String>>;

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassResult {
    /// Everything was as desired.
    Unchanged,
    /// Everything is as desired now.
    Changed,
    /// Some of it could not be done, or the engine could not be asked.
    Failed,
    /// The stack's files are in error; nothing was touched.
    Invalid,
    /// All was done that could be, but containers end again and again; they rest before the next
    /// start.
    Crashing,
    /// It still differs after the bounded number of rounds.
    Stalled,
    /// An update rests: too many of its containers failed, or somebody said so.
    Paused,
    /// What git asks for is held back, since it failed or somebody went back from it; the last good
    /// definition runs in its place.
    RolledBack,
    /// It differs from what a former pass brought about, and the stack's policy is to tell so.
    Drifted,
    /// It waits for other stacks, or for its window: what git asks for is not begun.
    Waiting,
    /// Nothing is done to it, since somebody said so.
    Suspended,
    /// The stack and what it owned are gone.
    Removed,
}

impl PassResult {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Unchanged,
        Self::Changed,
        Self::Failed,
        Self::Invalid,
        Self::Crashing,
        Self::Stalled,
        Self::Paused,
        Self::RolledBack,
        Self::Drifted,
        Self::Waiting,
        Self::Suspended,
        Self::Removed,
    ];

    /// A word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::Crashing => "crashing",
            Self::Stalled => "stalled",
            Self::Paused => "paused",
            Self::RolledBack => "rolled_back",
            Self::Drifted => "drifted",
            Self::Waiting => "waiting",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }

    /// Whether the stack is as desired at the end of the pass.
    pub fn is_success(self) -> bool {
        match self {
            Self::Unchanged | Self::Changed | Self::Removed => true,
            Self::Failed
            | Self::Invalid
            | Self::Crashing
            | Self::Stalled
            | Self::Paused
            | Self::RolledBack
            | Self::Drifted
            | Self::Waiting
            | Self::Suspended => false,
        }
    }
}

/// What kind of object differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// An image.
    Image,
}

impl DriftKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Container, Self::Network, Self::Volume, Self::Image];

    /// A word for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
        }
    }

    /// The kind of `object`.
    pub fn of(object: &Object) -> Self {
        match object {
            Object::Image(_) => Self::Image,
            Object::Network(_) => Self::Network,
            Object::Volume(_) => Self::Volume,
            Object::Container(_) | Object::Hook(_) => Self::Container,
        }
    }
}

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionReport {
    /// What was changed.
    pub object: Object,
    /// How.
    pub action: Action,
    /// Why.
    pub reasons: Vec<Reason>,
    /// The error that ended it, if one did.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// How many of a stack's containers are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Containers that the stack asks for.
    pub desired: usize,
    /// Those that run and are healthy where they have a check, and jobs that ended well.
    pub up: usize,
    /// Those that run and whose health check has no verdict yet.
    pub starting: usize,
    /// Those that run and whose health check fails.
    pub unhealthy: usize,
}

/// What one fetch of a git source found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// The source.
    pub source: SourceName,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The commit that is checked out, or why there is none. On an error the former commit stays.
    pub outcome: Result<Revision, String>,
    /// By whom the commit is signed, or that it is not as it should be; `None`: that was not looked at.
    pub verification: Option<Result<String, Unverified>>,
    /// The commit that is checked out now, and what it says of itself, where that is known.
    pub shown: Option<(Revision, Commit)>,
    /// When the next fetch is due by itself.
    pub next: Option<Timestamp>,
}

/// A commit that is not taken, because nobody who is known signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unverified;
