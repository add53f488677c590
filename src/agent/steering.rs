//! Which definition of a stack a pass works towards, and what follows from how it ended: what held
//! is good, what failed is held back, what may not go on rests, what cannot be had is waited for. Pure.

mod course;
mod short;

pub(super) use course::{Course, course, earlier, is_good, partly};
pub(super) use short::Short;

use crate::model::{ContentDigest, Revision, RollbackPolicy, ServiceName, Slot, Stack};
use crate::status::{Report, RolloutReport, RolloutVerdict, Seen, SlotPhase};
use crate::store::{HeldBack, Paused, ProgressRecord, StackRecord};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What was held back and rested when a pass began: orders by hand change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holds(Option<HeldBack>, Option<Paused>);

impl Holds {
    pub(super) fn of(record: &StackRecord) -> Self {
        Self(record.held_back.clone(), record.paused.clone())
    }
}

/// What follows from a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Consequence {
    /// Nothing but that a later pass goes on.
    GoOn,
    /// The definition held.
    Good,
    /// What runs in place of the definition that is held back was brought about, with these images.
    Reached { images: BTreeMap<ServiceName, String> },
    /// It goes back, or these services do.
    HoldBack { services: BTreeSet<ServiceName>, reason: String },
    /// These services' containers are not exchanged any more for now.
    Rest { services: BTreeSet<ServiceName>, reason: String },
    /// It failed, and nothing is known to go back to: it is tried again.
    NothingToGoBackTo,
}

/// What follows from `report` of a pass over `stack`.
pub(super) fn consequence(
    record: &StackRecord,
    course: &Course,
    stack: &Stack,
    report: &Report,
) -> Consequence {
    let with = |verdict: RolloutVerdict| {
        let found = report.rollouts.iter().filter(move |rollout| rollout.verdict == verdict);
        found.collect::<Vec<_>>()
    };
    let names = |rollouts: &[&RolloutReport]| -> BTreeSet<ServiceName> {
        rollouts.iter().map(|rollout| rollout.service.clone()).collect()
    };
    let (back, rest) = (with(RolloutVerdict::RollBack), with(RolloutVerdict::Paused));
    // While some services go back the others are updated, and may follow them.
    let gone = course.services();
    let is_all_back = matches!(course, Course::Back(held) if held.services.is_empty());
    if !back.is_empty() && !is_all_back {
        let reason = match course {
            Course::Asked | Course::Short(_) => reason(&back),
            Course::Back(held) => format!("{}\n{}", held.reason, reason(&back)),
        };
        // The same definition with another image under the same name is another one, too.
        return match &record.good {
            None => Consequence::NothingToGoBackTo,
            Some(_) if stack.policy.rollback == RollbackPolicy::Auto => {
                Consequence::HoldBack { services: BTreeSet::new(), reason }
            }
            Some(_) => Consequence::HoldBack { services: &gone | &names(&back), reason },
        };
    }
    if !rest.is_empty() {
        return Consequence::Rest { services: names(&rest), reason: reason(&rest) };
    }
    let well = report.workload.is_some_and(|workload| {
        workload.unhealthy == 0 && workload.starting == 0 && workload.up >= workload.desired
    });
    match (report.result.is_success(), course) {
        (true, Course::Asked) if well => Consequence::Good,
        // Where only some services go back, the others have an update to end.
        (true, Course::Back(held)) if well || held.services.is_empty() => {
            let images = report.seen.as_ref().map(Seen::sole_images).unwrap_or_default();
            Consequence::Reached { images }
        }
        _ => Consequence::GoOn,
    }
}

