//! `POST /v1/webhooks/SOURCE`: a webhook that is signed has its source fetched, soon and once however
//! many come. Its payload is not read.

use super::Shared;
use super::pages::{PLAIN, text};
use crate::model::{Sensitive, SourceName};
use crate::webhook::{Answer, Claim, Provider};
use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How large a body may be, in bytes. Most are of some kilobytes; a push of two thousand commits has a
/// few megabytes.
const LARGEST: usize = 4 * 1024 * 1024;
/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many bodies are read at once.
const AT_ONCE: usize = 16;

/// Who hears webhooks.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// The secret of a source that takes webhooks; `None` for what is no such source. The error says why
    /// it is not known now.
    async fn secret(&self, source: &SourceName) -> Option<Result<Sensitive<String>, String>>;

    /// A webhook of somebody who knows the secret came.
    fn deliver(&self, source: &SourceName, provider: Provider);

    /// Counts an answer, and hears why a webhook was refused. `provider`: absent where it claims none.
    fn answered(&self, source: &SourceName, provider: Option<Provider>, answer: Answer, why: &str);
}

/// A refusal: what is counted, and what is told.
struct Refused {
    provider: Option<Provider>,
    answer: Answer,
    status: StatusCode,
    why: String,
}

/// Takes a webhook.
pub(super) async fn take(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let source = SourceName::new(name).ok();
    let known = match source.zip(shared.inbox.get().cloned()) {
        Some((source, inbox)) => inbox.secret(&source).await.map(|it| (source, inbox, it)),
        None => None,
    };
    // A source that takes no webhooks is not told from one that is not there.
    let Some((source, inbox, secret)) = known else {
        let told = "no source of this name takes webhooks\n".to_owned();
        return text(StatusCode::NOT_FOUND, PLAIN, told);
    };
    match read(&shared.readers, request, secret).await {
        Ok(provider) => {
            inbox.deliver(&source, provider);
            inbox.answered(&source, Some(provider), Answer::Accepted, "");
            text(StatusCode::ACCEPTED, PLAIN, "accepted\n".to_owned())
        }
        Err(Refused { provider, answer, status, why }) => {
            inbox.answered(&source, provider, answer, &why);
            if answer == Answer::Unavailable {
                // The reason may name files of the host.
                let told = text(status, PLAIN, "not now; try again\n".to_owned());
                return ([(header::RETRY_AFTER, "1")], told).into_response();
            }
            text(status, PLAIN, format!("{why}\n"))
        }
    }
}

/// Who sent a webhook, if somebody did who knows the secret.
async fn read(
    readers: &Semaphore,
    request: Request,
    secret: Result<Sensitive<String>, String>,
) -> Result<Provider, Refused> {
    let (parts, body) = request.into_parts();
    let value = |name: &str| parts.headers.get(name).map(HeaderValue::as_bytes);
    let claim = Claim::of(value).map_err(|rejection| Refused {
        provider: None,
        answer: Answer::Unauthorized,
        status: StatusCode::UNAUTHORIZED,
        why: rejection.to_string(),
    })?;
    let refused = |answer, status, why: String| Refused {
        provider: Some(claim.provider),
        answer,
        status,
        why,
    };
    let secret =
        secret.map_err(|why| refused(Answer::Unavailable, StatusCode::SERVICE_UNAVAILABLE, why))?;
    let too_large = || {
        let why = format!("the body is larger than {LARGEST} bytes, or broke off");
        refused(Answer::Unread, StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    if announced(&parts.headers).is_some_and(|length| length > LARGEST as u64) {
        return Err(too_large());
    }
    let _reading = readers.try_acquire().map_err(|_| {
        let why = "too many at once".to_owned();
        refused(Answer::Unavailable, StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    let body = match timeout(PATIENCE, whole(body)).await {
        Ok(Some(body)) => body,
        Ok(None) => return Err(too_large()),
        Err(_) => {
            let why = format!("the body did not come within {} s", PATIENCE.as_secs());
            return Err(refused(Answer::Unread, StatusCode::REQUEST_TIMEOUT, why));
        }
    };
    claim.verify(&body, &secret).map_err(|rejection| {
        refused(Answer::Unauthorized, StatusCode::UNAUTHORIZED, rejection.to_string())
    })?;
    Ok(claim.provider)
}

/// The body; `None` if it is too large, or broke off.
async fn whole(body: Body) -> Option<Vec<u8>> {
    to_bytes(body, LARGEST).await.ok().map(Into::into)
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// How many are read at once.
pub(super) fn readers() -> Semaphore {
    Semaphore::new(AT_ONCE)
}
