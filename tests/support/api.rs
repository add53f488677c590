//! Asks the real engine through its API: what Docker's command line would do, without a process for
//! each question.

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// A connection to the engine of the tests.
pub fn connect() -> UnixStream {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let socket = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock");
    UnixStream::connect(socket).expect("the engine listens")
}

/// What the engine answers to a look at `path`; null where there is no such thing.
pub fn get(path: &str) -> Value {
    let (status, body) = ask("GET", path, "");
    if status == 200 { serde_json::from_str(&body).unwrap() } else { Value::Null }
}

/// Has the engine do something, which must succeed.
pub fn command(method: &str, path: &str, body: &str) {
    let (status, answer) = ask(method, path, body);
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
}

fn ask(method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = connect();
    // In this version of the protocol the answer ends with the connection.
    let head =
        format!("{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json");
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).expect("a head has a status").parse().unwrap();
    (status, body.to_owned())
}

/// A list of the objects of a stack: `/containers/json?all=true`, `/networks`, `/volumes`.
pub fn of_stack(list: &str, stack: &str) -> Value {
    let filters = format!(r#"{{"label":["com.docker.compose.project={stack}"]}}"#);
    let filters: String = url::form_urlencoded::byte_serialize(filters.as_bytes()).collect();
    let joint = if list.contains('?') { '&' } else { '?' };
    get(&format!("{list}{joint}filters={filters}"))
}
