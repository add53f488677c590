//! Waits for a container to come to a milestone, and says why it did not.

use super::ChangeError;
use crate::engine::{Engine, EngineError, Sighting};
use crate::model::{Health, State};
use crate::plan::{ContainerRef, Milestone};
use crate::status::Cause;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The first wait between two looks; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// The longest wait between two looks at first, so that it adds little to an update whose replicas are
/// up within a second; and at last, to spare the engine.
const LONGEST_WAIT_AT_FIRST: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(400);
/// In between it is this part of what was waited already.
const LONGEST_PART: u32 = 20;
/// The longest wait between two looks at a removal, which is short.
const LONGEST_WAIT_GONE: Duration = Duration::from_millis(20);
/// For how long an engine may give no answer before that ends a wait.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
/// What is said of a container that shall be gone.
pub(super) const GONE: &str = "be gone";
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
        /// In which way it failed.
        cause: Cause,
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
    let began = Instant::now();
    let deadline = began + bound;
    let mut pause = FIRST_WAIT;
    let mut seen = false;
    let mut started = None;
    let mut silent_since = None;
    let mut silence: Option<EngineError> = None;
    loop {
        let what = match look(engine, container, until, &mut started).await {
            Ok(Look::Reached) => return Ok(()),
            Ok(Look::Never(trouble)) => {
                // What ended while the engine was away did so with it.
                if let Some(error) = silence {
                    return Err(error.into());
                }
                return Err(failed(engine, container, words(until), trouble).await.into());
            }
            Ok(Look::Missing) if seen => {
                let gone = Trouble { what: "gone".into(), cause: Cause::Exited };
                return Err(failed(engine, container, words(until), gone).await.into());
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
                silence = Some(error);
                "not to be seen".into()
            }
        };
        if Instant::now() >= deadline {
            // An engine that is away makes no health checks, either.
            if let Some(error) = silence {
                return Err(error.into());
            }
            return Err(timed_out(engine, container, until, what, bound).await);
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => {
                let container = container.name.clone();
                return Err(NotReached::Stopped { container, milestone: words(until) }.into());
            }
        }
        let longest = if until == Milestone::Gone {
            LONGEST_WAIT_GONE
        } else {
            (began.elapsed() / LONGEST_PART).clamp(LONGEST_WAIT_AT_FIRST, LONGEST_WAIT)
        };
        pause = longest.min(pause * 2);
    }
}

enum Look {
    Reached,
    NotYet(String),
    Missing,
    Never(Trouble),
}

/// How a container is that will not do what it should.
pub(super) struct Trouble {
    pub(super) what: String,
    pub(super) cause: Cause,
}

/// `started` is when it was started first while it was looked at.
async fn look(
    engine: &dyn Engine,
    container: &ContainerRef,
    until: Milestone,
    started: &mut Option<Timestamp>,
) -> Result<Look, EngineError> {
    match engine.watch(container).await {
        Ok(sighting) => {
            let first = *started.get_or_insert(sighting.started.unwrap_or_default());
            // Before it was started it has no time of its own.
            let again = first != Timestamp::default() && sighting.started != Some(first);
            if first == Timestamp::default() {
                *started = sighting.started;
            }
            let ended = sighting.state == State::Restarting || again;
            if ended && matches!(until, Milestone::Up | Milestone::Healthy) {
                return Ok(Look::Never(restarted()));
            }
            Ok(judge(&sighting, until))
        }
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
        (_, State::Exited { .. } | State::Dead | State::Removing) => {
            Look::Never(Trouble { what: state, cause: Cause::Exited })
        }
        (_, State::Running | State::Paused | State::Restarting) => Look::NotYet(state),
    }
}

fn judge_health(sighting: &Sighting, until: Milestone) -> Look {
    match (sighting.health, until) {
        (Health::Healthy, _) | (Health::Unchecked, Milestone::Up) => Look::Reached,
        (Health::Unchecked, _) => {
            let what = "without a health check".into();
            Look::Never(Trouble { what, cause: Cause::Refused })
        }
        (Health::Starting, _) => Look::NotYet("starting".into()),
        (Health::Unhealthy, _) => Look::Never(unhealthy(sighting)),
    }
}

fn unhealthy(sighting: &Sighting) -> Trouble {
    let output = sighting.health_output.as_deref().unwrap_or_default().trim();
    let what = match output {
        "" => "unhealthy".to_owned(),
        output => format!("unhealthy ({})", output.replace('\n', " ")),
    };
    Trouble { what, cause: Cause::Unhealthy }
}

/// What is wrong with a container that was up, if anything is.
pub(super) fn trouble_when_up(sighting: &Sighting) -> Option<Trouble> {
    match (sighting.state, sighting.health) {
        (State::Restarting, _) => Some(restarted()),
        (State::Exited { .. } | State::Dead, _) => {
            Some(Trouble { what: sighting.state.to_string(), cause: Cause::Exited })
        }
        (State::Running, Health::Unhealthy) => Some(unhealthy(sighting)),
        (State::Running | State::Paused | State::Created | State::Removing, _) => None,
    }
}

/// It ended, and its restart policy began it anew.
pub(super) fn restarted() -> Trouble {
    Trouble { what: "started anew since it ended".into(), cause: Cause::Exited }
}

pub(super) async fn failed(
    engine: &dyn Engine,
    container: &ContainerRef,
    milestone: &'static str,
    trouble: Trouble,
) -> NotReached {
    NotReached::Failed {
        container: container.name.clone(),
        what: trouble.what,
        milestone,
        cause: trouble.cause,
        last_words: last_words(engine, container).await,
    }
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
        Milestone::Gone => GONE,
    }
}
