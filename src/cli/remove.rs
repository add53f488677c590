//! `bowline remove`: takes a stack away.

use super::apply::{print, stop_on_interrupt};
use super::claim::claim;
use super::recorded::record;
use super::socket::Socket;
use super::{Common, engine, onlooker};
use crate::execute::Bounds;
use crate::model::StackName;
use crate::pass::Means;
use crate::status::near_misses;
use crate::store::{Adopted, Jobs};
use anyhow::bail;
use clap::Args;
use std::num::NonZeroUsize;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The stack's name.
    stack: String,
    /// Remove its volumes too, with all data in them.
    #[arg(long)]
    volumes: bool,
    /// How many engine calls to make at once.
    #[arg(long, default_value = "8", value_name = "N")]
    parallel: NonZeroUsize,
    #[command(flatten)]
    socket: Socket,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let name = StackName::new(&arguments.stack)?;
    let means = Means {
        engine: engine::open(common)?,
        bounds: Bounds::new(arguments.parallel, NonZeroUsize::MIN),
        onlooker: onlooker::terminal(),
        snapshots: std::sync::Arc::default(),
        stop: stop_on_interrupt(),
        brake: tokio_util::sync::CancellationToken::new(),
    };
    let mut made = means.engine.stacks().await?;
    let owner = made.remove(&name).flatten();
    let instead = "take its directory out of git";
    let _locks = claim(common, &arguments.socket, &*means.engine, &[&name], instead).await?;
    let adopted = Adopted::of(&common.state_dir());
    let query = adopted.owned_by(&name, owner.as_ref());
    let report = means.remove(&query, None, arguments.volumes).await;
    let nothing = report.actions.is_empty() && report.message.is_empty();
    if report.result.is_success() && nothing {
        let near = near_misses(name.as_str(), made.keys().map(StackName::as_str));
        bail!(
            "Bowline owns nothing of a stack named {name} here{near}; `bowline status` lists stacks"
        );
    }
    if report.result.is_success() {
        adopted.forget(&name);
        Jobs::of(&common.state_dir()).forget(&name);
    }
    record(common, &report, "remove");
    print(&report);
    Ok(if report.result.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
