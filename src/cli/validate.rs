//! `bowline validate`: checks stacks without an engine.

use super::Common;
use super::plan::counted;
use super::target::Target;
use clap::Args;
use std::io::IsTerminal;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let found = arguments.target.load(common)?;
    let mut code = ExitCode::SUCCESS;
    for entry in &found.entries {
        match &entry.loaded {
            Ok(loaded) => {
                anstream::eprint!("{}", loaded.warnings.render(colored()));
                let services = counted(loaded.stack.services.len(), "service");
                println!("{}: stack {} is fine: {services}", entry.file, loaded.stack.name);
            }
            Err(problems) => {
                anstream::eprint!("{}", problems.render(colored()));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// Whether messages may have colour.
pub(super) fn colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
