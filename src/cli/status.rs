//! `bowline status`: what the agent on this host knows; without an agent, what the engine shows.

mod by_engine;
mod select;
mod show;
mod watch;

use super::Common;
use super::order::stack_name;
use super::socket::Socket;
use crate::control::AskError;
use crate::model::{SourceName, StackName};
use crate::status::{HealthStatus, Snapshot, SyncStatus, not_fetched};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use select::select;
pub(super) use show::put;
use std::process::ExitCode;
use std::time::Duration;

/// Where the agent's page is unless told otherwise.
pub(super) const PAGE: &str = "http://127.0.0.1:9184";
/// How long the agent may take to answer.
const BOUND: Duration = Duration::from_secs(5);
/// What `--check` ends with when a stack or source is not as it should be.
const NOT_WELL: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show these; a single one with all that is known of it.
    #[arg(value_name = "STACK", value_parser = stack_name)]
    stacks: Vec<StackName>,
    /// Show the stacks of this source only; may be given again.
    #[arg(long, value_name = "SOURCE", value_parser = source_name)]
    source: Vec<SourceName>,
    /// The form of the output.
    #[arg(long, short = 'o', value_enum, default_value_t = Form::Text)]
    output: Form,
    /// Go on: a line for each stack that changes, until Ctrl-C.
    #[arg(long, short = 'w')]
    watch: bool,
    /// End with 0 if all that is shown is Synced and Healthy and its sources are fetched, with 2 if not.
    #[arg(long, conflicts_with = "watch")]
    check: bool,
    #[command(flatten)]
    socket: Socket,
    /// Where the agent serves its status, instead of the socket [default, where nobody answers
    /// there: port 9184 of the loopback]
    #[arg(long, env = "BOWLINE_AGENT", value_name = "URL")]
    agent: Option<String>,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For people with wide terminals.
    Wide,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

fn source_name(text: &str) -> Result<SourceName, String> {
    SourceName::new(text).map_err(|error| error.to_string())
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.watch {
        return watch::run(arguments).await;
    }
    let Some(snapshot) = known(arguments).await? else {
        let absence = absence(arguments);
        if arguments.check {
            bail!("{absence}, and only an agent knows whether stacks are as git asks for");
        }
        anstream::eprintln!(
            "{absence}; this is what the engine shows. Start it (`systemctl start bowline`), or name where it answers, \
             to see the rest"
        );
        by_engine::show(common, arguments).await?;
        return Ok(ExitCode::SUCCESS);
    };
    let selected = select(&snapshot, &arguments.stacks, &arguments.source)?;
    match selected.stacks.as_slice() {
        [stack] if arguments.stacks.len() == 1 => show::one(stack, &selected, arguments.output)?,
        _ => show::all(&selected, arguments.output)?,
    }
    Ok(if arguments.check { checked(&selected) } else { ExitCode::SUCCESS })
}

/// The code that says whether all is as it should be. Where no stack is known yet, nothing is, and where a
/// source fails nobody knows what git asks for.
fn checked(snapshot: &Snapshot) -> ExitCode {
    let mut stacks = snapshot.stacks.iter();
    let is_well =
        stacks.all(|it| it.sync == SyncStatus::Synced && it.health == HealthStatus::Healthy);
    if snapshot.stacks.is_empty() {
        anstream::eprintln!("no stack is known yet");
    }
    let now = Timestamp::now();
    let is_fetched = snapshot.sources.iter().all(|source| not_fetched(source, now).is_none());
    if is_well && is_fetched && !snapshot.stacks.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_WELL)
    }
}

fn absence(arguments: &Arguments) -> String {
    match &arguments.agent {
        Some(page) => format!("no agent answers at {page}"),
        None => arguments.socket.absence(),
    }
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
    at_page(arguments.agent.as_deref().unwrap_or(PAGE)).await
}

/// What an agent tells everybody on this host at its usual page; `None` if none does.
pub(super) async fn of_page() -> anyhow::Result<Option<Snapshot>> {
    at_page(PAGE).await
}

async fn at_page(page: &str) -> anyhow::Result<Option<Snapshot>> {
    let scheme = if page.contains("://") { "" } else { "http://" };
    let url = format!("{scheme}{}/v1/status", page.trim_end_matches('/'));
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
