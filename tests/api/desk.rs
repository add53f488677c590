//! An agent with its API on a port of the loopback, and who asks there.

use crate::support::site::{Agent, Site};
use bowline::http::{self, Access};
use bowline::model::Sensitive;
use futures_util::future::{FutureExt, ready};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The token of the tests.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Where an agent's API is.
pub(crate) struct Desk {
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In small letters.
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Answer {
    /// Why something was not done.
    pub(crate) fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

impl Desk {
    /// With `token`, and `closed` for all who do not have it.
    pub(crate) async fn open(agent: &Agent, token: Option<&'static str>, closed: bool) -> Self {
        let listener = http::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let token = token.map(|token| {
            Box::new(move || ready(Ok(Sensitive::new(token.to_owned()))).boxed()) as http::Token
        });
        agent.views.shared.let_in(Access { token, closed });
        tokio::spawn(http::serve(listener, Arc::clone(&agent.views.shared), stop.clone()));
        Self { address, _stop: stop.drop_guard() }
    }

    /// A request with these headers, one a line.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let host =
            if headers.to_lowercase().contains("host:") { "" } else { "Host: localhost\r\n" };
        let headers = headers.lines().fold(String::new(), |all, line| all + line + "\r\n");
        let text = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
        Answer { status, head: head.to_lowercase(), body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    /// With the token and a body in JSON.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let headers = format!("Authorization: Bearer {TOKEN}\nContent-Type: application/json");
        self.ask("POST", path, &headers, body).await
    }
}

/// An agent with stacks of these names, and its API with the token.
pub(crate) async fn begin(site: &Site, names: &[&str]) -> (Agent, Desk) {
    let agent = site.begin(names).await;
    let desk = Desk::open(&agent, Some(TOKEN), false).await;
    (agent, desk)
}
