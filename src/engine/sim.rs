//! Docker in memory, with the behaviour that can be seen through [`Engine`]. It runs nothing: what
//! the processes of an image do is declared with the image. Time is tokio's, so that a test may
//! pause it.

mod by_hand;
mod catalogue;
mod clock;
mod containers;
mod events;
mod faults;
mod health;
mod hooks;
mod images;
mod lifecycle;
mod limits;
mod networks;
mod observe;
mod spec;
mod state;
mod volumes;

pub use images::{Behaviour, Deed};

use super::{
    Ended, Engine, EngineError, EventStream, LogLine, LogLines, LogRange, Output, Progress,
    Sighting, Surroundings, Word,
};
use crate::model::{EngineFacts, Hook, Observed, Query, SourceName, StackName};
use crate::plan::{ContainerRef, Step};
use async_trait::async_trait;
use state::World;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The exit code of what was killed.
const KILLED: i64 = 137;

/// A simulated engine. Clones share it.
#[derive(Clone)]
pub struct Sim {
    shared: Arc<Shared>,
}

/// What the engine and its clock share.
struct Shared {
    world: Mutex<World>,
    /// Told when the agenda changes.
    changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Sim {
    fn default() -> Self {
        Self::new()
    }
}

impl Sim {
    /// An engine that speaks API 1.47, with its default networks and nothing else.
    pub fn new() -> Self {
        Self::with_api(47)
    }

    /// An engine that speaks API 1.`minor`.
    pub fn with_api(minor: u16) -> Self {
        let world = Mutex::new(World::new(minor));
        Self { shared: Arc::new(Shared { world, changed: Notify::new() }) }
    }

    /// Does `act` with the engine as it is now: what was due has happened before.
    fn act<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        clock::keep(&self.shared);
        let result = {
            let mut world = self.shared.lock();
            world.settle(tokio::time::Instant::now());
            act(&mut world)
        };
        self.shared.changed.notify_one();
        result
    }

    /// Like [`Sim::act`], as a call: counted, delayed, and refused while the engine is down or a
    /// fault is set.
    async fn call<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut World) -> Result<T, EngineError> + Send,
    ) -> Result<T, EngineError> {
        let latency = self.act(|world| world.faults.latency);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        self.act(|world| {
            let was_down = world.faults.down;
            let counted = world.faults.count(operation);
            if world.faults.down && !was_down {
                world.hang_up(&faults::unreachable());
            }
            counted.and_then(|()| act(world))
        })
    }

    async fn stop(
        &self,
        container: &ContainerRef,
        grace: Option<Duration>,
    ) -> Result<(), EngineError> {
        let wait = self.call("stop", |world| Ok(world.begin_stop(container, grace))).await?;
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
            self.act(|world| world.end_stop(container));
        }
        Ok(())
    }
}

#[async_trait]
impl Engine for Sim {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.call("facts", |world| Ok(world.facts.clone())).await
    }

    async fn surroundings(&self) -> Result<Surroundings, EngineError> {
        self.call("facts", |_| Ok(Surroundings::default())).await
    }

    async fn observe(&self, query: &Query) -> Result<Observed, EngineError> {
        self.call("observe", |world| world.observe(query)).await
    }

    async fn stacks(&self) -> Result<BTreeMap<StackName, Option<SourceName>>, EngineError> {
        self.call("stacks", |world| Ok(world.stacks())).await
    }

    async fn watch(&self, container: &ContainerRef) -> Result<Sighting, EngineError> {
        self.call("watch", |world| world.watch(container)).await
    }

    async fn tail(
        &self,
        container: &ContainerRef,
        lines: usize,
    ) -> Result<Vec<String>, EngineError> {
        self.call("tail", |world| world.tail(container, lines)).await
    }

    async fn logs(
        &self,
        container: &ContainerRef,
        range: &LogRange,
    ) -> Result<LogLines, EngineError> {
        // What a program writes is declared with its image, without times and all at once.
        let lines = range.tail.unwrap_or(usize::MAX);
        let texts = self.call("tail", |world| world.tail(container, lines)).await?;
        let line =
            |text: String| LogLine { output: Output::Out, at: None, text: text.into_bytes() };
        let lines: Vec<_> = texts.into_iter().map(|text| Ok(line(text))).collect();
        Ok(Box::pin(tokio_stream::iter(lines)))
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        hook: &Hook,
        bound: Duration,
    ) -> Result<Ended, EngineError> {
        let deed = self.call("exec", |world| world.deed(container, &hook.command)).await?;
        tokio::time::sleep(deed.takes.min(bound)).await;
        let ends = deed.takes <= bound;
        // Whatever it was doing, it ends with its container.
        let is_up = self.act(|world| world.is_up(container));
        let code = if is_up { ends.then_some(deed.code) } else { Some(KILLED) };
        Ok(Ended { code, output: deed.output })
    }

    async fn perform(&self, step: &Step, progress: Progress<'_>) -> Result<(), EngineError> {
        match step {
            Step::Stop { container, grace } => self.stop(container, *grace).await,
            Step::Withdraw { container, network, endpoint } => {
                let withdraw = |world: &mut World| world.withdraw(container, network, endpoint);
                if let Some(warning) = self.call("withdraw", withdraw).await? {
                    progress(Word::Warning(&warning));
                }
                Ok(())
            }
            Step::PullImage { image, platform } => {
                progress(Word::Doing("pulling"));
                self.call("pull", |world| world.pull(image, platform.as_ref())).await
            }
            other => self.call(faults::operation(other), |world| world.perform(other)).await,
        }
    }

    async fn events(&self) -> Result<EventStream, EngineError> {
        self.call("events", |world| Ok(world.subscribe())).await
    }
}
