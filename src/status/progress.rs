//! How notices and reports change what is known of a stack's update.

use super::{
    PassResult, Report, RolloutPhase, RolloutReport, RolloutStatus, RolloutVerdict, ServiceRollout,
    SlotNotice, SlotPhase, SlotStatus, StackStatus,
};
use crate::model::ServiceName;
use jiff::Timestamp;

/// A pass begins: the slots of one that did not get to its end are told anew. That of another commit is
/// `overtaken`.
pub(super) fn begin(status: &mut StackStatus, overtaken: bool) {
    let under_way = status.rollout.take_if(|rollout| rollout.phase.is_under_way());
    if let Some(mut rollout) = under_way.filter(|_| !overtaken) {
        rollout.services.clear();
        status.rollout = Some(rollout);
    }
}

/// A slot came to another phase. What is only repaired while a stack rests is no update.
pub(super) fn slot(status: &mut StackStatus, notice: &SlotNotice<'_>, now: Timestamp) {
    let back = status.held_back.is_some();
    let former = status.rollout.take();
    if status.paused.is_some() && !former.as_ref().is_some_and(|it| it.phase.is_under_way()) {
        status.rollout = former;
        return;
    }
    // Somebody may have had it go back, or forward again, in the middle.
    let leads_there = |it: &RolloutStatus| (it.phase == RolloutPhase::RollingBack) == back;
    let under_way = former.filter(|it| it.phase.is_under_way() && leads_there(it));
    let mut rollout = under_way.unwrap_or_else(|| {
        let phase = if back { RolloutPhase::RollingBack } else { RolloutPhase::Progressing };
        RolloutStatus::new(phase, now)
    });
    rollout.note(notice, now);
    status.rollout = Some(rollout);
}

/// A pass has ended.
pub(super) fn pass(status: &mut StackStatus, report: &Report, ended: Timestamp) {
    let former = status.rollout.as_ref().map(|rollout| rollout.phase);
    let Some(phase) = phase(report, former) else { return };
    // What rested before the agent began has rested since then.
    let paused = report.paused.as_ref().filter(|_| phase == RolloutPhase::Paused);
    let since = paused.map_or(ended, |paused| paused.since);
    let rollout = status.rollout.get_or_insert_with(|| RolloutStatus::new(phase, since));
    for report in &report.rollouts {
        rollout.service(&report.service).end(report);
    }
    rollout.services.iter_mut().for_each(|service| service.let_be(ended));
    rollout.come_to(phase, ended);
}

/// Where the update is after a pass; `None` where none is known.
fn phase(report: &Report, former: Option<RolloutPhase>) -> Option<RolloutPhase> {
    let any = |verdict| report.rollouts.iter().any(|rollout| rollout.verdict == verdict);
    if any(RolloutVerdict::RollBack) {
        return Some(RolloutPhase::RollingBack);
    }
    if report.result == PassResult::RolledBack {
        return Some(RolloutPhase::RolledBack);
    }
    if report.result == PassResult::Paused || any(RolloutVerdict::Paused) {
        return Some(RolloutPhase::Paused);
    }
    // Where somebody paused a stack, it may be that nothing is to be updated.
    let was_paused = former == Some(RolloutPhase::Paused);
    let rests = report.paused.as_ref().is_some_and(|paused| was_paused || !paused.by_hand);
    if rests && !report.result.is_success() {
        return Some(RolloutPhase::Paused);
    }
    // The former definition is only repaired, however that ends.
    if report.held_back.as_ref().is_some_and(|held| held.reached) {
        return Some(RolloutPhase::RolledBack);
    }
    if report.rollouts.is_empty() && former.is_none() {
        return None;
    }
    if report.result.is_success() && !any(RolloutVerdict::Continued) {
        return Some(RolloutPhase::Completed);
    }
    let concerned = !report.rollouts.is_empty() || former.is_some_and(RolloutPhase::is_under_way);
    if concerned { Some(RolloutPhase::Failed) } else { former }
}

impl RolloutStatus {
    /// One of which no slot is known yet.
    pub fn new(phase: RolloutPhase, now: Timestamp) -> Self {
        Self { phase, since: now, began: now, services: Vec::new() }
    }

    /// A slot came to another phase.
    pub fn note(&mut self, notice: &SlotNotice<'_>, now: Timestamp) {
        let service = self.service(&notice.slot.service);
        let number = notice.slot.number;
        match service.slots.binary_search_by_key(&number, |slot| slot.number) {
            Ok(index) => service.slots[index].come_to(notice, now),
            Err(index) => {
                let (phase, why) = (notice.phase, None);
                let mut slot = SlotStatus { number, phase, since: now, began: None, up: None, why };
                slot.come_to(notice, now);
                service.slots.insert(index, slot);
            }
        }
        if self.phase != RolloutPhase::RollingBack {
            self.come_to(self.phase_of_slots(), now);
        }
    }

    fn service(&mut self, name: &ServiceName) -> &mut ServiceRollout {
        let index = match self.services.binary_search_by(|service| service.service.cmp(name)) {
            Ok(index) => index,
            Err(index) => {
                let (service, slots) = (name.clone(), Vec::new());
                let fresh = ServiceRollout { service, verdict: None, why: None, slots };
                self.services.insert(index, fresh);
                index
            }
        };
        &mut self.services[index]
    }

    fn phase_of_slots(&self) -> RolloutPhase {
        let changes = |phase| match phase {
            SlotPhase::Waiting
            | SlotPhase::Creating
            | SlotPhase::Starting
            | SlotPhase::Draining => true,
            SlotPhase::Watching | SlotPhase::Done | SlotPhase::Failed => false,
        };
        let mut slots = self.services.iter().flat_map(|service| &service.slots);
        if slots.any(|slot| changes(slot.phase)) {
            RolloutPhase::Progressing
        } else {
            RolloutPhase::Watching
        }
    }

    fn come_to(&mut self, phase: RolloutPhase, now: Timestamp) {
        if self.phase != phase {
            (self.phase, self.since) = (phase, now);
        }
    }
}

impl SlotStatus {
    fn come_to(&mut self, notice: &SlotNotice<'_>, now: Timestamp) {
        // One that needs no change, and is only watched, never waits for its turn.
        let had_to_wait = self.phase == SlotPhase::Waiting;
        (self.phase, self.since) = (notice.phase, now);
        self.why = notice.why.map(str::to_owned);
        match notice.phase {
            SlotPhase::Waiting => (self.began, self.up) = (None, None),
            SlotPhase::Creating | SlotPhase::Starting => {
                self.began.get_or_insert(now);
                self.up = None;
            }
            SlotPhase::Draining | SlotPhase::Failed => drop(self.began.get_or_insert(now)),
            SlotPhase::Watching | SlotPhase::Done => {
                self.began = self.began.or(had_to_wait.then_some(now));
                self.up.get_or_insert(now);
            }
        }
    }
}

impl ServiceRollout {
    fn end(&mut self, report: &RolloutReport) {
        self.verdict = Some(report.verdict);
        self.why.clone_from(&report.why);
    }

    /// Nobody watches any more.
    fn let_be(&mut self, now: Timestamp) {
        for slot in self.slots.iter_mut().filter(|slot| slot.phase == SlotPhase::Watching) {
            (slot.phase, slot.since) = (SlotPhase::Done, now);
        }
    }
}

#[cfg(test)]
mod tests;
