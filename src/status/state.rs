//! The current state of stacks and sources, in the form that the API and `bowline status` show.
//!
//! The JSON form is stable: keys in `snake_case`, times in RFC 3339, durations in seconds; new keys
//! may come, none changes its meaning.

use super::{
    Conditions, Departure, DriftKind, HeldBackStatus, PassResult, PausedStatus, RolloutStatus,
    SuspendedStatus, WindowStatus, Workload,
};
use crate::model::{Commit, Revision, SourceName, StackName};
use crate::plan::Problem;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether what runs is what is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SyncStatus {
    /// It is.
    Synced,
    /// It is not.
    OutOfSync,
    /// They could not be compared.
    Unknown,
}

impl SyncStatus {
    /// The word in JSON, metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::OutOfSync => "OutOfSync",
            Self::Unknown => "Unknown",
        }
    }
}

/// How a stack's containers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HealthStatus {
    /// All are up.
    Healthy,
    /// All run and health checks of some have no verdict yet, or a pass changes something.
    Progressing,
    /// Some are missing, have ended or fail their health checks.
    Degraded,
    /// The engine could not tell.
    Unknown,
}

impl HealthStatus {
    /// The word in JSON, metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is known of one stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackStatus {
    /// Its name.
    pub name: StackName,
    /// The git source it comes from; absent for a directory or file given by hand.
    pub source: Option<SourceName>,
    /// The commit that git asks for, as the pass under way, or else the last one, knew it.
    pub revision: Option<Revision>,
    /// The commit that a pass brought about last, or went back to, whichever process made it.
    pub applied_revision: Option<Revision>,
    /// Whether what runs is what is desired.
    pub sync: SyncStatus,
    /// How its containers are.
    pub health: HealthStatus,
    /// How many of its containers are in which state, as they were seen last; absent where the engine
    /// could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// In a fixed order: `Ready`, `Reconciling`, `Stalled`, `Drifted`.
    pub conditions: Conditions,
    /// How many fields differed when the last pass began, by kind of object; kinds without a
    /// difference are left out.
    pub drift: BTreeMap<DriftKind, usize>,
    /// Absent until the first pass has ended.
    pub last_pass: Option<LastPass>,
    /// When the last pass that succeeded ended.
    pub last_success: Option<Timestamp>,
    /// When the last pass that changed something ended; absent: none did since the agent began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Timestamp>,
    /// Why it is as it is; empty when there is nothing to say.
    pub message: String,
    /// What a person must mend.
    pub problems: Vec<StackProblem>,
    /// Its update: the one under way, or else the last one since the agent began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// That its last good definition runs in place of what git asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<HeldBackStatus>,
    /// That its containers are not exchanged for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PausedStatus>,
    /// That nothing is done to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<SuspendedStatus>,
    /// That what git asks for waits for a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowStatus>,
    /// That it left its source: why it is kept, or that it is being taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departure: Option<Departure>,
}

/// A pass that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastPass {
    /// How it ended.
    pub result: PassResult,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub took_seconds: f64,
}

/// Something that a person must mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackProblem {
    /// The field concerned in Compose's terms.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
    /// `file:line:column`, where it was written.
    pub place: Option<String>,
}

impl From<&Problem> for StackProblem {
    fn from(problem: &Problem) -> Self {
        Self {
            field: problem.field.clone(),
            message: problem.message.clone(),
            place: problem.place.as_ref().map(ToString::to_string),
        }
    }
}

/// What is known of one git source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: SourceName,
    /// The commit that is checked out; on an error the former one stays.
    pub revision: Option<Revision>,
    /// Who made that commit, and what for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// By whom that commit is signed, where the source is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// `Ready`: whether the last fetch succeeded.
    pub conditions: Conditions,
    /// The last fetch.
    pub last_fetch: LastFetch,
    /// How many fetches failed since then.
    #[serde(default)]
    pub failures: u32,
    /// When it is fetched next by itself; absent: not yet known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_fetch: Option<Timestamp>,
    /// When the last fetch that succeeded ended.
    pub last_success: Option<Timestamp>,
    /// Why the last fetch failed; empty when it did not.
    pub message: String,
}

/// A fetch that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastFetch {
    /// Whether it succeeded.
    pub ok: bool,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub took_seconds: f64,
}
