//! How long and how much a source may take, and the watch over one attempt. Does no work itself.

use super::error::Fault;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The bounds of one sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For name resolution, connection and TLS.
    pub connect: Duration,
    /// Without a byte from the server.
    pub idle: Duration,
    /// For all of it.
    pub whole: Duration,
    /// Of all objects that one attempt brings, from whatever server, and of the files of a commit; in bytes.
    pub bytes: u64,
    /// libgit2 never merges packs: with more than this the clone is made anew.
    pub packs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            whole: Duration::from_secs(15 * 60),
            bytes: 2 << 30,
            packs: 50,
        }
    }
}

/// One attempt: its bounds, when it began, and whether it is still wanted.
#[derive(Debug, Clone)]
pub(super) struct Attempt<'a> {
    pub(super) limits: Limits,
    began: Instant,
    cancelled: &'a AtomicBool,
    /// Bytes of objects that came; one number for all copies of this.
    taken: Rc<Cell<u64>>,
}

impl<'a> Attempt<'a> {
    pub(super) fn begin(limits: Limits, cancelled: &'a AtomicBool) -> Self {
        Self { limits, began: Instant::now(), cancelled, taken: Rc::default() }
    }

    /// Whether to go on.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Fault::Cancelled);
        }
        if self.left().is_zero() {
            return Err(Fault::TimedOut { during: "fetching", after: self.limits.whole });
        }
        Ok(())
    }

    /// Counts bytes of objects that came.
    pub(super) fn take(&self, bytes: u64) -> Result<(), Fault> {
        let limit = self.limits.bytes;
        self.taken.set(self.taken.get().saturating_add(bytes));
        if self.taken.get() > limit { Err(Fault::TooLarge { limit }) } else { Ok(()) }
    }

    /// Begins to count anew: what came before is not part of the clone that is made from here on.
    pub(super) fn recount(&self) {
        self.taken.set(0);
    }

    /// The time that is left of the whole.
    pub(super) fn left(&self) -> Duration {
        self.limits.whole.saturating_sub(self.began.elapsed())
    }
}
