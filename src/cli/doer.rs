//! Who carries an order out: the agent that runs, or, where none does, this command in its place.

use super::Common;
use super::agent::{DEFAULT_CONFIG, open};
use super::apply::stop_on_interrupt;
use super::order::Addressee;
use crate::agent::{Alone, Views};
use crate::config::{self, Config};
use crate::control::{AskError, Asker};
use crate::log::{self, Format};
use crate::model::StackName;
use crate::status::{Done, Order, Preview, RollbackTo, StackStatus};
use anyhow::bail;
use clap::Args;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(super) struct Directly {
    /// The agent's configuration, by which this is done where no agent answers [default:
    /// /etc/bowline/config.yaml]
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Directly {
    /// The configuration; `None` if none was named and there is none at its usual place.
    fn config(&self, common: &Common) -> anyhow::Result<Option<Config>> {
        let usual = Path::new(DEFAULT_CONFIG);
        let path = self.config.as_deref().or_else(|| usual.exists().then_some(usual));
        let Some(path) = path else { return Ok(None) };
        let mut config = config::load(path)?;
        if let Some(dir) = &common.state_dir {
            config.state_dir.clone_from(dir);
        }
        Ok(Some(config))
    }

    /// The state directory of the agent that does not run.
    pub(super) fn state_dir(&self, common: &Common) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &common.state_dir {
            return Ok(dir.clone());
        }
        let config = self.config(common)?;
        Ok(config.map_or_else(|| common.state_dir(), |config| config.state_dir))
    }

    fn open(
        &self,
        common: &Common,
        to: &Addressee,
        stop: CancellationToken,
    ) -> anyhow::Result<Alone> {
        let absence = to.socket.absence();
        let Some(config) = self.config(common)? else {
            bail!(
                "{absence}, and there is no configuration at {DEFAULT_CONFIG} by which it could be done \
                 without one; start the agent, or give its configuration with `--config`"
            );
        };
        if let Some(filter) = &common.log_level {
            log::init(Format::Human, Some(filter))?;
        }
        anstream::eprintln!(
            "{absence}; doing it here, with the state in {}",
            config.state_dir.display()
        );
        let views = Views::default();
        let engine = open(common, &config, &views)?;
        Ok(Alone::open(config, engine, views, stop, &to.stack)?)
    }
}

/// Who does it.
pub(super) enum Doer {
    Agent(Asker),
    Here(Box<Alone>),
}

impl Doer {
    /// The agent, or this command with the newest that the stack's source has.
    pub(super) async fn find(
        common: &Common,
        to: &Addressee,
        directly: &Directly,
    ) -> anyhow::Result<Self> {
        if let Some(agent) = to.socket.agent()? {
            return Ok(Self::Agent(agent));
        }
        let stop = stop_on_interrupt();
        let alone = directly.open(common, to, stop.clone())?;
        if let Some(trouble) = alone.fetch().await? {
            anstream::eprintln!("warning: {trouble}; going by what was fetched before");
        }
        if stop.is_cancelled() {
            bail!("interrupted; nothing was changed");
        }
        Ok(Self::Here(Box::new(alone)))
    }

    /// The same to look only: nothing is fetched, since containers of others may see the checkout.
    pub(super) async fn find_to_look(
        common: &Common,
        to: &Addressee,
        directly: &Directly,
    ) -> anyhow::Result<Self> {
        if let Some(agent) = to.socket.agent()? {
            return Ok(Self::Agent(agent));
        }
        let alone = directly.open(common, to, CancellationToken::new())?;
        alone.recall().await?;
        Ok(Self::Here(Box::new(alone)))
    }

    /// Gives an order; returns before what follows from it is done.
    pub(super) async fn order(&self, stack: &StackName, order: &Order) -> anyhow::Result<Done> {
        Ok(match self {
            Self::Agent(agent) => agent.order(stack, order).await?,
            Self::Here(alone) => alone.obey(order).await?,
        })
    }

    /// What going back would change.
    pub(super) async fn preview_rollback(
        &self,
        stack: &StackName,
        to: &RollbackTo,
    ) -> anyhow::Result<Preview> {
        Ok(match self {
            Self::Agent(agent) => agent.preview_rollback(stack, to).await?,
            Self::Here(alone) => alone.preview_rollback(to).await?,
        })
    }

    /// How far the stack is; `None` while nothing is known of it.
    pub(super) async fn status(&self, stack: &StackName) -> Result<Option<StackStatus>, AskError> {
        match self {
            Self::Here(alone) => Ok(alone.status()),
            Self::Agent(agent) => match agent.stack(stack).await {
                Ok(status) => Ok(Some(status)),
                Err(AskError::Refused { .. }) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Does what follows from the order, as long as `watching` goes on and what is under way then.
    pub(super) async fn work<T>(&self, watching: impl Future<Output = T>) -> T {
        let Self::Here(alone) = self else { return watching.await };
        let watching = async {
            let seen = watching.await;
            alone.stop();
            seen
        };
        tokio::join!(watching, alone.work()).0
    }

    /// Comes when somebody has interrupted this command while it does it itself.
    pub(super) async fn interrupted(&self) {
        match self {
            Self::Agent(_) => std::future::pending().await,
            Self::Here(alone) => alone.stopped().await,
        }
    }

    /// Whether other stacks get on, too, while this one waits for them.
    pub(super) fn sees_to_all(&self) -> bool {
        matches!(self, Self::Agent(_))
    }

    /// What becomes of what is not done in time.
    pub(super) fn outlook(&self, stack: &StackName) -> String {
        match self {
            Self::Agent(_) => {
                format!("the agent goes on, `bowline status {stack}` tells how far it is")
            }
            Self::Here(_) => {
                "what was started goes on running, and an agent, or the same order, goes on from there"
                    .to_owned()
            }
        }
    }
}
