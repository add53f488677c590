//! Follows a cron expression: tokio-cron-scheduler fires it, and a guard that computes the due
//! times itself wakes in its place and sets it going anew when it falls silent.

use super::Wake;
use chrono::{DateTime, Utc};
use croner::Cron;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

/// How late a firing may be before it counts as missed. The scheduler looks twice a second.
const GRACE: Duration = Duration::from_secs(5);
/// The longest sleep before the wall clock is read again, since it can be set meanwhile.
const LOOK: Duration = Duration::from_secs(60);

/// Wakes whenever `cron` comes due, until `cancel`.
pub(super) async fn follow(cron: Cron, wake: Wake, cancel: CancellationToken) {
    let (fired, last_fired) = watch::channel(Utc::now());
    let fire = Arc::new(move || {
        fired.send_replace(Utc::now());
        wake();
    });
    let mut scheduler = arm(&cron, Arc::clone(&fire)).await;
    loop {
        let missed = missed(&cron, last_fired.clone(), Utc::now);
        match cancel.run_until_cancelled(missed).await {
            None => break,
            Some(None) => {
                tracing::warn!(cron = cron.as_str(), "the cron expression never comes due again");
                break;
            }
            Some(Some(due)) => {
                tracing::warn!(cron = cron.as_str(), %due, "a scheduled wake-up was missed; re-arming");
                fire();
                disarm(scheduler).await;
                scheduler = arm(&cron, Arc::clone(&fire)).await;
            }
        }
    }
    disarm(scheduler).await;
}

/// Waits until a due time has passed by [`GRACE`] without a firing at or after it, and tells which.
/// `None` when no due time is left.
async fn missed(
    cron: &Cron,
    mut last_fired: watch::Receiver<DateTime<Utc>>,
    now: impl Fn() -> DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    loop {
        let last = *last_fired.borrow_and_update();
        let due = cron.find_next_occurrence(&last, false).ok()?;
        let left = (due + GRACE - now()).to_std().unwrap_or(Duration::ZERO);
        if left.is_zero() {
            return Some(due);
        }
        // Either ending leads to a fresh look: a firing moves `last`, the clock moves `left`.
        if let Ok(Err(_)) = timeout(left.min(LOOK), last_fired.changed()).await {
            sleep(left.min(LOOK)).await;
        }
    }
}

/// Sets the scheduler going; without one the guard alone wakes, late by [`GRACE`].
async fn arm(cron: &Cron, fire: Arc<impl Fn() + Send + Sync + 'static>) -> Option<JobScheduler> {
    match try_arm(cron, fire).await {
        Ok(scheduler) => Some(scheduler),
        Err(error) => {
            tracing::warn!(cron = cron.as_str(), %error, "the scheduler does not start");
            None
        }
    }
}

async fn try_arm(
    cron: &Cron,
    fire: Arc<impl Fn() + Send + Sync + 'static>,
) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    scheduler.add(Job::new(cron.as_str(), move |_, _| fire())?).await?;
    scheduler.start().await?;
    Ok(scheduler)
}

async fn disarm(scheduler: Option<JobScheduler>) {
    if let Some(mut scheduler) = scheduler
        && let Err(error) = scheduler.shutdown().await
    {
        tracing::warn!(%error, "the scheduler does not stop");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    /// A wall clock that follows the paused time of the test.
    fn clock() -> (DateTime<Utc>, impl Fn() -> DateTime<Utc>) {
        let (base, began) = (DateTime::UNIX_EPOCH, Instant::now());
        (base, move || base + began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_scheduler_is_noticed_once_its_due_time_and_the_grace_have_passed() {
        let (base, now) = clock();
        let (_fired, last_fired) = watch::channel(base);
        let cron: Cron = "0 */5 * * * *".parse().unwrap();
        let due = missed(&cron, last_fired, &now).await.unwrap();
        assert_eq!(due - base, chrono::Duration::minutes(5));
        assert_eq!(now() - due, chrono::Duration::seconds(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_scheduler_that_fires_is_left_alone_until_it_stops() {
        let (base, now) = clock();
        let (fired, last_fired) = watch::channel(base);
        let cron: Cron = "0 * * * * *".parse().unwrap();
        let (due, ()) = tokio::join!(missed(&cron, last_fired, &now), async {
            for minute in 1..=10 {
                sleep(Duration::from_secs(60)).await;
                fired.send_replace(base + chrono::Duration::minutes(minute));
            }
        });
        assert_eq!(due.unwrap() - base, chrono::Duration::minutes(11));
    }

    #[tokio::test(start_paused = true)]
    async fn an_expression_that_never_comes_due_again_is_told() {
        let (base, now) = clock();
        let (_fired, last_fired) = watch::channel(base);
        let cron: Cron = "0 0 0 31 2 *".parse().unwrap();
        assert_eq!(missed(&cron, last_fired, &now).await, None);
    }
}
