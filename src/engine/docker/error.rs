//! What the engine's refusals mean. Docker has statuses and sentences, no codes, so sentences are
//! read; those of 20.10 up to 29 are known.

use super::client::{Call, Endpoint};
use crate::engine::EngineError;
use bollard::errors::Error;
use std::io;

/// Names the failure of `call`.
pub(super) fn read(endpoint: &Endpoint, call: Call<'_>, cause: Error) -> EngineError {
    match cause {
        Error::DockerResponseServerError { status_code, message } => {
            refusal(call, status_code, message.trim())
        }
        Error::DockerStreamError { error } => refusal(call, 500, error.trim()),
        Error::RequestTimeoutError => timed_out(call),
        Error::JsonDataError { message, .. } => unreadable(call, message),
        Error::JsonSerdeError { err } => unreadable(call, err.to_string()),
        Error::StrParseError { err } => unreadable(call, err.to_string()),
        Error::SocketNotFoundError(_) => {
            unconnected(endpoint, &io::Error::from(io::ErrorKind::NotFound))
        }
        Error::IOError { err } => unconnected(endpoint, &err),
        other => match io_cause(&other) {
            Some(cause) => unconnected(endpoint, cause),
            None => {
                EngineError::Unreachable { endpoint: endpoint.to_string(), cause: deepest(&other) }
            }
        },
    }
}

/// `call` took longer than it may.
pub(super) fn timed_out(call: Call<'_>) -> EngineError {
    EngineError::TimedOut {
        operation: call.operation,
        object: call.object.to_owned(),
        seconds: call.limit.as_secs(),
    }
}

/// The answer to `call` made no sense.
pub(super) fn unreadable(call: Call<'_>, message: impl Into<String>) -> EngineError {
    EngineError::Unreadable {
        operation: call.operation,
        object: call.object.to_owned(),
        message: message.into(),
    }
}

/// Nobody could be spoken with at `endpoint`.
pub(super) fn unconnected(endpoint: &Endpoint, cause: &io::Error) -> EngineError {
    let endpoint = endpoint.to_string();
    if cause.kind() == io::ErrorKind::PermissionDenied {
        return EngineError::PermissionDenied { endpoint };
    }
    EngineError::Unreachable { endpoint, cause: cause.to_string() }
}

fn refusal(call: Call<'_>, status: u16, message: &str) -> EngineError {
    let operation = call.operation;
    let object = call.object.to_owned();
    if let Some(port) = taken_port(message) {
        return EngineError::PortTaken { operation, object, port };
    }
    if status == 409 && message.contains("name") && message.contains("already in use by container")
    {
        return EngineError::NameTaken { operation, object };
    }
    if let Some(image) = missing_image(message).filter(|_| status == 404) {
        return EngineError::NotFound { operation: "use", object: format!("image {image}") };
    }
    // A container that cannot be started for want of its network is there itself.
    let of_another = operation == "start" && message.contains("network");
    if status == 404 && says_missing(message) && !of_another {
        return EngineError::NotFound { operation, object };
    }
    let message = if message.is_empty() { format!("status {status}") } else { message.to_owned() };
    EngineError::Refused { operation, object, status, message }
}

/// The engine also answers 404 when an object that the call only mentions is missing.
fn says_missing(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["no such container", "no such volume", "no such network", "no such exec"]
        .iter()
        .any(|text| message.contains(text))
        || (message.contains("network") && message.contains("not found"))
        || (message.starts_with("get ") && message.contains("no such volume"))
}

fn missing_image(message: &str) -> Option<&str> {
    message.split_once("No such image: ").map(|(_, image)| image.trim())
}

/// The host port of `message`, if it says that one is taken.
fn taken_port(message: &str) -> Option<String> {
    let taken = ["port is already allocated", "address already in use", "ports are not available"];
    // With a capital it is about a container's address on a network.
    let message = message.strip_suffix("Address already in use").unwrap_or(message);
    let lower = message.to_ascii_lowercase();
    taken.iter().any(|text| lower.contains(text)).then_some(())?;
    let address = ["Bind for ", "listen tcp", "listen udp", "listen sctp", "host port for "]
        .iter()
        .chain(&["host port ", "exposing port TCP ", "exposing port UDP "])
        .find_map(|marker| message.split_once(marker))
        .map(|(_, rest)| rest.trim_start_matches(['4', '6', ' ']));
    let port = address.and_then(port_of).unwrap_or_else(|| "(not named)".to_owned());
    Some(port)
}

/// The port of `0.0.0.0:80`, `[::]:80` or `:::80`, with whatever follows.
fn port_of(address: &str) -> Option<String> {
    let address = address.split_whitespace().next()?;
    let after = match address.strip_prefix('[') {
        Some(v6) => v6.split_once("]:")?.1,
        None => match address.strip_prefix(":::") {
            Some(after) => after,
            None => address.split_once(':')?.1,
        },
    };
    let port: String = after.chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty()).then_some(port)
}

fn io_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).last().map_or_else(String::new, ToString::to_string)
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |cause| cause.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, message: &str) -> EngineError {
        refusal(Call::short("start", "container web"), status, message)
    }

    #[test]
    fn a_taken_port_is_recognised_in_every_wording() {
        let wordings = [
            "driver failed programming external connectivity on endpoint web (07f): Bind for 0.0.0.0:8080 failed: port is already allocated",
            "driver failed programming external connectivity on endpoint web (07f): Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
            "Error starting userland proxy: listen tcp6 [::]:8080: bind: address already in use",
            "failed to set up container networking: driver failed programming external connectivity on endpoint web (07f): Bind for :::8080 failed: port is already allocated",
            "failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use",
            "failed to bind host port 127.0.0.1:8080/tcp: address already in use",
        ];
        for wording in wordings {
            assert_eq!(
                refused(500, wording).to_string(),
                "cannot start container web: host port 8080 is already in use",
                "{wording}"
            );
        }
    }

    #[test]
    fn a_missing_image_is_named_instead_of_the_container() {
        assert_eq!(
            refused(404, "No such image: nginx:1").to_string(),
            "cannot use image nginx:1: it does not exist"
        );
    }

    #[test]
    fn only_a_missing_object_counts_as_missing() {
        let gone = refused(404, "No such container: web");
        assert!(matches!(gone, EngineError::NotFound { .. }), "{gone}");
        let program = refused(404, "OCI runtime create failed: exec: \"x\": not found in $PATH");
        assert!(matches!(program, EngineError::Refused { status: 404, .. }), "{program}");
    }

    #[test]
    fn a_socket_that_is_not_for_us_is_told_apart_from_an_engine_that_does_not_run() {
        let endpoint = Endpoint::Unix("/run/docker.sock".to_owned());
        let denied = Error::IOError { err: io::ErrorKind::PermissionDenied.into() };
        let call = Call::short("list", "containers");
        assert!(matches!(
            read(&endpoint, call, denied),
            EngineError::PermissionDenied { endpoint } if endpoint == "/run/docker.sock"
        ));
        let refused = Error::IOError { err: io::ErrorKind::ConnectionRefused.into() };
        assert!(matches!(read(&endpoint, call, refused), EngineError::Unreachable { .. }));
    }
}
