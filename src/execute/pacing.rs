//! The rollouts of a plan: which of the paced changes may begin, which containers are watched, and
//! how each service's update ended. It asks the machines, and begins nothing itself.

use super::ChangeError;
use crate::model::{Canary, ServiceName, Slot};
use crate::plan::{ContainerRef, Paced, Plan, Standing};
use crate::rollout::{Earlier, Next, Progress, Rollout, Verdict};
use crate::status::{Cause, RolloutReport, RolloutVerdict, SlotPhase};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many failures of one service are told.
const TOLD_FAILURES: usize = 3;

/// One slot of one service: the indices of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    service: usize,
    slot: usize,
}

/// A container to be watched from now on.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) seat: Seat,
    pub(super) container: ContainerRef,
    /// How long it may still take to be up; absent: it is.
    pub(super) until_up: Option<Duration>,
}

/// All rollouts of a plan.
pub(super) struct Pacing<'p> {
    services: Vec<Service<'p>>,
    seats: BTreeMap<usize, Seat>,
}

struct Service<'p> {
    paced: &'p Paced,
    /// The containers that need no change and are watched; in the machine they come after the changes.
    watched: Vec<&'p Standing>,
    rollout: Rollout,
    earlier: Progress,
    failures: Vec<String>,
    cause: Option<Cause>,
    over: Option<Verdict>,
}

impl<'p> Pacing<'p> {
    /// The rollouts of `plan`, of which some came as far as `earlier` before. `now` tells which
    /// containers need not be watched any more.
    pub(super) fn of(
        plan: &'p Plan,
        earlier: &BTreeMap<ServiceName, Progress>,
        now: Timestamp,
    ) -> (Self, Vec<Watch>) {
        let (mut services, mut seats, mut watches) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (index, paced) in plan.paced.iter().enumerate() {
            let earlier = earlier.get(&paced.service).cloned().unwrap_or_default();
            let service = Service::of(paced, earlier, now);
            for (slot, turn) in paced.changes.iter().enumerate() {
                seats.insert(turn.change, Seat { service: index, slot });
            }
            for (slot, standing) in (paced.changes.len()..).zip(&service.watched) {
                let until_up = standing.is_coming_up.then_some(paced.bound);
                let (seat, container) = (Seat { service: index, slot }, standing.container.clone());
                watches.push(Watch { seat, container, until_up });
            }
            services.push(service);
        }
        (Self { services, seats }, watches)
    }

    /// The place of a change among them; `None` if it follows no pace.
    pub(super) fn seat(&self, change: usize) -> Option<Seat> {
        self.seats.get(&change).copied()
    }

    /// The changes that may begin now, and when to ask again at the latest.
    pub(super) fn release(&mut self, now: Timestamp) -> (Vec<usize>, Option<Timestamp>) {
        let (mut changes, mut wake): (Vec<usize>, Option<Timestamp>) = (Vec::new(), None);
        for service in &mut self.services {
            loop {
                match service.rollout.advance(now) {
                    Next::Begin(slot) => changes.push(service.paced.changes[slot].change),
                    Next::Wait(until) => {
                        service.over = None;
                        wake = [wake, until].into_iter().flatten().min();
                        break;
                    }
                    Next::Over(verdict) => {
                        service.over = Some(verdict);
                        break;
                    }
                }
            }
        }
        (changes, wake)
    }

    /// Whether all came to their end when they were asked last.
    pub(super) fn are_over(&self) -> bool {
        self.services.iter().all(|service| service.over.is_some())
    }

    /// Whether one of them ended before it was known how it ends.
    pub(super) fn is_open(&self) -> bool {
        let is_open = |over| matches!(over, None | Some(Verdict::Interrupted));
        self.services.iter().any(|service| is_open(service.over))
    }

    /// Whether one of them says that the stack goes back.
    pub(super) fn roll_back(&self) -> bool {
        self.services.iter().any(|service| service.rollout.cut() == Some(Verdict::RollBack))
    }

    /// No further change begins.
    pub(super) fn interrupt(&mut self) {
        self.services.iter_mut().for_each(|service| service.rollout.interrupt());
    }

    /// The paced changes that will not begin any more.
    pub(super) fn given_up(&self) -> impl Iterator<Item = usize> {
        let cut = self.services.iter().filter(|service| service.rollout.cut().is_some());
        cut.flat_map(|service| service.paced.changes.iter().map(|turn| turn.change))
    }

