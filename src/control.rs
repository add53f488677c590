//! The socket by which commands speak with the agent that runs on this host: HTTP over a unix
//! socket, for its owner and its group. It decides nothing: what is asked goes to an [`Office`].
//!
//! All bodies are JSON. What is not done is answered with `{"error": "why"}`.
//!
//! - `GET /v1/status`: a [`Snapshot`]; `GET /v1/stacks/NAME`: a [`StackStatus`].
//! - `POST /v1/stacks/NAME/rollback` takes a [`RollbackTo`], `/retry`, `/pause`, `/resume` and `/sync`
//!   take nothing; each answers with a [`Done`] before what follows from it is done.
//! - `GET /v1/stacks/NAME/plan?rollback=true&to=REVISION`: a [`Preview`].
//! - `GET /v1/stacks/NAME/history?limit=N`: a [`History`], of 20 unless told otherwise; and
//!   `GET /v1/stacks/NAME/history/ID`: a [`Deployment`].
//! - `GET /v1/stacks/NAME/services/SERVICE`: an [`Explanation`].
//! - `GET /v1/held`: a list of [`Departed`]; `POST /v1/prune` takes a [`Confirmation`] and answers with
//!   a [`Confirmed`].

mod answer;
mod ask;
mod caller;
mod history;
mod routes;
mod socket;

pub use ask::{AskError, Asker};
pub use caller::{caller, for_ourselves, user};
pub use socket::{ControlError, Door, listen};

use crate::model::{ServiceName, StackName};
use crate::status::{
    Confirmation, Confirmed, Departed, Deployment, Done, Explanation, History, Order, Preview,
    Refusal, RollbackTo, Snapshot, StackStatus,
};
use async_trait::async_trait;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where the socket is unless told otherwise.
pub const SOCKET: &str = "/run/bowline/bowline.sock";

/// How long answers under way may take once the end was asked for.
const DRAIN_BOUND: Duration = Duration::from_secs(3);

/// Who answers what is asked at the socket.
#[async_trait]
pub trait Office: Send + Sync + 'static {
    /// What is known of all stacks and sources.
    async fn status(&self) -> Snapshot;

    /// What is known of one stack.
    async fn stack(&self, name: &StackName) -> Option<StackStatus>;

    /// Takes an order; returns before what follows from it is done.
    async fn obey(&self, name: &StackName, order: Order) -> Result<Done, Refusal>;

    /// What going back would change.
    async fn preview_rollback(&self, name: &StackName, to: RollbackTo) -> Result<Preview, Refusal>;

    /// The stacks that left their source and are still there, by name.
    async fn departed(&self) -> Vec<Departed>;

    /// Has stacks that are held taken away; returns before they are gone.
    async fn confirm(&self, wanted: Confirmation) -> Confirmed;

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

/// Answers until `cancel`, then lets answers under way end within a bound. The socket goes with
/// the door.
pub async fn serve(
    door: Door,
    office: Arc<dyn Office>,
    cancel: CancellationToken,
) -> io::Result<()> {
    let (listener, _socket) = door.open();
    let server = axum::serve(listener, caller::told(routes::router(office)))
        .with_graceful_shutdown(cancel.clone().cancelled_owned());
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
