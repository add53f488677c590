//! Whether the agent's loop still turns, and whether it has had its first full look.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Dead when nobody called [`Liveness::tick`] for longer than a bound.
#[derive(Debug)]
pub struct Liveness {
    bound: Duration,
    last: Mutex<Instant>,
}

impl Liveness {
    /// Counts as ticked now; `bound` is the longest time between two ticks of a living loop.
    pub fn new(bound: Duration) -> Self {
        Self { bound, last: Mutex::new(Instant::now()) }
    }

    /// The loop turns.
    pub fn tick(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long ago the last tick was, if that is longer than the bound.
    pub fn overdue(&self) -> Option<Duration> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        Some(last.elapsed()).filter(|elapsed| *elapsed > self.bound)
    }
}

/// Why the agent is not ready yet, until it is.
#[derive(Debug)]
pub struct Readiness(Mutex<Option<String>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Mutex::new(Some("the agent is starting".to_owned())))
    }
}

impl Readiness {
    /// Not ready, for `reason`.
    pub fn wait_for(&self, reason: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
    }

    /// Every stack had its first pass.
    pub fn ready(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why not, or `None` when ready.
    pub fn waiting(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_is_dead_only_after_the_bound_and_lives_again_with_the_next_tick() {
        let pulse = Liveness::new(Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(pulse.overdue(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pulse.overdue(), Some(Duration::from_secs(31)));
        pulse.tick();
        assert_eq!(pulse.overdue(), None);
    }
}
