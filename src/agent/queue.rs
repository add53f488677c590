//! Which keys are due. Each key waits at most once and is worked on by one worker at a time,
//! however often it is asked for; what the work is, the queue does not know.

mod line;

use super::backoff::Backoff;
use line::Line;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The farthest that a wait can reach; longer ones are cut to it. About ten years.
const FARTHEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A queue of keys, shared by clones of it.
pub(crate) struct Queue<K: Ord + Clone>(Arc<Inner<K>>);

struct Inner<K> {
    line: Mutex<Line<K>>,
    changed: Notify,
    backoff: Backoff,
    random: Box<dyn Fn() -> f64 + Send + Sync>,
}

/// How a piece of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Well: the key's failures are forgotten.
    Succeeded,
    /// Badly: the key runs again after its backoff.
    Failed,
    /// It was no other try of what failed: the key runs again after the backoff that it has.
    Beside,
}

/// A key to work on. No other worker gets it until this is done. Dropping it unfinished, as a
/// panic does, counts as a failure.
#[must_use = "dropping it unfinished counts as a failure"]
pub(crate) struct Work<K: Ord + Clone> {
    key: K,
    failures: u32,
    queue: Queue<K>,
    finished: bool,
}

impl<K: Ord + Clone> Queue<K> {
    /// An empty queue. `random` gives numbers from 0 up to 1, for the jitter of `backoff`.
    pub(crate) fn new(backoff: Backoff, random: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            line: Mutex::new(Line::default()),
            changed: Notify::new(),
            backoff,
            random: Box::new(random),
        }))
    }

    /// From now on nothing but `key` is ever due.
    pub(crate) fn restrict_to(&self, key: K) {
        self.lock().restrict_to(key);
    }

    /// Whether `key` is ever due here.
    pub(crate) fn takes(&self, key: &K) -> bool {
        self.lock().takes(key)
    }

    /// `key` is due now, whatever it waits for: a delay or its backoff.
    pub(crate) fn add(&self, key: K) {
        self.add_after(key, Duration::ZERO);
    }

    /// `key` is due after `delay` at the latest: an earlier deadline that it already has stays.
    pub(crate) fn add_after(&self, key: K, delay: Duration) {
        self.lock().add(key, Instant::now() + delay.min(FARTHEST));
        self.0.changed.notify_waiters();
    }

    /// `key` is due as soon as its backoff allows: now, unless it failed last. For wake-ups that a
    /// failing pass could cause itself, which with [`Queue::add`] would run it without a pause.
    pub(crate) fn add_rate_limited(&self, key: K) {
        self.lock().add_rate_limited(key, Instant::now());
        self.0.changed.notify_waiters();
    }

    /// `key` waits no longer and has no failures. Work on it that runs now is not disturbed and
    /// does not come back, unless `key` is added again.
    pub(crate) fn forget(&self, key: &K) {
        self.lock().forget(key);
    }

    /// Waits for a key that is due, and takes it: the one with the earliest deadline first.
    /// `None` once the queue is closed. Giving up the wait loses nothing.
    pub(crate) async fn next(&self) -> Option<Work<K>> {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // From here on a change is heard, also one before the `select!` below.
            changed.as_mut().enable();
            let wait = {
                let mut line = self.lock();
                if line.is_closed() {
                    return None;
                }
                if let Some((key, failures)) = line.take(Instant::now()) {
                    return Some(Work { key, failures, queue: self.clone(), finished: false });
                }
                line.earliest()
            };
            match wait {
                Some(deadline) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(deadline) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Whether the backoff after the last failure of `key` is not over.
    pub(crate) fn backs_off(&self, key: &K) -> bool {
        self.lock().backs_off(key, Instant::now())
    }

    /// How many keys are due and not yet worked on.
    pub(crate) fn depth(&self) -> usize {
        self.lock().due(Instant::now())
    }

    /// How many keys are being worked on.
    pub(crate) fn running(&self) -> usize {
        self.lock().running()
    }

    /// Ends every wait, now and later; nothing more is taken or added. Work that runs goes on.
    pub(crate) fn close(&self) {
        self.lock().close();
        self.0.changed.notify_waiters();
    }

    fn finish(&self, key: &K, outcome: Outcome) {
        let now = Instant::now();
        {
            let mut line = self.lock();
            match outcome {
                Outcome::Succeeded => line.succeeded(key, now),
                Outcome::Failed => {
                    let attempt = line.failures(key).saturating_add(1);
                    line.failed(key, now + self.0.backoff.delay(attempt, (self.0.random)()));
                }
                Outcome::Beside => line.beside(key, now),
            }
        }
        self.0.changed.notify_waiters();
    }

    /// A panic under the lock leaves the line whole, as no step of it can stop half-way.
    fn lock(&self) -> MutexGuard<'_, Line<K>> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Ord + Clone> Work<K> {
    /// What to work on.
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    /// How often in a row work on this key has failed up to now.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Gives the key back.
    pub(crate) fn done(mut self, outcome: Outcome) {
        self.finished = true;
        self.queue.finish(&self.key, outcome);
    }
}

impl<K: Ord + Clone> Drop for Work<K> {
    fn drop(&mut self) {
        if !self.finished {
            self.queue.finish(&self.key, Outcome::Failed);
        }
    }
}

#[cfg(test)]
mod tests;
