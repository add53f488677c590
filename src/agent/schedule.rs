//! Wake-ups by the clock: every interval, and by a cron expression in UTC. They carry no data, and
//! nothing is run here but the wake-up itself.

mod cron;

use super::chance::chance;
use croner::Cron;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// An interval is made longer by up to this share of it, so that many hosts do not ask at once.
const JITTER: f64 = 0.1;

/// What a wake-up calls.
type Wake = Arc<dyn Fn() + Send + Sync>;

/// Wake-ups that have been set going.
pub(crate) struct Schedule(TaskTracker);

impl Schedule {
    /// Calls `wake` at every `interval`, the first time after one of them, and whenever `cron`
    /// (six fields, in UTC) comes due, until `cancel`. `wake` must return quickly.
    pub(crate) fn start(
        interval: Option<Duration>,
        cron: Option<Cron>,
        wake: impl Fn() + Send + Sync + 'static,
        cancel: CancellationToken,
    ) -> Self {
        let tasks = TaskTracker::new();
        let wake: Wake = Arc::new(wake);
        if let Some(interval) = interval {
            tasks.spawn(every(interval, Arc::clone(&wake), cancel.clone()));
        }
        if let Some(cron) = cron {
            tasks.spawn(cron::follow(cron, wake, cancel));
        }
        tasks.close();
        Self(tasks)
    }

    /// Waits until nothing will wake any more, which follows the cancellation.
    pub(crate) async fn ended(&self) {
        self.0.wait().await;
    }
}

async fn every(interval: Duration, wake: Wake, cancel: CancellationToken) {
    let rounds = async {
        loop {
            sleep(interval.mul_f64(1.0 + JITTER * chance())).await;
            wake();
        }
    };
    cancel.run_until_cancelled(rounds).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc;
    use tokio::time::{Instant, timeout};

    #[tokio::test(start_paused = true)]
    async fn an_interval_wakes_again_and_again_with_no_more_than_its_jitter() {
        let (sender, mut wakes) = mpsc::unbounded_channel();
        let wake = move || sender.send(Instant::now()).unwrap();
        let cancel = CancellationToken::new();
        let began = Instant::now();
        let minute = Duration::from_secs(60);
        let schedule = Schedule::start(Some(minute), None, wake, cancel.clone());
        let mut last = began;
        for _ in 0..20 {
            let at = wakes.recv().await.unwrap();
            let waited = at - last;
            assert!(waited >= minute && waited <= minute.mul_f64(1.11), "{waited:?}");
            last = at;
        }
        cancel.cancel();
        schedule.ended().await;
        assert!(wakes.recv().await.is_none());
    }

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
        let schedule = Schedule::start(None, Some(cron), wake, cancel.clone());
        timeout(Duration::from_secs(3), wakes.recv()).await.unwrap().unwrap();
        cancel.cancel();
        timeout(Duration::from_secs(3), schedule.ended()).await.unwrap();
        assert!(count.load(Ordering::SeqCst) >= 1);
    }
}
