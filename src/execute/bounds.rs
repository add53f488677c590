//! How much is done at once.

use crate::plan::Step;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How much is done at once, by all who share it. Waiting for a container takes nothing of it, so
/// that stacks with slow services do not hold up others.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Engine calls that change something.
    calls: Arc<Semaphore>,
    /// Those that may take long: pulls of images, and stops with their grace.
    slow: Arc<Semaphore>,
    /// Snapshots taken, and planned on.
    looks: Arc<Semaphore>,
}

impl Bounds {
    /// At most `calls` changes, as many slow ones, and `looks` snapshots at once.
    pub fn new(calls: NonZeroUsize, looks: NonZeroUsize) -> Self {
        let permits = |count: NonZeroUsize| Arc::new(Semaphore::new(count.get()));
        Self { calls: permits(calls), slow: permits(calls), looks: permits(looks) }
    }

    /// Waits for leave to take a snapshot; it lasts as long as what is returned.
    pub async fn look(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so there is always one in the end.
        self.looks.acquire().await.ok()
    }

    /// The same for who can do without: only where nobody waits for it.
    pub fn spare_look(&self) -> Option<SemaphorePermit<'_>> {
        self.looks.try_acquire().ok()
    }

    pub(super) async fn step(&self, step: &Step) -> Option<SemaphorePermit<'_>> {
        let slow = matches!(step, Step::PullImage { .. } | Step::Stop { .. });
        if slow { &self.slow } else { &self.calls }.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_can_do_without_a_look_takes_none_that_somebody_waits_for() {
        let bounds = Bounds::new(NonZeroUsize::MIN, NonZeroUsize::MIN);
        let held = bounds.spare_look().unwrap();
        assert!(bounds.spare_look().is_none());
        let mut waits = std::pin::pin!(bounds.look());
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        drop(held);
        assert!(bounds.spare_look().is_none());
        drop(waits.await);
        assert!(bounds.spare_look().is_some());
    }
}
