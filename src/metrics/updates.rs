//! Counts updates: how they ended, why stacks went back, and where each is now.

use super::families::Page;
use super::{gauge, gone};
use crate::model::StackName;
use crate::status::{
    Cause, Departure, PausedStatus, Report, RolloutPhase, RolloutReport, RolloutStatus,
    RolloutVerdict, SlotPhase, SlotStatus, StackStatus,
};
use jiff::Timestamp;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

/// How the update of a service ended.
const RESULTS: [&str; 4] = ["completed", "paused", "rolled_back", "failed"];

/// Why containers of a stack are not exchanged for now, and whether a pause that somebody asked for is so.
const REASONS: [(&str, bool); 2] = [("by_hand", true), ("failed", false)];

/// What becomes of a stack that left its source, and whether one that is held is so.
const DEPARTED: [(&str, bool); 2] = [("held", true), ("removing", false)];

/// The families about updates.
#[derive(Debug)]
pub(super) struct Updates {
    rollouts: IntCounterVec,
    phase: IntGaugeVec,
    slots: IntGaugeVec,
    started: GaugeVec,
    progress: GaugeVec,
    rollbacks: IntCounterVec,
    held_back: IntGaugeVec,
    paused: IntGaugeVec,
    waits: IntGaugeVec,
    departed: IntGaugeVec,
    suspended: IntGaugeVec,
}

impl Updates {
    pub(super) fn register(page: &Page<'_>) -> Self {
        Self {
            rollouts: page.counters(
                "rollouts_total",
                "Updates of services by how they ended.",
                &["stack", "result"],
            ),
            phase: page.gauges(
                "rollout_phase",
                "1 for the phase that a stack's update is in, 0 for the others.",
                &["stack", "phase"],
            ),
            slots: page.gauges(
                "rollout_slots",
                "Slots of a stack's update under way, or of the last one, by how far they are.",
                &["stack", "phase"],
            ),
            started: page.times(
                "rollout_started_timestamp_seconds",
                "When a stack's update under way, or the last one, began, unix time.",
                &["stack"],
            ),
            progress: page.times(
                "rollout_last_progress_timestamp_seconds",
                "When a slot of a stack's update last came to another phase, unix time.",
                &["stack"],
            ),
            rollbacks: page.counters(
                "rollbacks_total",
                "How often a stack went back to its last good definition, by why.",
                &["stack", "reason"],
            ),
            held_back: page.gauges(
                "stack_held_back",
                "1 while the last good definition runs in place of what git asks for.",
                &["stack"],
            ),
            paused: page.gauges(
                "stack_paused",
                "1 while containers of a stack are not exchanged for now, by why.",
                &["stack", "reason"],
            ),
            departed: page.gauges(
                "stack_departed",
                "1 while a stack that left its source is still there, by what becomes of it.",
                &["stack", "state"],
            ),
            waits: page.gauges(
                "stack_waits_for_window",
                "1 while what git asks for waits for a window to be begun.",
                &["stack"],
            ),
            suspended: page.gauges(
                "stack_suspended",
                "1 while nothing is done to a stack, since somebody said so.",
                &["stack"],
            ),
        }
    }

    /// Counts the updates of a pass. Every series begins at zero, so that a rate sees the first.
    pub(super) fn observe(&self, report: &Report) {
        let stack = report.stack.as_str();
        let is_back = is_way_back(report);
        for result in RESULTS {
            let so = |rollout: &&RolloutReport| word(rollout, is_back) == Some(result);
            let ended = report.rollouts.iter().filter(so).count();
            self.rollouts.with_label_values(&[stack, result]).inc_by(ended as u64);
        }
        let went_back = report.rollouts.iter().find(|it| it.verdict == RolloutVerdict::RollBack);
        let reason = went_back.map(|rollout| rollout.cause.unwrap_or(Cause::Refused));
        for cause in Cause::ALL {
            let labels = [stack, cause.word()];
            self.rollbacks.with_label_values(&labels).inc_by(u64::from(reason == Some(cause)));
        }
    }

    /// Counts that somebody had a stack go back.
    pub(super) fn by_hand(&self, stack: &StackName) {
        self.rollbacks.with_label_values(&[stack.as_str(), Cause::ByHand.word()]).inc();
    }

