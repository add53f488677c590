//! One HTTP request and its answer, read on a thread of its own: so that a silent server delays
//! neither a cancellation nor a bound. Knows nothing of git.

use super::super::error::Fault;
use super::super::limits::{Attempt, Limits};
use super::fault::{broken, fault, fault_of_body};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use ureq::config::{ConfigBuilder, RedirectAuthHeaders};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::HttpCrateScope;
use ureq::{Agent, Body, ResponseExt};

/// How often a wait looks whether it is still wanted.
const TICK: Duration = Duration::from_millis(20);
/// Bytes read at a time, and how many such parts wait at most.
const PART: usize = 64 << 10;
const PARTS: usize = 16;
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
        let (parts, incoming) = sync_channel(PARTS);
        let (agent, limits, left) = (self.agent.clone(), attempt.limits, attempt.left());
        // It ends by itself within the limits, or as soon as nobody listens any more.
        std::thread::spawn(move || match call(&agent, ask, limits, left) {
            Ok((head, body)) => {
                if heads.send(Ok(head)).is_ok() {
                    pump(body, &parts);
                }
            }
            Err(fault) => drop(heads.send(Err(fault))),
        });
        let patience = limits.connect + limits.idle;
        let head = wait(&head, attempt, patience, "waiting for an answer")?;
        let head = head.unwrap_or_else(|| Err(broken()))?;
        let body = Incoming {
            parts: incoming,
            part: io::Cursor::default(),
            left: limit,
            limit,
            attempt: *attempt,
        };
        Ok(Answer { head, body })
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

fn pump(body: Body, parts: &SyncSender<Result<Vec<u8>, io::Error>>) {
    let mut reader = body.into_reader();
    loop {
        let mut part = vec![0; PART];
        let sent = match reader.read(&mut part) {
            Ok(0) => return,
            Ok(count) => {
                part.truncate(count);
                parts.send(Ok(part))
            }
            Err(error) => {
                let _ = parts.send(Err(error));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// What comes next, or `None` when nothing will.
fn wait<T>(
    from: &Receiver<T>,
    attempt: &Attempt<'_>,
    patience: Duration,
    during: &'static str,
) -> Result<Option<T>, Fault> {
    let began = Instant::now();
    loop {
        attempt.check()?;
        match from.recv_timeout(TICK) {
            Ok(item) => return Ok(Some(item)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if began.elapsed() >= patience => {
                return Err(Fault::TimedOut { during, after: patience });
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The body of an answer while it comes. Errors carry a [`Fault`].
pub(super) struct Incoming<'a> {
    parts: Receiver<Result<Vec<u8>, io::Error>>,
    part: io::Cursor<Vec<u8>>,
    left: u64,
    limit: u64,
    attempt: Attempt<'a>,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.part.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let idle = self.attempt.limits.idle;
        let next = wait(&self.parts, &self.attempt, idle, "waiting for the rest of an answer");
        let part = match next.map_err(Fault::into_io)? {
            None => return Ok(0),
            Some(Ok(part)) => part,
            Some(Err(error)) => return Err(fault_of_body(error, self.attempt.limits).into_io()),
        };
        let length = part.len() as u64;
        self.left = self
            .left
            .checked_sub(length)
            .ok_or_else(|| Fault::TooLarge { limit: self.limit }.into_io())?;
        self.part = io::Cursor::new(part);
        self.part.read(buffer)
    }
}
