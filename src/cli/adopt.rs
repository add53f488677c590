//! `bowline adopt`: takes over what Docker Compose made.

use super::target::Target;
use super::{Common, apply, engine, plan};
use crate::model::Query;
use crate::pass::Moment;
use clap::Args;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Take it over; without, what would change is only shown.
    #[arg(long)]
    confirm: bool,
    /// How many engine calls to make at once.
    #[arg(long, default_value = "8", value_name = "N")]
    parallel: NonZeroUsize,
    /// How long containers that were started are watched for an early end; `0s`: not at all.
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = apply::duration)]
    settle: Duration,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut found = arguments.target.load(common)?;
    for loaded in found.entries.iter_mut().filter_map(|entry| entry.loaded.as_mut().ok()) {
        loaded.stack.policy.adopt = true;
    }
    if arguments.confirm {
        let moment = Moment::by_hand(arguments.settle);
        let manner = apply::Manner::of(arguments.parallel, "adopt");
        return apply::all(common, &found, &manner, &moment).await;
    }
    let engine = engine::open(common)?;
    let mut absent = Vec::new();
    for stack in found.stacks() {
        let query = Query { adopt: true, ..Query::owned_by(stack.name.clone()) };
        if engine.observe(&query).await?.containers.is_empty() {
            absent.push(stack.name.as_str());
        }
    }
    let code = plan::show(&*engine, &found, plan::Output::Text, plan::Detail::Changes).await?;
    if !absent.is_empty() {
        let absent = absent.join(", ");
        anstream::eprintln!(
            "warning: no container is of a Compose project {absent}: there is nothing to take over, and all of \
             it would be made; `-p NAME` names another project"
        );
    }
    anstream::eprintln!(
        "nothing was changed; with --confirm this is done, and the stack is taken over"
    );
    Ok(code)
}
