//! `bowline history`: what happened to a stack, by the agent's word or, where none runs, as it stands
//! on the disk.

use super::Common;
use super::doer::Directly;
use super::order::Addressee;
use crate::status::{Deployment, History, HistoryEntry, history, no_deployment, told_in_full};
use crate::store::{Deployments, Rows};
use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    to: Addressee,
    /// Show this one in full: its plan, and its actions with their reasons.
    #[arg(value_name = "ID")]
    id: Option<u64>,
    /// How many to show, the newest first.
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N", conflicts_with = "id")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    number: u16,
    /// The form of the output.
    #[arg(long, short = 'o', value_enum, default_value_t = Form::Text)]
    output: Form,
    #[command(flatten)]
    directly: Directly,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

impl Form {
    /// Prints `value` for programs, or else `text`.
    pub(super) fn print(
        self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        match self {
            Self::Json => println!("{}", serde_json::to_string_pretty(value)?),
            Self::Yaml => print!("{}", serde_yaml::to_string(value)?),
            Self::Text => print!("{}", text()),
        }
        Ok(())
    }
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { to, id, number, output, directly } = arguments;
    let now = Timestamp::now();
    if let Some(id) = id {
        let deployment = one(common, to, *id, directly).await?;
        output.print(&deployment, || told_in_full(&deployment, now))?;
    } else {
        let told = all(common, to, usize::from(*number), directly).await?;
        output.print(&told, || table(&told, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(told: &History, now: Timestamp) -> String {
    if told.deployments.is_empty() {
        return format!("{}: nothing is known to have happened\n", told.stack);
    }
    history(&told.deployments, now)
}

async fn all(
    common: &Common,
    to: &Addressee,
    most: usize,
    directly: &Directly,
) -> anyhow::Result<History> {
    if let Some(agent) = to.socket.agent()? {
        return Ok(agent.history(&to.stack, most).await?);
    }
    let deployments: Vec<HistoryEntry> =
        stored(common, to, directly, |rows| rows.newest(&to.stack, most))?;
    Ok(History { stack: to.stack.clone(), deployments })
}

async fn one(
    common: &Common,
    to: &Addressee,
    id: u64,
    directly: &Directly,
) -> anyhow::Result<Deployment> {
    if let Some(agent) = to.socket.agent()? {
        return Ok(agent.deployment(&to.stack, id).await?);
    }
    let (found, known) =
        stored(common, to, directly, |rows| Ok((rows.get(&to.stack, id)?, rows.span(&to.stack)?)))?;
    found.ok_or_else(|| anyhow!(no_deployment(&to.stack, id, known)))
}

/// What `look` finds on the disk of a stack that has a history there.
fn stored<T>(
    common: &Common,
    to: &Addressee,
    directly: &Directly,
    look: impl FnOnce(&Rows) -> Result<T, redb::Error>,
) -> anyhow::Result<T> {
    let state_dir = directly.state_dir(common)?;
    let found = Deployments::stored(&state_dir, |rows| match rows.span(&to.stack)? {
        None => Ok(None),
        Some(_) => look(rows).map(Some),
    })?;
    let Some(found) = found.flatten() else {
        let (absence, dir) = (to.socket.absence(), state_dir.display());
        bail!("{absence}, and there is no history of {} in {dir}", to.stack);
    };
    anstream::eprintln!(
        "{}; this is what the history in {} says",
        to.socket.absence(),
        state_dir.display()
    );
    Ok(found)
}
