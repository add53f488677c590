//! The API as it is shown over HTTP: whoever is let in is led on to the router that answers.

use super::Shared;
use super::guard::{Ends, trouble};
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;
use tower::ServiceExt;

/// How often it is said in the log that somebody was not let in: anybody can ask.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Who answers the API, as long as there is somebody.
#[derive(Default)]
pub(super) struct Counter {
    router: RwLock<Option<Router>>,
    said: Mutex<Option<Instant>>,
}

/// That the API is answered; it ends with this.
#[must_use]
pub struct Open(pub(super) Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.api.set(None);
    }
}

impl Counter {
    pub(super) fn set(&self, router: Option<Router>) {
        *self.router.write().unwrap_or_else(PoisonError::into_inner) = router;
    }

    fn router(&self) -> Option<Router> {
        self.router.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it was not said a moment ago.
    fn is_to_be_said(&self) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_old = said.is_none_or(|last| now.duration_since(last) >= SAID_EVERY);
        if is_old {
            *said = Some(now);
        }
        is_old
    }
}

/// Answers whatever is asked of the API.
pub(super) async fn answer(shared: &Shared, mut request: Request) -> Response {
    let ends = request.extensions().get::<Ends>().copied();
    match shared.access().admit(&request, ends) {
        Ok(caller) => drop(request.extensions_mut().insert(caller)),
        Err(refused) => {
            if shared.api.is_to_be_said() {
                let peer = ends.map(|ends| ends.peer.to_string()).unwrap_or_default();
                let (method, path) = (request.method(), request.uri().path());
                tracing::warn!(peer, %method, path, "a request was refused: {}", refused.why());
            }
            return refused.into_response();
        }
    }
    let Some(router) = shared.api.router() else {
        let told = trouble(StatusCode::SERVICE_UNAVAILABLE, "the agent is starting; try again");
        return ([(header::RETRY_AFTER, "1")], told).into_response();
    };
    router.oneshot(request).await.into_response()
}
