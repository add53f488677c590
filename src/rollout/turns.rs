//! Which slot comes next, and what it waits for: a place among those that are changed at once, and the
//! first slots.

use super::{Next, Phase, Rollout, later};
use jiff::Timestamp;

impl Rollout {
    pub(super) fn begin_or_wait(&mut self, slot: usize, now: Timestamp) -> Next {
        let Phase::Waiting { needs_place } = self.slots[slot] else { return Next::Wait(None) };
        let place_wait = || needs_place.then(|| self.place_wait(now)).flatten();
        if let Some(wait) = self.canary_wait(slot, now).or_else(place_wait) {
            return wait;
        }
        self.slots[slot] = Phase::Changing { needs_place };
        Next::Begin(slot)
    }

    /// The first ones come first. Of the others those that need no place: nothing serves there yet.
    pub(super) fn next_waiting(&self) -> Option<usize> {
        let is_waiting = |slot: &usize| matches!(self.slots[*slot], Phase::Waiting { .. });
        if let Some(first) = self.canaries().find(is_waiting) {
            return Some(first);
        }
        let find = |wanted: bool| {
            let is = |slot: &Phase| *slot == Phase::Waiting { needs_place: wanted };
            self.slots.iter().position(is)
        };
        find(false).or_else(|| find(true))
    }

    /// What to wait for before a slot behind the first ones may be begun.
    fn canary_wait(&self, slot: usize, now: Timestamp) -> Option<Next> {
        let (_, hold) = self.pace.canary?;
        if self.is_canary(slot) {
            return None;
        }
        let mut last_up = None;
        for first in self.canaries() {
            match self.slots[first] {
                Phase::Waiting { .. } | Phase::Changing { .. } => return Some(Next::Wait(None)),
                Phase::Up { .. } if self.unsettled.contains(&first) => {
                    return Some(Next::Wait(None));
                }
                Phase::Up { since, .. } => last_up = last_up.max(Some(since)),
                Phase::Failed { at, .. } => last_up = last_up.max(Some(at)),
                Phase::Dropped => {}
            }
        }
        let end = later(last_up?, hold);
        (now < end).then_some(Next::Wait(Some(end)))
    }

    /// What to wait for while all places are taken.
    fn place_wait(&self, now: Timestamp) -> Option<Next> {
        let limit = self.pace.parallelism;
        let mut freed: Option<Timestamp> = None;
        let mut taken = 0;
        for slot in &self.slots {
            let free_at = match slot {
                Phase::Changing { needs_place: true } => {
                    taken += 1;
                    continue;
                }
                Phase::Up { since: at, holds_place: true }
                | Phase::Failed { at, holds_place: true } => later(*at, self.pace.delay),
                _ => continue,
            };
            if now < free_at {
                taken += 1;
                freed = Some(freed.map_or(free_at, |former| former.min(free_at)));
            }
        }
        (limit > 0 && taken >= limit).then_some(Next::Wait(freed))
    }

    /// Whether `slot` is one of the first, which the others wait for.
    pub fn is_canary(&self, slot: usize) -> bool {
        self.canaries().any(|first| first == slot)
    }

    /// The first slots, so far as they are not behind us.
    fn canaries(&self) -> impl Iterator<Item = usize> {
        let count = self.pace.canary.map_or(0, |(count, _)| count);
        let left = count.saturating_sub(self.earlier.changed);
        self.resumed.iter().copied().chain(self.exchanged()).take(left)
    }

    /// The slots that are exchanged, in order.
    fn exchanged(&self) -> impl Iterator<Item = usize> {
        let is_exchanged = |(_, slot): &(usize, &Phase)| match slot {
            Phase::Waiting { needs_place } | Phase::Changing { needs_place } => *needs_place,
            Phase::Up { holds_place, .. } | Phase::Failed { holds_place, .. } => *holds_place,
            Phase::Dropped => false,
        };
        self.slots.iter().enumerate().filter(is_exchanged).map(|(index, _)| index)
    }
}
