//! `bowline sync`: has the source of a stack, or a source, fetched now.

use super::order::stack_name;
use super::socket::Socket;
use crate::model::{SourceName, StackName};
use crate::status::Order;
use anyhow::bail;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The stack.
    #[arg(value_name = "STACK", value_parser = stack_name, required_unless_present = "source")]
    stack: Option<StackName>,
    /// A source instead, whatever stacks it has.
    #[arg(long, value_name = "NAME", value_parser = source_name, conflicts_with = "stack")]
    source: Option<SourceName>,
    #[command(flatten)]
    socket: Socket,
}

fn source_name(text: &str) -> Result<SourceName, String> {
    SourceName::new(text).map_err(|error| error.to_string())
}

/// It does not wait: whether a pass follows is known only once the fetch is over.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { stack, source, socket } = arguments;
    let Some(agent) = socket.agent()? else {
        bail!("{}, and only an agent fetches; without one `bowline apply` does", socket.absence());
    };
    if let Some(source) = source {
        println!("{source}: {}", agent.fetch(source).await?.did);
    }
    if let Some(stack) = stack {
        println!("{stack}: {}", agent.order(stack, &Order::Sync).await?.did);
    }
    Ok(ExitCode::SUCCESS)
}
