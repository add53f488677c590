//! The hidden verb `manual`: the manual pages of the package, one for the program and one a verb. What
//! stands in them are the texts of `--help`.

use super::Cli;
use anyhow::Context;
use clap::{Args, CommandFactory};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to write them; it is made where it is missing.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes `bowline.1`, `bowline-agent.1` and so on.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let directory = &arguments.directory;
    let wrote = || format!("cannot write manual pages into {}", directory.display());
    std::fs::create_dir_all(directory).with_context(wrote)?;
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, directory).with_context(wrote)?;
    Ok(ExitCode::SUCCESS)
}
