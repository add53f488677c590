//! The API of the agent: one router, at a unix socket for its owner and its group, and over HTTP for who
//! is let in there (see [`crate::http`]). It decides nothing: what is asked goes to an [`Office`].
//!
//! All bodies are JSON. What is not done is answered with `{"error": "what, and what to do"}`. What each
//! address takes and answers stands in `openapi.yaml` beside this file, which is served as
//! `GET /v1/openapi.json`; tests hold it against the router and against a real agent.

mod answer;
mod ask;
mod document;
mod history;
mod peer;
mod routes;
mod socket;

pub use ask::{AskError, Asker};
pub use document::document;
pub use peer::user;
pub use routes::{ROUTES, router};
pub use socket::{ControlError, Door, listen};

use crate::model::{ServiceName, SourceName, StackName};
use crate::status::{
    Caller, Confirmation, Confirmed, Departed, Deployment, Done, Explanation, History, Order,
    Preview, Refusal, RollbackTo, Snapshot, SourceDone, StackStatus,
};
use async_trait::async_trait;
use peer::Peer;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where the socket is unless told otherwise.
pub const SOCKET: &str = "/run/bowline/bowline.sock";

/// How long answers under way may take once the end was asked for.
const DRAIN_BOUND: Duration = Duration::from_secs(3);

/// Who answers what is asked.
#[async_trait]
pub trait Office: Send + Sync + 'static {
    /// What is known of all stacks and sources.
    async fn status(&self) -> Snapshot;

    /// What is known of one stack.
    async fn stack(&self, name: &StackName) -> Option<StackStatus>;

    /// Takes an order; returns before what follows from it is done.
    async fn obey(&self, name: &StackName, order: Order, by: &Caller) -> Result<Done, Refusal>;

    /// Has a source fetched; returns before it is.
    async fn fetch(&self, source: &SourceName, by: &Caller) -> Result<SourceDone, Refusal>;

    /// What a pass would change now.
    async fn preview(&self, name: &StackName) -> Result<Preview, Refusal>;

    /// What going back would change.
    async fn preview_rollback(&self, name: &StackName, to: RollbackTo) -> Result<Preview, Refusal>;

    /// The stacks that left their source and are still there, by name.
    async fn departed(&self) -> Vec<Departed>;

    /// Has stacks that are held taken away; returns before they are gone.
    async fn confirm(&self, wanted: Confirmation, by: &Caller) -> Confirmed;

    /// The last deployments of a stack, at most so many.
    async fn history(&self, name: &StackName, most: usize) -> Result<History, Refusal>;

    /// One of them in full.
    async fn deployment(&self, name: &StackName, id: u64) -> Result<Deployment, Refusal>;

    /// Why a service is as it is.
    async fn explain(
        &self,
        name: &StackName,
        service: &ServiceName,
    ) -> Result<Explanation, Refusal>;
}

/// Answers at the socket until `cancel`, then lets answers under way end within a bound. The socket goes
/// with the door.
pub async fn serve(
    door: Door,
    office: Arc<dyn Office>,
    cancel: CancellationToken,
) -> io::Result<()> {
    let (listener, _socket) = door.open();
    let service = peer::named(router(office)).into_make_service_with_connect_info::<Peer>();
    let server =
        axum::serve(listener, service).with_graceful_shutdown(cancel.clone().cancelled_owned());
    let bound = async {
        cancel.cancelled().await;
        tokio::time::sleep(DRAIN_BOUND).await;
    };
    tokio::select! {
        ended = async { server.await } => ended,
        () = bound => Ok(()),
    }
}

#[cfg(test)]
mod tests;
