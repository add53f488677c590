//! `bowline pause`: exchanges no further container of a stack.

use super::Common;
use super::order::{Addressee, give};
use crate::status::Order;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    to: Addressee,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    give(common, &arguments.to, &Order::Pause, None).await
}
