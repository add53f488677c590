//! Values for a chart, as they are given on the command line.

use crate::manifest::Request;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Values {
    /// A file of values, laid over all others; may be given several times.
    #[arg(long = "values", short = 'f', value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A value by its dotted name, over all files; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Values {
    /// Has `request` load with them.
    pub(super) fn give(&self, request: &mut Request) -> anyhow::Result<()> {
        let here = std::env::current_dir().context("cannot tell the current directory")?;
        request.values = self.files.iter().map(|file| here.join(file)).collect();
        request.set = self.set.iter().map(|given| pair(given)).collect::<anyhow::Result<_>>()?;
        Ok(())
    }
}

fn pair(given: &str) -> anyhow::Result<(String, String)> {
    let (name, value) =
        given.split_once('=').with_context(|| format!("--set {given} is no NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
