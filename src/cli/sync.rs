//! `bowline sync`: has the source of a stack fetched now.

use super::order::Addressee;
use crate::status::Order;
use anyhow::bail;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    to: Addressee,
}

/// It does not wait: whether a pass follows is known only once the fetch is over.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Addressee { stack, socket } = &arguments.to;
    let Some(agent) = socket.agent()? else {
        bail!("{}, and only an agent fetches; without one `bowline apply` does", socket.absence());
    };
    let done = agent.order(stack, &Order::Sync).await?;
    println!("{stack}: {}", done.did);
    Ok(ExitCode::SUCCESS)
}
