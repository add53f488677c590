//! `bowline suspend`: does nothing at all to a stack.

use super::Common;
use super::doer::Directly;
use super::order::{Addressee, note};
use crate::status::{Grounds, Order, Suspension};
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    to: Addressee,
    /// Why, for those who find it so.
    #[arg(long, value_name = "TEXT", value_parser = grounds)]
    reason: Option<Grounds>,
    #[command(flatten)]
    directly: Directly,
}

fn grounds(text: &str) -> Result<Grounds, String> {
    Grounds::new(text).map_err(|error| error.to_string())
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let suspension = Suspension { reason: arguments.reason.clone() };
    note(common, &arguments.to, &Order::Suspend(suspension), &arguments.directly).await
}
