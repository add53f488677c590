//! Paces the changes of one service's containers by Swarm's rules (swarmkit,
//! `manager/orchestrator/update/updater.go`), within bounds that Swarm does not have. A state machine
//! without IO: it is told what happened and what time it is, and says what comes next.
//!
//! A slot that is changed takes one of `parallelism` places, and keeps it for `delay` once it is up.
//! It fails if it does not come up, or ends or turns unhealthy within `monitor` after that. Once more
//! than `max_failure_ratio` of the slots have failed, no further one is begun.

mod progress;
mod turns;
mod waves;

pub use progress::{Earlier, Progress};
pub use waves::waves;

use crate::model::FailureAction;
use crate::plan::Pace;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// Swarm goes on watching for this much longer than a delay that is as long as the monitor.
const BEYOND_DELAY: Duration = Duration::from_secs(1);

/// Where one slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not begun; one that is exchanged needs a place, one that is new does not.
    Waiting { needs_place: bool },
    /// Its change is under way, or its container is coming up.
    Changing { needs_place: bool },
    /// Up since then.
    Up { since: Timestamp, holds_place: bool },
    /// Failed at that time.
    Failed { at: Timestamp, holds_place: bool },
    /// Not carried out, or not known how it ended.
    Dropped,
}

/// The progress of one service.
#[derive(Debug)]
pub struct Rollout {
    pace: Pace,
    slots: Vec<Phase>,
    /// Those that were changed before this machine was made, and are watched on.
    resumed: Vec<usize>,
    /// Further slots that were changed, and those of them that failed, before this machine was made.
    earlier: Earlier,
    failed: usize,
    /// Those about which somebody has still to say whether they are well.
    unsettled: BTreeSet<usize>,
    /// Ended early by what no slot of its own did.
    cut: Option<Verdict>,
}

/// What the caller does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Begin the change of this slot, then ask again.
    Begin(usize),
    /// Nothing until something happens, or until then.
    Wait(Option<Timestamp>),
    /// The rollout is over.
    Over(Verdict),
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All slots are changed, and no more failed than may.
    Completed,
    /// Too many slots failed: the others stay as they are.
    Paused,
    /// Too many slots failed: back to what was there.
    RollBack,
    /// It did not get to its end, for a reason that is not its own; a later pass goes on.
    Interrupted,
}

impl Rollout {
    /// A rollout of as many slots as `needs_place` has items, in their order: those that are
    /// exchanged need a place, those that are new or only started do not.
    pub fn new(pace: Pace, needs_place: &[bool], earlier: Earlier) -> Self {
        let slots = needs_place.iter().map(|&needs_place| Phase::Waiting { needs_place }).collect();
        let (resumed, failed) = (Vec::new(), earlier.failed);
        let unsettled = BTreeSet::new();
        let mut rollout = Self { pace, slots, resumed, earlier, failed, unsettled, cut: None };
        if rollout.fails() {
            rollout.cut = rollout.verdict_of_failure();
        }
        rollout
    }

    /// Takes in a container that is as it should be, and is up `since` then. Returns its slot; `None` if
    /// it was watched long enough.
    pub fn watch(&mut self, since: Timestamp, now: Timestamp) -> Option<usize> {
        let slot = self.slots.len();
        self.slots.push(Phase::Up { since, holds_place: false });
        if self.is_watched(slot, now) {
            return Some(slot);
        }
        self.slots.pop();
        None
    }

    /// Takes in a container that was changed by a pass that did not get to its end. `since`: absent if
    /// it is still coming up. Returns its slot.
    pub fn resume(&mut self, since: Option<Timestamp>) -> usize {
        self.resumed.push(self.slots.len());
        self.slots.push(match since {
            Some(since) => Phase::Up { since, holds_place: false },
            None => Phase::Changing { needs_place: false },
        });
        self.slots.len() - 1
    }

    /// Takes in a container that is as it should be and is still coming up. Returns its slot.
    pub fn expect(&mut self) -> usize {
        self.slots.push(Phase::Changing { needs_place: false });
        self.slots.len() - 1
    }

    /// What comes next. To be asked again after every `Begin`, and whenever something happened.
    pub fn advance(&mut self, now: Timestamp) -> Next {
        if let Some(verdict) = self.cut {
            let under_way = self.slots.iter().any(|slot| matches!(slot, Phase::Changing { .. }));
            return if under_way { Next::Wait(None) } else { Next::Over(verdict) };
        }
        match self.next_waiting() {
            Some(slot) => self.begin_or_wait(slot, now),
            None if self.slots.iter().any(|slot| matches!(slot, Phase::Changing { .. }))
                || self.unsettled.iter().any(|&slot| self.is_up(slot)) =>
            {
                Next::Wait(None)
            }
            None => match self.watched_until() {
                Some(end) if now <= end => Next::Wait(Some(just_after(end))),
                _ => Next::Over(Verdict::Completed),
            },
        }
    }

    /// The container of `slot` is up.
    pub fn up(&mut self, slot: usize, now: Timestamp) {
        if let Phase::Changing { needs_place } = self.slots[slot] {
            self.slots[slot] = Phase::Up { since: now, holds_place: needs_place };
        }
    }

    /// However long `slot`, which is up, is watched: nothing follows it before [`Rollout::settle`].
    pub fn unsettle(&mut self, slot: usize) {
        self.unsettled.insert(slot);
    }

    /// Whoever was asked about `slot` says that it is well.
    pub fn settle(&mut self, slot: usize) {
        self.unsettled.remove(&slot);
    }