fn reason(rollouts: &[&RolloutReport]) -> String {
    let lines = rollouts.iter().map(|rollout| {
        let why = rollout.why.as_deref().unwrap_or("too many of its containers failed");
        format!("{}: {why}", rollout.service)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Notes in `record` how far a slot came.
pub(super) fn note_slot(
    record: &mut StackRecord,
    definition: &ContentDigest,
    slot: &Slot,
    phase: SlotPhase,
) {
    let known = record.progress.take().filter(|progress| progress.definition == *definition);
    let mut progress = known.unwrap_or_else(|| ProgressRecord {
        definition: definition.clone(),
        services: BTreeMap::new(),
    });
    progress.services.entry(slot.service.clone()).or_default().note(slot.number, phase);
    record.progress = Some(progress).filter(|progress| !progress.services.is_empty());
}

/// Ends what was held back or rests for the sake of a definition that git does not ask for any more. The
/// commit that was held back stays so if another version of Bowline knows its definition by another digest.
pub(super) fn end_holds(
    record: &mut StackRecord,
    asked: &ContentDigest,
    revision: Option<&Revision>,
) {
    if let Some(held) = &mut record.held_back
        && revision.is_some_and(|revision| held.revision.as_ref() == Some(revision))
    {
        held.definition = asked.clone();
    }
    record.held_back = record.held_back.take().filter(|held| held.definition == *asked);
    let rests = |paused: &Paused| paused.definition.as_ref().is_none_or(|of| of == asked);
    record.paused = record.paused.take().filter(rests);
}

/// Whether it was noted before that `services` rest on the way to `definition`.
pub(super) fn rests(
    record: &StackRecord,
    definition: &ContentDigest,
    services: &BTreeSet<ServiceName>,
) -> bool {
    record.paused.as_ref().is_some_and(|paused| {
        paused.definition.as_ref() == Some(definition) && services.is_subset(&paused.services)
    })
}

/// Takes the failures of services out of what is known of how far they came: they have another try.
fn forgive(record: &mut StackRecord, which: impl Fn(&ServiceName) -> bool) {
    let known = record.progress.iter_mut().flat_map(|progress| &mut progress.services);
    known.filter(|(service, _)| which(service)).for_each(|(_, came)| came.failed.clear());
}

/// Forgets how far services came.
fn forget(record: &mut StackRecord, which: impl Fn(&ServiceName) -> bool) {
    if let Some(progress) = &mut record.progress {
        progress.services.retain(|service, _| !which(service));
    }
    record.progress = record.progress.take().filter(|progress| !progress.services.is_empty());
}

/// Notes in `record` what follows from a pass over `definition`.
pub(super) fn apply(
    record: &mut StackRecord,
    follows: &Consequence,
    definition: &ContentDigest,
    revision: Option<&Revision>,
    now: Timestamp,
) {
    match follows {
        Consequence::GoOn => {}
        // What was changed and not yet seen to hold is watched on.
        Consequence::NothingToGoBackTo => forgive(record, |_| true),
        Consequence::Good => {
            record.progress = None;
            record.held_back = None;
            record.paused = record.paused.take().filter(|paused| paused.by_hand);
        }
        Consequence::Reached { images } => {
            record.progress = None;
            record.paused = record.paused.take().filter(|paused| paused.by_hand);
            if let Some(held) = &mut record.held_back {
                held.reached = true;
                held.images.clone_from(images);
            }
        }
        Consequence::HoldBack { services, reason } => {
            forget(record, |service| services.is_empty() || services.contains(service));
            record.held_back = record.good.clone().map(|instead| HeldBack {
                revision: revision.cloned(),
                definition: definition.clone(),
                reason: reason.clone(),
                since: now,
                instead,
                reached: false,
                images: BTreeMap::new(),
                services: services.clone(),
                by_hand: false,
            });
        }
        Consequence::Rest { services, reason } => {
            forgive(record, |service| services.contains(service));
            let by_hand = record.paused.as_ref().is_some_and(|paused| paused.by_hand);
            if !by_hand && !rests(record, definition, services) {
                record.paused = Some(Paused {
                    definition: Some(definition.clone()),
                    services: services.clone(),
                    reason: reason.clone(),
                    since: now,
                    by_hand: false,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
