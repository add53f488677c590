//! `bowline status`: what the agent on this host knows; without an agent, what the engine shows.

use super::order::stack_name;
use super::plan::Output;
use super::socket::Socket;
use super::{Common, engine};
use crate::control::AskError;
use crate::model::{Container, Health, Query, SourceName, StackName, State};
use crate::status::{Snapshot, StackStatus, detail, sources, table};
use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

/// Where the agent's page is unless told otherwise.
const PAGE: &str = "http://127.0.0.1:9184";
/// How long the agent may take to answer.
const BOUND: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show this one, with all that is known of it.
    #[arg(value_name = "STACK", value_parser = stack_name)]
    stack: Option<StackName>,
    /// The form of the output.
    #[arg(long, short = 'o', value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    socket: Socket,
    /// Where the agent serves its status, instead of the socket [default, where nobody answers
    /// there: port 9184 of the loopback]
    #[arg(long, env = "BOWLINE_AGENT", value_name = "URL")]
    agent: Option<String>,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Some(snapshot) = known(arguments).await? else {
        let agent = arguments.agent.as_deref().unwrap_or(PAGE);
        if let Some(stack) = &arguments.stack {
            bail!("no agent answers at {agent}, and only an agent knows more of {stack}");
        }
        anstream::eprintln!("no agent answers at {agent}; this is what the engine shows");
        show_engine(common, arguments.output).await?;
        return Ok(ExitCode::SUCCESS);
    };
    match &arguments.stack {
        None => show(&snapshot, arguments.output)?,
        Some(name) => {
            let Some(stack) = snapshot.stacks.iter().find(|stack| stack.name == *name) else {
                bail!("the agent knows no stack {name}; `bowline status` lists those it knows");
            };
            show_one(stack, arguments.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What an agent knows, asked at its socket or else at its page; `None` if none answers.
async fn known(arguments: &Arguments) -> anyhow::Result<Option<Snapshot>> {
    if arguments.agent.is_none() {
        match arguments.socket.agent() {
            Ok(Some(agent)) => return Ok(Some(agent.status().await?)),
            // Everybody on this host may read the page.
            Ok(None) | Err(AskError::PermissionDenied { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let page = arguments.agent.as_deref().unwrap_or(PAGE).trim_end_matches('/');
    let url = format!("{page}/v1/status");
    tokio::task::spawn_blocking(move || ask(&url)).await?
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
            print!("\n{}", sources(&snapshot.sources, Timestamp::now()));
        }
    }
    Ok(())
}

fn show_one(stack: &StackStatus, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(stack)?),
        Output::Text => print!("{}", detail(stack, Timestamp::now())),
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
