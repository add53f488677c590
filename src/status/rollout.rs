//! Updates: how far each slot of a service is, how the update of a service ended, and what is held
//! back since it did not end well.

use crate::model::{Revision, ServiceName, Slot};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How far one slot is in an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotPhase {
    /// Its turn has not come.
    Waiting,
    /// Its new container is being made.
    Creating,
    /// Its new container was started and is not up yet.
    Starting,
    /// Its new container is up, and is watched for an early end.
    Watching,
    /// Its old container is taken out of service and stopped.
    Draining,
    /// Its new container is up and held.
    Done,
    /// Its new container did not come up, or ended while it was watched.
    Failed,
}

impl SlotPhase {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Creating,
        Self::Starting,
        Self::Watching,
        Self::Draining,
        Self::Done,
        Self::Failed,
    ];

    /// The word in JSON, tables and on the terminal.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Creating => "creating",
            Self::Starting => "starting",
            Self::Watching => "watching",
            Self::Draining => "draining",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for SlotPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Where a stack's update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutPhase {
    /// Containers are being exchanged.
    Progressing,
    /// All that are to be exchanged are up, and some are watched.
    Watching,
    /// It rests.
    Paused,
    /// It did not hold, and the stack goes back to its last good definition.
    RollingBack,
    /// The last good definition runs again.
    RolledBack,
    /// All is as the new definition asks for.
    Completed,
    /// It ended, and not all is as it should be.
    Failed,
}

impl RolloutPhase {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Progressing,
        Self::Watching,
        Self::Paused,
        Self::RollingBack,
        Self::RolledBack,
        Self::Completed,
        Self::Failed,
    ];

    /// The word in JSON, metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Progressing => "progressing",
            Self::Watching => "watching",
            Self::Paused => "paused",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Whether something is being done.
    pub fn is_under_way(self) -> bool {
        match self {
            Self::Progressing | Self::Watching | Self::RollingBack => true,
            Self::Paused | Self::RolledBack | Self::Completed | Self::Failed => false,
        }
    }
}

/// How the update of one service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutVerdict {
    /// All its slots run the new definition.
    Completed,
    /// Too many failed; no further one is changed.
    Paused,
    /// Too many failed; the stack goes back.
    RollBack,
    /// Too many failed, and the others followed all the same.
    Continued,
    /// Too many failed, and nothing is known to go back to: it is tried again.
    Failed,
}

/// Why an update did not hold, in a word for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A health check failed.
    Unhealthy,
    /// A container ended.
    Exited,
    /// A container was not up within its bound.
    NotUpInTime,
    /// An image is not to be had, or does not fit.
    Image,
    /// A host port is taken.
    Port,
    /// A hook failed.
    Hook,
    /// A check of a canary failed.
    Check,
    /// The engine refused what the definition asks for.
    Refused,
    /// Somebody said so.
    ByHand,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Unhealthy,
        Self::Exited,
        Self::NotUpInTime,
        Self::Image,
        Self::Port,
        Self::Hook,
        Self::Check,
        Self::Refused,
        Self::ByHand,
    ];

    /// The word in JSON and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unhealthy => "unhealthy",
            Self::Exited => "exited",
            Self::NotUpInTime => "not_up_in_time",
            Self::Image => "image",
            Self::Port => "port",
            Self::Hook => "hook",
            Self::Check => "check",
            Self::Refused => "refused",
            Self::ByHand => "by_hand",
        }
    }
}

/// What became of one service's update in a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutReport {
    /// The service.
    pub service: ServiceName,
    /// How it ended.
    pub verdict: RolloutVerdict,
    /// How many slots run the new definition and held.
    pub updated: usize,
    /// How many failed.
    pub failed: usize,
    /// Why, in one or more lines; of one that failed.
    pub why: Option<String>,
    /// The same in a word.
    pub cause: Option<Cause>,
}

/// That a definition is not brought about though git asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBackStatus {
    /// The commit that it was first seen at, where known.
    pub revision: Option<Revision>,
    /// Why, in one or more lines.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// The commit of what runs in its place, or is to, where known.
    pub instead: Option<Revision>,
    /// Whether that runs: it was brought about since.
    #[serde(default)]
    pub reached: bool,
    /// The services that go back; empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub services: BTreeSet<ServiceName>,
    /// Whether somebody asked for it.
    pub by_hand: bool,
}

/// That a stack's containers are not exchanged for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedStatus {
    /// Why, in one or more lines.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// The services concerned; empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub services: BTreeSet<ServiceName>,
    /// Whether somebody asked for it.
    pub by_hand: bool,
}

/// That nothing is done to a stack until somebody says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspendedStatus {
    /// Since when.
    pub since: Timestamp,
    /// Who said so, as far as the agent can tell.
    pub by: String,
    /// Why, if that was said.
    pub reason: Option<String>,
}

impl fmt::Display for SuspendedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "suspended by {}", self.by)?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// A stack's update: the one under way, or else the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// Where it is.
    pub phase: RolloutPhase,
    /// Since when it is there.
    pub since: Timestamp,
    /// When it began; the way back from a failure belongs to it.
    #[serde(default)]
    pub began: Timestamp,
    /// The services whose containers are exchanged, by name.
    pub services: Vec<ServiceRollout>,
}

/// The update of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRollout {
    /// Its name.
    pub service: ServiceName,
    /// How it ended; absent: it is under way.
    pub verdict: Option<RolloutVerdict>,
    /// Why, in one or more lines; of one that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its slots that change, by number.
    pub slots: Vec<SlotStatus>,
}

/// One slot of a service that is updated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotStatus {
    /// Its number, from 1.
    pub number: u32,
    /// How far it is.
    pub phase: SlotPhase,
    /// Since when.
    pub since: Timestamp,
    /// When its turn came; absent also where its container needed no change.
    pub began: Option<Timestamp>,
    /// When its new container was up.
    pub up: Option<Timestamp>,
    /// Why it failed, in one or more lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl SlotStatus {
    /// Whether its new container is up.
    pub fn is_up(&self) -> bool {
        self.up.is_some() && self.phase != SlotPhase::Failed
    }

    /// How long its new container took to be up.
    pub fn took(&self) -> Option<Duration> {
        self.up?.duration_since(self.began?).try_into().ok()
    }
}

impl ServiceRollout {
    /// How many of the slots that change are up, and how many change.
    pub fn count(&self) -> (usize, usize) {
        (self.slots.iter().filter(|slot| slot.is_up()).count(), self.slots.len())
    }
}

/// A word about one slot while its service is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotNotice<'a> {
    /// The slot. Each slot of a service that changes is told as [`SlotPhase::Waiting`] first.
    pub slot: &'a Slot,
    /// How far it is now.
    pub phase: SlotPhase,
    /// Why it failed, if it did.
    pub why: Option<&'a str>,
    /// Whether it is on the way to what is not known to hold; what is only repaired is not.
    pub is_update: bool,
}
