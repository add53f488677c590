//! One connection's worth of knowledge: where the engine is, which version is spoken with it, and
//! the one way in which every request is bounded, counted and its failure named.

use super::{error, transport};
use crate::engine::EngineError;
use crate::model::{ApiVersion, EngineFacts};
use bollard::{API_DEFAULT_VERSION, BollardRequest};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The oldest API that is spoken: Docker Engine 20.10.
const FLOOR: ApiVersion = ApiVersion { major: 1, minor: 41 };
/// The newest API that is spoken: what it answers is known here.
const CEILING: ApiVersion = ApiVersion { major: 1, minor: 51 };

/// For a call that the engine answers from what it knows.
pub(super) const SHORT: Duration = Duration::from_secs(30);
/// For a call that makes, starts or removes something.
pub(super) const LONG: Duration = Duration::from_secs(120);
/// Beyond the time that a container has to stop.
pub(super) const STOP_MARGIN: Duration = Duration::from_secs(30);
/// For a ping: a frozen engine accepts and does not answer.
pub(super) const PING: Duration = Duration::from_secs(10);
/// bollard's own bound, which is one a client; ours are one a call and shorter.
const NO_BOUND_SECS: u64 = 24 * 60 * 60;

/// Hears of every HTTP request: operation, success, duration.
pub type Observer = Arc<dyn Fn(&'static str, Result<(), ()>, Duration) + Send + Sync>;

/// An engine's address, and what is known of the engine there.
pub(super) struct Client {
    endpoint: Endpoint,
    host: Mutex<Option<Host>>,
    /// Keeps connections between requests.
    opened: Mutex<Option<bollard::Docker>>,
    observer: Option<Observer>,
}

/// What the engine says of itself and its host.
#[derive(Debug, Clone, Default)]
pub(super) struct Host {
    /// What the rest of Bowline needs to know.
    pub facts: EngineFacts,
    /// The host's name, which is the hostname of containers on the host's network.
    pub name: String,
}

/// A call, for messages and metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// A verb: `create`.
    pub operation: &'static str,
    /// What it is about: `container shop-web-1`.
    pub object: &'a str,
    /// How long it may take.
    pub limit: Duration,
}

impl<'a> Call<'a> {
    /// A call that the engine answers from what it knows.
    pub(super) fn short(operation: &'static str, object: &'a str) -> Self {
        Self { operation, object, limit: SHORT }
    }

    /// A call that makes, starts or removes something.
    pub(super) fn long(operation: &'static str, object: &'a str) -> Self {
        Self { operation, object, limit: LONG }
    }

