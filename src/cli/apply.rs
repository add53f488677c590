//! `bowline apply`: makes the engine match, once.

use super::ahead::Ahead;
use super::claim::{self, claim};
use super::deadline::Deadline;
use super::onlooker::Screen;
use super::plan::{self, Detail, Output, counted};
use super::recorded::record;
use super::socket::Socket;
use super::target::{Found, Target};
use super::{Common, engine};
use crate::execute::Bounds;
use crate::model::{Query, Stack};
use crate::pass::{Means, Moment, Subject};
use crate::plan::Aim;
use crate::status::{PassResult, Report, Workload};
use crate::store::Adopted;
use clap::Args;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The first pause between two looks at containers that start; each further one is twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// The longest pause between two looks.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

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
    /// How long an updated container is watched where its service does not say; `0s`: not at all.
    #[arg(
        long,
        env = "BOWLINE_MONITOR",
        default_value = "5s",
        value_name = "DURATION",
        value_parser = duration
    )]
    monitor: Duration,
    /// Wait until no container is starting any more: all are healthy where they have a check.
    #[arg(long)]
    wait: bool,
    /// How long all of it may take; then no further change is begun.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Show what would be done and in which order, and do nothing: as `plan`, with its exit codes.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    socket: Socket,
}

/// How stacks are brought up.
pub(super) struct Manner<'a> {
    /// Where an agent may answer whose the stacks are; `None`: that does not matter.
    socket: Option<&'a Socket>,
    parallel: NonZeroUsize,
    wait: bool,
    timeout: Option<Duration>,
    /// The verb, for the history.
    order: &'static str,
}

impl Manner<'_> {
    /// That of a verb that helps an agent: without waiting, and without a bound.
    pub(super) fn of(parallel: NonZeroUsize, order: &'static str) -> Self {
        Self { socket: None, parallel, wait: false, timeout: None, order }
    }
}

/// A duration such as `1s` or `500ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "want for example `1s` or `500ms`")?;
    Duration::try_from(span).map_err(|_| "a duration is not negative".to_owned())
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let found = arguments.target.load(common)?;
    let &Arguments { parallel, settle, monitor, wait, timeout, .. } = arguments;
    if arguments.dry_run {
        let engine = engine::open(common)?;
        return plan::show(&*engine, &found, Output::Text, Detail::Waves).await;
    }
    let moment = Moment { aim: Aim::Update, monitor, ..Moment::by_hand(settle) };
    let socket = Some(&arguments.socket);
    let manner = Manner { socket, parallel, wait, timeout, order: "apply" };
    all(common, &found, &manner, &moment).await
}

/// Makes the engine match all that was found, one stack after the other.
pub(super) async fn all(
    common: &Common,
    found: &Found,
    manner: &Manner<'_>,
    moment: &Moment<'_>,
) -> anyhow::Result<ExitCode> {
    let adopted = Adopted::of(&common.state_dir());
    let stop = stop_on_interrupt();
    let deadline = Deadline::after(manner.timeout, &stop);
    let means = Means {
        engine: engine::open(common)?,
        bounds: Bounds::new(manner.parallel, NonZeroUsize::MIN),
        onlooker: std::sync::Arc::new(|_| {}),
        snapshots: std::sync::Arc::default(),
        stop,
        brake: CancellationToken::new(),
    };
    let mut code = ExitCode::SUCCESS;
    let stacks: Vec<_> = found.stacks().map(|stack| &stack.name).collect();
    let instead = "commit the change to git";
    let _locks = match manner.socket {
        Some(socket) => claim(common, socket, &*means.engine, &stacks, instead).await?,
        None => claim::lock(common, &stacks)?,
    };
    let mut ahead = Ahead::of(found, &*means.engine).await?;
    for entry in &found.entries {
        match &entry.loaded {
            Ok(loaded) => {
                anstream::eprint!("{}", loaded.warnings.render(super::validate::colored()));
                let revision = found.revision.clone();
                let subject = Subject { stack: &loaded.stack, source: None, revision };
                let waits = ahead.obstacle(&loaded.stack);
                let completed = found.completed(&loaded.stack);
                let moment = Moment { waits, completed, ..moment.clone() };
                let screen = Screen::of_terminal();
                let onlooker = deadline.listening(screen.onlooker());
                let telling = Means { onlooker, ..means.clone() };
                let mut report = telling.reconcile(&subject, &moment).await;
                screen.end();
                let wait = manner.wait || ahead.is_awaited(&loaded.stack.name);
                if wait && report.result.is_success() {
                    wait_until_up(&means, &loaded.stack, &mut report, &deadline).await?;
                }
                ahead.note(&report);
                record(common, &report, manner.order);
                if let Some(seen) = &report.seen {
                    found.note_completed(&loaded.stack, &seen.completed)?;
                }
                if loaded.stack.policy.adopt && report.workload.is_some() {
                    adopted.note(&report.stack, None)?;
                }
                print(&report);
                let is_up = !manner.wait || starting(&report) == 0;
                if !report.result.is_success() || unhealthy(&report) > 0 || !is_up {
                    code = ExitCode::FAILURE;
                }
            }
            Err(problems) => {
                anstream::eprint!("{}", problems.render(super::validate::colored()));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(if deadline.is_over() { ExitCode::FAILURE } else { code })
}

/// Looks at the stack until none of its containers is starting any more, or we are told to stop; the
/// report tells how they are then.
async fn wait_until_up(
    means: &Means,
    stack: &Stack,
    report: &mut Report,
    deadline: &Deadline,
) -> anyhow::Result<()> {
    let query = Query::of(stack);
    let completed = report.seen.as_ref().map(|seen| seen.completed.clone()).unwrap_or_default();
    let mut pause = FIRST_LOOK;
    while starting(report) > 0 && !means.stop.is_cancelled() {
        let what = format!("{}: {}", stack.name, counted(starting(report), "container"));
        deadline.waiting(format!("{what} still starting"));
        tokio::select! {
            () = sleep(pause) => {}
            () = means.stop.cancelled() => {}
        }
        pause = LONGEST_LOOK.min(pause * 2);
        let observed = means.engine.observe(&query).await?;
        report.workload = Some(Workload::of(stack, &observed, &completed));
    }
    deadline.waits_no_more();
    Ok(())
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
        | PassResult::Paused
        | PassResult::RolledBack
        | PassResult::Drifted
        | PassResult::Waiting
        | PassResult::Suspended => {
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

fn starting(report: &Report) -> usize {
    report.workload.map_or(0, |workload| workload.starting)
}

/// What is to be said of a stack whose containers are not all well.
fn health(report: &Report) -> String {
    match (unhealthy(report), starting(report)) {
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
