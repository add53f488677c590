//! What anybody can cause is said in the log, but not as often as anybody likes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often the same is said.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// How many different things are said in that time.
const MOST: usize = 32;

/// Remembers what was said a moment ago.
pub struct Seldom<K>(Mutex<BTreeMap<K, Instant>>);

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> Seldom<K> {
    /// Whether `what` is to be said now: it was not said a moment ago, and not too much else was.
    pub fn is_due(&self, what: K) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        said.retain(|_, at| now.duration_since(*at) < SAID_EVERY);
        if said.len() >= MOST || said.contains_key(&what) {
            return false;
        }
        said.insert(what, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_thing_is_said_once_in_a_while_and_a_flood_of_things_is_bounded() {
        let seldom = Seldom::default();
        assert!(seldom.is_due(0) && seldom.is_due(1) && !seldom.is_due(0));
        let said = (2..1000).filter(|&what| seldom.is_due(what)).count();
        assert_eq!(said, MOST - 2);
        tokio::time::advance(SAID_EVERY).await;
        assert!(seldom.is_due(0) && seldom.is_due(999));
    }
}
