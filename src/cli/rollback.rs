//! `bowline rollback`: back to a former definition of a stack, which git must move past.

use super::doer::{Directly, Doer};
use super::order::{Addressee, give};
use super::plan::{counted, print_waves};
use super::watch::Patience;
use super::{CHANGES, Common};
use crate::status::{Order, Preview, RevisionPrefix, RollbackTo};
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    to: Addressee,
    /// The commit to go back to, or its first digits [default: the last that held and is defined
    /// otherwise than what git asks for now]
    #[arg(long = "to", value_name = "REVISION", value_parser = revision)]
    revision: Option<RevisionPrefix>,
    /// Show what would change, in which order, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    directly: Directly,
}

fn revision(text: &str) -> Result<RevisionPrefix, String> {
    RevisionPrefix::new(text).map_err(|error| error.to_string())
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { to, revision, dry_run, patience, directly } = arguments;
    let back = RollbackTo { to: revision.clone() };
    if !dry_run {
        return give(common, to, &Order::Rollback(back), (patience, directly)).await;
    }
    let doer = Doer::find_to_look(common, to, directly).await?;
    let preview = doer.preview_rollback(&to.stack, &back).await?;
    show(&preview);
    Ok(match (preview.problems.len(), preview.changes.len()) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(CHANGES),
        _ => ExitCode::FAILURE,
    })
}

fn show(preview: &Preview) {
    let stack = &preview.stack;
    let to = preview.revision.as_ref().map_or("the former definition", |it| it.short());
    println!("{stack}: to {to}: {}", counted(preview.changes.len(), "change"));
    for line in preview.plan.lines() {
        println!("  {line}");
    }
    print_waves(&preview.waves);
}
