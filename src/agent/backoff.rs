//! How long to wait before the next attempt. Pure: it neither waits nor draws chance itself.

use std::time::Duration;

/// Each failure multiplies the wait by this.
const FACTOR: u32 = 2;

/// Waits that double from `first` up to `max`, each shortened by a share that chance chooses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    jitter: f64,
}

impl Backoff {
    /// Waits from `first` to `max`. `jitter` is the share of a wait that chance may take off, from
    /// 0 (none) to 1 (all of it); what lies outside is brought to the nearer end.
    pub(crate) fn new(first: Duration, max: Duration, jitter: f64) -> Self {
        let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
        Self { first, max: max.max(first), jitter }
    }

    /// The wait after `attempt` failures in a row, where the first failure is 1; `random` is from 0
    /// up to 1. No wait without a failure, and never more than the bound.
    pub(crate) fn delay(&self, attempt: u32, random: f64) -> Duration {
        let Some(doublings) = attempt.checked_sub(1) else { return Duration::ZERO };
        let grown = FACTOR
            .checked_pow(doublings)
            .and_then(|factor| self.first.checked_mul(factor))
            .map_or(self.max, |grown| grown.min(self.max));
        grown.mul_f64(1.0 - self.jitter * random.clamp(0.0, 1.0))
    }
}

impl Default for Backoff {
    /// From 2 seconds to 5 minutes; chance takes off up to a quarter.
    fn default() -> Self {
        Self::new(Duration::from_secs(2), Duration::from_secs(300), 0.25)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(backoff: Backoff, attempts: impl Iterator<Item = u32>) -> Vec<u64> {
        attempts.map(|attempt| backoff.delay(attempt, 0.9).as_secs()).collect()
    }

    #[test]
    fn waits_double_up_to_the_bound() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10), 0.0);
        assert_eq!(seconds(backoff, 0..7), [0, 1, 2, 4, 8, 10, 10]);
        assert_eq!(seconds(backoff, [33, u32::MAX].into_iter()), [10, 10]);
    }

    #[test]
    fn chance_takes_off_no_more_than_its_share() {
        let backoff = Backoff::new(Duration::from_secs(8), Duration::from_secs(60), 0.25);
        assert_eq!(backoff.delay(1, 0.0), Duration::from_secs(8));
        assert_eq!(backoff.delay(1, 0.5), Duration::from_secs(7));
        assert_eq!(backoff.delay(1, 1.0), Duration::from_secs(6));
    }

    proptest! {
        #[test]
        fn no_wait_leaves_its_bounds(attempt in 1u32.., random in 0.0f64..1.0, jitter in 0.0f64..=1.0) {
            let (first, max) = (Duration::from_millis(250), Duration::from_secs(180));
            let delay = Backoff::new(first, max, jitter).delay(attempt, random);
            prop_assert!(delay <= max);
            prop_assert!(delay >= first.mul_f64((1.0 - jitter) * 0.999));
        }
    }
}
