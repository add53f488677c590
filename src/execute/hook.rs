//! Runs hooks within a bound, and says how one failed: its place and program, never its arguments or
//! variables.

use super::ChangeError;
use super::wait::{self, NotReached};
use crate::engine::{Ended, Engine, EngineError};
use crate::model::{Hook, HookKind};
use crate::plan::{ContainerRef, Milestone, Step};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How much of one line of a hook's output is told.
const LINE_CHARS: usize = 300;

/// A hook in a container did not do its part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hook {hook} of container {container} {what}{last_words}")]
pub struct HookFailed {
    /// The container's name.
    pub container: String,
    /// Kind, place in the list, and program: `post_start.0 (sh)`.
    pub hook: String,
    /// What became of it.
    pub what: String,
    /// The end of its output.
    pub last_words: String,
}

/// Hooks of one kind for one container.
pub(super) struct Run<'a> {
    pub(super) container: &'a ContainerRef,
    pub(super) kind: HookKind,
    pub(super) hooks: &'a [Hook],
    /// For all of them together.
    pub(super) bound: Duration,
}

/// Runs them in their order until one fails.
pub(super) async fn run(
    engine: &dyn Engine,
    run: &Run<'_>,
    stop: &CancellationToken,
) -> Result<(), ChangeError> {
    let deadline = Instant::now() + run.bound;
    for (index, hook) in run.hooks.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ended { code, output } = match engine.exec(run.container, hook, left).await {
            Err(error @ EngineError::Refused { .. }) => {
                // That the container does not run says more than that nothing can be run in it; and
                // where it does not, no stop comes either.
                let now = Duration::ZERO;
                let runs = wait::wait(engine, run.container, Milestone::Running, now, stop).await;
                return match (runs, run.kind) {
                    (Err(_), HookKind::PreStop) => Ok(()),
                    (Err(why), HookKind::PreStart | HookKind::PostStart) => Err(why),
                    (Ok(()), _) => Err(error.into()),
                };
            }
            other => other?,
        };
        let what = match code {
            Some(0) => continue,
            Some(code) => format!("ended with exit code {code}"),
            None => format!("has not ended after {} s", run.bound.as_secs()),
        };
        return Err(ChangeError::Hook(HookFailed {
            container: run.container.name.clone(),
            hook: format!("{}.{index} ({})", run.kind, hook.program()),
            what,
            last_words: last_words(&output),
        }));
    }
    Ok(())
}

/// Waits for a container that runs a hook to end well. If it takes too long, it is killed.
pub(super) async fn finish(
    engine: &dyn Engine,
    container: &ContainerRef,
    bound: Duration,
    stop: &CancellationToken,
) -> Result<(), ChangeError> {
    let result = wait::wait(engine, container, Milestone::Completed, bound, stop).await;
    if let Err(ChangeError::NotReached(NotReached::TimedOut { .. })) = &result {
        let kill = Step::Signal { container: container.clone(), signal: "SIGKILL".to_owned() };
        // That it took too long says more than that it has ended in this moment.
        let _ = engine.perform(&kill, &|_| {}).await;
    }
    result
}

fn last_words(output: &[String]) -> String {
    let lines = output.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(|line| line.chars().take(LINE_CHARS).collect()).collect();
    match lines[..] {
        [] => String::new(),
        _ => format!("; its last output: {}", lines.join(" | ")),
    }
}
