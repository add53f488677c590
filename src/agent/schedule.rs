//! Wake-ups by a cron expression in UTC. They carry no data, and nothing is run here but the wake-up
//! itself.

mod cron;

use chrono::DateTime;
use croner::Cron;
use jiff::Timestamp;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a wake-up calls.
type Wake = Arc<dyn Fn() + Send + Sync>;

/// Wake-ups that have been set going.
pub(crate) struct Schedule(TaskTracker);

impl Schedule {
    /// Calls `wake` whenever `cron` (six fields, in UTC) comes due, until `cancel`. `wake` must return
    /// quickly.
    pub(crate) fn start(
        cron: Option<Cron>,
        wake: impl Fn() + Send + Sync + 'static,
        cancel: CancellationToken,
    ) -> Self {
        let tasks = TaskTracker::new();
        if let Some(cron) = cron {
            tasks.spawn(cron::follow(cron, Arc::new(wake), cancel));
        }
        tasks.close();
        Self(tasks)
    }

    /// When `cron` comes due next after `now`.
    pub(crate) fn next(cron: &Cron, now: Timestamp) -> Option<Timestamp> {
        let now = DateTime::from_timestamp(now.as_second(), 0)?;
        let next = cron.find_next_occurrence(&now, false).ok()?;
        Timestamp::from_second(next.timestamp()).ok()
    }

    /// Waits until nothing will wake any more, which follows the cancellation.
    pub(crate) async fn ended(&self) {
        self.0.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_cron_expression_of_every_second_wakes_within_three() {
        let count = Arc::new(AtomicUsize::new(0));
        let (sender, mut wakes) = mpsc::unbounded_channel();
        let wake = {
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = sender.send(());
            }
        };
        let cancel = CancellationToken::new();
        let cron = "* * * * * *".parse().unwrap();
        let schedule = Schedule::start(Some(cron), wake, cancel.clone());
        timeout(Duration::from_secs(3), wakes.recv()).await.unwrap().unwrap();
        cancel.cancel();
        timeout(Duration::from_secs(3), schedule.ended()).await.unwrap();
        assert!(count.load(Ordering::SeqCst) >= 1);
    }
}
