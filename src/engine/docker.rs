//! The real engine: Docker's HTTP API, spoken through bollard.
//!
//! This room reads what the engine has into the model's words and carries single steps out. It
//! never decides what to do, and it never takes an answer that it cannot read for an absence.

mod client;
mod credentials;
mod error;
mod events;
mod exec;
mod files;
mod images;
mod local_image;
mod logs;
mod networks;
mod observe;
mod perform;
mod ports;
mod pull;
mod read_container;
mod read_mounts;
mod read_networking;
mod read_resources;
#[cfg(test)]
mod round_trip;
mod surroundings;
mod tail;
mod transport;
mod volumes;
mod withdraw;
mod write_container;
mod write_mounts;
mod write_networking;
mod write_resources;

pub use client::Observer;
pub use credentials::Credentials;

use super::{
    Ended, Engine, EngineError, EventStream, InMemory, LogLines, LogRange, Notes, Progress,
    Sighting, Surroundings,
};
use crate::model::{ContainerId, EngineFacts, Hook, Observed, Query, SourceName, StackName};
use crate::plan::{ContainerRef, Step};
use async_trait::async_trait;
use client::Client;
use events::Owners;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where the engine listens unless told otherwise.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// A Docker engine.
pub struct Docker {
    client: Arc<Client>,
    credentials: Credentials,
    owners: Arc<Owners>,
    notes: Arc<dyn Notes>,
}

impl Docker {
    /// The engine at `host`, else at `DOCKER_HOST`, else at [`DEFAULT_HOST`], with the registry
    /// credentials of this process's user. Nothing is asked of it yet, so it need not run.
    pub fn connect(host: Option<&str>) -> Result<Self, EngineError> {
        let host = host
            .map(str::to_owned)
            .or_else(|| std::env::var("DOCKER_HOST").ok().filter(|host| !host.trim().is_empty()));
        Ok(Self::at(host.as_deref().unwrap_or(DEFAULT_HOST))?
            .with_credentials(Credentials::of_this_user()))
    }

    /// The engine at `host`: `unix://PATH`, `tcp://HOST:PORT` or `http://HOST:PORT`. It has no
    /// registry credentials.
    pub fn at(host: &str) -> Result<Self, EngineError> {
        Ok(Self {
            client: Arc::new(Client::at(host)?),
            credentials: Credentials::default(),
            owners: Arc::default(),
            notes: Arc::new(InMemory::default()),
        })
    }

    /// Pulls with these credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Keeps what the engine cannot keep in `notes`, instead of for as long as this lives.
    #[must_use]
    pub fn with_notes(mut self, notes: Arc<dyn Notes>) -> Self {
        self.notes = notes;
        self
    }

    /// Tells `observer` of every HTTP request: its operation, whether it succeeded, how long it
    /// took (for a stream: until its end).
    #[must_use]
    pub fn with_observer(mut self, observer: Observer) -> Self {
        self.client = Arc::new(self.client.observed_by(observer));
        self
    }
}

#[async_trait]
impl Engine for Docker {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        Ok(self.client.host().await?.facts)
    }

    async fn surroundings(&self) -> Result<Surroundings, EngineError> {
        surroundings::surroundings(&self.client).await
    }

    async fn observe(&self, query: &Query) -> Result<Observed, EngineError> {
        let mut observed = observe::observe(&self.client, &self.owners, query).await?;
        for container in &mut observed.containers {
            if let Some(noted) = self.notes.contents(&container.id) {
                container.spec.contents = noted;
                container.contents_known = true;
            }
            container.owes_hooks = self.notes.owes_hooks(&container.id);
        }
        Ok(observed)
    }

    async fn stacks(&self) -> Result<BTreeMap<StackName, Option<SourceName>>, EngineError> {
        observe::stacks(&self.client, &self.owners).await
    }

    async fn watch(&self, container: &ContainerRef) -> Result<Sighting, EngineError> {
        observe::watch(&self.client, container).await
    }

    async fn tail(
        &self,
        container: &ContainerRef,
        lines: usize,
    ) -> Result<Vec<String>, EngineError> {
        tail::tail(&self.client, container, lines).await
    }

    async fn logs(
        &self,
        container: &ContainerRef,
        range: &LogRange,
    ) -> Result<LogLines, EngineError> {
        logs::logs(&self.client, container, range).await
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        hook: &Hook,
        bound: Duration,
    ) -> Result<Ended, EngineError> {
        exec::exec(&self.client, container, hook, bound).await
    }

    async fn perform(&self, step: &Step, progress: Progress<'_>) -> Result<(), EngineError> {
        match step {
            Step::NoteContents { container, contents } => {
                self.notes.note(&ContainerId(container.key.clone()), contents);
                return Ok(());
            }
            Step::OweHooks(container) => {
                self.notes.owe_hooks(&self.watch(container).await?.id);
                return Ok(());
            }
            Step::HooksDone(container) => {
                self.notes.hooks_done(&self.watch(container).await?.id);
                return Ok(());
            }
            Step::Remove(container) => self.notes.forget(&ContainerId(container.key.clone())),
            _ => {}
        }
        perform::perform(&self.client, &self.credentials, step, progress).await
    }

    async fn events(&self) -> Result<EventStream, EngineError> {
        events::listen(Arc::clone(&self.client), Arc::clone(&self.owners)).await
    }
}
