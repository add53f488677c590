//! Holds back the repair of containers that end again and again. Pure: `now` comes in.
//!
//! The engine restarts what has a restart policy, with its own growing pauses. What has none is
//! started by passes, and a process that cannot live must not be started in a circle.

use crate::model::StackName;
use crate::plan::Action;
use crate::status::Report;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Starts within this time belong together.
const MEMORY: Duration = Duration::from_secs(600);
/// So many starts are free of delay.
const FREE_STARTS: u32 = 3;
/// The delay after the last free start; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// How often each stack's containers had to be started lately.
#[derive(Debug, Default)]
pub(crate) struct Crashes(BTreeMap<StackName, Starts>);

#[derive(Debug)]
struct Starts {
    count: u32,
    last: Instant,
}

impl Crashes {
    /// Takes note of what a pass did.
    pub(crate) fn note(&mut self, report: &Report, now: Instant) {
        let started = report.actions.iter().any(|action| action.action == Action::Start);
        if !started {
            return;
        }
        let starts = self.0.entry(report.stack.clone()).or_insert(Starts { count: 0, last: now });
        if now.duration_since(starts.last) > MEMORY {
            starts.count = 0;
        }
        starts.count += 1;
        starts.last = now;
    }

    /// How long the next repair of `stack` shall wait.
    pub(crate) fn delay(&self, stack: &StackName, now: Instant) -> Duration {
        let Some(starts) = self.0.get(stack) else { return Duration::ZERO };
        let since = now.duration_since(starts.last);
        if starts.count < FREE_STARTS || since > MEMORY {
            return Duration::ZERO;
        }
        let doublings = (starts.count - FREE_STARTS).min(16);
        let delay = LONGEST_DELAY.min(FIRST_DELAY * 2_u32.pow(doublings));
        delay.saturating_sub(since)
    }

    /// Forgets a stack that is gone.
    pub(crate) fn forget(&mut self, stack: &StackName) {
        self.0.remove(stack);
    }
}
