//! What the history answers.

use super::answer::{Query, Trouble};
use super::routes::{Answer, Counter, Desk, Name, stack_name, unknown};
use crate::model::{ServiceName, StackName};
use crate::status::{Deployment, Explanation, History};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

/// How many deployments are told unless somebody says how many.
const LIMIT: usize = 20;
/// No more are kept of a stack.
const MOST: usize = 1000;

pub(super) fn routes() -> Router<Counter> {
    Router::new()
        .route("/v1/stacks/{name}/history", get(history))
        .route("/v1/stacks/{name}/history/{id}", get(deployment))
        .route("/v1/stacks/{name}/services/{service}", get(service))
}

/// How much is told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extent {
    limit: Option<usize>,
}

async fn history(State(desk): Desk, name: Name, Query(extent): Query<Extent>) -> Answer<History> {
    let most = extent.limit.unwrap_or(LIMIT);
    if most > MOST {
        let what = format!("`limit` is a number up to {MOST}, not {most}");
        return Err(Trouble(StatusCode::BAD_REQUEST, what));
    }
    let _look = desk.looks.acquire().await.ok();
    Ok(Json(desk.office.history(&stack_name(name)?, most).await?))
}

async fn deployment(State(desk): Desk, both: Both) -> Answer<Deployment> {
    let (name, id) = both_of(both)?;
    let id = id.parse().map_err(|_| {
        Trouble(StatusCode::NOT_FOUND, format!("{name} has no deployment {id:?}; want a number"))
    })?;
    let _look = desk.looks.acquire().await.ok();
    Ok(Json(desk.office.deployment(&name, id).await?))
}

async fn service(State(desk): Desk, both: Both) -> Answer<Explanation> {
    let (name, service) = both_of(both)?;
    let service = ServiceName::new(&service).map_err(|error| unknown(&error))?;
    let _look = desk.looks.acquire().await.ok();
    Ok(Json(desk.office.explain(&name, &service).await?))
}

/// A stack's name, and what is asked of it.
type Both = Result<Path<(String, String)>, PathRejection>;

fn both_of(both: Both) -> Result<(StackName, String), Trouble> {
    let Path((name, what)) = both.map_err(|error| unknown(&error.body_text()))?;
    Ok((stack_name(Ok(Path(name)))?, what))
}
