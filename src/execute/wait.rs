//! Waits for a container to come to a milestone, and says why it did not.

use super::ChangeError;
use crate::engine::{Engine, EngineError, Sighting};
use crate::model::{Health, State};
use crate::plan::{ContainerRef, Milestone};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The first wait between two looks; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// The longest wait between two looks.
const LONGEST_WAIT: Duration = Duration::from_millis(400);
/// The longest wait between two looks at a removal, which is short.
const LONGEST_WAIT_GONE: Duration = Duration::from_millis(20);
/// For how long an engine may give no answer before that ends a wait.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
/// How many of a failed container's last lines are told.
const LAST_LINES: usize = 5;

/// Why a container did not come to a milestone.
#[derive(Debug, thiserror::Error)]
pub enum NotReached {
    /// It ended, or never can.
    #[error("container {container} is {what}, but should {milestone}{last_words}")]
    Failed {
        /// Its name.
        container: String,
        /// How it is.
        what: String,
        /// What it should do.
        milestone: &'static str,
        /// The end of its log or of its health check's output.
        last_words: String,
    },
    /// It took too long.
    #[error(
        "container {container} is still {what} after {seconds} s, but should {milestone}{last_words}"
    )]
    TimedOut {
        /// Its name.
        container: String,
        /// How it is.
        what: String,
        /// What it should do.
        milestone: &'static str,
        /// The bound.
        seconds: u64,
        /// The end of its log or of its health check's output.
        last_words: String,
    },
    /// We were told to stop.
    #[error("stopped while waiting for container {container} to {milestone}")]
    Stopped {
        /// Its name.
        container: String,
        /// What it should do.
        milestone: &'static str,
    },
}

/// Looks at `container` until it is where it should be, cannot come there any more, or `bound` is
/// over.
pub(super) async fn wait(
    engine: &dyn Engine,
    container: &ContainerRef,
    until: Milestone,
    bound: Duration,
    stop: &CancellationToken,
) -> Result<(), ChangeError> {
    let deadline = Instant::now() + bound;
    let mut pause = FIRST_WAIT;
    let mut seen = false;
    let mut silent_since = None;
    loop {
        let what = match look(engine, container, until).await {
            Ok(Look::Reached) => return Ok(()),
            Ok(Look::Never(what)) => return Err(failed(engine, container, until, what).await),
            Ok(Look::Missing) if seen => {
                return Err(failed(engine, container, until, "gone".into()).await);
            }
            Ok(Look::Missing) => "not there".into(),
            Ok(Look::NotYet(what)) => {
                seen = true;
                silent_since = None;
                what
            }
            // What the container does goes on without us; a short silence of the engine is no verdict.
            Err(error) => {
                let since = *silent_since.get_or_insert_with(Instant::now);
                if !error.is_transient() || since.elapsed() >= LONGEST_SILENCE {
                    return Err(error.into());
                }
                "not to be seen".into()
            }
        };
        if Instant::now() >= deadline {
            return Err(timed_out(engine, container, until, what, bound).await);
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => {
                let container = container.name.clone();
                return Err(NotReached::Stopped { container, milestone: words(until) }.into());
            }
        }
        let longest = if until == Milestone::Gone { LONGEST_WAIT_GONE } else { LONGEST_WAIT };
        pause = longest.min(pause * 2);
    }
}

enum Look {
    Reached,
    NotYet(String),
    Missing,
    Never(String),
}

async fn look(
    engine: &dyn Engine,
    container: &ContainerRef,
    until: Milestone,
) -> Result<Look, EngineError> {
    match engine.watch(container).await {
        Ok(sighting) => Ok(judge(&sighting, until)),
        Err(EngineError::NotFound { .. }) if until == Milestone::Gone => Ok(Look::Reached),
        Err(EngineError::NotFound { .. }) => Ok(Look::Missing),
        Err(error) => Err(error),
    }
}

fn judge(sighting: &Sighting, until: Milestone) -> Look {
    let state = sighting.state.to_string();
    match (until, sighting.state) {
        (Milestone::Gone, _) | (_, State::Created) => Look::NotYet(state),
        (Milestone::Completed, State::Exited { code: 0 })
        | (Milestone::Started, _)
        | (Milestone::Running, State::Running) => Look::Reached,
        (Milestone::Up | Milestone::Healthy, State::Running) => judge_health(sighting, until),
        (_, State::Exited { .. } | State::Dead | State::Removing) => Look::Never(state),
        (_, State::Running | State::Paused | State::Restarting) => Look::NotYet(state),
    }
}

fn judge_health(sighting: &Sighting, until: Milestone) -> Look {
    match (sighting.health, until) {
        (Health::Healthy, _) | (Health::Unchecked, Milestone::Up) => Look::Reached,
        (Health::Unchecked, _) => Look::Never("without a health check".into()),
        (Health::Starting, _) => Look::NotYet("starting".into()),
        (Health::Unhealthy, _) => Look::Never(match &sighting.health_output {
            Some(output) if !output.trim().is_empty() => {
                format!("unhealthy ({})", output.trim().replace('\n', " "))
            }
            _ => "unhealthy".into(),
        }),
    }
}

async fn failed(
    engine: &dyn Engine,
    container: &ContainerRef,
    until: Milestone,
    what: String,
) -> ChangeError {
    NotReached::Failed {
        container: container.name.clone(),
        what,
        milestone: words(until),
        last_words: last_words(engine, container).await,
    }
    .into()
}

async fn timed_out(
    engine: &dyn Engine,
    container: &ContainerRef,
    until: Milestone,
    what: String,
    bound: Duration,
) -> ChangeError {
    NotReached::TimedOut {
        container: container.name.clone(),
        what,
        milestone: words(until),
        seconds: bound.as_secs(),
        last_words: last_words(engine, container).await,
    }
    .into()
}

/// The end of a container's log, fit to follow a sentence; empty if there is none.
pub(crate) async fn last_words(engine: &dyn Engine, container: &ContainerRef) -> String {
    match engine.tail(container, LAST_LINES).await {
        Ok(lines) if !lines.is_empty() => format!("; its last output: {}", lines.join(" | ")),
        // The log is an extra; that it cannot be read must not hide the failure itself.
        Ok(_) | Err(_) => String::new(),
    }
}

fn words(until: Milestone) -> &'static str {
    match until {
        Milestone::Started => "have been started",
        Milestone::Running => "run",
        Milestone::Up => "be up",
        Milestone::Healthy => "be healthy",
        Milestone::Completed => "end with exit code 0",
        Milestone::Gone => "be gone",
    }
}
