//! The API as it is shown over HTTP: whoever is let in is led on to the router that answers.

use super::guard::{Ends, trouble};
use super::{Seldom, Shared};
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use tower::ServiceExt;

/// Who answers the API, as long as there is somebody.
#[derive(Default)]
pub(super) struct Counter {
    router: RwLock<Option<Router>>,
    /// Why whom was not let in.
    said: Seldom<(String, Option<IpAddr>)>,
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
}

/// Answers whatever is asked of the API.
pub(super) async fn answer(shared: &Shared, mut request: Request) -> Response {
    let ends = request.extensions().get::<Ends>().copied();
    let access = shared.access();
    let token = match access.reading(&request) {
        Some(reading) => Some(reading.await),
        None => None,
    };
    match access.admit(&request, ends, token) {
        Ok(caller) => drop(request.extensions_mut().insert(caller)),
        Err(refused) => {
            let who = ends.map(|ends| ends.peer.ip());
            if shared.api.said.is_due((refused.why().to_owned(), who)) {
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
