//! What the errors of the HTTP library mean for a source. No IO.

use super::super::error::Fault;
use super::super::limits::Limits;
use std::io;
use ureq::Timeout;

/// Of a connection that ended without an answer.
pub(super) fn broken() -> Fault {
    Fault::Unreachable { why: "the connection broke".into() }
}

/// Of an error while a body comes.
pub(super) fn fault_of_body(error: io::Error, limits: Limits) -> Fault {
    match ureq::Error::from(error) {
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Fault::Unreachable { why: "the server ended the connection in the middle".into() }
        }
        error => fault(error, false, limits),
    }
}

/// Tells the reasons of a failed request apart.
pub(super) fn fault(error: ureq::Error, secure: bool, limits: Limits) -> Fault {
    use ureq::Error as E;
    match error {
        E::Timeout(Timeout::Connect | Timeout::Resolve) => {
            Fault::TimedOut { during: "connecting", after: limits.connect }
        }
        E::Timeout(Timeout::Global) => Fault::TimedOut { during: "fetching", after: limits.whole },
        E::Timeout(_) => Fault::TimedOut { during: "waiting for an answer", after: limits.idle },
        E::Rustls(error) => Fault::Tls { why: error.to_string() },
        E::Tls(why) => Fault::Tls { why: why.to_owned() },
        // What rustls refuses during the handshake arrives as data that is not valid.
        E::Io(error) if secure && error.kind() == io::ErrorKind::InvalidData => {
            Fault::Tls { why: error.to_string() }
        }
        E::HostNotFound => Fault::Unreachable { why: "the host's name is not known".into() },
        E::Io(error) => Fault::Unreachable { why: error.to_string() },
        E::Protocol(error) => Fault::NotGit { why: format!("no HTTP ({error})") },
        E::TooManyRedirects => Fault::NotGit { why: "it redirects in a circle".into() },
        error => Fault::Unreachable { why: error.to_string() },
    }
}