    /// The change of `slot` failed, or its container ended or turned unhealthy. Whether that counts:
    /// not when it was watched long enough before.
    pub fn failed(&mut self, slot: usize, now: Timestamp) -> bool {
        let (counts, holds_place) = match self.slots[slot] {
            Phase::Waiting { .. } => (true, false),
            Phase::Changing { needs_place } => (true, needs_place),
            Phase::Up { holds_place, .. } => (self.is_watched(slot, now), holds_place),
            Phase::Failed { .. } | Phase::Dropped => (false, false),
        };
        if !counts {
            return false;
        }
        self.slots[slot] = Phase::Failed { at: now, holds_place };
        self.failed += 1;
        if self.fails() || (self.is_canary(slot) && self.action() != FailureAction::Continue) {
            self.cut = self.cut.or(self.verdict_of_failure());
        }
        true
    }

    /// The change of `slot` was not carried out, or its end is not known, for a reason that is not its
    /// own: it counts neither way.
    pub fn drop(&mut self, slot: usize) {
        self.slots[slot] = Phase::Dropped;
    }

    /// Whether `slot` failed, and that counted.
    pub fn has_failed_slot(&self, slot: usize) -> bool {
        matches!(self.slots[slot], Phase::Failed { .. })
    }

    /// Whether `slot` counts neither way.
    pub fn is_dropped(&self, slot: usize) -> bool {
        self.slots[slot] == Phase::Dropped
    }

    /// How it will end, if that is known before its end.
    pub fn cut(&self) -> Option<Verdict> {
        self.cut
    }

    /// Whether more failed than may.
    pub fn has_failed(&self) -> bool {
        self.fails()
    }

    /// What the slots need failed, by a fault of the definition: none of those left can be changed.
    pub fn refuse(&mut self) {
        self.cut = self.cut.or(self.verdict_of_failure()).or(Some(Verdict::Interrupted));
    }

    /// No further slot is begun, for a reason that is not the definition's.
    pub fn interrupt(&mut self) {
        self.cut = self.cut.or(Some(Verdict::Interrupted));
    }

    /// How many slots were changed so far, and how many of them failed; with those of former passes.
    pub fn progress(&self) -> Earlier {
        let begun = |slot: &&Phase| matches!(slot, Phase::Up { .. } | Phase::Failed { .. });
        let changed = self.earlier.changed + self.slots.iter().filter(begun).count();
        Earlier { changed, failed: self.failed }
    }

    /// Whether the change of `slot` is under way.
    pub fn is_changing(&self, slot: usize) -> bool {
        matches!(self.slots[slot], Phase::Changing { .. })
    }

    /// Whether the container of `slot` came up and did not fail since.
    pub fn is_up(&self, slot: usize) -> bool {
        matches!(self.slots[slot], Phase::Up { .. })
    }

    /// Whether nothing more can follow from the container of `slot`, which came up.
    pub fn has_held(&self, slot: usize, now: Timestamp) -> bool {
        let is_cut = matches!(self.cut, Some(Verdict::Paused | Verdict::RollBack));
        let watches = self.watches() || self.unsettled.contains(&slot);
        self.is_up(slot) && (is_cut || !watches || !self.is_watched(slot, now))
    }

    /// When the watch of `slot`, which is up, is over; `None` where nobody waits for that, or others have
    /// still to say whether it is well.
    pub fn end_of_watch(&self, slot: usize) -> Option<Timestamp> {
        match self.slots[slot] {
            Phase::Up { since, .. } if self.watches() && !self.unsettled.contains(&slot) => {
                Some(self.slot_end(slot, since))
            }
            _ => None,
        }
    }

    /// Whether `slot` is still to be watched at `now`.
    pub fn is_watched(&self, slot: usize, now: Timestamp) -> bool {
        match self.slots[slot] {
            Phase::Up { since, .. } => {
                now <= self.slot_end(slot, since) || self.unsettled.contains(&slot)
            }
            Phase::Changing { .. } => true,
            Phase::Waiting { .. } | Phase::Failed { .. } | Phase::Dropped => false,
        }
    }

    /// The end of the last watch; `None` if nothing is watched.
    fn watched_until(&self) -> Option<Timestamp> {
        let end = |(slot, phase): (usize, &Phase)| match phase {
            Phase::Up { since, .. } => Some(self.slot_end(slot, *since)),
            _ => None,
        };
        let ends = self.slots.iter().enumerate().filter_map(end);
        let last = ends.max();
        last.filter(|_| self.watches())
    }

    /// Until when a failure of a slot that is up `since` then counts.
    fn slot_end(&self, slot: usize, since: Timestamp) -> Timestamp {
        let Pace { delay, monitor, .. } = self.pace;
        let mut period =
            if delay >= monitor && !delay.is_zero() { delay + BEYOND_DELAY } else { monitor };
        if let Some((_, hold)) = self.pace.canary.filter(|_| self.is_canary(slot)) {
            period = period.max(hold);
        }
        later(since, period)
    }

    /// Where failures lead to nothing, nothing is waited for.
    fn watches(&self) -> bool {
        self.action() != FailureAction::Continue
    }

    fn fails(&self) -> bool {
        let total = self.earlier.changed + self.slots.len();
        self.failed > 0 && self.pace.max_failure_ratio.is_exceeded_by(self.failed, total)
    }

    fn action(&self) -> FailureAction {
        self.pace.failure_action
    }

    fn verdict_of_failure(&self) -> Option<Verdict> {
        match self.action() {
            FailureAction::Pause => Some(Verdict::Paused),
            FailureAction::Rollback => Some(Verdict::RollBack),
            FailureAction::Continue => None,
        }
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// A failure at the very end still counts, so the end is awaited.
fn just_after(time: Timestamp) -> Timestamp {
    later(time, Duration::from_millis(1))
}

#[cfg(test)]
mod tests;
