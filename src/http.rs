//! Shows metrics, health and status over HTTP, and takes webhooks. Changes nothing and knows no other
//! edge: the page of metrics and who hears webhooks come in from outside.
//!
//! `GET /metrics` is Prometheus' text format; `/healthz` says 200 while the agent's loop turns and
//! 503 otherwise; `/readyz` says 503 with the reason until every stack had its first pass;
//! `/v1/status` is a [`crate::status::Snapshot`] in JSON. `POST /v1/webhooks/SOURCE` has a source
//! fetched.

mod inbox;
mod pages;
mod pulse;

pub use inbox::Inbox;
pub use pages::router;
pub use pulse::{Liveness, Readiness};

use crate::status::Board;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long answers under way may take once the end was asked for.
pub const DRAIN_BOUND: Duration = Duration::from_secs(3);

/// The server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: the address is in use; end the other process (`ss -ltnp` \
         names it) or set another listen address"
    )]
    AddressInUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The system refused otherwise.
    #[error("cannot listen on {address}; check the listen address and its port")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server ended by itself.
    #[error("the HTTP server ended")]
    Serve(#[source] io::Error),
}

/// What the pages read, shared with the agent that writes it.
pub struct Shared {
    board: RwLock<Board>,
    metrics_page: Box<dyn Fn() -> String + Send + Sync>,
    /// Ticked by the agent's loop.
    pub liveness: Liveness,
    /// Told by the agent.
    pub readiness: Readiness,
    /// Who hears webhooks, once there is somebody.
    inbox: OnceLock<Arc<dyn Inbox>>,
    readers: Semaphore,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("board", &self.board)
            .field("liveness", &self.liveness)
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// An empty board; `metrics_page` renders the page of metrics anew at each call.
    pub fn new(
        liveness: Liveness,
        metrics_page: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            board: RwLock::default(),
            metrics_page: Box::new(metrics_page),
            liveness,
            readiness: Readiness::default(),
            inbox: OnceLock::new(),
            readers: inbox::readers(),
        }
    }

    /// Has webhooks heard by `inbox` from now on; the first one stays.
    pub fn open_inbox(&self, inbox: Arc<dyn Inbox>) {
        self.inbox.get_or_init(|| inbox);
    }

    /// The board, to read. Not to be held over an await.
    pub fn board(&self) -> RwLockReadGuard<'_, Board> {
        self.board.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The board, to write. Not to be held over an await.
    pub fn board_mut(&self) -> RwLockWriteGuard<'_, Board> {
        self.board.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the address; port 0 takes a free one.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => HttpError::AddressInUse { address },
        _ => HttpError::Listen { address, source },
    })
}

/// Answers until `cancel`, then lets answers under way end within [`DRAIN_BOUND`].
pub async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    cancel: CancellationToken,
) -> Result<(), HttpError> {
    let server = axum::serve(listener, router(shared))
        .with_graceful_shutdown(cancel.clone().cancelled_owned());
    let bound = async {
        cancel.cancelled().await;
        tokio::time::sleep(DRAIN_BOUND).await;
    };
    tokio::select! {
        ended = async { server.await } => ended.map_err(HttpError::Serve),
        () = bound => Ok(()),
    }
}
