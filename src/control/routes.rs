//! What each address answers.

use super::Office;
use super::answer::{Body, Query, Trouble};
use crate::model::StackName;
use crate::status::{
    Confirmation, Confirmed, Departed, Done, Order, Preview, RevisionPrefix, RollbackTo, Snapshot,
    StackStatus,
};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use std::sync::Arc;

const ADDRESSES: &str = "Bowline's socket has: GET /v1/status, GET /v1/stacks/NAME, \
    GET /v1/stacks/NAME/plan, GET /v1/stacks/NAME/history[/ID], GET /v1/stacks/NAME/services/SERVICE, POST /v1/stacks/NAME/{rollback,retry,pause,resume,sync}, \
    GET /v1/held, POST /v1/prune";

pub(super) type Desk = State<Arc<dyn Office>>;
pub(super) type Answer<T> = Result<Json<T>, Trouble>;

pub(super) fn router(office: Arc<dyn Office>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/held", get(held))
        .route("/v1/prune", post(prune))
        .route("/v1/stacks/{name}", get(stack))
        .route("/v1/stacks/{name}/plan", get(plan))
        .merge(super::history::routes())
        .route("/v1/stacks/{name}/rollback", post(rollback))
        .route(
            "/v1/stacks/{name}/retry",
            post(|desk, name, body| plain(desk, name, body, Order::Retry)),
        )
        .route(
            "/v1/stacks/{name}/pause",
            post(|desk, name, body| plain(desk, name, body, Order::Pause)),
        )
        .route(
            "/v1/stacks/{name}/resume",
            post(|desk, name, body| plain(desk, name, body, Order::Resume)),
        )
        .route(
            "/v1/stacks/{name}/sync",
            post(|desk, name, body| plain(desk, name, body, Order::Sync)),
        )
        .fallback(async || Trouble(StatusCode::NOT_FOUND, ADDRESSES.to_owned()))
        .method_not_allowed_fallback(async || {
            Trouble(StatusCode::METHOD_NOT_ALLOWED, ADDRESSES.to_owned())
        })
        .with_state(office)
}

async fn status(State(office): Desk) -> Json<Snapshot> {
    Json(office.status().await)
}

async fn stack(State(office): Desk, Path(name): Path<String>) -> Answer<StackStatus> {
    let name = stack_name(&name)?;
    let unknown = || Trouble(StatusCode::NOT_FOUND, format!("there is no stack {name}"));
    office.stack(&name).await.map(Json).ok_or_else(unknown)
}

/// What is to be planned.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    /// Going back; there is nothing else yet.
    #[serde(default)]
    rollback: bool,
    to: Option<RevisionPrefix>,
}

async fn plan(
    State(office): Desk,
    Path(name): Path<String>,
    Query(planned): Query<Planned>,
) -> Answer<Preview> {
    if !planned.rollback {
        let say = "say what to plan: `rollback=true`, and `to=REVISION` if you like";
        return Err(Trouble(StatusCode::BAD_REQUEST, say.to_owned()));
    }
    let to = RollbackTo { to: planned.to };
    Ok(Json(office.preview_rollback(&stack_name(&name)?, to).await?))
}

async fn rollback(
    State(office): Desk,
    Path(name): Path<String>,
    Body(to): Body<RollbackTo>,
) -> Answer<Done> {
    Ok(Json(office.obey(&stack_name(&name)?, Order::Rollback(to)).await?))
}

/// What is said with an order that needs no more words.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn plain(
    State(office): Desk,
    Path(name): Path<String>,
    Body(Nothing {}): Body<Nothing>,
    order: Order,
) -> Answer<Done> {
    Ok(Json(office.obey(&stack_name(&name)?, order).await?))
}

async fn held(State(office): Desk) -> Json<Vec<Departed>> {
    Json(office.departed().await)
}

async fn prune(State(office): Desk, Body(wanted): Body<Confirmation>) -> Json<Confirmed> {
    Json(office.confirm(wanted).await)
}

pub(super) fn stack_name(name: &str) -> Result<StackName, Trouble> {
    StackName::new(name).map_err(|error| Trouble(StatusCode::NOT_FOUND, error.to_string()))
}
