//! `bowline demo`: the main job on the screen, with nothing but this program and an engine.

mod counter;
mod image;
mod repository;
mod scene;
mod visitors;

use super::{Common, EngineKind};
use crate::engine::Engine;
use crate::engine::docker::Docker;
use crate::engine::sim::Sim;
use crate::log::{self, Format};
use clap::Args;
use scene::Scene;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Leave the containers, the image and the repository in place at the end.
    #[arg(long)]
    keep: bool,
}

/// Where the demo plays.
#[derive(Clone)]
enum Stage {
    Docker(Arc<Docker>),
    Sim(Arc<Sim>),
}

impl Stage {
    fn engine(&self) -> Arc<dyn Engine> {
        match self {
            Self::Docker(docker) => Arc::clone(docker) as Arc<dyn Engine>,
            Self::Sim(sim) => Arc::clone(sim) as Arc<dyn Engine>,
        }
    }

    /// Whether the containers' pages can be asked for.
    fn serves(&self) -> bool {
        match self {
            Self::Docker(_) => true,
            Self::Sim(_) => false,
        }
    }
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    log::init(Format::Brief, common.log_level.as_deref())?;
    let stage = stage(common).await?;
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            say("Ctrl-C: cleaning up");
            interrupted.cancel();
        }
    });
    image::make(&stage).await?;
    let mut scene = Scene::open(stage.clone(), stop.clone()).await?;
    let played = tokio::select! {
        played = scene.play() => played,
        () = stop.cancelled() => Ok(()),
    };
    scene.close(arguments.keep).await?;
    if !arguments.keep {
        image::remove(&stage).await?;
        say("cleaned up: containers, network, image and repository are gone");
    }
    played?;
    Ok(ExitCode::SUCCESS)
}

/// Docker where it answers; otherwise the simulation, which is said first.
async fn stage(common: &Common) -> anyhow::Result<Stage> {
    if common.engine == EngineKind::Sim {
        say("on the simulated engine: nothing on this host is touched");
        return Ok(Stage::Sim(Arc::new(Sim::new())));
    }
    let docker = Docker::connect(common.host.as_deref())?;
    match docker.facts().await {
        Ok(facts) => {
            say(&format!("on Docker Engine {} (API {})", facts.version, facts.api));
            Ok(Stage::Docker(Arc::new(docker)))
        }
        Err(error) => {
            say(&format!("{error}"));
            say("so this demo runs on the SIMULATED engine: no real container is started");
            Ok(Stage::Sim(Arc::new(Sim::new())))
        }
    }
}

/// A line of the demo's own, apart from the agent's log.
fn say(line: &str) {
    anstream::println!("\n==> {line}");
}
