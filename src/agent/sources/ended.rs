//! A fetch that ended: what is told of it, and when the next one is due by itself.

use super::super::World;
use super::super::chance::chance;
use super::super::pace::Pace;
use super::super::schedule::Schedule;
use super::Failure;
use crate::config::Source;
use crate::model::{Commit, Revision};
use crate::source::Checkout;
use crate::status::{SourceReport, Unverified};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How a fetch ended.
pub(super) struct Fetched {
    /// What an earlier process left.
    pub(super) last: Option<Checkout>,
    pub(super) result: Result<Checkout, Failure>,
    /// The commit that is checked out, and what it says of itself.
    pub(super) shown: Option<(Revision, Commit)>,
}

impl Fetched {
    pub(super) fn failed(message: String) -> Self {
        Self { last: None, result: Err(message.into()), shown: None }
    }
}

/// Tells of a fetch that took so long. When the next one is due, but for the cron expression: also where
/// something of it `may_pass` that could not be read, in growing pauses.
pub(super) fn tell(
    world: &World,
    config: &Source,
    pace: &mut Pace,
    fetched: &Fetched,
    (took, may_pass): (Duration, bool),
) -> Option<Instant> {
    let is_well = fetched.result.is_ok() && !may_pass;
    let wait = pace.note(is_well, chance());
    let (name, now) = (&config.name, Timestamp::now());
    let (outcome, verification) = match &fetched.result {
        Ok(Checkout { revision, verified, .. }) => {
            (Ok(revision.clone()), verified.as_ref().map(|it| Ok(it.to_string())))
        }
        Err(failure) => {
            let (failures, message) = (pace.failures(), &failure.message);
            let pause = wait.unwrap_or_default().as_secs_f64();
            tracing::error!(source = %name, failures, "{message}");
            if failures > 1 {
                tracing::warn!(
                    source = %name, failures,
                    "failed {failures} times in a row; the next try is in {pause:.0} s"
                );
            }
            (Err(message.clone()), failure.is_unverified.then_some(Err(Unverified)))
        }
    };
    if may_pass && outcome.is_ok() {
        let pause = wait.unwrap_or_default().as_secs_f64();
        tracing::warn!(source = %name, "not all of it could be read; it is read again in {pause:.0} s");
    }
    // One that fails does not go by its cron expression.
    let cron = config.cron.as_ref().filter(|_| is_well);
    let waited = wait.and_then(|wait| now.checked_add(wait).ok());
    let scheduled = cron.and_then(|cron| Schedule::next(cron, now));
    world.note_source(&SourceReport {
        source: name.clone(),
        started: now.checked_sub(took).unwrap_or(now),
        took,
        outcome,
        verification,
        shown: fetched.shown.clone(),
        next: waited.into_iter().chain(scheduled).min(),
    });
    wait.map(|wait| Instant::now() + wait)
}
