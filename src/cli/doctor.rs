//! `bowline doctor`: looks at all that the agent needs on this host, and says what is wrong and how to mend
//! it. Changes nothing, and shows no secret.

mod agent;
mod clock;
mod configuration;
mod docker;
mod finding;
mod page;
mod person;
mod service;
mod sources;
mod state;
mod unit;

use super::Common;
use super::agent::DEFAULT_CONFIG;
use super::plan::{Output, counted};
use crate::config::Config;
use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use finding::{Finding, Verdict};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The agent's configuration [default: /etc/bowline/config.yaml]
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the agent listens for commands, instead of where the configuration says.
    #[arg(long, env = "BOWLINE_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The form of the output.
    #[arg(long, short = 'o', value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let findings = examine(common, arguments).await;
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (errors, warnings) = (count(Verdict::Error), count(Verdict::Warning));
    let mut text = match arguments.output {
        Output::Json => serde_json::to_string_pretty(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "errors": errors,
            "warnings": warnings,
            "checks": findings,
        }))?,
        Output::Text => {
            let lines: String = findings.iter().map(shown).collect();
            let ok = findings.len() - errors - warnings;
            format!(
                "{lines}\n{}, {}, {ok} ok",
                counted(errors, "error"),
                counted(warnings, "warning")
            )
        }
    };
    text.push('\n');
    super::status::put(&text)?;
    Ok(if errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// All checks, in the order in which one needs the other.
async fn examine(common: &Common, arguments: &Arguments) -> Vec<Finding> {
    let path = arguments.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    let (config, mut findings) = configuration::check(&path, arguments.config.is_some());
    let config = config.as_ref();
    let state_dir = common.state_dir.clone();
    let state_dir = state_dir.or_else(|| config.map(|config| config.state_dir.clone()));
    let state_dir = state_dir.unwrap_or_else(|| common.state_dir());
    let socket = arguments.socket.clone().or_else(|| config.and_then(|it| it.socket.clone()));

    let (docker, surroundings) = docker::check(common, config).await;
    findings.extend(docker);
    findings.extend(state::check(&state_dir));
    let (agent, is_listening, known) =
        agent::check(socket.as_deref(), &state_dir, &path, config).await;
    findings.extend(agent);
    findings.extend(unit::check().await);
    findings.extend(config.and_then(|config| page::check(config, is_listening)));
    let (sources, reached) = sources::check(config, &state_dir, &known).await;
    findings.extend(sources);
    findings.extend(clock::check(surroundings.as_ref(), reached).await);
    findings
}

/// A line, and one below it for what to do.
fn shown(finding: &Finding) -> String {
    let Finding { check, looked_at, verdict, message, fix } = finding;
    let style = match verdict {
        Verdict::Ok => AnsiColor::Green.on_default(),
        Verdict::Warning => AnsiColor::Yellow.on_default(),
        Verdict::Error => AnsiColor::Red.on_default(),
    };
    let word = format!("{style}{:<8}{style:#}", verdict.word());
    let mut text = format!("{word} {check:<13} {looked_at}: {message}\n");
    if let Some(fix) = fix {
        let dim = Style::new().bold();
        let _ = writeln!(text, "{:22} {dim}fix:{dim:#} {fix}", "");
    }
    text
}

/// The addresses and files of a configuration, or the defaults where there is none.
fn engine_host(common: &Common, config: Option<&Config>) -> (String, &'static str) {
    if let Some(host) = common.host.as_deref().filter(|host| !host.trim().is_empty()) {
        return (host.to_owned(), "--host or DOCKER_HOST");
    }
    match config.and_then(|config| config.engine_host.clone()) {
        Some(host) => (host, "the configuration"),
        None => (crate::engine::docker::DEFAULT_HOST.to_owned(), "the default"),
    }
}