    /// Shows where a stack's update is.
    pub(super) fn show(&self, status: &StackStatus) {
        let stack = status.name.as_str();
        self.held_back.with_label_values(&[stack]).set(i64::from(status.held_back.is_some()));
        self.waits.with_label_values(&[stack]).set(i64::from(status.window.is_some()));
        for (reason, by_hand) in REASONS {
            let so = |paused: &PausedStatus| paused.by_hand == by_hand;
            let holds = status.paused.as_ref().is_some_and(so);
            self.paused.with_label_values(&[stack, reason]).set(i64::from(holds));
        }
        for (state, held) in DEPARTED {
            let so = |departure: &Departure| departure.held.is_some() == held;
            let holds = status.departure.as_ref().is_some_and(so);
            self.departed.with_label_values(&[stack, state]).set(i64::from(holds));
        }
        if let Some(rollout) = &status.rollout {
            self.show_times(stack, rollout);
        }
        self.suspended.with_label_values(&[stack]).set(i64::from(status.suspended.is_some()));
        let phase = status.rollout.as_ref().map(|rollout| rollout.phase);
        for known in RolloutPhase::ALL {
            let labels = [stack, known.word()];
            self.phase.with_label_values(&labels).set(i64::from(phase == Some(known)));
        }
        let slots: Vec<_> = status.rollout.iter().flat_map(slots).collect();
        for known in SlotPhase::ALL {
            let there = slots.iter().filter(|slot| slot.phase == known).count();
            self.slots.with_label_values(&[stack, known.word()]).set(gauge(there));
        }
    }

    fn show_times(&self, stack: &str, rollout: &RolloutStatus) {
        // When one began that rests since before the agent did is not known.
        if rollout.phase.is_under_way() {
            self.started.with_label_values(&[stack]).set(seconds(rollout.began));
        }
        let last = slots(rollout).map(|slot| slot.since).fold(rollout.since, Timestamp::max);
        // A new pass tells the slots anew; what was done before it stays done.
        let shown = self.progress.with_label_values(&[stack]);
        shown.set(shown.get().max(seconds(last)));
    }

    /// Removes the series of a stack.
    pub(super) fn forget(&self, stack: &str) {
        for result in RESULTS {
            gone(self.rollouts.remove_label_values(&[stack, result]));
        }
        for cause in Cause::ALL {
            gone(self.rollbacks.remove_label_values(&[stack, cause.word()]));
        }
        for phase in RolloutPhase::ALL {
            gone(self.phase.remove_label_values(&[stack, phase.word()]));
        }
        for phase in SlotPhase::ALL {
            gone(self.slots.remove_label_values(&[stack, phase.word()]));
        }
        for (reason, _) in REASONS {
            gone(self.paused.remove_label_values(&[stack, reason]));
        }
        for (state, _) in DEPARTED {
            gone(self.departed.remove_label_values(&[stack, state]));
        }
        gone(self.started.remove_label_values(&[stack]));
        gone(self.progress.remove_label_values(&[stack]));
        gone(self.held_back.remove_label_values(&[stack]));
        gone(self.waits.remove_label_values(&[stack]));
        gone(self.suspended.remove_label_values(&[stack]));
    }
}

fn slots(rollout: &RolloutStatus) -> impl Iterator<Item = &SlotStatus> {
    rollout.services.iter().flat_map(|service| &service.slots)
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// Whether the pass brought the last good definition back, rather than a new one about.
fn is_way_back(report: &Report) -> bool {
    let gives_up = report.rollouts.iter().any(|it| it.verdict == RolloutVerdict::RollBack);
    report.held_back.is_some() && !gives_up
}

/// The way back ends no further update unless it fails: what went back was counted when it did.
fn word(rollout: &RolloutReport, is_back: bool) -> Option<&'static str> {
    match rollout.verdict {
        RolloutVerdict::Completed => (!is_back).then_some("completed"),
        RolloutVerdict::RollBack => Some("rolled_back"),
        RolloutVerdict::Paused if is_back => Some("failed"),
        RolloutVerdict::Paused => Some("paused"),
        RolloutVerdict::Continued | RolloutVerdict::Failed => Some("failed"),
    }
}