    /// A change was done: what to watch from now on.
    pub(super) fn done(&mut self, seat: Seat, now: Timestamp) -> Watch {
        let service = &mut self.services[seat.service];
        let turn = &service.paced.changes[seat.slot];
        let until_up = (!turn.exchanges).then_some(service.paced.bound);
        if until_up.is_none() {
            service.rollout.up(seat.slot, now);
        }
        Watch { seat, container: turn.container.clone(), until_up }
    }

    /// A container came up.
    pub(super) fn up(&mut self, seat: Seat, now: Timestamp) {
        self.services[seat.service].rollout.up(seat.slot, now);
    }

    /// A change failed, or a container that was watched did. Whether it counts against the
    /// definition.
    pub(super) fn failed(&mut self, seat: Seat, error: &ChangeError, now: Timestamp) -> bool {
        let service = &mut self.services[seat.service];
        let Some(cause) = error.cause() else {
            service.rollout.drop(seat.slot);
            // What is not the definition's fault will not be better with the next slot.
            service.rollout.interrupt();
            return false;
        };
        let counts = service.rollout.failed(seat.slot, now);
        if counts {
            service.blame(error.to_string(), cause);
        }
        counts
    }

    /// A change cannot begin, since one before it failed; `fault` says how, if it was the
    /// definition's.
    pub(super) fn skipped(&mut self, seat: Seat, fault: Option<(&str, Cause)>) {
        let service = &mut self.services[seat.service];
        service.rollout.drop(seat.slot);
        match fault {
            Some((why, cause)) => {
                service.rollout.refuse();
                service.blame(why.to_owned(), cause);
            }
            None => service.rollout.interrupt(),
        }
    }

    /// The end of a container under watch is not known: nothing follows from it.
    pub(super) fn lost(&mut self, seat: Seat) {
        let service = &mut self.services[seat.service];
        if service.rollout.is_changing(seat.slot) {
            service.rollout.drop(seat.slot);
            service.rollout.interrupt();
        }
    }

    /// What is asked about a container that is up while it is held, if it is a canary of which something
    /// is asked, and how long its start may take. Nothing follows it until it is judged.
    pub(super) fn hold(&mut self, seat: Seat) -> Option<(&'p Canary, Duration)> {
        let service = &mut self.services[seat.service];
        let is_held = service.rollout.is_up(seat.slot) && service.rollout.is_canary(seat.slot);
        let canary = service.paced.canary.as_ref().filter(|_| is_held)?;
        service.rollout.unsettle(seat.slot);
        Some((canary, service.paced.bound))
    }

    /// Whether the watch of a container that is up ends now: then nothing follows it until it was looked at
    /// once more.
    pub(super) fn ends(&mut self, seat: Seat, now: Timestamp) -> bool {
        let rollout = &mut self.services[seat.service].rollout;
        let ends = rollout.end_of_watch(seat.slot).is_some_and(|end| end <= now);
        if ends {
            rollout.unsettle(seat.slot);
        }
        ends
    }

    /// When the next watch ends after `now`.
    pub(super) fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.services.iter().flat_map(|service| {
            let slots = 0..service.slots().count();
            slots.filter_map(|slot| service.rollout.end_of_watch(slot))
        });
        ends.filter(|end| now < *end).min()
    }

    /// A canary was judged, or a container looked at for the last time, and is well.
    pub(super) fn settled(&mut self, seat: Seat) {
        self.services[seat.service].rollout.settle(seat.slot);
    }

    /// A canary that did not fail could not be judged: none follows it, and a later pass holds it anew.
    pub(super) fn unjudged(&mut self, seat: Seat) {
        let service = &mut self.services[seat.service];
        if service.rollout.is_up(seat.slot) {
            service.rollout.interrupt();
        }
    }

    /// Whether a container still is to be watched.
    pub(super) fn is_watched(&self, seat: Seat, now: Timestamp) -> bool {
        self.services[seat.service].rollout.is_watched(seat.slot, now)
    }

    /// Whether a seat is one of an update, and not of a repair.
    pub(super) fn is_update(&self, seat: Seat) -> bool {
        self.services[seat.service].paced.is_update
    }

    /// Whether a seat's container is to run to its end.
    pub(super) fn is_job(&self, seat: Seat) -> bool {
        self.services[seat.service].paced.is_job
    }

    /// The slot of the stack that a seat stands for.
    pub(super) fn slot(&self, seat: Seat) -> &'p Slot {
        let mut all = self.services[seat.service].slots();
        all.nth(seat.slot).expect("a seat is made for a turn or a container that is watched")
    }

    /// The slots whose container was watched long enough.
    pub(super) fn held_slots(&self, now: Timestamp) -> impl Iterator<Item = &'p Slot> {
        self.services.iter().flat_map(move |service| service.held(now))
    }

    /// How far each service came.
    pub(super) fn progress(&self, now: Timestamp) -> BTreeMap<ServiceName, Progress> {
        let came = |it: &Service<'_>| (it.paced.service.clone(), it.progress(now));
        self.services.iter().map(came).collect()
    }

    /// How each update ended; of those that did.
    pub(super) fn reports(&self) -> Vec<RolloutReport> {
        self.services.iter().filter_map(Service::report).collect()
    }
}

