//! An engine whose calls are seen: whoever watches is told before and after each one, and may hold it up.

use async_trait::async_trait;
use bowline::engine::{
    Ended, Engine, EngineError, EventStream, LogLines, LogRange, Progress, Sighting, Surroundings,
};
use bowline::model::{EngineFacts, Hook, Observed, Query, SourceName, StackName};
use bowline::plan::{ContainerRef, Step};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A call to an engine, as far as a watcher has asked for it yet.
pub enum Call<'a> {
    /// Looks at a stack.
    Observe,
    /// Looks at one container.
    Watch,
    Exec(&'a ContainerRef, &'a Hook),
    Perform(&'a Step),
    /// Any other question.
    Other,
}

/// Sees the calls of an engine. Only the subscription to events is none.
#[async_trait]
pub trait Watcher: Send + Sync + 'static {
    /// The call is made when this ends.
    async fn before(&self, call: &Call<'_>);

    /// The call has ended, well or not.
    async fn after(&self, _call: &Call<'_>, _well: bool) {}
}

/// `engine`, with a watcher.
pub fn watched(engine: Arc<dyn Engine>, watcher: Arc<dyn Watcher>) -> Arc<dyn Engine> {
    Arc::new(Watched { engine, watcher })
}

/// What a step does, in words: `start a-1`. `None`: nothing to a container.
pub fn words(step: &Step) -> Option<String> {
    Some(match step {
        Step::CreateContainer(new) => format!("create {}", new.name),
        Step::Start(container) => format!("start {}", container.name),
        Step::Stop { container, .. } => format!("stop {}", container.name),
        Step::Remove(container) => format!("remove {}", container.name),
        Step::Discard(container) => format!("discard {}", container.name),
        Step::Rename { container, to } => format!("rename {} {to}", container.name),
        Step::Connect { container, .. } => format!("connect {}", container.name),
        Step::Withdraw { container, .. } => format!("withdraw {}", container.name),
        Step::Signal { container, signal } => format!("signal {} {signal}", container.name),
        _ => return None,
    })
}

struct Watched {
    engine: Arc<dyn Engine>,
    watcher: Arc<dyn Watcher>,
}

impl Watched {
    async fn seen<T>(
        &self,
        call: Call<'_>,
        made: impl Future<Output = Result<T, EngineError>> + Send,
    ) -> Result<T, EngineError>
    where
        T: Send,
    {
        self.watcher.before(&call).await;
        let result = made.await;
        self.watcher.after(&call, result.is_ok()).await;
        result
    }
}

#[async_trait]
impl Engine for Watched {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.seen(Call::Other, self.engine.facts()).await
    }

    async fn surroundings(&self) -> Result<Surroundings, EngineError> {
        self.engine.surroundings().await
    }

    async fn observe(&self, query: &Query) -> Result<Observed, EngineError> {
        self.seen(Call::Observe, self.engine.observe(query)).await
    }

    async fn stacks(&self) -> Result<BTreeMap<StackName, Option<SourceName>>, EngineError> {
        self.seen(Call::Other, self.engine.stacks()).await
    }

    async fn watch(&self, container: &ContainerRef) -> Result<Sighting, EngineError> {
        self.seen(Call::Watch, self.engine.watch(container)).await
    }

    async fn tail(
        &self,
        container: &ContainerRef,
        lines: usize,
    ) -> Result<Vec<String>, EngineError> {
        self.seen(Call::Other, self.engine.tail(container, lines)).await
    }

    async fn logs(
        &self,
        container: &ContainerRef,
        range: &LogRange,
    ) -> Result<LogLines, EngineError> {
        self.engine.logs(container, range).await
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        hook: &Hook,
        bound: Duration,
    ) -> Result<Ended, EngineError> {
        self.seen(Call::Exec(container, hook), self.engine.exec(container, hook, bound)).await
    }

    async fn perform(&self, step: &Step, progress: Progress<'_>) -> Result<(), EngineError> {
        self.seen(Call::Perform(step), self.engine.perform(step, progress)).await
    }

    async fn events(&self) -> Result<EventStream, EngineError> {
        self.engine.events().await
    }
}
