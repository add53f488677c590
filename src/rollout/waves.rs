//! In which groups the changes of a plan would be made, if all went well and each took equally long.
//! The machines themselves say it, in a time of their own.

use super::{Earlier, Next, Rollout};
use crate::plan::Plan;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Indices into [`Plan::changes`]: the changes of a group are made together, and those of the next
/// once they are up and their places are free.
pub fn waves(plan: &Plan) -> Vec<Vec<usize>> {
    let mut rollouts: Vec<Rollout> = plan
        .paced
        .iter()
        .map(|paced| {
            let needs_place: Vec<_> = paced.changes.iter().map(|turn| turn.exchanges).collect();
            Rollout::new(paced.pace.clone(), &needs_place, Earlier::default())
        })
        .collect();
    // Where each paced change is: its rollout and its slot there.
    let seats: BTreeMap<usize, (usize, usize)> = (0..)
        .zip(&plan.paced)
        .flat_map(|(rollout, paced)| {
            let slots = (0..).zip(&paced.changes);
            slots.map(move |(slot, turn)| (turn.change, (rollout, slot)))
        })
        .collect();
    let mut has_turn: Vec<bool> =
        (0..plan.changes.len()).map(|index| !seats.contains_key(&index)).collect();
    let mut is_done = vec![false; plan.changes.len()];
    let (mut waves, mut now) = (Vec::new(), Timestamp::UNIX_EPOCH);
    loop {
        let mut next: Option<Timestamp> = None;
        for (rollout, paced) in rollouts.iter_mut().zip(&plan.paced) {
            let until = turns(rollout, now, |slot| has_turn[paced.changes[slot].change] = true);
            next = [next, until].into_iter().flatten().min();
        }
        let is_ready = |&index: &usize| {
            let mut after = plan.changes[index].after.iter();
            !is_done[index] && has_turn[index] && after.all(|&before| is_done[before])
        };
        let wave: Vec<usize> = (0..plan.changes.len()).filter(is_ready).collect();
        for index in &wave {
            is_done[*index] = true;
            if let Some(&(rollout, slot)) = seats.get(index) {
                rollouts[rollout].up(slot, now);
            }
        }
        match (wave.is_empty(), next) {
            (false, _) => waves.push(wave),
            (true, Some(later)) if later > now && is_done.contains(&false) => now = later,
            (true, _) => return waves,
        }
    }
}

/// Begins all slots whose turn it is; returns when to ask again.
fn turns(rollout: &mut Rollout, now: Timestamp, mut begin: impl FnMut(usize)) -> Option<Timestamp> {
    loop {
        match rollout.advance(now) {
            Next::Begin(slot) => begin(slot),
            Next::Wait(until) => return until,
            Next::Over(_) => return None,
        }
    }
}
