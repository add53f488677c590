//! Looks at the real engine through its API: what Docker's command line would say, without a process
//! for each look.

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// What the engine answers to a look at `path`; null where there is no such thing.
pub fn get(path: &str) -> Value {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let socket = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock");
    let mut stream = UnixStream::connect(socket).expect("the engine listens");
    // In this version of the protocol the answer ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let found = head.lines().next().is_some_and(|line| line.contains(" 200 "));
    if found { serde_json::from_str(body).unwrap() } else { Value::Null }
}

/// A list of the objects of a stack: `/containers/json?all=true`, `/networks`, `/volumes`.
pub fn of_stack(list: &str, stack: &str) -> Value {
    let filters = format!(r#"{{"label":["com.docker.compose.project={stack}"]}}"#);
    let filters: String = url::form_urlencoded::byte_serialize(filters.as_bytes()).collect();
    let joint = if list.contains('?') { '&' } else { '?' };
    get(&format!("{list}{joint}filters={filters}"))
}
