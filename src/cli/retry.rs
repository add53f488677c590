//! `bowline retry`: tries again what is held back, rests or did not help.

use super::Common;
use super::doer::Directly;
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
    #[command(flatten)]
    directly: Directly,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { to, patience, directly } = arguments;
    give(common, to, &Order::Retry, (patience, directly)).await
}
