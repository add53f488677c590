//! An engine with what was done on it, in order: what containers were made, started, stopped and
//! removed, what was run in them, and where they were taken off names.

use async_trait::async_trait;
use bowline::engine::{Ended, Engine, EngineError, EventStream, Progress, Sighting};
use bowline::model::{EngineFacts, Hook, Observed, Query, SourceName, StackName};
use bowline::plan::{ContainerRef, Step};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Another engine, and what it did.
pub struct Recorder {
    inner: Arc<dyn Engine>,
    done: Mutex<Vec<String>>,
}

impl Recorder {
    pub fn over(inner: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { inner, done: Mutex::default() })
    }

    /// What was done since this was asked last: `start a-1`, `exec a-1 sh`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.done.lock().unwrap())
    }

    fn note(&self, line: String) {
        self.done.lock().unwrap().push(line);
    }
}

#[async_trait]
impl Engine for Recorder {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.inner.facts().await
    }

    async fn observe(&self, query: &Query) -> Result<Observed, EngineError> {
        self.inner.observe(query).await
    }

    async fn stacks(&self) -> Result<BTreeMap<StackName, Option<SourceName>>, EngineError> {
        self.inner.stacks().await
    }

    async fn watch(&self, container: &ContainerRef) -> Result<Sighting, EngineError> {
        self.inner.watch(container).await
    }

    async fn tail(
        &self,
        container: &ContainerRef,
        lines: usize,
    ) -> Result<Vec<String>, EngineError> {
        self.inner.tail(container, lines).await
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        hook: &Hook,
        bound: Duration,
    ) -> Result<Ended, EngineError> {
        self.note(format!("exec {} {}", container.name, hook.command.join(" ")));
        self.inner.exec(container, hook, bound).await
    }

    async fn perform(&self, step: &Step, progress: Progress<'_>) -> Result<(), EngineError> {
        let line = match step {
            Step::CreateContainer(new) => Some(format!("create {}", new.name)),
            Step::Start(container) => Some(format!("start {}", container.name)),
            Step::Stop { container, .. } => Some(format!("stop {}", container.name)),
            Step::Remove(container) => Some(format!("remove {}", container.name)),
            Step::Discard(container) => Some(format!("discard {}", container.name)),
            Step::Rename { container, to } => Some(format!("rename {} {to}", container.name)),
            Step::Connect { container, .. } => Some(format!("connect {}", container.name)),
            Step::Withdraw { container, .. } => Some(format!("withdraw {}", container.name)),
            Step::Signal { container, signal } => {
                Some(format!("signal {} {signal}", container.name))
            }
            _ => None,
        };
        if let Some(line) = line {
            self.note(line);
        }
        self.inner.perform(step, progress).await
    }

    async fn events(&self) -> Result<EventStream, EngineError> {
        self.inner.events().await
    }
}
