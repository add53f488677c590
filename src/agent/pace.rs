//! When a source is looked at by itself: after its interval, or, while it fails, in growing pauses. Its
//! cron expression and those who know better come beside that.

use super::backoff::Backoff;
use std::time::Duration;

/// The pause after a source's first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause of one that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// The share of a pause that chance may take off.
const JITTER: f64 = 0.25;
/// An interval is made longer by up to this share of it, so that many hosts do not ask at once.
const SPREAD: f64 = 0.1;

/// How a source's fetches go.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    interval: Option<Duration>,
    failures: u32,
}

impl Pace {
    pub(super) fn new(interval: Option<Duration>) -> Self {
        Self { interval, failures: 0 }
    }

    /// How often in a row it failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// A fetch ended, well or not. In how long the next one is due; `None`: not by itself. `random` is from
    /// 0 up to 1.
    pub(super) fn note(&mut self, is_well: bool, random: f64) -> Option<Duration> {
        if is_well {
            self.failures = 0;
            return self.interval.map(|interval| interval.mul_f64(1.0 + SPREAD * random));
        }
        self.failures = self.failures.saturating_add(1);
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, JITTER);
        Some(backoff.delay(self.failures, random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pause: Option<Duration>) -> Option<f64> {
        pause.map(|pause| pause.as_secs_f64())
    }

    #[test]
    fn a_source_that_is_well_comes_after_its_interval_and_up_to_a_tenth_of_it() {
        let mut pace = Pace::new(Some(Duration::from_secs(60)));
        assert_eq!(seconds(pace.note(true, 0.0)), Some(60.0));
        assert_eq!(seconds(pace.note(true, 1.0)), Some(66.0));
        assert_eq!(Pace::new(None).note(true, 0.5), None);
    }

    #[test]
    fn pauses_of_one_that_fails_grow_to_ten_minutes_until_it_is_well() {
        for interval in [None, Some(Duration::from_secs(1)), Some(Duration::from_secs(86_400))] {
            let mut pace = Pace::new(interval);
            let pauses: Vec<_> = (0..11).filter_map(|_| seconds(pace.note(false, 0.0))).collect();
            let grown = [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600].map(f64::from);
            assert_eq!(pauses, grown);
            assert_eq!(seconds(pace.note(false, 1.0)), Some(450.0), "chance takes off a quarter");
            assert_eq!(pace.failures(), 12);
            pace.note(true, 0.0);
            assert_eq!(pace.failures(), 0);
            assert_eq!(seconds(pace.note(false, 0.0)), Some(2.0));
        }
    }
}
