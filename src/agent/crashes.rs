//! Holds back the start of containers that end again and again. Pure: `now` comes in.
//!
//! The engine restarts what has a restart policy, with its own growing pauses. What has none is
//! started by passes, and a process that cannot live must not be started in a circle.

use crate::model::{Slot, StackName};
use crate::plan::{Action, Object};
use crate::status::Report;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Starts within this time belong together.
const MEMORY: Duration = Duration::from_secs(600);
/// So long after its first start a container counts as staying up; each further one doubles it, up to [`MEMORY`].
const FIRST_QUIET: Duration = Duration::from_secs(60);
/// So many starts are free of delay.
const FREE_STARTS: u32 = 3;
/// The delay after the last free start; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// How often each container had to be started lately.
#[derive(Debug, Default)]
pub(crate) struct Crashes(BTreeMap<StackName, BTreeMap<Slot, Starts>>);

#[derive(Debug)]
struct Starts {
    count: u32,
    last: Instant,
}

impl Starts {
    /// How long from `now` its container rests.
    fn delay(&self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.last);
        if self.count < FREE_STARTS || since > MEMORY {
            return Duration::ZERO;
        }
        let doublings = (self.count - FREE_STARTS).min(16);
        LONGEST_DELAY.min(FIRST_DELAY * 2_u32.pow(doublings)).saturating_sub(since)
    }

    /// How long from `now` until its container counts as staying up.
    fn unrest(&self, now: Instant) -> Duration {
        let doublings = self.count.saturating_sub(1).min(16);
        let quiet = MEMORY.min(FIRST_QUIET * 2_u32.pow(doublings));
        quiet.saturating_sub(now.saturating_duration_since(self.last))
    }
}

impl Crashes {
    /// Takes note of what a pass did. A container made anew begins anew.
    pub(crate) fn note(&mut self, report: &Report, now: Instant) {
        let slots = self.0.entry(report.stack.clone()).or_default();
        slots.retain(|_, starts| now.saturating_duration_since(starts.last) <= MEMORY);
        for action in &report.actions {
            let Object::Container(slot) = &action.object else { continue };
            match action.action {
                Action::Start => {
                    let fresh = Starts { count: 0, last: now };
                    let starts = slots.entry(slot.clone()).or_insert(fresh);
                    starts.count += 1;
                    starts.last = now;
                }
                Action::Create | Action::Replace | Action::Remove => drop(slots.remove(slot)),
                Action::Pull
                | Action::Adopt
                | Action::Rename
                | Action::Update
                | Action::Reconnect
                | Action::Signal
                | Action::Restart
                | Action::Unpause => {}
            }
        }
    }

    /// The slots of `stack` whose container must not be started yet.
    pub(crate) fn resting(&self, stack: &StackName, now: Instant) -> BTreeSet<Slot> {
        let slots = self.0.get(stack).into_iter().flatten();
        slots
            .filter(|(_, starts)| !starts.delay(now).is_zero())
            .map(|(slot, _)| slot.clone())
            .collect()
    }

    /// How long from `now` until the first of the resting slots of `stack` may be started; zero if
    /// none rests.
    pub(crate) fn rest(&self, stack: &StackName, now: Instant) -> Duration {
        let slots = self.0.get(stack).into_iter().flatten();
        let delays = slots.map(|(_, starts)| starts.delay(now)).filter(|delay| !delay.is_zero());
        delays.min().unwrap_or_default()
    }

    /// How long from `now` until the containers of the stack of `report` count as staying up; zero if they do.
    /// Those that were made anew in that pass are not meant.
    pub(crate) fn unrest(&self, report: &Report, now: Instant) -> Duration {
        let anew = |slot: &Slot| {
            report.actions.iter().any(|done| {
                matches!(&done.object, Object::Container(of) if of == slot)
                    && matches!(done.action, Action::Create | Action::Replace)
            })
        };
        let slots = self.0.get(&report.stack).into_iter().flatten();
        let left = slots.filter(|(slot, _)| !anew(slot)).map(|(_, starts)| starts.unrest(now));
        left.max().unwrap_or_default()
    }

    /// Forgets a stack that is gone.
    pub(crate) fn forget(&mut self, stack: &StackName) {
        self.0.remove(stack);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceName;
    use crate::status::{ActionReport, PassResult};
    use jiff::Timestamp;

    fn report(acts: &[(Action, &str)]) -> Report {
        let action = |(action, service): &(Action, &str)| ActionReport {
            object: Object::Container(slot(service)),
            action: *action,
            reasons: vec![],
            error: None,
            took: Duration::ZERO,
        };
        Report {
            result: PassResult::Changed,
            actions: acts.iter().map(action).collect(),
            ..Report::begun(stack(), Timestamp::UNIX_EPOCH)
        }
    }

    fn stack() -> StackName {
        StackName::new("shop").unwrap()
    }

    fn slot(service: &str) -> Slot {
        Slot { service: ServiceName::new(service).unwrap(), number: 1 }
    }

    #[test]
    fn what_ends_again_and_again_rests_longer_each_time_and_nothing_else_does() {
        let (mut crashes, now) = (Crashes::default(), Instant::now());
        let mut rests = vec![];
        for _ in 0..5 {
            crashes.note(&report(&[(Action::Start, "web"), (Action::Update, "db")]), now);
            rests.push(crashes.rest(&stack(), now).as_secs());
        }
        assert_eq!(rests, [0, 0, 1, 2, 4]);
        assert_eq!(crashes.resting(&stack(), now), BTreeSet::from([slot("web")]));

        let later = now + Duration::from_secs(3);
        assert_eq!(crashes.rest(&stack(), later), Duration::from_secs(1));
        let rested = now + Duration::from_secs(4);
        assert_eq!(crashes.resting(&stack(), rested), BTreeSet::new());
    }

    #[test]
    fn a_new_container_and_a_quiet_time_begin_anew() {
        let (mut crashes, now) = (Crashes::default(), Instant::now());
        for _ in 0..9 {
            crashes.note(&report(&[(Action::Start, "web"), (Action::Start, "db")]), now);
        }
        crashes.note(&report(&[(Action::Replace, "web")]), now);
        assert_eq!(crashes.resting(&stack(), now), BTreeSet::from([slot("db")]));

        let later = now + MEMORY + Duration::from_secs(1);
        crashes.note(&report(&[(Action::Start, "db")]), later);
        assert_eq!(crashes.rest(&stack(), later), Duration::ZERO);
    }

    #[test]
    fn a_container_stays_up_once_it_was_quiet_for_longer_the_oftener_it_ended() {
        let (mut crashes, now) = (Crashes::default(), Instant::now());
        let quiet = report(&[]);
        assert_eq!(crashes.unrest(&quiet, now), Duration::ZERO);
        let mut waits = vec![];
        for _ in 0..6 {
            crashes.note(&report(&[(Action::Start, "web")]), now);
            waits.push(crashes.unrest(&quiet, now).as_secs());
        }
        assert_eq!(waits, [60, 120, 240, 480, 600, 600]);
        assert_eq!(crashes.unrest(&report(&[(Action::Replace, "web")]), now), Duration::ZERO);
        assert_eq!(crashes.unrest(&quiet, now + MEMORY), Duration::ZERO);
    }

    #[test]
    fn no_rest_is_longer_than_the_bound() {
        let (mut crashes, now) = (Crashes::default(), Instant::now());
        for _ in 0..100 {
            crashes.note(&report(&[(Action::Start, "web")]), now);
        }
        assert_eq!(crashes.rest(&stack(), now), LONGEST_DELAY);
    }
}
