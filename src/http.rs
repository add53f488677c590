//! Shows metrics, health and the API over HTTP, and takes webhooks. Knows no other edge: the page of
//! metrics, who answers the API and who hears webhooks come in from outside; who may ask the API is
//! decided here.
//!
//! `GET /metrics` is Prometheus' text format; `/healthz` says 200 while the agent's loop turns and
//! 503 otherwise; `/readyz` says 503 with the reason until every stack had its first pass.
//! `POST /v1/webhooks/SOURCE` has a source fetched. All else under `/v1` is the API.

mod api;
mod guard;
mod inbox;
mod pages;
mod pulse;
mod seldom;
mod serve;

pub use api::Open;
pub use guard::{Access, Found, Token};
pub use inbox::Inbox;
pub use pages::router;
pub use pulse::{Liveness, Readiness};
pub use seldom::Seldom;
pub use serve::serve;

use crate::status::Board;
use axum::Router;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

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
    api: api::Counter,
    /// Who may ask the API; once it is set.
    access: RwLock<Arc<Access>>,
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
            api: api::Counter::default(),
            access: RwLock::default(),
        }
    }

    /// Has webhooks heard by `inbox` from now on; the first one stays.
    pub fn open_inbox(&self, inbox: Arc<dyn Inbox>) {
        self.inbox.get_or_init(|| inbox);
    }

    /// Has the API answered by `router` from now on, until what is returned ends. It finds who asks as a
    /// [`crate::status::Caller`] among a request's extensions.
    pub fn open_api(self: &Arc<Self>, router: Router) -> Open {
        self.api.set(Some(router));
        Open(Arc::clone(self))
    }

    /// Lets in who `access` says, from now on. Without it, everybody may look and nobody more.
    pub fn let_in(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
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
