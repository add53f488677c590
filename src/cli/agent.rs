//! `bowline agent`: the long-running one, usually under systemd.

use super::plan::counted;
use super::{Common, EngineKind};
use crate::agent::Views;
use crate::config::{self, Config};
use crate::engine::Engine;
use crate::engine::docker::Docker;
use crate::engine::sim::Sim;
use crate::http::{self, Access, Token};
use crate::log::{self, Format};
use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Threads that run tasks: passes wait far more than they compute.
const THREADS: usize = 2;
/// The configuration unless told otherwise.
pub(super) const DEFAULT_CONFIG: &str = "/etc/bowline/config.yaml";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration.
    #[arg(long, short = 'c', default_value = DEFAULT_CONFIG, value_name = "FILE")]
    config: PathBuf,
    /// The form of the log, instead of the configuration's.
    #[arg(long, value_enum)]
    log_format: Option<Format>,
    /// Check the configuration and end.
    #[arg(long)]
    check: bool,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut config = config::load(&arguments.config)?;
    if let Some(dir) = &common.state_dir {
        config.state_dir.clone_from(dir);
    }
    let exposed = config.exposed_files();
    if arguments.check {
        for warning in exposed {
            anstream::eprintln!("warning: {warning}");
        }
        let sources = counted(config.sources.len(), "source");
        println!("{}: fine, {sources}", arguments.config.display());
        return Ok(ExitCode::SUCCESS);
    }
    let format = arguments.log_format.unwrap_or(config.log.format);
    let level = config.log.level.to_string();
    log::init(format, Some(common.log_level.as_deref().unwrap_or(&level)))?;
    for warning in exposed {
        tracing::warn!("{warning}");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let ended = runtime.block_on(serve(common, config));
    // A fetch that hangs on the network must not hold up the end.
    runtime.shutdown_background();
    ended
}

async fn serve(common: &Common, config: Config) -> anyhow::Result<ExitCode> {
    let stop = stop_on_signals()?;
    let views = Views::default();
    views.metrics.config_read(true, Timestamp::now());
    let engine = open(common, &config, &views)?;
    let address = config.http.listen;
    views.shared.let_in(access(&config.http));
    let listener = match address {
        Some(address) => Some(http::listen(address).await?),
        None => None,
    };
    let page = listener.map(|listener| {
        tokio::spawn(http::serve(listener, Arc::clone(&views.shared), stop.clone()))
    });
    tracing::info!(
        "Bowline {}; state in {}; {}",
        env!("CARGO_PKG_VERSION"),
        config.state_dir.display(),
        address.map_or("no HTTP".to_owned(), |address| format!("http://{address}/metrics")),
    );
    crate::agent::run(config, engine, views, stop.clone()).await?;
    stop.cancel();
    if let Some(page) = page {
        page.await.context("the HTTP server ended by a defect of Bowline")??;
    }
    tracing::info!("ended; what runs on the engine goes on");
    Ok(ExitCode::SUCCESS)
}

/// Who may ask the API over HTTP. The token is read for each request, so it can be exchanged in its file.
fn access(http: &config::Http) -> Access {
    let token = http.token.is_some().then(|| {
        let http = http.clone();
        let missing = || Err("there is no token".to_owned());
        Box::new(move || http.read_token().unwrap_or_else(missing)) as Token
    });
    Access { token, closed: http.closed }
}

/// The engine that the arguments or the configuration ask for.
pub(super) fn open(
    common: &Common,
    config: &Config,
    views: &Views,
) -> anyhow::Result<Arc<dyn Engine>> {
    if common.engine == EngineKind::Sim {
        return Ok(Arc::new(Sim::new()));
    }
    let host = common.host.as_deref().or(config.engine_host.as_deref());
    let metrics = Arc::clone(&views.metrics);
    let observer = Arc::new(move |operation, result: Result<(), ()>, took| {
        metrics.engine_request(operation, result.is_ok(), took);
    });
    let notes = super::engine::notes(&config.state_dir);
    Ok(Arc::new(Docker::connect(host)?.with_observer(observer).with_notes(notes)))
}

/// A token that SIGTERM and SIGINT cancel.
fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM"),
            _ = interrupt.recv() => tracing::info!("SIGINT"),
        }
        cancelled.cancel();
    });
    Ok(stop)
}
