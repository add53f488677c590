//! What each address answers.

use super::answer::{Body, By, Query, Trouble};
use super::{Office, document};
use crate::model::{SourceName, StackName};
use crate::status::{
    Confirmation, Confirmed, Departed, Done, Order, Preview, RevisionPrefix, RollbackTo, Snapshot,
    SourceDone, StackStatus, Suspension,
};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long an answer may take: the engine may be asked for it. Shorter than who asks waits.
const BOUND: Duration = Duration::from_secs(25);
/// How many questions that the engine is asked for are answered at once; others wait.
const LOOKS: usize = 2;

/// What is answered: method and address. `NAME` stands for a stack's or source's name.
pub const ROUTES: [(&str, &str); 16] = [
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/status"),
    ("GET", "/v1/stacks/NAME"),
    ("GET", "/v1/stacks/NAME/plan"),
    ("GET", "/v1/stacks/NAME/history"),
    ("GET", "/v1/stacks/NAME/history/ID"),
    ("GET", "/v1/stacks/NAME/services/SERVICE"),
    ("POST", "/v1/stacks/NAME/sync"),
    ("POST", "/v1/stacks/NAME/suspend"),
    ("POST", "/v1/stacks/NAME/resume"),
    ("POST", "/v1/stacks/NAME/pause"),
    ("POST", "/v1/stacks/NAME/rollback"),
    ("POST", "/v1/stacks/NAME/retry"),
    ("POST", "/v1/sources/NAME/sync"),
    ("GET", "/v1/held"),
    ("POST", "/v1/prune"),
];

/// What the answers share.
#[derive(Clone)]
pub(super) struct Counter {
    pub(super) office: Arc<dyn Office>,
    pub(super) looks: Arc<Semaphore>,
}

pub(super) type Desk = State<Counter>;
pub(super) type Answer<T> = Result<Json<T>, Trouble>;
pub(super) type Name = Result<Path<String>, PathRejection>;

/// The API, which `office` answers. Who asks is a [`crate::status::Caller`] among a request's extensions.
pub fn router(office: Arc<dyn Office>) -> Router {
    let looks = Arc::new(Semaphore::new(LOOKS));
    Router::new()
        .route("/v1/openapi.json", get(async || Json(document())))
        .route("/v1/status", get(status))
        .route("/v1/held", get(held))
        .route("/v1/prune", post(prune))
        .route("/v1/stacks/{name}", get(stack))
        .route("/v1/stacks/{name}/plan", get(plan))
        .merge(super::history::routes())
        .route("/v1/stacks/{name}/rollback", post(rollback))
        .route("/v1/stacks/{name}/suspend", post(suspend))
        .route("/v1/stacks/{name}/retry", plain(|| Order::Retry))
        .route("/v1/stacks/{name}/pause", plain(|| Order::Pause))
        .route("/v1/stacks/{name}/resume", plain(|| Order::Resume))
        .route("/v1/stacks/{name}/sync", plain(|| Order::Sync))
        .route("/v1/sources/{name}/sync", post(fetch))
        .fallback(async || Trouble(StatusCode::NOT_FOUND, addresses("there is no such address")))
        .method_not_allowed_fallback(async || {
            let what = addresses("the address does not take this method");
            Trouble(StatusCode::METHOD_NOT_ALLOWED, what)
        })
        .with_state(Counter { office, looks })
        .layer(from_fn(guarded))
}

/// Answers come within a bound, are of the moment, and are what their type says.
async fn guarded(request: Request, next: Next) -> Response {
    let answer = timeout(BOUND, next.run(request)).await.unwrap_or_else(|_| {
        let what = format!("no answer within {} s; the engine may be away", BOUND.as_secs());
        Trouble(StatusCode::SERVICE_UNAVAILABLE, what).into_response()
    });
    (guards(), answer).into_response()
}

fn guards() -> [(HeaderName, &'static str); 2] {
    [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")]
}

fn addresses(what: &str) -> String {
    let all: Vec<String> = ROUTES.iter().map(|(method, path)| format!("{method} {path}")).collect();
    format!("{what}; there are: {}", all.join(", "))
}

async fn status(State(desk): Desk) -> Json<Snapshot> {
    Json(desk.office.status().await)
}

async fn stack(State(desk): Desk, name: Name) -> Answer<StackStatus> {
    let name = stack_name(name)?;
    let unknown = || {
        let what = format!("there is no stack {name}; `GET /v1/status` lists those there are");
        Trouble(StatusCode::NOT_FOUND, what)
    };
    desk.office.stack(&name).await.map(Json).ok_or_else(unknown)
}

/// What is to be planned.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    /// Going back, rather than what a pass would do now.
    #[serde(default)]
    rollback: bool,
    to: Option<RevisionPrefix>,
}

async fn plan(State(desk): Desk, name: Name, Query(planned): Query<Planned>) -> Answer<Preview> {
    let name = stack_name(name)?;
    let _look = desk.looks.acquire().await.ok();
    if !planned.rollback && planned.to.is_none() {
        return Ok(Json(desk.office.preview(&name).await?));
    }
    Ok(Json(desk.office.preview_rollback(&name, RollbackTo { to: planned.to }).await?))
}

async fn rollback(
    State(desk): Desk,
    By(by): By,
    name: Name,
    Body(to): Body<RollbackTo>,
) -> Answer<Done> {
    Ok(Json(desk.office.obey(&stack_name(name)?, Order::Rollback(to), &by).await?))
}

async fn suspend(
    State(desk): Desk,
    By(by): By,
    name: Name,
    Body(suspension): Body<Suspension>,
) -> Answer<Done> {
    Ok(Json(desk.office.obey(&stack_name(name)?, Order::Suspend(suspension), &by).await?))
}

/// What is said with an order that needs no more words.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// An order that needs no more words.
fn plain(order: fn() -> Order) -> MethodRouter<Counter> {
    post(async move |State(desk): Desk, By(by): By, name: Name, Body(Nothing {}): Body<Nothing>| {
        Ok::<_, Trouble>(Json(desk.office.obey(&stack_name(name)?, order(), &by).await?))
    })
}

async fn fetch(
    State(desk): Desk,
    By(by): By,
    name: Name,
    Body(Nothing {}): Body<Nothing>,
) -> Answer<SourceDone> {
    let name = SourceName::new(text(name)?).map_err(|error| unknown(&error))?;
    Ok(Json(desk.office.fetch(&name, &by).await?))
}

async fn held(State(desk): Desk) -> Json<Vec<Departed>> {
    let _look = desk.looks.acquire().await.ok();
    Json(desk.office.departed().await)
}

async fn prune(State(desk): Desk, By(by): By, Body(wanted): Body<Confirmation>) -> Json<Confirmed> {
    Json(desk.office.confirm(wanted, &by).await)
}

pub(super) fn stack_name(name: Name) -> Result<StackName, Trouble> {
    StackName::new(text(name)?).map_err(|error| unknown(&error))
}

fn text(name: Name) -> Result<String, Trouble> {
    name.map(|Path(name)| name).map_err(|error| unknown(&error.body_text()))
}

/// What is no name is no stack's name.
pub(super) fn unknown(why: &dyn std::fmt::Display) -> Trouble {
    Trouble(StatusCode::NOT_FOUND, format!("there is nothing of this name: {why}"))
}
