//! `bowline schema`: what files may say, for editors.

use crate::config;
use crate::manifest::{SchemaKind, json_schema};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Of which file.
    #[arg(value_enum)]
    file: File,
    /// As a schema, or, of the configuration, as a page for people.
    #[arg(long, short, value_enum, default_value_t = Output::Json)]
    output: Output,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum File {
    /// The agent's configuration.
    Config,
    /// A compose file, with `x-bowline`.
    Compose,
    /// A `stack.yaml`, which names a chart.
    Stack,
    /// A `Chart.yaml`.
    Chart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Json,
    Markdown,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let schema: Value = match (arguments.file, arguments.output) {
        (File::Config, Output::Markdown) => {
            print!("{}", config::reference());
            return Ok(ExitCode::SUCCESS);
        }
        (_, Output::Markdown) => {
            anyhow::bail!("only `bowline schema config` is printed as a page; leave out `--output`")
        }
        (File::Config, Output::Json) => config::schema(),
        (File::Compose, Output::Json) => json_schema(SchemaKind::Compose),
        (File::Stack, Output::Json) => json_schema(SchemaKind::Stack),
        (File::Chart, Output::Json) => json_schema(SchemaKind::Chart),
    };
    println!("{schema:#}");
    Ok(ExitCode::SUCCESS)
}
