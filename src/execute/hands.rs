//! Carries one change out, step by step; if it fails, the way back as far as there is one.

use super::optional::Optional;
use super::{Bounds, ChangeError, Clock, NotReached, Notice, Onlooker, hook, wait};
use crate::engine::{Engine, EngineError, Secrets, Word};
use crate::plan::{Change, Milestone, Object, Step, Undo};
use crate::status::{Cause, SlotNotice, SlotPhase};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// What plans are carried out with.
#[derive(Clone)]
pub struct Hands {
    /// Where.
    pub engine: Arc<dyn Engine>,
    /// How much at once.
    pub bounds: Bounds,
    /// Hears what is done.
    pub onlooker: Onlooker,
    /// What time it is.
    pub clock: Clock,
    /// What answers to questions about containers may hold and nobody is told.
    pub secrets: Secrets,
    /// No change is begun any more, and waits end.
    pub stop: CancellationToken,
    /// No change is begun any more; what is under way goes on to its end.
    pub brake: CancellationToken,
}

impl Hands {
    /// `is_update`: of one whose slots are told of, whether it is an update. `optional` tells when what
    /// is not required is waited for in vain.
    pub(super) async fn carry_out(
        &self,
        change: &Change,
        is_update: Option<bool>,
        optional: &Optional,
    ) -> (Result<(), ChangeError>, Duration) {
        let began = Instant::now();
        (self.onlooker)(Notice::Began(change));
        let mut result = Ok(());
        for (index, step) in change.steps.iter().enumerate() {
            if let Some(is_update) = is_update {
                self.tell(change, step, is_update);
            }
            result = match optional.end_of(step) {
                Some(end) => self.wait_in_hope(change, step, end).await,
                None => self.take(change, step).await,
            };
            if is_gate(change, index) {
                result = result.map_err(as_need);
            }
            if let Err(error) = &result {
                self.go_back(change, index, error).await;
                break;
            }
        }
        let took = began.elapsed();
        (self.onlooker)(Notice::Ended(change, result.as_ref().copied(), took));
        (result, took)
    }

    async fn take(&self, change: &Change, step: &Step) -> Result<(), ChangeError> {
        let result = match step {
            Step::Await { container, until, bound, .. } => {
                wait::wait(&*self.engine, container, *until, *bound, &self.stop).await
            }
            Step::Finish { container, bound } => {
                hook::finish(&*self.engine, container, *bound, &self.stop).await
            }
            Step::RunHooks { container, kind, hooks, bound, .. } => {
                let run = hook::Run { container, kind: *kind, hooks, bound: *bound };
                hook::run(&*self.engine, &run, &self.stop).await
            }
            // Who is told to stop leaves the container that drains as it is: it still serves those who
            // found it before.
            Step::Linger(time) => {
                tokio::select! {
                    () = sleep(*time) => Ok(()),
                    () = self.stop.cancelled() => {
                        let Object::Container(slot) = &change.object else { return Ok(()) };
                        let container = slot.to_string();
                        Err(NotReached::Stopped { container, milestone: "be drained" }.into())
                    }
                }
            }
            step => self.call(change, step).await,
        };
        match result {
            Err(error) if !step.is_required() => {
                (self.onlooker)(Notice::Warned(change, &error.to_string()));
                Ok(())
            }
            result => result,
        }
    }

    /// Waits for what is not required, until `end` comes at the latest.
    async fn wait_in_hope(
        &self,
        change: &Change,
        step: &Step,
        end: &CancellationToken,
    ) -> Result<(), ChangeError> {
        let hands = Self { stop: end.clone(), ..self.clone() };
        hands.take(change, step).await
    }

    /// One call to the engine.
    async fn call(&self, change: &Change, step: &Step) -> Result<(), ChangeError> {
        let _permit = self.bounds.step(step).await;
        let progress = |word: Word<'_>| match word {
            Word::Doing(text) => (self.onlooker)(Notice::Doing(change, text)),
            Word::Warning(text) => (self.onlooker)(Notice::Warned(change, text)),
        };
        Ok(self.engine.perform(step, &progress).await?)
    }

    /// Has what served before serve on, where the step at `index` failed before the point of no
    /// return. One that was told to stop is gone on with later, from where it is.
    async fn go_back(&self, change: &Change, index: usize, error: &ChangeError) {
        let told_to_stop = matches!(error, ChangeError::NotReached(NotReached::Stopped { .. }));
        let has_begun = |undo: &&Undo| (undo.after..undo.before).contains(&index);
        let Some(undo) = change.undo.iter().find(has_begun) else { return };
        if told_to_stop {
            return;
        }
        (self.onlooker)(Notice::Doing(change, "failed; the former container serves on"));
        for step in &undo.steps {
            match self.take(change, step).await {
                // The new container may not have been made.
                Ok(()) | Err(ChangeError::Engine(EngineError::NotFound { .. })) => {}
                Err(error) => (self.onlooker)(Notice::Warned(
                    change,
                    &format!("cannot put back the former container: {error}"),
                )),
            }
        }
    }

    /// Tells in which phase `step` brings its slot.
    fn tell(&self, change: &Change, step: &Step, is_update: bool) {
        let Object::Container(slot) = &change.object else { return };
        let phase = match step {
            Step::CreateContainer(_) => SlotPhase::Creating,
            Step::Stop { .. } => SlotPhase::Draining,
            Step::Start(_) => SlotPhase::Starting,
            _ => return,
        };
        (self.onlooker)(Notice::Slot(SlotNotice { slot, phase, why: None, is_update }));
    }
}

/// Whether the step at `index` waits for another service to serve. A job that is waited for is
/// another thing: nobody but those that need it tells that it failed.
fn is_gate(change: &Change, index: usize) -> bool {
    let Step::Await { container, until, .. } = &change.steps[index] else { return false };
    let starts = |step: &Step| matches!(step, Step::Start(started) if started.key == container.key);
    match until {
        Milestone::Running | Milestone::Up | Milestone::Healthy => {
            !change.steps[..index].iter().any(starts)
        }
        Milestone::Started | Milestone::Completed | Milestone::Gone => false,
    }
}

/// That a check is waited for which is not there is the definition's own fault.
fn as_need(error: ChangeError) -> ChangeError {
    match error {
        ChangeError::NotReached(NotReached::Failed { cause: Cause::Refused, .. }) => error,
        ChangeError::NotReached(
            need @ (NotReached::Failed { .. } | NotReached::TimedOut { .. }),
        ) => ChangeError::Needed(need),
        other => other,
    }
}
