//! Carries a plan out on an engine. It decides nothing: the plan says what must wait for what, and
//! a change that fails takes only those with it that come after it.

mod wait;

use crate::engine::{Engine, EngineError, Word};
use crate::plan::{Change, Plan, Step};
use crate::status::ActionReport;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use wait::NotReached;
pub(crate) use wait::last_words;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The changes that were begun, in the order in which they ended.
    pub actions: Vec<ActionReport>,
    /// Changes not begun, because one that they come after failed or the stop came first.
    pub skipped: usize,
}

impl Outcome {
    /// Whether all was done.
    pub fn is_complete(&self) -> bool {
        self.skipped == 0 && self.actions.iter().all(|action| action.error.is_none())
    }
}

/// Why a change ended early.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The engine refused a step or could not be reached.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A container did not come to where it should.
    #[error(transparent)]
    NotReached(#[from] NotReached),
}

/// What an onlooker hears while a plan is carried out.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A change begins.
    Began(&'a Change),
    /// A long step says how far it is.
    Doing(&'a Change, &'a str),
    /// A wait that is not required failed, or the engine could not do a part of a step.
    Warned(&'a Change, &'a str),
    /// A change ended.
    Ended(&'a Change, Result<(), &'a ChangeError>, Duration),
}

/// Hears [`Notice`]s, from several tasks at once.
pub type Onlooker = Arc<dyn Fn(Notice<'_>) + Send + Sync>;

/// How much is done at once, by all who share it. Waiting for a container takes nothing of it, so
/// that stacks with slow services do not hold up others.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Engine calls that change something.
    calls: Arc<Semaphore>,
    /// Those that may take long: pulls of images, and stops with their grace.
    slow: Arc<Semaphore>,
    /// Snapshots taken, and planned on.
    looks: Arc<Semaphore>,
}

impl Bounds {
    /// At most `calls` changes, as many slow ones, and `looks` snapshots at once.
    pub fn new(calls: NonZeroUsize, looks: NonZeroUsize) -> Self {
        let permits = |count: NonZeroUsize| Arc::new(Semaphore::new(count.get()));
        Self { calls: permits(calls), slow: permits(calls), looks: permits(looks) }
    }

    /// Waits for leave to take a snapshot; it lasts as long as what is returned.
    pub async fn look(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so there is always one in the end.
        self.looks.acquire().await.ok()
    }

    async fn step(&self, step: &Step) -> Option<SemaphorePermit<'_>> {
        let slow = matches!(step, Step::PullImage { .. } | Step::Stop { .. });
        if slow { &self.slow } else { &self.calls }.acquire().await.ok()
    }
}

/// Carries `plan` out within `bounds`. When `stop` comes, no change is begun any more and waits
/// end; calls under way are finished.
pub async fn execute(
    engine: &Arc<dyn Engine>,
    plan: &Plan,
    bounds: &Bounds,
    onlooker: &Onlooker,
    stop: &CancellationToken,
) -> Outcome {
    let hands = Hands {
        engine: Arc::clone(engine),
        bounds: bounds.clone(),
        onlooker: Arc::clone(onlooker),
        stop: stop.clone(),
    };
    let mut progress = vec![Progress::Waiting; plan.changes.len()];
    let mut running = JoinSet::new();
    let mut outcome = Outcome::default();
    loop {
        for index in ready(plan, &progress, stop) {
            progress[index] = Progress::Running;
            let (hands, change) = (hands.clone(), plan.changes[index].clone());
            running.spawn(async move {
                let (result, took) = hands.carry_out(&change).await;
                (index, result, took)
            });
        }
        let Some(ended) = running.join_next().await else { break };
        // A panic inside a change is a defect of ours: it ends this change, not the agent.
        let Ok((index, result, took)) = ended else { continue };
        progress[index] = if result.is_ok() { Progress::Done } else { Progress::Failed };
        outcome.note(&plan.changes[index], &result, took);
    }
    outcome.skipped = progress.iter().filter(|p| matches!(p, Progress::Waiting)).count()
        + progress.iter().filter(|p| matches!(p, Progress::Running)).count();
    outcome
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Running,
    Done,
    Failed,
}

fn ready(plan: &Plan, progress: &[Progress], stop: &CancellationToken) -> Vec<usize> {
    if stop.is_cancelled() {
        return Vec::new();
    }
    let is_ready = |index: &usize| {
        let done = |after: &usize| progress[*after] == Progress::Done;
        progress[*index] == Progress::Waiting && plan.changes[*index].after.iter().all(done)
    };
    (0..progress.len()).filter(is_ready).collect()
}

impl Outcome {
    fn note(&mut self, change: &Change, result: &Result<(), ChangeError>, took: Duration) {
        self.actions.push(ActionReport {
            object: change.object.clone(),
            action: change.action,
            reasons: change.reasons.clone(),
            error: result.as_ref().err().map(ToString::to_string),
            took,
        });
    }
}

#[derive(Clone)]
struct Hands {
    engine: Arc<dyn Engine>,
    bounds: Bounds,
    onlooker: Onlooker,
    stop: CancellationToken,
}

impl Hands {
    async fn carry_out(&self, change: &Change) -> (Result<(), ChangeError>, Duration) {
        let began = Instant::now();
        (self.onlooker)(Notice::Began(change));
        let mut result = Ok(());
        for step in &change.steps {
            result = self.take(change, step).await;
            if result.is_err() {
                break;
            }
        }
        let took = began.elapsed();
        (self.onlooker)(Notice::Ended(change, result.as_ref().copied(), took));
        (result, took)
    }

    async fn take(&self, change: &Change, step: &Step) -> Result<(), ChangeError> {
        if let Step::Await { container, until, bound, required } = step {
            let result = wait::wait(&*self.engine, container, *until, *bound, &self.stop).await;
            return match result {
                Err(error) if !required => {
                    (self.onlooker)(Notice::Warned(change, &error.to_string()));
                    Ok(())
                }
                result => result,
            };
        }
        let _permit = self.bounds.step(step).await;
        let progress = |word: Word<'_>| match word {
            Word::Doing(text) => (self.onlooker)(Notice::Doing(change, text)),
            Word::Warning(text) => (self.onlooker)(Notice::Warned(change, text)),
        };
        Ok(self.engine.perform(step, &progress).await?)
    }
}
