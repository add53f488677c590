//! Shows an update while it happens: a line for each step of a slot, with what became of the requests
//! until then. On a terminal the count also goes on in place.

use super::visitors::Visitors;
use crate::model::Slot;
use crate::status::{RolloutPhase, RolloutStatus, SlotPhase};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

/// Clears what is left of the line.
const CLEAR: &str = "\x1b[K";

/// What was shown.
pub(super) struct Counter<'a> {
    visitors: Option<&'a Visitors>,
    in_place: bool,
    phase: Option<RolloutPhase>,
    slots: BTreeMap<Slot, SlotPhase>,
}

impl<'a> Counter<'a> {
    /// Without visitors the steps are shown alone; those of the update before are not.
    pub(super) fn of(visitors: Option<&'a Visitors>, before: Option<&RolloutStatus>) -> Self {
        Self {
            visitors,
            in_place: std::io::stdout().is_terminal(),
            phase: before.map(|rollout| rollout.phase),
            slots: before.into_iter().flat_map(phases).collect(),
        }
    }

    /// Brings what is shown to where the update is.
    pub(super) fn show(&mut self, rollout: Option<&RolloutStatus>) {
        if let Some(rollout) = rollout {
            for (slot, phase) in phases(rollout) {
                let is_new = self.slots.insert(slot.clone(), phase) != Some(phase);
                if is_new && phase != SlotPhase::Waiting {
                    self.tell(&format!("{slot} {phase}"));
                }
            }
            if self.phase.replace(rollout.phase) != Some(rollout.phase) && tells(rollout.phase) {
                self.tell(&rollout.phase.word().replace('_', " "));
            }
        }
        if let (true, Some(visitors)) = (self.in_place, self.visitors) {
            // The cursor stays at the line's begin, so that the agent's next line takes its place.
            anstream::print!("{}{CLEAR}\r", visitors.tally());
            let _ = std::io::stdout().flush();
        }
    }

    fn tell(&self, step: &str) {
        let clear = if self.in_place { CLEAR } else { "" };
        match self.visitors {
            Some(visitors) => anstream::println!("    {step:<18} {}{clear}", visitors.tally()),
            None => anstream::println!("    {step}{clear}"),
        }
    }
}

/// Whether a phase says more than the slots do.
fn tells(phase: RolloutPhase) -> bool {
    match phase {
        RolloutPhase::Progressing | RolloutPhase::Watching => false,
        RolloutPhase::Paused
        | RolloutPhase::RollingBack
        | RolloutPhase::RolledBack
        | RolloutPhase::Completed
        | RolloutPhase::Failed => true,
    }
}

fn phases(rollout: &RolloutStatus) -> impl Iterator<Item = (Slot, SlotPhase)> {
    rollout.services.iter().flat_map(|service| {
        service.slots.iter().map(|slot| {
            let name = Slot { service: service.service.clone(), number: slot.number };
            (name, slot.phase)
        })
    })
}
