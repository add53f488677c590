//! The program: parses, runs, prints the chain of an error once, and ends with an exit code.

use bowline::cli::{self, Cli};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(shown) => {
            // clap's own code for wrong arguments is the one that `plan` ends with for changes.
            let _ = shown.print();
            return if shown.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match cli::run(cli) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("{}", cli::error_text(&error));
            ExitCode::FAILURE
        }
    }
}
