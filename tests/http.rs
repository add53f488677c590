//! The HTTP pages as a client sees them, over a real loopback port.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

use bowline::http::{DRAIN_BOUND, HttpError, Inbox, Liveness, Shared, listen, serve};
use bowline::model::{Sensitive, SourceName};
use bowline::webhook::{Answer, Provider};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    cancel: CancellationToken,
    ended: JoinHandle<Result<(), HttpError>>,
}

async fn server() -> Server {
    let liveness = Liveness::new(Duration::from_secs(30));
    serving(Shared::new(liveness, || "bowline_queue_depth 0\n".to_owned())).await
}

async fn serving(shared: Shared) -> Server {
    let shared = Arc::new(shared);
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let ended = tokio::spawn(serve(listener, shared.clone(), cancel.clone()));
    Server { address, shared, cancel, ended }
}

/// The whole answer, head and body.
async fn ask(server: &Server, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn the_metrics_page_has_the_type_that_prometheus_reads() {
    let server = server().await;
    let answer = ask(&server, "GET", "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(bowline::metrics::CONTENT_TYPE), "{answer}");
    assert_eq!(body(&answer), "bowline_queue_depth 0\n");
}

#[tokio::test]
async fn the_api_is_answered_once_there_is_somebody_and_as_long_as_there_is() {
    let server = server().await;
    let answer = ask(&server, "GET", "/v1/status").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(body(&answer).contains("the agent is starting"), "{answer}");
    let router = axum::Router::new().route("/v1/status", axum::routing::get(async || "here"));
    let open = server.shared.open_api(router);
    let answer = ask(&server, "GET", "/v1/status").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && body(&answer) == "here", "{answer}");
    let answer = ask(&server, "POST", "/v1/status").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(body(&answer).contains("http.token_file"), "{answer}");
    drop(open);
    assert!(ask(&server, "GET", "/v1/status").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn readiness_waits_with_a_reason() {
    let server = server().await;
    assert!(ask(&server, "GET", "/readyz").await.starts_with("HTTP/1.1 503 "));
    server.shared.readiness.wait_for("2 of 3 stacks had their first pass");
    let answer = ask(&server, "GET", "/readyz").await;
    assert_eq!(body(&answer), "2 of 3 stacks had their first pass\n");
    server.shared.readiness.ready();
    assert!(ask(&server, "GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(start_paused = true)]
async fn health_fails_when_the_loop_stops_turning() {
    let server = server().await;
    assert!(ask(&server, "GET", "/healthz").await.starts_with("HTTP/1.1 200 "));
    tokio::time::advance(Duration::from_secs(31)).await;
    let answer = ask(&server, "GET", "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(body(&answer), "the agent's loop has not turned for 31 s\n");
}

#[tokio::test]
async fn other_addresses_name_the_pages_and_nothing_can_be_written() {
    let server = server().await;
    let answer = ask(&server, "GET", "/etc/passwd").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(body(&answer).contains("/v1/openapi.json"), "{answer}");
    let answer = ask(&server, "DELETE", "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nallow: get,head\r\n"), "{answer}");
    assert!(body(&answer).starts_with(r#"{"error":""#), "{answer}");
}

#[tokio::test]
async fn an_address_in_use_is_named_with_what_to_do() {
    let first = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = listen(address).await.unwrap_err();
    assert!(matches!(error, HttpError::AddressInUse { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(error.to_string().contains("another listen address"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_request_holds_the_end_up_only_for_the_bound() {
    let server = server().await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
    ask(&server, "GET", "/healthz").await;

    let asked = tokio::time::Instant::now();
    server.cancel.cancel();
    server.ended.await.unwrap().unwrap();
    assert!(asked.elapsed() <= DRAIN_BOUND + Duration::from_millis(10), "{:?}", asked.elapsed());
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_is_let_go_and_others_are_answered_meanwhile() {
    let server = server().await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
        slow.push(stream);
    }
    assert!(ask(&server, "GET", "/healthz").await.starts_with("HTTP/1.1 200 "));
    // No head comes to its end, so each connection ends by itself.
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(120), stream.read_to_end(&mut rest));
        assert!(ended.await.is_ok(), "the connection is still open");
    }
}

/// The number of connections that are answered at once.
const AT_ONCE: usize = 256;

#[tokio::test(start_paused = true)]
async fn more_connections_than_are_answered_wait_until_one_ends() {
    let server = server().await;
    let half = async || {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
        stream
    };
    let mut held = Vec::new();
    for _ in 1..AT_ONCE {
        held.push(half().await);
    }
    let asked = Instant::now();
    assert!(ask(&server, "GET", "/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "there is room for one: {:?}",
        asked.elapsed()
    );
    held.push(half().await);
    // All are taken now; one of them ends by its own slowness.
    assert!(ask(&server, "GET", "/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(asked.elapsed() >= Duration::from_secs(14), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_an_answer_is_let_go() {
    let liveness = Liveness::new(Duration::from_secs(30));
    let large = "x".repeat(32 << 20);
    let server = serving(Shared::new(liveness, move || large.clone())).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    let mut read = Vec::new();
    // It is reset, or ends.
    drop(stream.read_to_end(&mut read).await);
    assert!(!read.is_empty() && read.len() < 32 << 20, "{}", read.len());
}

/// Takes webhooks of any source; its secret may not be known.
struct Ear(Option<&'static str>);

#[async_trait::async_trait]
impl Inbox for Ear {
    async fn secret(&self, _: &SourceName) -> Option<Result<Sensitive<String>, String>> {
        let why = || "/etc/bowline/hook could not be read within 5 s".to_owned();
        Some(self.0.map(|secret| Sensitive::new(secret.to_owned())).ok_or_else(why))
    }

    fn deliver(&self, _: &SourceName, _: Provider) {
        unreachable!("nothing is signed");
    }

    fn answered(&self, _: &SourceName, _: Option<Provider>, _: Answer, _: &str) {}
}

const WEBHOOK: &str = "POST /v1/webhooks/infra HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
                       X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256=\
                       0000000000000000000000000000000000000000000000000000000000000000\r\n\
                       Content-Length: 10\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_webhook_whose_body_does_not_come_is_refused_in_time() {
    let server = server().await;
    server.shared.open_inbox(Arc::new(Ear(Some("a secret of enough letters"))));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{WEBHOOK}{{").as_bytes()).await.unwrap();
    let asked = Instant::now();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(body(&answer).contains("did not come within 10 s"), "{answer}");
    assert!(asked.elapsed() >= Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn why_a_secret_is_not_known_is_not_told_to_who_asks() {
    let server = server().await;
    server.shared.open_inbox(Arc::new(Ear(None)));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{WEBHOOK}{{\"a\": 123}}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && !answer.contains("/etc"), "{answer}");
}
