//! How requests are read, and how trouble is told: always in JSON.

use crate::status::{Caller, Refusal};
use axum::Json;
use axum::body::{Body as Stream, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// How large a body may be, in bytes: names and a few words.
pub(super) const LARGEST: usize = 64 * 1024;
/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why something is not answered as it was asked.
pub(super) struct Trouble(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Unknown(_) => StatusCode::NOT_FOUND,
            Refusal::Impossible(_) => StatusCode::CONFLICT,
            Refusal::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, refusal.to_string())
    }
}

/// A body in JSON; none is an object without keys.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Trouble;

    async fn from_request(request: Request, _: &S) -> Result<Self, Trouble> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        if bytes.is_empty() {
            return parse(b"{}");
        }
        // A page in a browser can send other types anywhere without asking first.
        if !is_json(&parts.headers) {
            let what = "a body must be JSON; send it with `Content-Type: application/json`";
            return Err(Trouble(StatusCode::UNSUPPORTED_MEDIA_TYPE, what.to_owned()));
        }
        parse(&bytes)
    }
}

async fn read(body: Stream) -> Result<Vec<u8>, Trouble> {
    match timeout(PATIENCE, to_bytes(body, LARGEST)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(_)) => {
            let what = format!("the body is larger than {LARGEST} bytes, or broke off");
            Err(Trouble(StatusCode::PAYLOAD_TOO_LARGE, what))
        }
        Err(_) => {
            let what = format!("the body did not come within {} s; try again", PATIENCE.as_secs());
            Err(Trouble(StatusCode::REQUEST_TIMEOUT, what))
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<Body<T>, Trouble> {
    // What has keys may be read from a list as well, and is not described so.
    let object = serde_json::from_slice::<Map<String, Value>>(text);
    let value = object.and_then(|object| serde_json::from_value(Value::Object(object)));
    value.map(Body).map_err(|error| {
        Trouble(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}"))
    })
}

/// What stands behind the question mark.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(Trouble(StatusCode::BAD_REQUEST, error.body_text())),
        }
    }
}

/// Who asks.
pub(super) struct By(pub(super) Caller);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        let known = parts.extensions.get::<Caller>().cloned();
        Ok(Self(known.unwrap_or_else(|| Caller("somebody".to_owned()))))
    }
}
