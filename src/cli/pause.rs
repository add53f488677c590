//! `bowline pause`: exchanges no further container of a stack.

use super::Common;
use super::doer::Directly;
use super::order::{Addressee, note};
use crate::status::Order;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    to: Addressee,
    #[command(flatten)]
    directly: Directly,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    note(common, &arguments.to, &Order::Pause, &arguments.directly).await
}
