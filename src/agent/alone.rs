//! An agent for one stack and one order, where none runs: the same world and the same passes. It
//! answers nobody, watches nothing, and touches no other stack of the source.

use super::{AgentError, Views, World, chronicle, drain, keeping, sources, watched, work_off};
use crate::config::{Config, Prune};
use crate::control;
use crate::engine::Engine;
use crate::model::{SourceName, StackName};
use crate::status::{Done, Order, Preview, Refusal, RollbackTo, StackStatus};
use crate::store::{self, Inventory, Lock, Mishap, Standing};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One stack, with all that an agent knows of it. The state directory is locked as long as it lives.
pub struct Alone {
    world: Arc<World>,
    stack: StackName,
    source: SourceName,
    _lock: Lock,
}

impl Alone {
    /// Locks the state directory and reads what is known of `stack`. `stop` ends what follows.
    pub fn open(
        mut config: Config,
        engine: Arc<dyn Engine>,
        views: Views,
        stop: CancellationToken,
        stack: &StackName,
    ) -> Result<Self, AgentError> {
        let unknown =
            || AgentError::Unknown { stack: stack.clone(), state_dir: config.state_dir.clone() };
        // Nothing is made for what is refused.
        if store::look(&config.state_dir) == Standing::Absent {
            return Err(unknown());
        }
        let lock = store::lock(&config.state_dir)?;
        let (inventory, mishap) = Inventory::open(&config.state_dir);
        if let Some(mishap @ Mishap::Unavailable { .. }) = mishap {
            return Err(AgentError::Inventory(mishap));
        }
        let Some(origin) = inventory.stack(stack).origin else {
            return Err(mishap.map_or_else(unknown, AgentError::Inventory));
        };
        let source = origin.source;
        config.sources.retain(|known| known.name == source);
        if config.sources.is_empty() {
            return Err(AgentError::NoSource { stack: stack.clone(), source_name: source });
        }
        // Nothing of others is judged or removed by who does not know all of them.
        (config.prune, config.keep_images) = (Prune::default(), None);
        let world = World::open(config, engine, views, stop, inventory)?;
        world.queue.restrict_to(stack.clone());
        Ok(Self { world, stack: stack.clone(), source, _lock: lock })
    }

    /// Fetches the source once. What an earlier process fetched will do where that fails; then it is
    /// told why.
    pub async fn fetch(&self) -> Result<Option<String>, AgentError> {
        // The others begin nothing before an agent runs.
        let waits = |other: &StackName, is_shut| is_shut || *other != self.stack;
        self.world.hold_files(&self.source, waits).await;
        sources::fetch_once(&self.world, &self.watched()).await;
        let trouble = || {
            let board = self.world.views.shared.board();
            let found = board.sources().find(|known| known.name == self.source);
            found.map(|known| known.message.clone()).filter(|message| !message.is_empty())
        };
        self.known(trouble()).map(|()| trouble())
    }

    /// Goes by what an earlier process fetched, and asks nobody for more.
    pub async fn recall(&self) -> Result<(), AgentError> {
        self.known(sources::recall(&self.world, &self.watched()).await.err())
    }

    fn known(&self, trouble: Option<String>) -> Result<(), AgentError> {
        if self.world.desired().knows(&self.source) {
            return Ok(());
        }
        let trouble =
            trouble.unwrap_or_else(|| "what was fetched is no repository of stacks".to_owned());
        Err(AgentError::Unread { source_name: self.source.clone(), trouble })
    }

    fn watched(&self) -> sources::Watched {
        let config = self.world.config();
        watched(&config.sources[0], &config, &self.world)
    }

    /// Notes an order about the stack; what follows from it [`Alone::work`] does.
    pub async fn obey(&self, order: &Order) -> Result<Done, Refusal> {
        let by = control::user(rustix::process::geteuid().as_raw());
        self.world.obey(&self.stack, order, &by).await
    }

    /// What going back would change.
    pub async fn preview_rollback(&self, to: &RollbackTo) -> Result<Preview, Refusal> {
        self.world.preview_rollback(&self.stack, to).await
    }

    /// What is known of the stack, once a pass has begun.
    pub fn status(&self) -> Option<StackStatus> {
        self.world.views.shared.board().stack(&self.stack).cloned()
    }

    /// Makes passes over the stack until the stop comes, and lets the one under way end.
    pub async fn work(&self) {
        let kept = tokio::spawn(keeping::keep(Arc::clone(&self.world), None));
        let told = tokio::spawn(chronicle::keep(Arc::clone(&self.world)));
        let passes = work_off(&self.world).await;
        drain(&self.world, JoinSet::new(), passes).await;
        chronicle::end(&self.world, told).await;
        keeping::end(&self.world, kept).await;
    }

    /// Comes with the stop.
    pub async fn stopped(&self) {
        self.world.stop.cancelled().await;
    }

    /// Begins no further pass, and ends the waits of the one under way.
    pub fn stop(&self) {
        self.world.stop.cancel();
    }
}
