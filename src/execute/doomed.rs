//! What is not begun any more: what comes after a failure, what its rollout gave up, and all that is left
//! when the stop comes.

use super::{Execution, Stage};
use crate::plan::Action;
use crate::status::{Cause, Shortage};

impl Execution<'_> {
    /// Nothing that was not begun will be.
    pub(super) fn give_up_all(&mut self) {
        for index in 0..self.stages.len() {
            if self.stages[index] != Stage::Waiting {
                continue;
            }
            self.give_up(index, None);
            if let Some(seat) = self.released.get(&index) {
                self.pacing.skipped(*seat, None);
            }
        }
    }

    pub(super) fn give_up(&mut self, index: usize, fault: Option<(String, Cause)>) {
        self.fail(index, fault);
        self.outcome.skipped += 1;
    }

    pub(super) fn fail(&mut self, index: usize, fault: Option<(String, Cause)>) {
        self.stages[index] = Stage::Failed(fault);
        self.optional.give_up(self.plan, index);
    }

    /// Gives up what comes after a failure, and what its rollout will not begin any more. Whether
    /// there was any.
    pub(super) fn give_up_doomed(&mut self) -> bool {
        let mut any = false;
        let ended: Vec<usize> = self.pacing.given_up().collect();
        for index in ended {
            if self.stages[index] != Stage::Waiting {
                continue;
            }
            self.give_up(index, None);
            // Its turn had come, but it was still waiting for something else.
            if let Some(seat) = self.released.get(&index) {
                self.pacing.skipped(*seat, None);
            }
            any = true;
        }
        while let Some((index, fault)) = self.next_doomed() {
            if self.plan.changes[index].after.iter().any(|before| self.short.contains(before)) {
                self.short.insert(index);
            }
            // A service is blamed for what is its own: an image, a network, a volume.
            let own = fault.clone().filter(|_| self.pacing.seat(index).is_some());
            self.give_up(index, fault);
            if let Some(seat) = self.pacing.seat(index) {
                let own = own.as_ref().map(|(why, cause)| (why.as_str(), *cause));
                self.pacing.skipped(seat, own);
            }
            any = true;
        }
        any
    }

    /// The images that could not be had for now, and the services that wait for them.
    pub(super) fn shortage(&self) -> Shortage {
        let changes = || self.short.iter().map(|&index| &self.plan.changes[index]);
        let pulls = changes().filter(|change| change.action == Action::Pull);
        let services = changes().filter_map(|change| change.object.service());
        Shortage { pulls: pulls.cloned().collect(), services: services.cloned().collect() }
    }

    /// A change that waits for one that failed.
    fn next_doomed(&self) -> Option<(usize, Option<(String, Cause)>)> {
        (0..self.stages.len()).filter(|&index| self.stages[index] == Stage::Waiting).find_map(
            |index| {
                let before = self.plan.changes[index].after.iter();
                before.copied().find_map(|before| match &self.stages[before] {
                    // Another service's failure is that service's.
                    Stage::Failed(_) if self.pacing.seat(before).is_some() => Some((index, None)),
                    Stage::Failed(fault) => Some((index, fault.clone())),
                    Stage::Waiting | Stage::Running | Stage::Done => None,
                })
            },
        )
    }
}
