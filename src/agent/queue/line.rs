//! Who stands where in the queue. It never asks for the time and never waits.

use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// The keys that wait, those that run, and the failures that they have had.
pub(super) struct Line<K> {
    /// Every key that waits, with the place that `order` has for it.
    waiting: BTreeMap<K, (Instant, u64)>,
    /// By deadline, then first come.
    order: BTreeSet<(Instant, u64, K)>,
    running: BTreeMap<K, Run>,
    failures: BTreeMap<K, Failures>,
    arrivals: u64,
    closed: bool,
    /// The only key that is ever due; `None`: any.
    only: Option<K>,
}

/// Work that runs, and what was asked for meanwhile.
#[derive(Default)]
struct Run {
    again: Option<Instant>,
    again_rate_limited: bool,
    forgotten: bool,
}

/// Failures in a row, and when the backoff after the last one ends.
struct Failures {
    count: u32,
    until: Instant,
}

impl<K> Default for Line<K> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            order: BTreeSet::new(),
            running: BTreeMap::new(),
            failures: BTreeMap::new(),
            arrivals: 0,
            closed: false,
            only: None,
        }
    }
}

impl<K: Ord + Clone> Line<K> {
    pub(super) fn add(&mut self, key: K, deadline: Instant) {
        if self.closed {
            return;
        }
        match self.running.get_mut(&key) {
            Some(run) => {
                run.again = Some(run.again.map_or(deadline, |again| again.min(deadline)));
            }
            None => self.enqueue(key, deadline),
        }
    }

    pub(super) fn add_rate_limited(&mut self, key: K, now: Instant) {
        if self.closed {
            return;
        }
        if let Some(run) = self.running.get_mut(&key) {
            run.again_rate_limited = true;
            return;
        }
        let allowed = self.failures.get(&key).map_or(now, |failures| failures.until.max(now));
        self.enqueue(key, allowed);
    }

    pub(super) fn forget(&mut self, key: &K) {
        self.failures.remove(key);
        if let Some((deadline, arrival)) = self.waiting.remove(key) {
            self.order.remove(&(deadline, arrival, key.clone()));
        }
        if let Some(run) = self.running.get_mut(key) {
            *run = Run { forgotten: true, ..Run::default() };
        }
    }

    /// Takes the first key that is due, with its failures.
    pub(super) fn take(&mut self, now: Instant) -> Option<(K, u32)> {
        if self.earliest()? > now {
            return None;
        }
        let (_, _, key) = self.order.pop_first()?;
        self.waiting.remove(&key);
        self.running.insert(key.clone(), Run::default());
        let failures = self.failures(&key);
        Some((key, failures))
    }

    pub(super) fn succeeded(&mut self, key: &K, now: Instant) {
        self.failures.remove(key);
        let Some(run) = self.running.remove(key) else { return };
        let limited = run.again_rate_limited.then_some(now);
        if let Some(deadline) = earlier(run.again, limited) {
            self.enqueue(key.clone(), deadline);
        }
    }

    pub(super) fn failed(&mut self, key: &K, until: Instant) {
        let Some(run) = self.running.remove(key) else { return };
        // Forgotten work comes back only if it was asked for after that.
        let retry = (!run.forgotten || run.again_rate_limited).then_some(until);
        let Some(deadline) = earlier(run.again, retry) else { return };
        let count = self.failures(key).saturating_add(1);
        self.failures.insert(key.clone(), Failures { count, until });
        self.enqueue(key.clone(), deadline);
    }

    pub(super) fn beside(&mut self, key: &K, now: Instant) {
        let Some(run) = self.running.remove(key) else { return };
        let until = self.failures.get(key).map(|failures| failures.until);
        let retry = until.or(run.again_rate_limited.then_some(now));
        if let Some(deadline) = earlier(run.again, retry) {
            self.enqueue(key.clone(), deadline);
        }
    }

    pub(super) fn backs_off(&self, key: &K, now: Instant) -> bool {
        self.failures.get(key).is_some_and(|failures| now < failures.until)
    }

    pub(super) fn failures(&self, key: &K) -> u32 {
        self.failures.get(key).map_or(0, |failures| failures.count)
    }

    pub(super) fn earliest(&self) -> Option<Instant> {
        self.order.first().map(|(deadline, _, _)| *deadline)
    }

    pub(super) fn due(&self, now: Instant) -> usize {
        self.order.iter().take_while(|(deadline, _, _)| *deadline <= now).count()
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.waiting.clear();
        self.order.clear();
    }

    pub(super) fn restrict_to(&mut self, key: K) {
        self.only = Some(key);
    }

    pub(super) fn takes(&self, key: &K) -> bool {
        self.only.as_ref().is_none_or(|only| only == key)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    fn enqueue(&mut self, key: K, deadline: Instant) {
        if self.closed || !self.takes(&key) {
            return;
        }
        if let Some((waits_for, arrival)) = self.waiting.get(&key).copied() {
            if waits_for <= deadline {
                return;
            }
            self.order.remove(&(waits_for, arrival, key.clone()));
        }
        self.arrivals += 1;
        self.waiting.insert(key.clone(), (deadline, self.arrivals));
        self.order.insert((deadline, self.arrivals, key));
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
