//! `bowline template`: the compose file that a chart puts out.

use super::Common;
use super::target::Target;
use super::validate::colored;
use super::values::Values;
use crate::{manifest, source};
use clap::Args;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    values: Values,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut request = arguments.target.chart_request(common)?;
    arguments.values.give(&mut request)?;
    let read = |path: &Path| source::read_within(&request.roots, path);
    match manifest::template(&request, &read) {
        Ok(template) => {
            anstream::eprint!("{}", template.warnings.render(colored()));
            print!("{}", template.text);
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            anstream::eprint!("{}", problems.render(colored()));
            Ok(ExitCode::FAILURE)
        }
    }
}
