//! The program: parses, runs, prints the chain of an error once, and ends with an exit code.

use bowline::cli::{self, Cli};
use clap::Parser;
use std::process::ExitCode;

/// What a program ends with whose reader went away, as shells count it: 128 and SIGPIPE.
const READER_WENT: i32 = 141;

fn main() -> ExitCode {
    end_quietly_without_reader();
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

/// `bowline schema compose | head` is no defect: printing panics where nobody reads any more.
fn end_quietly_without_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload();
        let said =
            said.downcast_ref::<String>().map(String::as_str).or(said.downcast_ref().copied());
        if said.is_some_and(|said| said.contains("Broken pipe")) {
            std::process::exit(READER_WENT);
        }
        usual(info);
    }));
}
