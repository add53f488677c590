//! What each address answers.

use super::Office;
use crate::status::{Confirmation, Confirmed, Departed};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use std::sync::Arc;

const ADDRESSES: &str = "Bowline's socket has: GET /v1/held, POST /v1/prune\n";

pub(super) fn router(office: Arc<dyn Office>) -> Router {
    Router::new()
        .route("/v1/held", get(held))
        .route("/v1/prune", post(prune))
        .fallback(async || (StatusCode::NOT_FOUND, ADDRESSES))
        .with_state(office)
}

async fn held(State(office): State<Arc<dyn Office>>) -> Json<Vec<Departed>> {
    Json(office.departed().await)
}

async fn prune(
    State(office): State<Arc<dyn Office>>,
    Json(wanted): Json<Confirmation>,
) -> Json<Confirmed> {
    Json(office.confirm(wanted).await)
}
