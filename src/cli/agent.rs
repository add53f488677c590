//! `bowline agent`: the long-running one, usually under systemd.

use super::plan::counted;
use super::{Common, EngineKind};
use crate::agent::{self, Reloads, Views};
use crate::config::{self, Config, ConfigError};
use crate::engine::Engine;
use crate::engine::docker::Docker;
use crate::engine::sim::Sim;
use crate::http;
use crate::log::{self, Format};
use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Threads that run tasks: passes wait far more than they compute.
const THREADS: usize = 2;
/// How many files may be open at once, if the system lets us: each pass under way has its stack's lock open, and
/// passes over all stacks may wait at the same time. Usual are 1024.
const OPEN_FILES: u64 = 65_536;
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
    let read = reader(common, arguments);
    let config = read()?;
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
    open_more_files();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let ended = runtime.block_on(serve(common, config, read));
    // A fetch that hangs on the network must not hold up the end.
    runtime.shutdown_background();
    ended
}

fn open_more_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(OPEN_FILES).min(OPEN_FILES);
    if limit.current.is_some_and(|now| now < most)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit })
    {
        tracing::debug!("no more files can be opened at once than by default: {error}");
    }
}

/// Reads the configuration that the arguments name.
fn reader(
    common: &Common,
    arguments: &Arguments,
) -> impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static {
    let (path, state_dir) = (arguments.config.clone(), common.state_dir.clone());
    move || {
        let mut config = config::load(&path)?;
        if let Some(dir) = &state_dir {
            config.state_dir.clone_from(dir);
        }
        Ok(config)
    }
}

async fn serve(
    common: &Common,
    config: Config,
    read: impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static,
) -> anyhow::Result<ExitCode> {
    let stop = stop_on_signals()?;
    let reloads = reload_on_signals(read)?;
    let views = Views::default();
    views.metrics.config_read(true, Timestamp::now());
    let engine = open(common, &config, &views)?;
    let address = config.http.listen;
    views.shared.let_in(agent::access(&config.http));
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
    agent::run_reloading(config, engine, views, Some(reloads), stop.clone()).await?;
    stop.cancel();
    if let Some(page) = page {
        page.await.context("the HTTP server ended by a defect of Bowline")??;
    }
    tracing::info!("ended; what runs on the engine goes on");
    Ok(ExitCode::SUCCESS)
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

/// Has the configuration read anew at each SIGHUP.
fn reload_on_signals(
    read: impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static,
) -> anyhow::Result<Reloads> {
    let read = move || {
        let line = |error| format!("{:#}", anyhow::Error::new(error)).replace('\n', "; ");
        let config = read().map_err(line)?;
        for warning in config.exposed_files() {
            tracing::warn!("{warning}");
        }
        Ok(config)
    };
    let (tell, reloads) = Reloads::new(read);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP");
            // One that waits already does for both.
            let _ = tell.try_send(());
        }
    });
    Ok(reloads)
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
