//! Watches a container that a rollout has started: until it is up, and whether it stays so.

use super::wait::{self, failed, restarted, trouble_when_up};
use super::{ChangeError, NotReached};
use crate::engine::{Engine, EngineError};
use crate::plan::{ContainerRef, Milestone};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Between two looks at a container that is up.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until `container` is up, within `bound`.
pub(super) async fn come_up(
    engine: &dyn Engine,
    container: &ContainerRef,
    bound: Duration,
    stop: &CancellationToken,
) -> Result<(), ChangeError> {
    wait::wait(engine, container, Milestone::Up, bound, stop).await
}

/// Waits until the job in `container` ends well. One that takes longer than `bound` may go on.
pub(super) async fn end_well(
    engine: &dyn Engine,
    container: &ContainerRef,
    bound: Duration,
    stop: &CancellationToken,
) -> Result<(), ChangeError> {
    match wait::wait(engine, container, Milestone::Completed, bound, stop).await {
        Err(ChangeError::NotReached(NotReached::TimedOut { .. })) => Ok(()),
        ended => ended,
    }
}

/// Returns when `container`, which is up, ends, is started anew or turns unhealthy; `None` when it was
/// well when it was looked at once more after `enough`, or cannot be told any more because we were told to
/// stop. What happened while the engine was away is the engine's error, and so is a last look that it did not
/// answer.
pub(super) async fn until_it_fails(
    engine: &dyn Engine,
    container: &ContainerRef,
    enough: &CancellationToken,
    stop: &CancellationToken,
) -> Option<ChangeError> {
    let mut first: Option<(String, Option<Timestamp>)> = None;
    let mut silence: Option<EngineError> = None;
    loop {
        let is_last = enough.is_cancelled();
        // A silence of the engine is no verdict on the container.
        let verdict = match engine.watch(container).await {
            Ok(sighting) => {
                let now = (sighting.id.0.clone(), sighting.started);
                let (former, started) = first.get_or_insert_with(|| now.clone());
                // Another one in its place is not the one that was to be watched.
                if *former != now.0 {
                    return None;
                }
                if *started == now.1 { trouble_when_up(&sighting) } else { Some(restarted()) }
            }
            // Somebody took it away, which says nothing about it.
            Err(EngineError::NotFound { .. }) => return None,
            // Nor is it one that all is well, at the end of which others follow.
            Err(error) if is_last => return Some(error.into()),
            Err(error) => {
                silence = Some(error);
                None
            }
        };
        if let Some(trouble) = verdict {
            if let Some(error) = silence {
                return Some(error.into());
            }
            return Some(failed(engine, container, "stay up", trouble).await.into());
        }
        if is_last {
            return None;
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = enough.cancelled() => {}
            () = stop.cancelled() => return None,
        }
    }
}
