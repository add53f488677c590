//! `bowline status`: what the agent on this host knows; without an agent, what the engine shows.

use super::plan::Output;
use super::{Common, engine};
use crate::model::{Container, Health, Query, SourceName, StackName, State};
use crate::status::{Snapshot, table};
use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

/// How long the agent may take to answer.
const BOUND: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The form of the output.
    #[arg(long, short = 'o', value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Where the agent serves its status.
    #[arg(
        long,
        env = "BOWLINE_AGENT",
        default_value = "http://127.0.0.1:9184",
        value_name = "URL"
    )]
    agent: String,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let url = format!("{}/v1/status", arguments.agent.trim_end_matches('/'));
    match tokio::task::spawn_blocking(move || ask(&url)).await? {
        Ok(Some(snapshot)) => show(&snapshot, arguments.output)?,
        Ok(None) => {
            anstream::eprintln!(
                "no agent answers at {}; this is what the engine shows",
                arguments.agent
            );
            show_engine(common, arguments.output).await?;
        }
        Err(error) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

/// The agent's status; `None` if no agent listens there.
fn ask(url: &str) -> anyhow::Result<Option<Snapshot>> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(BOUND)).proxy(None).build().into();
    match agent.get(url).call() {
        Ok(mut answer) => {
            let text = answer.body_mut().read_to_string().context("the agent broke off")?;
            Ok(Some(serde_json::from_str(&text).with_context(|| format!("{url} is no agent"))?))
        }
        Err(ureq::Error::ConnectionFailed | ureq::Error::Io(_)) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot ask {url}")),
    }
}

fn show(snapshot: &Snapshot, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(snapshot)?),
        Output::Text => {
            print!("{}", table(&snapshot.stacks, Timestamp::now()));
            for source in snapshot.sources.iter().filter(|source| !source.message.is_empty()) {
                println!("{}", source.message);
            }
        }
    }
    Ok(())
}

async fn show_engine(common: &Common, output: Output) -> anyhow::Result<()> {
    let engine = engine::open(common)?;
    let mut rows = Vec::new();
    for (name, source) in engine.stacks().await? {
        let observed = engine.observe(&Query::owned_by(name.clone())).await?;
        let count = |is: &dyn Fn(&Container) -> bool| {
            observed.containers.iter().filter(|container| is(container)).count()
        };
        rows.push(Row {
            name,
            source,
            running: count(&|container| container.state == State::Running),
            unhealthy: count(&|container| container.health == Health::Unhealthy),
            containers: observed.containers.len(),
        });
    }
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "stacks": rows }))?);
        return Ok(());
    }
    println!("{:<24} {:<16} {:<8} HEALTH", "STACK", "SOURCE", "RUNNING");
    for row in rows {
        let source = row.source.as_ref().map_or("-", SourceName::as_str);
        let running = format!("{}/{}", row.running, row.containers);
        let health = match row.unhealthy {
            0 if row.running == row.containers => "all run".to_owned(),
            0 => format!("{} ended", row.containers - row.running),
            unhealthy => format!("{unhealthy} unhealthy"),
        };
        println!("{:<24} {source:<16} {running:<8} {health}", row.name);
    }
    Ok(())
}

/// What the engine shows of a stack.
#[derive(Serialize)]
struct Row {
    name: StackName,
    source: Option<SourceName>,
    running: usize,
    unhealthy: usize,
    containers: usize,
}
