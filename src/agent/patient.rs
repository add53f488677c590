//! Reads the operator's files beside the async threads and with a bound: one on a file system that does not
//! answer holds up who needs it for a while, and one thread.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long a file may take.
const BOUND: Duration = Duration::from_secs(5);

/// Who reads. What is read under one name is read by one at a time; others wait for their turn.
#[derive(Default)]
pub(super) struct Patient(std::sync::Mutex<BTreeMap<String, Arc<Mutex<()>>>>);

impl Patient {
    /// What `read` finds; `what` is read, in words, and an error says so where it takes too long.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        what: String,
        read: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(what.clone()).or_default())
        };
        let work = async {
            let turn = turn.lock_owned().await;
            let read = spawn_blocking(move || {
                let found = read();
                drop(turn);
                found
            });
            read.await.unwrap_or_else(|error| Err(format!("a defect of Bowline: {error}")))
        };
        timeout(BOUND, work).await.unwrap_or_else(|_| {
            Err(format!(
                "{what} could not be read within {} s: the file system that it lies on does not answer; \
                 mend its mount, or keep the file on a disk of this host",
                BOUND.as_secs()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_does_not_come_is_told_and_holds_up_one_thread_and_no_other_file() {
        let patient = Patient::default();
        let (release, wait) = channel::<()>();
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let slow = patient.read("the token".to_owned(), move || {
            count.fetch_add(1, Ordering::SeqCst);
            wait.recv().map_err(|error| error.to_string())
        });
        // A blocking task keeps paused time from passing by itself.
        tokio::pin!(slow);
        assert!(futures_util::poll!(slow.as_mut()).is_pending());
        let count = Arc::clone(&begun);
        let again = patient.read("the token".to_owned(), move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        tokio::pin!(again);
        assert!(futures_util::poll!(again.as_mut()).is_pending());
        assert_eq!(patient.read("another".to_owned(), || Ok(7)).await, Ok(7));
        tokio::time::advance(BOUND + Duration::from_millis(1)).await;
        for told in [slow.await.unwrap_err(), again.await.unwrap_err()] {
            assert!(told.starts_with("the token could not be read within 5 s"), "{told}");
        }
        release.send(()).unwrap();
        assert_eq!(patient.read("the token".to_owned(), || Ok(1)).await, Ok(1));
        assert_eq!(begun.load(Ordering::SeqCst), 1, "no further thread was held up");
    }
}