    /// The word under which it is counted: `create_container`.
    fn counted_as(&self) -> &'static str {
        let kind = self.object.split(' ').next().unwrap_or_default();
        match (self.operation, kind) {
            ("create", "container") => "create_container",
            ("create", "network") => "create_network",
            ("create", "volume") => "create_volume",
            ("remove", "container") => "remove_container",
            ("remove", "image") => "remove_image",
            ("remove", "network") => "remove_network",
            ("remove", "volume") => "remove_volume",
            ("list", "containers") => "list_containers",
            ("list", "networks") => "list_networks",
            ("list", "volumes") => "list_volumes",
            ("look at", "container") => "inspect_container",
            ("look at", "image") => "inspect_image",
            ("ask", _) => "info",
            ("copy files into", _) => "copy",
            ("listen for", _) => "events",
            ("read the output of", _) => "logs",
            ("run a command in", _) => "exec",
            (operation, _) => operation,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    Unix(String),
    Http(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => f.write_str(path),
            Self::Http(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl Client {
    pub(super) fn at(host: &str) -> Result<Self, EngineError> {
        Ok(Self::new(endpoint(host)?, None))
    }

    /// The same engine, with `observer` told of every request.
    pub(super) fn observed_by(&self, observer: Observer) -> Self {
        Self::new(self.endpoint.clone(), Some(observer))
    }

    /// Whether the engine is on this host, so that its containers' addresses are.
    pub(super) fn is_here(&self) -> bool {
        matches!(self.endpoint, Endpoint::Unix(_))
    }

    fn new(endpoint: Endpoint, observer: Option<Observer>) -> Self {
        Self { endpoint, host: Mutex::default(), opened: Mutex::default(), observer }
    }

    /// Whether a connection can be dead without a word: not on a socket of this host.
    pub(super) fn may_fall_silent(&self) -> bool {
        match self.endpoint {
            Endpoint::Unix(_) => false,
            Endpoint::Http(_) => true,
        }
    }

    /// What the engine says of itself: asked at first, and again after it was out of reach.
    pub(super) async fn host(&self) -> Result<Host, EngineError> {
        if let Some(host) = self.remembered() {
            return Ok(host);
        }
        let host = self.negotiate().await?;
        *self.host.lock().unwrap_or_else(PoisonError::into_inner) = Some(host.clone());
        Ok(host)
    }

    /// A client that speaks the negotiated version.
    pub(super) async fn api(&self) -> Result<bollard::Docker, EngineError> {
        let version = self.host().await?.facts.api;
        Ok(self.open()?.with_request_modifier(move |request| adapt(request, version)))
    }

    /// The same for one request, with `body` in place of what bollard's types can say.
    pub(super) async fn api_with_body(
        &self,
        body: Vec<u8>,
    ) -> Result<bollard::Docker, EngineError> {
        let version = self.host().await?.facts.api;
        Ok(self.open()?.with_request_modifier(move |mut request| {
            *request.body_mut() = bollard::body_full(body.clone().into());
            adapt(request, version)
        }))
    }

    /// Makes one request: bounded, counted, its failure named.
    pub(super) async fn request<T>(
        &self,
        call: Call<'_>,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        let begun = Instant::now();
        let result = match tokio::time::timeout(call.limit, request).await {
            Ok(result) => result.map_err(|cause| error::read(&self.endpoint, call, cause)),
            Err(_) => Err(error::timed_out(call)),
        };
        self.count(call, &result, begun.elapsed());
        result
    }

    /// Notes the end of a request that [`Client::request`] did not make, such as a stream.
    pub(super) fn count<T>(&self, call: Call<'_>, result: &Result<T, EngineError>, took: Duration) {
        if let Err(EngineError::Unreachable { .. } | EngineError::TimedOut { .. }) = result {
            *self.host.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        if let Some(observer) = &self.observer {
            observer(call.counted_as(), result.as_ref().map(|_| ()).map_err(|_| ()), took);
        }
    }

    /// Names the failure of a request that [`Client::request`] did not make.
    pub(super) fn failure(&self, call: Call<'_>, cause: bollard::errors::Error) -> EngineError {
        error::read(&self.endpoint, call, cause)
    }

    /// The connection ended without a word.
    pub(super) fn unreachable(&self, cause: &str) -> EngineError {
        EngineError::Unreachable { endpoint: self.endpoint.to_string(), cause: cause.to_owned() }
    }

    fn remembered(&self) -> Option<Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn negotiate(&self) -> Result<Host, EngineError> {
        let bare = self.open()?;
        let call = Call::short("ask", "the engine for its version");
        let version = self.request(call, bare.version()).await?;
        let unreadable = |found: &str| EngineError::Unreadable {
            operation: call.operation,
            object: call.object.to_owned(),
            message: format!("`{found}` is no API version"),
        };
        let newest = version.api_version.unwrap_or_default();
        let newest = api_version(&newest).ok_or_else(|| unreadable(&newest))?;
        let oldest = version.min_api_version.as_deref().and_then(api_version);
        let api = choose(newest, oldest).ok_or_else(|| EngineError::TooOld {
            endpoint: self.endpoint.to_string(),
            found: newest.to_string(),
        })?;
        let speaking = bare.with_request_modifier(move |request| adapt(request, api));
        let info = self.request(Call::short("ask", "the engine about itself"), speaking.info());
        let info = info.await?;
        Ok(Host {
            facts: EngineFacts {
                version: version.version.unwrap_or_default(),
                api,
                default_log_driver: info.logging_driver.unwrap_or_default(),
                default_runtime: info.default_runtime.unwrap_or_default(),
                cpus: info.ncpu.and_then(|cpus| u64::try_from(cpus).ok()).unwrap_or_default(),
                limits_swap: info.swap_limit.unwrap_or(true),
            },
            name: info.name.unwrap_or_default(),
        })
    }

    fn open(&self) -> Result<bollard::Docker, EngineError> {
        if let Endpoint::Unix(path) = &self.endpoint {
            // The failure of a connection hides why the socket cannot be seen.
            std::fs::metadata(path).map_err(|cause| error::unconnected(&self.endpoint, &cause))?;
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(docker) = &*opened {
            return Ok(docker.clone());
        }
        let docker = match &self.endpoint {
            Endpoint::Unix(path) => transport::unix(path, NO_BOUND_SECS, API_DEFAULT_VERSION),
            Endpoint::Http(address) => {
                bollard::Docker::connect_with_http(address, NO_BOUND_SECS, API_DEFAULT_VERSION)
            }
        };
        let docker = docker.map_err(|cause| {
            error::unconnected(&self.endpoint, &io::Error::other(cause.to_string()))
        })?;
        *opened = Some(docker.clone());
        Ok(docker)
    }
}

fn endpoint(host: &str) -> Result<Endpoint, EngineError> {
    let host = host.trim();
    let parsed = match host.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Some(Endpoint::Unix(path.to_owned())),
        Some(("tcp" | "http", address)) => {
            let address = address.trim_end_matches('/');
            (!address.is_empty()).then(|| Endpoint::Http(address.to_owned()))
        }
        None if host.starts_with('/') => Some(Endpoint::Unix(host.to_owned())),
        Some(_) | None => None,
    };
    parsed.ok_or_else(|| EngineError::Refused {
        operation: "use the engine address",
        object: format!("`{host}`"),
        status: 400,
        message: "it must be unix:///PATH, tcp://HOST:PORT or http://HOST:PORT".to_owned(),
    })
}

fn api_version(text: &str) -> Option<ApiVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ApiVersion { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// The newest version that both sides speak. An engine that has given up all of ours is spoken
/// with in its oldest, which is nearest to what is known here.
fn choose(newest: ApiVersion, oldest: Option<ApiVersion>) -> Option<ApiVersion> {
    let version = newest.min(CEILING).max(oldest.unwrap_or(FLOOR));
    (newest >= FLOOR).then_some(version)
}

/// bollard 0.21 neither puts the version into the path nor encodes credentials for URLs, as the
/// engine wants them.
fn adapt(mut request: BollardRequest, version: ApiVersion) -> BollardRequest {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let whole = request.uri().to_string();
    let before = whole.strip_suffix(&path).unwrap_or(&whole);
    if let Ok(versioned) = format!("{before}/v{version}{path}").parse() {
        *request.uri_mut() = versioned;
    }
    if let Some(value) = request.headers_mut().get_mut("x-registry-auth")
        && let Ok(text) = value.to_str()
        && let Ok(encoded) = text.replace('+', "-").replace('/', "_").parse()
    {
        *value = encoded;
        value.set_sensitive(true);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn v(minor: u16) -> ApiVersion {
        ApiVersion { major: 1, minor }
    }

    #[test]
    fn the_newest_common_version_is_spoken() {
        assert_eq!(choose(v(41), Some(v(12))), Some(v(41)));
        assert_eq!(choose(v(47), None), Some(v(47)));
        assert_eq!(choose(v(60), Some(v(44))), Some(CEILING));
        assert_eq!(choose(v(60), Some(v(55))), Some(v(55)));
        assert_eq!(choose(v(40), Some(v(12))), None);
    }

    #[test]
    fn an_address_is_a_socket_or_a_host() {
        for good in ["unix:///run/d.sock", "/run/d.sock", "tcp://[::1]:2375", "http://h:2375/"] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in ["", "unix://", "ssh://host", "https://host:2376", "host:2375"] {
            let Err(refused) = endpoint(bad) else { panic!("{bad}") };
            assert!(!refused.is_transient(), "{bad}");
        }
    }
}
