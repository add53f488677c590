//! `bowline plan`: what would change and why.

use super::order::stack_name;
use super::socket::Socket;
use super::target::{Found, Target};
use super::{CHANGES, Common, engine};
use crate::engine::Engine;
use crate::model::StackName;
use crate::pass::preview_in;
use crate::plan::{Aim, Circumstances, Plan};
use crate::rollout;
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Instead of files, a stack of the agent on this host: what its next pass would do.
    #[arg(long, value_name = "NAME", value_parser = stack_name, conflicts_with_all = Target::KEYS)]
    stack: Option<StackName>,
    #[command(flatten)]
    socket: Socket,
    /// The form of the output.
    #[arg(long, short = 'o', value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(name) = &arguments.stack {
        return show_of_agent(&arguments.socket, name, arguments.output).await;
    }
    let found = arguments.target.look(common, &[])?;
    let engine = engine::open(common)?;
    show(&*engine, &found, arguments.output, Detail::Changes).await
}

/// Shows what the agent's next pass over a stack would do.
async fn show_of_agent(
    socket: &Socket,
    name: &StackName,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let Some(agent) = socket.agent()? else {
        bail!("{}; without one, `bowline plan PATH` plans files", socket.absence());
    };
    let preview = agent.preview(name).await?;
    match output {
        Output::Text => {
            println!("{name}: {}", changes(preview.changes.len()));
            preview.plan.lines().for_each(|line| println!("  {line}"));
            for line in preview.obstacle.iter().flat_map(|why| why.lines()) {
                anstream::eprintln!("not now: {line}");
            }
        }
        Output::Json => {
            println!("{}", serde_json::to_string_pretty(&json!({ "plans": [preview] }))?);
        }
    }
    Ok(match (preview.problems.len(), preview.changes.len()) {
        // That nothing would be done is no sign that what git asks for runs.
        (0, 0) if preview.obstacle.is_some() => ExitCode::FAILURE,
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(CHANGES),
        _ => ExitCode::FAILURE,
    })
}

/// How much there is to do.
fn changes(count: usize) -> String {
    if count == 0 { "nothing to do".to_owned() } else { counted(count, "change") }
}

/// How much is shown of a plan in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// What would change and why.
    Changes,
    /// The order as well.
    Waves,
}

/// Shows what would change in all that was found.
pub(super) async fn show(
    engine: &dyn Engine,
    found: &Found,
    output: Output,
    detail: Detail,
) -> anyhow::Result<ExitCode> {
    let mut plans = Vec::new();
    let mut failed = false;
    for entry in &found.entries {
        match &entry.loaded {
            Ok(loaded) => {
                anstream::eprint!("{}", loaded.warnings.render(super::validate::colored()));
                let completed = found.completed(&loaded.stack);
                let around =
                    Circumstances { aim: Aim::Update, completed, ..Circumstances::default() };
                let plan = preview_in(&around, engine, &loaded.stack)
                    .await
                    .with_context(|| format!("cannot plan {}", loaded.stack.name))?;
                failed |= !plan.problems.is_empty();
                plans.push(plan);
            }
            Err(problems) => {
                failed = true;
                anstream::eprint!("{}", problems.render(super::validate::colored()));
            }
        }
    }
    match output {
        Output::Text => {
            for plan in &plans {
                print(plan);
                if detail == Detail::Waves {
                    print_waves(&waves(plan));
                }
            }
            if plans.len() > 1 {
                println!("{}", summary(&plans));
            }
        }
        Output::Json => {
            let plans: Vec<Value> = plans.iter().map(to_json).collect();
            println!("{}", serde_json::to_string_pretty(&json!({ "plans": plans }))?);
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else if plans.iter().any(|plan| !plan.is_empty()) {
        ExitCode::from(CHANGES)
    } else {
        ExitCode::SUCCESS
    })
}

fn print(plan: &Plan) {
    if plan.is_empty() {
        println!("{}: nothing to do", plan.stack);
    } else {
        println!("{}: {}", plan.stack, counted(plan.changes.len(), "change"));
    }
    for line in plan.to_string().lines() {
        println!("  {line}");
    }
}

/// The changes that would be made together, one group after the other.
fn waves(plan: &Plan) -> Vec<Vec<String>> {
    let texts = |wave: &Vec<usize>| wave.iter().map(|&it| plan.changes[it].to_string()).collect();
    rollout::waves(plan).iter().map(texts).collect()
}

/// Shows in which order changes would be made.
pub(super) fn print_waves(waves: &[Vec<String>]) {
    for (number, wave) in (1..).zip(waves) {
        println!("  wave {number}: {}", wave.join(", "));
    }
}

/// All plans in one line.
fn summary(plans: &[Plan]) -> String {
    let changes = plans.iter().map(|plan| plan.changes.len()).sum();
    let problems = plans.iter().map(|plan| plan.problems.len()).sum();
    let stacks = counted(plans.len(), "stack");
    let (changes, problems) = (counted(changes, "change"), counted(problems, "problem"));
    format!("{stacks}: {changes}, {problems}")
}

/// A number with its noun: `1 change`, `3 changes`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn to_json(plan: &Plan) -> Value {
    let place = |place: &Option<crate::model::Place>| place.as_ref().map(ToString::to_string);
    let problem = |problem: &crate::plan::Problem| json!({ "field": problem.field, "message": problem.message, "place": place(&problem.place) });
    let changes: Vec<Value> = plan
        .changes
        .iter()
        .map(|change| {
            let reasons: Vec<Value> = change
                .reasons
                .iter()
                .map(|reason| {
                    json!({
                        "field": reason.field,
                        "desired": reason.desired,
                        "actual": reason.actual,
                        "place": place(&reason.place),
                    })
                })
                .collect();
            json!({
                "action": change.action.word(),
                "object": change.object.to_string(),
                "reasons": reasons,
                "after": change.after,
            })
        })
        .collect();
    json!({
        "stack": plan.stack,
        "changes": changes,
        "waves": rollout::waves(plan),
        "resting": plan.resting.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "problems": plan.problems.iter().map(problem).collect::<Vec<_>>(),
        "ignored": plan.ignored.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "notes": plan.notes.iter().map(problem).collect::<Vec<_>>(),
    })
}
