//! What the history answers.

use super::Office;
use super::answer::{Query, Trouble};
use super::routes::{Answer, Desk, stack_name};
use crate::model::ServiceName;
use crate::status::{Deployment, Explanation, History};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use std::sync::Arc;

/// How many deployments are told unless somebody says how many.
const LIMIT: usize = 20;

pub(super) fn routes() -> Router<Arc<dyn Office>> {
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

async fn history(
    State(office): Desk,
    Path(name): Path<String>,
    Query(extent): Query<Extent>,
) -> Answer<History> {
    let most = extent.limit.unwrap_or(LIMIT);
    Ok(Json(office.history(&stack_name(&name)?, most).await?))
}

async fn deployment(
    State(office): Desk,
    Path((name, id)): Path<(String, String)>,
) -> Answer<Deployment> {
    let name = stack_name(&name)?;
    let id = id.parse().map_err(|_| {
        Trouble(StatusCode::NOT_FOUND, format!("{name} has no deployment {id:?}; want a number"))
    })?;
    Ok(Json(office.deployment(&name, id).await?))
}

async fn service(
    State(office): Desk,
    Path((name, service)): Path<(String, String)>,
) -> Answer<Explanation> {
    let service = ServiceName::new(&service)
        .map_err(|error| Trouble(StatusCode::NOT_FOUND, error.to_string()))?;
    Ok(Json(office.explain(&stack_name(&name)?, &service).await?))
}
