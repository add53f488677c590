//! What the errors of the HTTP library mean for a source. No IO.

use super::super::error::Fault;
use super::super::limits::Limits;
use super::tls;
use std::io::{self, ErrorKind};
use ureq::Timeout;

/// How a server is asked: what its errors are read with.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) limits: Limits,
    /// Whether the request asks for TLS.
    pub(super) secure: bool,
    /// The proxy in between, without its login.
    pub(super) proxy: Option<String>,
    /// Whether there is a login for it.
    pub(super) knows_proxy: bool,
    /// Where the trusted authorities are from.
    pub(super) trusted: String,
}

/// Of a connection that ended without an answer.
pub(super) fn broken() -> Fault {
    Fault::Unreachable { why: "the connection broke".into() }
}

/// Of an error while a body comes.
pub(super) fn fault_of_body(error: io::Error, route: &Route) -> Fault {
    match ureq::Error::from(error) {
        ureq::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Fault::Unreachable { why: "the server ended the connection in the middle".into() }
        }
        error => fault(error, route),
    }
}

/// Tells the reasons of a failed request apart.
pub(super) fn fault(error: ureq::Error, route: &Route) -> Fault {
    use ureq::Error as E;
    let limits = route.limits;
    match error {
        E::Timeout(Timeout::Connect | Timeout::Resolve) => match &route.proxy {
            Some(proxy) => proxy_fault(
                proxy,
                format!("gave no way to the server within {} s", limits.connect.as_secs_f32()),
            ),
            None => Fault::TimedOut { during: "connecting", after: limits.connect },
        },
        E::Timeout(Timeout::Global) => Fault::TimedOut { during: "fetching", after: limits.whole },
        E::Timeout(_) => Fault::TimedOut { during: "waiting for an answer", after: limits.idle },
        E::Rustls(error) => Fault::Tls { why: tls::why(&error, &route.trusted) },
        E::Tls(why) => Fault::Tls { why: why.to_owned() },
        E::ConnectProxyFailed(why) => refused(&why, route),
        // What rustls refuses during the handshake arrives as data that is not valid.
        E::Io(error) if route.secure && error.kind() == ErrorKind::InvalidData => {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            let why =
                inner.map_or_else(|| error.to_string(), |inner| tls::why(inner, &route.trusted));
            Fault::Tls { why }
        }
        E::HostNotFound => unreachable("the host's name is not known", route),
        E::ConnectionFailed => unreachable("no connection can be made", route),
        E::Io(error) if is_of_connecting(error.kind()) => unreachable(&error.to_string(), route),
        E::Io(error) => Fault::Unreachable { why: error.to_string() },
        E::Protocol(error) => Fault::NotGit { why: format!("no HTTP ({error})") },
        error => Fault::Unreachable { why: error.to_string() },
    }
}

fn is_of_connecting(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable
    )
}

/// No connection to the server, or to the proxy where there is one: it alone is connected to.
fn unreachable(why: &str, route: &Route) -> Fault {
    match &route.proxy {
        Some(proxy) => proxy_fault(proxy, format!("cannot be reached: {why}")),
        None => Fault::Unreachable { why: why.to_owned() },
    }
}

/// The library tells the proxy's answer in words that end with its status.
fn refused(why: &str, route: &Route) -> Fault {
    let Some(proxy) = &route.proxy else { return Fault::Unreachable { why: why.to_owned() } };
    let status = why.rsplit('/').next().and_then(|status| status.parse::<u16>().ok());
    let why = match status {
        Some(407) if route.knows_proxy => {
            "does not accept the login (HTTP 407); correct the source's `proxy_auth`".into()
        }
        Some(407) => "asks for a login (HTTP 407); set the source's `proxy_auth`".into(),
        Some(status @ (502..=504)) => {
            format!("cannot reach the server (HTTP {status}); correct the URL or the proxy")
        }
        Some(status) => {
            format!(
                "refuses the way to the server (HTTP {status}); allow it there, or correct `proxy`"
            )
        }
        None => "answers nothing that a proxy should; correct `proxy`".into(),
    };
    proxy_fault(proxy, why)
}

fn proxy_fault(proxy: &str, why: String) -> Fault {
    Fault::Proxy { proxy: proxy.to_owned(), why }
}
