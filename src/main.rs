//! The program: parses, runs, prints the chain of an error once, and ends with an exit code.

use bowline::cli::{self, Cli};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli::run(cli) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("{}", cli::error_text(&error));
            ExitCode::FAILURE
        }
    }
}
