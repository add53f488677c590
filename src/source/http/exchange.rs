//! One HTTP request and its answer, read on a thread of its own: so that a silent server delays
//! neither a cancellation nor a bound. Knows nothing of git.

use super::super::error::Fault;
use super::super::limits::{Attempt, Limits};
use super::super::smart::{Bound, Incoming, pump, wait};
use super::fault::{Route, broken, fault, fault_of_body};
use super::proxy::Proxy;
use super::redirect::Place;
use super::trust::Trust;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use ureq::config::ConfigBuilder;
use ureq::http::Response;
use ureq::tls::TlsConfig;
use ureq::typestate::HttpCrateScope;
use ureq::{Agent, Body};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;
/// The type of what is posted.
const REQUEST: &str = "application/x-git-upload-pack-request";
/// Makes requests; keeps connections between them.
pub(super) struct Client {
    agent: Agent,
    proxy: Proxy,
    trusted: String,
}

/// A request.
pub(super) struct Ask {
    pub(super) place: Place,
    /// Of the answer.
    pub(super) accept: &'static str,
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
    pub(super) place: Place,
}

impl Client {
    /// Accepts certificates from those in `trust`; `proxy` says through what each server is reached.
    pub(super) fn new(trust: Trust, proxy: Proxy) -> Self {
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(trust.roots).build())
            .http_status_as_error(false)
            // They are followed here: the library shows a login at other ports of the host.
            .max_redirects(0)
            .user_agent(concat!("git/2.0 (bowline ", env!("CARGO_PKG_VERSION"), ")"))
            .build();
        Self { agent: config.new_agent(), proxy, trusted: trust.from }
    }

    /// Sends `ask`, and on to where the server leads; the answer's body is bounded by `bound`.
    pub(super) fn send<'a>(
        &self,
        ask: Ask,
        bound: Bound,
        attempt: &Attempt<'a>,
    ) -> Result<Answer<'a>, Fault> {
        let (heads, head) = sync_channel(1);
        let (parts, incoming) = Incoming::of(bound, attempt.clone());
        let (agent, proxy) = (self.agent.clone(), self.proxy.clone());
        let (limits, left) = (attempt.limits, attempt.left());
        let trusted = self.trusted.clone();
        let mut route = Route { limits, secure: false, proxy: None, knows_proxy: false, trusted };
        // It ends by itself within the limits, or as soon as nobody listens any more.
        std::thread::spawn(move || match call(&agent, &proxy, ask, &mut route, left) {
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

fn call(
    agent: &Agent,
    proxy: &Proxy,
    ask: Ask,
    route: &mut Route,
    left: Duration,
) -> Result<(Head, Body), Fault> {
    let end = Instant::now() + left;
    let Ask { mut place, accept, body } = ask;
    for _ in 0..=MAX_REDIRECTS {
        route.secure = place.url.scheme() == "https";
        let used = proxy.towards(&place.url)?;
        route.proxy = used.as_ref().map(|used| used.shown.clone());
        route.knows_proxy = used.as_ref().is_some_and(|used| used.has_login);
        let through = Through {
            proxy: used.map(|used| used.proxy),
            left: end.saturating_duration_since(Instant::now()),
        };
        let response = request(agent, &place, accept, body.as_deref(), route, through)?;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        match (status, header("location")) {
            // As browsers have it, what was posted would be asked for.
            (301..=303, Some(_)) if body.is_some() => {
                let why = format!("it redirects what it is sent (HTTP {status})");
                return Err(Fault::NotGit { why });
            }
            (301..=303 | 307 | 308, Some(location)) => place = place.led_to(location)?,
            _ => {
                let content_type = header("content-type").unwrap_or_default();
                let content_type = content_type.split(';').next().unwrap_or_default();
                let content_type = content_type.trim().to_owned();
                return Ok((Head { status, content_type, place }, response.into_body()));
            }
        }
    }
    let why = format!("it redirects more than {MAX_REDIRECTS} times, or in a circle");
    Err(Fault::NotGit { why })
}

/// How one request goes out.
struct Through {
    proxy: Option<ureq::Proxy>,
    /// How long it may take.
    left: Duration,
}

fn request(
    agent: &Agent,
    place: &Place,
    accept: &str,
    body: Option<&[u8]>,
    route: &Route,
    through: Through,
) -> Result<Response<Body>, Fault> {
    let limits = route.limits;
    let failed = |error| fault(error, route);
    let mut request =
        ureq::http::Request::builder().uri(place.url.as_str()).header("accept", accept);
    if let Some(authorization) = &place.authorization {
        request = request.header("authorization", &authorization.header);
    }
    let response = if let Some(body) = body {
        let request = request.method("POST").header("content-type", REQUEST).body(body);
        let request = request.map_err(|error| failed(error.into()))?;
        agent.run(bounded(agent.configure_request(request), limits, through).build())
    } else {
        let request = request.body(()).map_err(|error| failed(error.into()))?;
        agent.run(bounded(agent.configure_request(request), limits, through).build())
    };
    response.map_err(failed)
}

fn bounded<S: ureq::AsSendBody>(
    builder: ConfigBuilder<HttpCrateScope<S>>,
    limits: Limits,
    Through { proxy, left }: Through,
) -> ConfigBuilder<HttpCrateScope<S>> {
    builder
        .proxy(proxy)
        .timeout_connect(Some(limits.connect))
        .timeout_per_read(Some(limits.idle))
        .timeout_per_write(Some(limits.idle))
        .timeout_global(Some(left))
}
