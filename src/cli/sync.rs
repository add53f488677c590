//! `bowline sync`: has the source of a stack fetched now.

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

/// It does not wait: whether a pass follows is known only once the fetch is over.
pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    give(common, &arguments.to, &Order::Sync, None).await
}
