//! `bowline completions`: a script for a shell.

use super::Cli;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "bowline",
        &mut std::io::stdout(),
    );
    ExitCode::SUCCESS
}
