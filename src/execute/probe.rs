//! One question about a canary, over HTTP, and what its answer means. Bounded in time and size, past
//! every proxy, without following redirects.

use crate::engine::Secrets;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::spawn_blocking;
use ureq::Agent;
use url::Url;

/// How much of a server's answer is read, in bytes.
const MOST_BYTES: u64 = 1 << 20;
/// How much of one is told.
const TOLD_CHARS: usize = 200;

/// What an answer says of a canary. Texts begin with who was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is well, or nothing is known against it.
    Well,
    /// It is not.
    Ill(String),
    /// It gives no answer.
    Silent(String),
    /// Whoever else was asked cannot say.
    Unknown(String),
}

/// Asks a container for a page: a status from 200 to 399 is well.
pub(super) async fn page(
    address: SocketAddr,
    path: &str,
    bound: Duration,
    secrets: &Secrets,
) -> Answer {
    let url = format!("http://{address}{path}");
    // What stands behind a `?` may be a key.
    let shown = secrets.hidden_in(url.split('?').next().unwrap_or_default());
    let asking = move || agent(bound).get(&url).call().map(|answer| answer.status().as_u16());
    match spawn_blocking(asking).await {
        Ok(Ok(status)) if (200..400).contains(&status) => Answer::Well,
        Ok(Ok(status)) => Answer::Ill(format!("{shown} answered {status}")),
        Ok(Err(error)) => Answer::Silent(format!("{shown} gave no answer ({})", told(&error))),
        Err(_) => not_asked(),
    }
}

/// Asks the Prometheus at `url` whether an alert's expression has a sample now.
pub(super) async fn alert(url: &str, query: &str, bound: Duration, secrets: &Secrets) -> Answer {
    let server = Url::parse(url).map(|url| url.origin().ascii_serialization());
    let server = format!("Prometheus at {}", server.unwrap_or_default());
    let url = format!("{}/api/v1/query", url.trim_end_matches('/'));
    let query = query.to_owned();
    match spawn_blocking(move || query_now(&url, &query, bound)).await {
        Ok(Ok((status, text))) => verdict(&server, status, &text, secrets),
        Ok(Err(error)) => Answer::Unknown(format!("{server} gave no answer ({})", told(&error))),
        Err(_) => not_asked(),
    }
}

fn not_asked() -> Answer {
    Answer::Unknown("the question was not asked".to_owned())
}

/// Status and text of the answer to an instant query, of which one sample is enough.
fn query_now(url: &str, query: &str, bound: Duration) -> Result<(u16, String), ureq::Error> {
    let timeout = format!("{}s", bound.as_secs_f64());
    let form = [("query", query), ("limit", "1"), ("timeout", &timeout)];
    let mut answer = agent(bound).post(url).send_form(form)?;
    let text = answer.body_mut().with_config().limit(MOST_BYTES).read_to_string()?;
    Ok((answer.status().as_u16(), text))
}

fn agent(bound: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(bound))
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .user_agent(concat!("bowline/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// What Prometheus answers (its HTTP API, "Format overview" and "Instant queries").
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Reply {
    Success {
        data: Data,
    },
    #[serde(rename_all = "camelCase")]
    Error {
        error_type: String,
        error: String,
    },
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Sample>),
    Scalar((f64, String)),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

#[derive(Deserialize)]
struct Sample {
    metric: BTreeMap<String, String>,
    /// Absent of a histogram.
    value: Option<(f64, String)>,
}

/// Secrets go before a text is cut, or half of one might stay.
fn verdict(server: &str, status: u16, text: &str, secrets: &Secrets) -> Answer {
    let short = |text: &str| short(&secrets.hidden_in(text));
    let sample = |what: &str| Answer::Ill(format!("{server} has a sample: {}", short(what)));
    match serde_json::from_str(text) {
        Ok(Reply::Success { data: Data::Vector(samples) }) => match samples.first() {
            None => Answer::Well,
            Some(first) => sample(&shown(first, secrets)),
        },
        Ok(Reply::Success { data: Data::Scalar((_, value)) }) => {
            let is_true = value.parse().is_ok_and(|value: f64| !value.is_nan() && value != 0.0);
            if is_true { sample(&value) } else { Answer::Well }
        }
        Ok(Reply::Success { data: Data::Matrix(_) | Data::String(_) }) => {
            Answer::Ill(format!("the query to {server} must ask for the values of one moment"))
        }
        Ok(Reply::Error { error_type, error }) if error_type == "bad_data" => {
            Answer::Ill(format!("{server} refused the query: {}", short(&error)))
        }
        Ok(Reply::Error { error, .. }) => {
            Answer::Unknown(format!("{server} answered {status}: {}", short(&error)))
        }
        Err(_) => Answer::Unknown(format!("{server} answered {status}, and no result")),
    }
}

/// A sample as Prometheus prints it.
fn shown(sample: &Sample, secrets: &Secrets) -> String {
    // As they are, before what is not a plain character is written in another way.
    let label = |(name, value): (&String, &String)| {
        let value = secrets.hidden_in(value);
        format!("{name}={value:?}")
    };
    let labels: Vec<_> = sample.metric.iter().map(label).collect();
    let value = sample.value.as_ref().map_or("a histogram", |(_, value)| value);
    format!("{{{}}} {value}", labels.join(", "))
}

/// Why there is no answer, without what the other side sent.
fn told(error: &ureq::Error) -> String {
    short(&match error {
        ureq::Error::Timeout(_) => "it took too long".to_owned(),
        ureq::Error::HostNotFound => "its name is not known".to_owned(),
        ureq::Error::BodyExceedsLimit(_) => "it is too large".to_owned(),
        error => error.to_string(),
    })
}

/// The beginning of `text`, in one line.
fn short(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(TOLD_CHARS).map(plain).collect()
}

#[cfg(test)]
mod tests;