impl<'p> Service<'p> {
    /// One that came as far as `earlier` before.
    fn of(paced: &'p Paced, earlier: Progress, now: Timestamp) -> Self {
        let needs_place: Vec<_> = paced.changes.iter().map(|turn| turn.exchanges).collect();
        let is_open = |standing: &Standing| earlier.is_open(standing.slot.number);
        let mut again: BTreeSet<u32> = paced.changes.iter().map(|turn| turn.slot.number).collect();
        let open = paced.standing.iter().filter(|standing| is_open(standing));
        again.extend(open.map(|standing| standing.slot.number));
        let mut rollout = Rollout::new(paced.pace.clone(), &needs_place, earlier.without(&again));
        let watched = paced.standing.iter().filter(|standing| {
            match (is_open(standing), standing.is_coming_up) {
                // How long it has been watched is not known.
                (true, false) => Some(rollout.resume(Some(now))),
                (true, true) => Some(rollout.resume(None)),
                (false, true) => Some(rollout.expect()),
                (false, false) => rollout.watch(standing.started.min(now), now),
            }
            .is_some()
        });
        let watched = watched.collect();
        Self { paced, watched, rollout, earlier, failures: vec![], cause: None, over: None }
    }

    /// Of the changes, then of what is watched.
    fn slots(&self) -> impl Iterator<Item = &'p Slot> {
        let turns = self.paced.changes.iter().map(|turn| &turn.slot);
        turns.chain(self.watched.iter().map(|standing| &standing.slot))
    }

    /// The slots whose container was watched long enough.
    fn held(&self, now: Timestamp) -> impl Iterator<Item = &'p Slot> {
        let held = move |index: usize| self.rollout.has_held(index, now);
        self.slots().enumerate().filter(move |(index, _)| held(*index)).map(|(_, slot)| slot)
    }

    fn blame(&mut self, why: String, cause: Cause) {
        if !self.failures.contains(&why) && self.failures.len() < TOLD_FAILURES {
            self.failures.push(why);
        }
        self.cause.get_or_insert(cause);
    }

    fn progress(&self, now: Timestamp) -> Progress {
        let mut progress = self.earlier.clone();
        for (index, slot) in self.slots().enumerate() {
            if self.rollout.is_up(index) {
                progress.note(slot.number, SlotPhase::Watching);
            } else if self.rollout.has_failed_slot(index) {
                progress.note(slot.number, SlotPhase::Failed);
            } else if self.rollout.is_dropped(index) {
                // It has another turn, unless all was done that it needs.
                progress.failed.remove(&slot.number);
            }
        }
        for slot in self.held(now) {
            progress.note(slot.number, SlotPhase::Done);
        }
        progress
    }

    fn report(&self) -> Option<RolloutReport> {
        let verdict = match self.over? {
            Verdict::Completed if self.rollout.has_failed() => RolloutVerdict::Continued,
            Verdict::Completed => RolloutVerdict::Completed,
            Verdict::Paused => RolloutVerdict::Paused,
            Verdict::RollBack => RolloutVerdict::RollBack,
            Verdict::Interrupted => return None,
        };
        let Earlier { changed, failed } = self.rollout.progress();
        // One in which nothing was changed is none.
        (changed > 0 || verdict != RolloutVerdict::Completed).then(|| RolloutReport {
            service: self.paced.service.clone(),
            verdict,
            updated: changed.saturating_sub(failed),
            failed,
            why: (!self.failures.is_empty()).then(|| self.failures.join("\n")),
            cause: self.cause,
        })
    }
}
