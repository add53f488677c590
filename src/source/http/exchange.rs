//! One HTTP request and its answer, read on a thread of its own: so that a silent server delays
//! neither a cancellation nor a bound. Knows nothing of git.

use super::super::error::Fault;
use super::super::limits::{Attempt, Limits};
use super::super::smart::{Incoming, pump, wait};
use super::fault::{Route, broken, fault, fault_of_body};
use super::proxy::Used;
use super::trust::Trust;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use ureq::config::{ConfigBuilder, RedirectAuthHeaders};
use ureq::tls::TlsConfig;
use ureq::typestate::HttpCrateScope;
use ureq::{Agent, Body, ResponseExt};

/// How many redirects are followed.
const MAX_REDIRECTS: u32 = 5;
/// The type of what is posted.
const REQUEST: &str = "application/x-git-upload-pack-request";
/// Makes requests; keeps connections between them.
pub(super) struct Client {
    agent: Agent,
    proxy: Option<String>,
    knows_proxy: bool,
    trusted: String,
}

/// A request.
pub(super) struct Ask {
    pub(super) url: String,
    /// Of the answer.
    pub(super) accept: &'static str,
    pub(super) authorization: Option<String>,
    /// With one it is a POST.
    pub(super) body: Option<Vec<u8>>,
}

/// The head of an answer, and its body to come.
pub(super) struct Answer<'a> {
    pub(super) head: Head,
    pub(super) body: Incoming<'a>,
}

/// What an answer begins with.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) content_type: String,
    /// After redirects.
    pub(super) url: String,
}

impl Client {
    /// Accepts certificates from those in `trust`, and goes through `proxy`, if there is one.
    pub(super) fn new(trust: Trust, proxy: Option<Used>) -> Self {
        let shown = proxy.as_ref().map(|used| used.shown.clone());
        let knows_proxy = proxy.as_ref().is_some_and(|used| used.has_login);
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(trust.roots).build())
            .proxy(proxy.map(|used| used.proxy))
            .http_status_as_error(false)
            .max_redirects(MAX_REDIRECTS)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("git/2.0 (bowline ", env!("CARGO_PKG_VERSION"), ")"))
            .build();
        Self { agent: config.new_agent(), proxy: shown, knows_proxy, trusted: trust.from }
    }

    /// Sends `ask`; the answer's body may have `limit` bytes.
    pub(super) fn send<'a>(
        &self,
        ask: Ask,
        limit: u64,
        attempt: &Attempt<'a>,
    ) -> Result<Answer<'a>, Fault> {
        let (heads, head) = sync_channel(1);
        let (parts, incoming) = Incoming::of(limit, *attempt);
        let (agent, limits, left) = (self.agent.clone(), attempt.limits, attempt.left());
        let route = Route {
            limits,
            secure: ask.url.starts_with("https:"),
            proxy: self.proxy.clone(),
            knows_proxy: self.knows_proxy,
            trusted: self.trusted.clone(),
        };
        // It ends by itself within the limits, or as soon as nobody listens any more.
        std::thread::spawn(move || match call(&agent, ask, &route, left) {
            Ok((head, body)) => {
                if heads.send(Ok(head)).is_ok() {
                    pump(body.into_reader(), &parts, |error| fault_of_body(error, &route));
                }
            }
            Err(fault) => drop(heads.send(Err(fault))),
        });
        let patience = limits.connect + limits.idle;
        let head = wait(&head, attempt, patience, "waiting for an answer")?;
        let head = head.unwrap_or_else(|| Err(broken()))?;
        Ok(Answer { head, body: incoming })
    }
}

fn call(agent: &Agent, ask: Ask, route: &Route, left: Duration) -> Result<(Head, Body), Fault> {
    let limits = route.limits;
    let failed = |error| fault(error, route);
    let mut request = ureq::http::Request::builder().uri(&ask.url).header("accept", ask.accept);
    if let Some(authorization) = &ask.authorization {
        request = request.header("authorization", authorization);
    }
    let response = if let Some(body) = ask.body {
        let request = request.method("POST").header("content-type", REQUEST).body(body);
        let request = request.map_err(|error| failed(error.into()))?;
        agent.run(timed(agent.configure_request(request), limits, left).build())
    } else {
        let request = request.body(()).map_err(|error| failed(error.into()))?;
        agent.run(timed(agent.configure_request(request), limits, left).build())
    };
    let response = response.map_err(failed)?;
    let content_type = response.headers().get("content-type");
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
    let (status, url) = (response.status().as_u16(), response.get_uri().to_string());
    Ok((Head { status, content_type, url }, response.into_body()))
}

fn timed<S: ureq::AsSendBody>(
    builder: ConfigBuilder<HttpCrateScope<S>>,
    limits: Limits,
    left: Duration,
) -> ConfigBuilder<HttpCrateScope<S>> {
    builder
        .timeout_connect(Some(limits.connect))
        .timeout_per_read(Some(limits.idle))
        .timeout_per_write(Some(limits.idle))
        .timeout_global(Some(left))
}
