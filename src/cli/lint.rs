//! `bowline lint`: checks charts by themselves.

use super::plan::counted;
use super::target::{no_key, variables};
use super::validate::colored;
use super::values::Values;
use crate::chart::CHART_FILE;
use crate::config::keys_by_hand;
use crate::manifest::{self, Diagnostics, Request};
use crate::source;
use anyhow::{Context, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directories of charts.
    #[arg(default_value = ".", value_name = "CHART")]
    charts: Vec<PathBuf>,
    #[command(flatten)]
    values: Values,
    /// A variable for interpolation: `KEY=VALUE`, or `KEY` to take it from this environment.
    #[arg(long = "env", short = 'e', value_name = "KEY[=VALUE]")]
    variables: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    for chart in &arguments.charts {
        let request = request(chart, arguments)?;
        let problems = match manifest::load(&request, &|path| source::read_within(&[], path)) {
            Ok(loaded) => {
                let services = counted(loaded.stack.services.len(), "service");
                println!("{}: the chart is fine: {services}", chart.display());
                Diagnostics([loaded.warnings.0, loaded.lints.0].concat())
            }
            Err(problems) => {
                failed = true;
                problems
            }
        };
        anstream::eprint!("{}", problems.render(colored()));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn request(chart: &Path, arguments: &Arguments) -> anyhow::Result<Request> {
    let here = std::env::current_dir().context("cannot tell the current directory")?;
    let file = here.join(chart).join(CHART_FILE);
    if !file.is_file() {
        bail!("{} has no {CHART_FILE}; `bowline validate` checks stacks", chart.display());
    }
    let mut request = Request {
        variables: variables(&arguments.variables)?,
        keys: keys_by_hand(),
        display_root: Some(here),
        render: crate::renderer::render,
        ..Request::new(vec![file], no_key())
    };
    arguments.values.give(&mut request)?;
    Ok(request)
}
