//! `bowline explain`: why a service is as it is.

use super::doer::Directly;
use super::history::Form;
use super::order::Addressee;
use super::{Common, engine};
use crate::agent;
use crate::model::{ServiceName, StackName};
use crate::status::{Deployment, Explanation, near_misses};
use crate::store::{Adopted, Deployments};
use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use std::process::ExitCode;

/// How many deployments are looked through where no agent runs.
const LOOKED_THROUGH: usize = 100;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    to: Addressee,
    /// The service.
    #[arg(value_name = "SERVICE", value_parser = service_name)]
    service: ServiceName,
    /// The form of the output.
    #[arg(long, short = 'o', value_enum, default_value_t = Form::Text)]
    output: Form,
    #[command(flatten)]
    directly: Directly,
}

fn service_name(text: &str) -> Result<ServiceName, String> {
    ServiceName::new(text).map_err(|error| error.to_string())
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { to, service, output, directly } = arguments;
    let explanation = match to.socket.agent()? {
        Some(agent) => agent.explain(&to.stack, service).await?,
        None => without_agent(common, to, service, directly).await?,
    };
    output.print(&explanation, || explanation.text(Timestamp::now()))?;
    Ok(ExitCode::SUCCESS)
}

/// What the engine and the history on the disk tell.
async fn without_agent(
    common: &Common,
    to: &Addressee,
    service: &ServiceName,
    directly: &Directly,
) -> anyhow::Result<Explanation> {
    let state_dir = directly.state_dir(common)?;
    let stack = &to.stack;
    let history = Deployments::stored(&state_dir, |rows| rows.newest(stack, LOOKED_THROUGH))?;
    let history: Vec<Deployment> = history.unwrap_or_default();
    let absence = to.socket.absence();
    let engine = engine::open(common)?;
    let mut made = engine.stacks().await?;
    let owner = made.remove(stack).flatten();
    let query = Adopted::of(&state_dir).owned_by(stack, owner.as_ref());
    let explanation = agent::explain(&*engine, &query, (stack, service), &history).await?;
    if explanation.is_empty() {
        let near = near_misses(stack.as_str(), made.keys().map(StackName::as_str));
        bail!("{absence}, and neither the engine nor the history knows {stack}/{service}{near}");
    }
    anstream::eprintln!("{absence}; this is what the engine and the history tell");
    Ok(explanation)
}
