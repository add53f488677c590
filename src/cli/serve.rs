//! The hidden verb `serve`: a page with version and host name, and a health check; or the door before
//! several such servers. The demo and the example stacks run it, as there every image is made of this
//! very program.

mod door;

use super::apply::duration;
use anyhow::{Context, bail};
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::middleware::map_response;
use axum::response::{Html, Response};
use axum::routing::{any, get};
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

/// How long a health check waits for an answer.
const CHECK_BOUND: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: String,
    /// How long to go on serving after SIGTERM while the health check already fails, so that a load
    /// balancer turns away before this ends.
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = duration)]
    linger: Duration,
    /// Serve no page, but lead each connection to a server behind this name that is well.
    #[arg(long, value_name = "NAME:PORT")]
    door: Option<String>,
    /// Ask the server at this address for its health instead; the exit code tells.
    #[arg(long, value_name = "ADDRESS")]
    check: Option<String>,
}

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match (&arguments.check, &arguments.door) {
        (Some(address), _) => check(address).await,
        (None, Some(name)) => door::keep(&arguments.listen, name).await,
        (None, None) => serve(&arguments.listen, arguments.linger).await,
    }
}

/// Serves until SIGTERM: then answers end their connections, after `linger` none is accepted any
/// more, and what is under way is finished.
async fn serve(address: &str, linger: Duration) -> anyhow::Result<ExitCode> {
    let leaving = Arc::new(AtomicBool::new(false));
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let mut terminate = signal(SignalKind::terminate())?;
    println!("version {} listens on {address}", version());
    axum::serve(listener, router(&leaving))
        .with_graceful_shutdown(async move {
            terminate.recv().await;
            leaving.store(true, Ordering::Relaxed);
            tokio::time::sleep(linger).await;
        })
        .await?;
    Ok(ExitCode::SUCCESS)
}

fn router(leaving: &Arc<AtomicBool>) -> Router {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let page = format!("<html><body>version {} on {host}</body></html>\n", version());
    let page = move || {
        let status = if is_sick() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        std::future::ready((status, Html(page.clone())))
    };
    let (for_health, for_answers) = (Arc::clone(leaving), Arc::clone(leaving));
    Router::new()
        .route("/", any(page))
        .route("/healthz", get(move || std::future::ready(health(&for_health))))
        .layer(map_response(move |answer| std::future::ready(last(answer, &for_answers))))
}

fn version() -> String {
    std::env::var("VERSION").unwrap_or_else(|_| "unknown".into())
}

/// Whether the file named by `UNHEALTHY_FILE` is there.
fn is_sick() -> bool {
    std::env::var_os("UNHEALTHY_FILE").is_some_and(|file| std::path::Path::new(&file).exists())
}

fn health(leaving: &AtomicBool) -> (StatusCode, &'static str) {
    match (is_sick(), leaving.load(Ordering::Relaxed)) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "sick\n"),
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, "leaving\n"),
        (false, false) => (StatusCode::OK, "well\n"),
    }
}

/// Ends the connection with this answer if the server is leaving.
fn last(mut answer: Response, leaving: &AtomicBool) -> Response {
    if leaving.load(Ordering::Relaxed) {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn check(address: &str) -> anyhow::Result<ExitCode> {
    let answer = ask(address).await?;
    println!("{}", answer.lines().next().unwrap_or_default());
    if !is_well(&answer) {
        bail!("{address} is not healthy");
    }
    Ok(ExitCode::SUCCESS)
}

fn is_well(answer: &str) -> bool {
    answer.lines().next().is_some_and(|status| status.contains(" 200 "))
}

/// The server's whole answer about its health.
async fn ask(address: &str) -> anyhow::Result<String> {
    let mut answer = String::new();
    let exchange = async {
        let mut stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
        let request =
            format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(())
    };
    tokio::time::timeout(CHECK_BOUND, exchange)
        .await
        .with_context(|| format!("{address} did not answer in time"))??;
    Ok(answer)
}
