//! `bowline config`: the resolved model, as `docker compose config --format json` prints it.

use super::Common;
use super::target::Target;
use anyhow::bail;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let found = arguments.target.load(common)?;
    let [entry] = found.entries.as_slice() else {
        bail!("there are {} stacks here; name the directory of one", found.entries.len());
    };
    match &entry.loaded {
        Ok(loaded) => {
            anstream::eprint!("{}", loaded.warnings.render(super::validate::colored()));
            // As Compose does, so that what is printed is a compose file of the same model.
            let text = serde_json::to_string_pretty(&loaded.config)?.replace('$', "$$");
            println!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            anstream::eprint!("{}", problems.render(super::validate::colored()));
            Ok(ExitCode::FAILURE)
        }
    }
}
