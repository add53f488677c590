//! How far a rollout came: what outlives a pass.

use crate::status::SlotPhase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How far a rollout came in a former pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Slots that were changed, the failed ones among them.
    pub changed: usize,
    /// Slots that failed.
    pub failed: usize,
}

/// Which slots of a service came how far towards a definition, by number: what outlives a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Those that were changed.
    pub changed: BTreeSet<u32>,
    /// Those whose container failed.
    pub failed: BTreeSet<u32>,
    /// Those that were watched long enough.
    #[serde(default)]
    pub held: BTreeSet<u32>,
}

impl Progress {
    /// Takes in that the slot `number` came to `phase`.
    pub fn note(&mut self, number: u32, phase: SlotPhase) {
        match phase {
            SlotPhase::Watching => {
                self.changed.insert(number);
                self.failed.remove(&number);
                self.held.remove(&number);
            }
            SlotPhase::Failed => {
                self.failed.insert(number);
                self.held.remove(&number);
            }
            SlotPhase::Done => {
                self.held.insert(number);
            }
            SlotPhase::Waiting
            | SlotPhase::Creating
            | SlotPhase::Starting
            | SlotPhase::Draining => {}
        }
    }

    /// Whether the slot `number` was changed, and nobody watched it long enough since.
    pub fn is_open(&self, number: u32) -> bool {
        self.changed.contains(&number) && !self.held.contains(&number)
    }

    /// The counts without the slots `again`, which have their turn once more or are watched on.
    pub fn without(&self, again: &BTreeSet<u32>) -> Earlier {
        let count = |slots: &BTreeSet<u32>| slots.difference(again).count();
        let all: BTreeSet<u32> = self.changed.union(&self.failed).copied().collect();
        Earlier { changed: count(&all), failed: count(&self.failed) }
    }
}
