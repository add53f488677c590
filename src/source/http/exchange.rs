//! One HTTP request and its answer, read on a thread of its own: so that a silent server delays
//! neither a cancellation nor a bound. Knows nothing of git.

use super::super::error::Fault;
use super::super::limits::{Attempt, Limits};
use super::super::smart::{Incoming, pump, wait};
use super::fault::{broken, fault, fault_of_body};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use ureq::config::{ConfigBuilder, RedirectAuthHeaders};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::HttpCrateScope;
use ureq::{Agent, Body, ResponseExt};

/// How many redirects are followed.
const MAX_REDIRECTS: u32 = 5;
/// The type of what is posted.
const REQUEST: &str = "application/x-git-upload-pack-request";
/// Where systems keep the authorities that they trust; the first that exists counts.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Makes requests; keeps connections between them.
pub(super) struct Client {
    agent: Agent,
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
    /// Trusts the authorities in the PEM file given, or the file that `SSL_CERT_FILE` names, or the
    /// system's, or those that Mozilla trusts.
    pub(super) fn new(authorities: Option<&Path>) -> Result<Self, Fault> {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let system = || SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find(|path| path.exists());
        let roots = match authorities.map(Path::to_owned).or(named).or_else(system) {
            Some(path) => read_authorities(&path)?,
            None => RootCerts::WebPki,
        };
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            .max_redirects(MAX_REDIRECTS)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("git/2.0 (bowline ", env!("CARGO_PKG_VERSION"), ")"))
            .build();
        Ok(Self { agent: config.new_agent() })
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
        // It ends by itself within the limits, or as soon as nobody listens any more.
        std::thread::spawn(move || match call(&agent, ask, limits, left) {
            Ok((head, body)) => {
                if heads.send(Ok(head)).is_ok() {
                    pump(body.into_reader(), &parts, |error| fault_of_body(error, limits));
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

fn read_authorities(path: &Path) -> Result<RootCerts, Fault> {
    let pem = std::fs::read(path)
        .map_err(|error| Fault::io(format!("read certificates in {}", path.display()), &error))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    Ok(RootCerts::new_with_certs(&certificates))
}

fn call(agent: &Agent, ask: Ask, limits: Limits, left: Duration) -> Result<(Head, Body), Fault> {
    let secure = ask.url.starts_with("https:");
    let failed = |error| fault(error, secure, limits);
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
