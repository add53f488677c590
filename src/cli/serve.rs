//! The hidden verb `serve`: a page with version and host name, and a health check. The demo and the
//! example stacks run it, as there every image is made of this very program.

use anyhow::{Context, bail};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use clap::Args;
use std::process::ExitCode;
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
    /// Ask the server at this address for its health instead; the exit code tells.
    #[arg(long, value_name = "ADDRESS")]
    check: Option<String>,
}

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.check {
        Some(address) => check(address).await,
        None => serve(&arguments.listen).await,
    }
}

async fn serve(address: &str) -> anyhow::Result<ExitCode> {
    let version = std::env::var("VERSION").unwrap_or_else(|_| "unknown".into());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let page = format!("<html><body>version {version} on {host}</body></html>\n");
    let router = Router::new()
        .route("/", get(move || async move { axum::response::Html(page) }))
        .route("/healthz", get(health));
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("version {version} listens on {address}");
    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .await?;
    Ok(ExitCode::SUCCESS)
}

/// Healthy, unless the file named by `UNHEALTHY_FILE` is there.
async fn health() -> (StatusCode, &'static str) {
    let sick =
        std::env::var_os("UNHEALTHY_FILE").is_some_and(|file| std::path::Path::new(&file).exists());
    if sick { (StatusCode::SERVICE_UNAVAILABLE, "sick\n") } else { (StatusCode::OK, "well\n") }
}

async fn check(address: &str) -> anyhow::Result<ExitCode> {
    let answer = tokio::time::timeout(CHECK_BOUND, ask(address))
        .await
        .with_context(|| format!("{address} did not answer in time"))??;
    let status = answer.lines().next().unwrap_or_default();
    println!("{status}");
    if !status.contains(" 200 ") {
        bail!("{address} is not healthy");
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(address: &str) -> anyhow::Result<String> {
    let mut stream =
        TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
