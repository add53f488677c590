//! `bowline apply`: makes the engine match, once.

use super::plan::counted;
use super::target::{Found, Target};
use super::{Common, engine, onlooker};
use crate::execute::Bounds;
use crate::model::SourceName;
use crate::pass::{Means, Moment, Subject};
use crate::status::{PassResult, Report};
use crate::store::Adopted;
use clap::Args;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// How many engine calls to make at once.
    #[arg(long, default_value = "8", value_name = "N")]
    parallel: NonZeroUsize,
    /// How long containers that were started are watched for an early end; `0s`: not at all.
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = duration)]
    settle: Duration,
}

/// A duration such as `1s` or `500ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "want for example `1s` or `500ms`")?;
    Duration::try_from(span).map_err(|_| "a duration is not negative".to_owned())
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let found = arguments.target.load(common)?;
    all(common, &found, arguments.parallel, arguments.settle).await
}

/// Makes the engine match all that was found, one stack after the other.
pub(super) async fn all(
    common: &Common,
    found: &Found,
    parallel: NonZeroUsize,
    settle: Duration,
) -> anyhow::Result<ExitCode> {
    let adopted = Adopted::of(&common.state_dir());
    let means = Means {
        engine: engine::open(common)?,
        bounds: Bounds::new(parallel, NonZeroUsize::MIN),
        onlooker: onlooker::terminal(),
        snapshots: std::sync::Arc::default(),
        stop: stop_on_interrupt(),
    };
    let mut code = ExitCode::SUCCESS;
    for entry in &found.entries {
        match &entry.loaded {
            Ok(loaded) => {
                anstream::eprint!("{}", loaded.warnings.render(super::validate::colored()));
                let revision = found.revision.clone();
                let subject = Subject { stack: &loaded.stack, source: None, revision };
                let report = means.reconcile(&subject, &Moment::by_hand(settle)).await;
                if !report.actions.is_empty()
                    && let Some(source) = engine_owner(&means, &report).await
                {
                    anstream::eprintln!(
                        "warning: {} comes from the source {source}; an agent that watches it makes it again as it is there",
                        report.stack
                    );
                }
                if loaded.stack.policy.adopt && report.workload.is_some() {
                    adopted.note(&report.stack, None)?;
                }
                print(&report);
                if !report.result.is_success() || unhealthy(&report) > 0 {
                    code = ExitCode::FAILURE;
                }
            }
            Err(problems) => {
                anstream::eprint!("{}", problems.render(super::validate::colored()));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// The source that an agent made the stack from. What cannot be asked is not told: this is an
/// extra.
async fn engine_owner(means: &Means, report: &Report) -> Option<SourceName> {
    means.engine.stacks().await.ok()?.remove(&report.stack).flatten()
}

/// Tells how a pass ended.
pub(super) fn print(report: &Report) {
    let done = report.actions.iter().filter(|action| action.error.is_none()).count();
    let took = report.took.as_secs_f64();
    match report.result {
        PassResult::Unchanged => {
            println!("{}: as desired, nothing to do{}", report.stack, health(report));
            print_errors(report);
        }
        PassResult::Changed => {
            let changes = counted(done, "change");
            let health = health(report);
            println!("{}: as desired after {changes} in {took:.1} s{health}", report.stack);
            print_errors(report);
        }
        PassResult::Removed if report.message.is_empty() => println!("{}: removed", report.stack),
        PassResult::Removed => println!("{}: removed; {}", report.stack, report.message),
        PassResult::Failed
        | PassResult::Invalid
        | PassResult::Crashing
        | PassResult::Stalled
        | PassResult::Drifted => {
            println!("{}: {}", report.stack, report.result.word());
            print_errors(report);
        }
    }
}

fn print_errors(report: &Report) {
    for line in report.message.lines() {
        anstream::eprintln!("error: {}: {line}", report.stack);
    }
}

fn unhealthy(report: &Report) -> usize {
    report.workload.map_or(0, |workload| workload.unhealthy)
}

/// What is to be said of a stack whose containers are not all well.
fn health(report: &Report) -> String {
    let starting = report.workload.map_or(0, |workload| workload.starting);
    match (unhealthy(report), starting) {
        (0, 0) => String::new(),
        (0, starting) => format!("; {} still starting", counted(starting, "container")),
        (unhealthy, _) => format!("; {} unhealthy", counted(unhealthy, "container")),
    }
}

/// A token that the first Ctrl-C cancels: changes under way are finished. The second ends the
/// program at once.
pub(super) fn stop_on_interrupt() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            anstream::eprintln!(
                "stopping after the changes under way; press Ctrl-C again to end now"
            );
            cancelled.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    stop
}
