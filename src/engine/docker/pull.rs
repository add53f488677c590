//! Pulling an image, with progress a line at a time.

use super::client::{Call, Client};
use super::credentials::Credentials;
use crate::engine::{EngineError, Progress, Word};
use crate::model::{ImageRef, Platform};
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::stream::StreamExt;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a pull may be silent.
const IDLE: Duration = Duration::from_secs(120);

/// What a registry says of an image that it does not have, or does not show to us.
const PERMANENT: [&str; 10] = [
    "not found",
    "manifest unknown",
    "name unknown",
    "unauthorized",
    "access denied",
    "denied:",
    "no matching manifest",
    "invalid reference",
    "invalid repository",
    "does not exist",
];
/// What comes of the host's login or its trust in the registry, which no other image mends.
const OF_THE_HOST: [&str; 4] = [
    "unauthorized: authentication required",
    "no basic auth credentials",
    "x509:",
    "gave http response to https client",
];

/// Pulls `image`, the one for `platform` if it matters.
pub(super) async fn pull(
    client: &Client,
    credentials: &Credentials,
    image: &ImageRef,
    platform: Option<&Platform>,
    progress: Progress<'_>,
) -> Result<(), EngineError> {
    let login = credentials
        .for_image(image.as_str())
        .await
        .map_err(|cause| failed(image, cause.to_string(), true))?;
    let api = client.api().await?;
    let object = format!("image {image}");
    let call = Call { operation: "pull", object: &object, limit: IDLE };
    let mut options = CreateImageOptionsBuilder::new().from_image(&tagged(image.as_str()));
    if let Some(platform) = platform {
        options = options.platform(&platform.to_string());
    }
    let options = options.build();

    let begun = Instant::now();
    let mut messages = api.create_image(Some(options), None, login);
    let mut told = BTreeMap::new();
    let result = loop {
        match tokio::time::timeout(IDLE, messages.next()).await {
            Err(_) => break Err(super::error::timed_out(call)),
            Ok(None) => break Ok(()),
            Ok(Some(Err(cause))) => break Err(refusal(image, client.failure(call, cause))),
            Ok(Some(Ok(message))) => {
                if let Some(text) = message.error_detail.as_ref().and_then(|e| e.message.clone()) {
                    break Err(failed(image, text.clone(), is_transient(&text)));
                }
                tell(&message, &mut told, progress);
            }
        }
    };
    client.count(call, &result, begun.elapsed());
    result
}

/// Without a tag the engine would pull them all.
fn tagged(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

/// One line for each new status of each layer, none for each byte.
fn tell(message: &CreateImageInfo, told: &mut BTreeMap<String, String>, progress: Progress<'_>) {
    let Some(status) = &message.status else { return };
    let layer = message.id.clone().unwrap_or_default();
    if told.get(&layer) == Some(status) {
        return;
    }
    told.insert(layer.clone(), status.clone());
    if layer.is_empty() {
        progress(Word::Doing(status));
    } else {
        progress(Word::Doing(&format!("{layer}: {status}")));
    }
}

/// What the engine answers about an image it does not get is the registry's word.
fn refusal(image: &ImageRef, error: EngineError) -> EngineError {
    match error {
        EngineError::Refused { message, .. } => {
            let transient = is_transient(&message);
            failed(image, message, transient)
        }
        EngineError::NotFound { .. } => {
            failed(image, "the registry does not have it".to_owned(), false)
        }
        other => other,
    }
}

fn failed(image: &ImageRef, message: String, transient: bool) -> EngineError {
    EngineError::PullFailed { image: image.to_string(), message, transient }
}

fn is_transient(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    says(&OF_THE_HOST) || !says(&PERMANENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_pulled_as_latest() {
        assert_eq!(tagged("nginx"), "nginx:latest");
        assert_eq!(tagged("127.0.0.1:5000/a/b"), "127.0.0.1:5000/a/b:latest");
        assert_eq!(tagged("127.0.0.1:5000/a/b:2"), "127.0.0.1:5000/a/b:2");
        assert_eq!(tagged("a@sha256:00"), "a@sha256:00");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for passing in [
            "Get \"https://registry/v2/\": dial tcp: lookup registry: no such host",
            "net/http: TLS handshake timeout",
            "toomanyrequests: You have reached your pull rate limit",
            "received unexpected HTTP status: 503 Service Unavailable",
            "Get \"http://r/v2/\": no basic auth credentials",
            "Get \"https://r/v2/\": unauthorized: authentication required",
            "Get \"https://r/v2/\": x509: certificate has expired or is not yet valid",
        ] {
            assert!(is_transient(passing), "{passing}");
        }
        for lasting in [
            "manifest for a:1 not found: manifest unknown: manifest unknown",
            "pull access denied for a, repository does not exist or may require 'docker login'",
            "unauthorized: access to the requested resource is not authorized",
        ] {
            assert!(!is_transient(lasting), "{lasting}");
        }
    }
}
