//! What each address answers.

use super::guard::trouble;
use super::{Shared, api, inbox};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
/// Of the text format that Prometheus reads.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PAGES: &str = "there is no such page; there are /metrics, /healthz, /readyz, /v1/webhooks/SOURCE for \
                     webhooks, and the API that /v1/openapi.json describes";

/// The routes.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/v1/webhooks/{source}", post(inbox::take))
        .fallback(other)
        .method_not_allowed_fallback(unfit)
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    text(StatusCode::OK, PROMETHEUS, (shared.metrics_page)())
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.liveness.overdue() {
        None => text(StatusCode::OK, PLAIN, "alive\n".to_owned()),
        Some(elapsed) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            PLAIN,
            format!("the agent's loop has not turned for {} s\n", elapsed.as_secs()),
        ),
    }
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.readiness.waiting() {
        None => text(StatusCode::OK, PLAIN, "ready\n".to_owned()),
        Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{reason}\n")),
    }
}

/// The API has a router of its own.
async fn other(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path();
    if path == "/v1" || path.starts_with("/v1/") {
        return api::answer(&shared, request).await;
    }
    trouble(StatusCode::NOT_FOUND, PAGES)
}

async fn unfit() -> Response {
    let what = "this page does not take this method; the header `Allow` says which it takes";
    trouble(StatusCode::METHOD_NOT_ALLOWED, what)
}

pub(super) fn text(status: StatusCode, media_type: &'static str, body: String) -> Response {
    (status, guards(), [(header::CONTENT_TYPE, media_type)], body).into_response()
}

/// Answers are of the moment, and are what their type says.
pub(super) fn guards() -> [(HeaderName, &'static str); 2] {
    [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")]
}
