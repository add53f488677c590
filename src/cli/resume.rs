//! `bowline resume`: goes on after a pause.

use super::Common;
use super::order::{Addressee, give};
use super::watch::Patience;
use crate::status::Order;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    to: Addressee,
    #[command(flatten)]
    patience: Patience,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    give(common, &arguments.to, &Order::Resume, Some(&arguments.patience)).await
}
