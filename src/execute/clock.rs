//! The time of a pass: the calendar's at its beginning, and what went by since. Whoever sets the
//! calendar meanwhile does not disturb it.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// A clock that was set once.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Timestamp,
    since: Instant,
}

impl Clock {
    /// One that says `now` now.
    pub fn set(now: Timestamp) -> Self {
        Self { began: now, since: Instant::now() }
    }

    /// What it says.
    pub(super) fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.since.elapsed()).unwrap_or(SignedDuration::MAX);
        self.began.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// When it will say `time`.
    pub(super) fn at(&self, time: Timestamp) -> Instant {
        let wait = Duration::try_from(time.duration_since(self.began)).unwrap_or_default();
        self.since + wait
    }
}
