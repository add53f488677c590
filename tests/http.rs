//! The HTTP pages as a client sees them, over a real loopback port.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

use bowline::http::{DRAIN_BOUND, HttpError, Liveness, Shared, listen, serve};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    cancel: CancellationToken,
    ended: JoinHandle<Result<(), HttpError>>,
}

async fn server() -> Server {
    let liveness = Liveness::new(Duration::from_secs(30));
    let shared = Arc::new(Shared::new(liveness, || "bowline_queue_depth 0\n".to_owned()));
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
