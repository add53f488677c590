//! `bowline prune`: what left its source and is still there; has it taken away. The agent that runs
//! is asked; without one the inventory in the state directory is.

use super::apply::{print, stop_on_interrupt};
use super::claim::is_busy;
use super::plan::{Output, counted};
use super::socket::{Socket, inventory};
use super::{Common, engine, onlooker};
use crate::control::Asker;
use crate::engine::Engine;
use crate::execute::Bounds;
use crate::manifest::stacks::in_order;
use crate::model::StackName;
use crate::pass::Means;
use crate::status::{Confirmation, Departed, Departure, Holdings, elapsed};
use crate::store::{self, Adopted, Inventory, Jobs, RemovalRecord, StackRecord};
use clap::Args;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the agent is watched while it removes what was confirmed.
const WATCH_BOUND: Duration = Duration::from_secs(120);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);
/// Engine calls at once where no agent runs.
const PARALLEL: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not zero");

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Remove what is held: these stacks, or all. Their volumes stay.
    #[arg(long)]
    confirm: bool,
    /// The stacks to remove; without any, all that are held and have surely left their source.
    #[arg(requires = "confirm", value_name = "STACK")]
    stacks: Vec<String>,
    /// The form of the list.
    #[arg(long, short = 'o', value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    socket: Socket,
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stacks: Result<_, _> = arguments.stacks.iter().map(StackName::new).collect();
    let wanted = Confirmation { stacks: stacks? };
    match arguments.socket.agent()? {
        Some(agent) if arguments.confirm => confirm(&agent, &wanted).await,
        Some(agent) => {
            let departed = agent.departed().await?;
            let known = agent.status().await?.stacks.into_iter().map(|stack| stack.name).collect();
            let free = by_hand(engine::open(common)?.as_ref(), &known).await;
            show(&departed, &free, arguments.output)
        }
        None => without_agent(common, arguments, &wanted).await,
    }
}

/// Has the agent remove stacks, and watches until they are gone or that failed.
async fn confirm(agent: &Asker, wanted: &Confirmation) -> anyhow::Result<ExitCode> {
    let former = by_name(agent.departed().await?);
    let confirmed = agent.confirm(wanted).await?;
    let mut failed = refused(&confirmed.refused);
    if confirmed.removing.is_empty() && !failed {
        println!("nothing is held");
    }
    let mut waiting: BTreeSet<StackName> = confirmed.removing.into_iter().collect();
    let end = Instant::now() + WATCH_BOUND;
    while !waiting.is_empty() {
        let now = by_name(agent.departed().await?);
        waiting.retain(|name| {
            let before = former.get(name);
            let Some(still) = now.get(name) else {
                let volumes = before.map(|was| &was.holdings.volumes);
                println!("{name}: removed{}", staying(volumes));
                return false;
            };
            if still.failures > before.map_or(0, |was| was.failures) {
                let problem = still.problem.as_deref().unwrap_or("failed");
                anstream::eprintln!("error: {name}: {problem}; the agent tries again");
                failed = true;
                return false;
            }
            true
        });
        if Instant::now() > end && !waiting.is_empty() {
            let names: Vec<_> = waiting.iter().map(ToString::to_string).collect();
            let names = names.join(", ");
            anstream::eprintln!(
                "error: {names}: not gone yet; `bowline prune` tells how it goes on"
            );
            return Ok(ExitCode::FAILURE);
        }
        if !waiting.is_empty() {
            sleep(LOOK).await;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether anything was refused; says it.
fn refused(lines: &[String]) -> bool {
    for line in lines {
        anstream::eprintln!("error: {line}");
    }
    !lines.is_empty()
}

fn by_name(departed: Vec<Departed>) -> BTreeMap<StackName, Departed> {
    departed.into_iter().map(|one| (one.stack.clone(), one)).collect()
}

fn staying(volumes: Option<&BTreeSet<String>>) -> String {
    match volumes {
        Some(volumes) if !volumes.is_empty() => {
            format!("; its volumes stay, with their data: {}", list(volumes))
        }
        _ => String::new(),
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The stacks on the engine that `apply` made and that are none of the `known` ones, which are in a source or
/// left one. They are told beside the others: that the engine cannot be asked for them is no error.
async fn by_hand(engine: &dyn Engine, known: &BTreeSet<StackName>) -> Vec<StackName> {
    match engine.stacks().await {
        Ok(all) => {
            let made = all.into_iter().filter(|(_, source)| source.is_none());
            made.map(|(name, _)| name).filter(|name| !known.contains(name)).collect()
        }
        Err(error) => {
            anstream::eprintln!("warning: cannot look for stacks that `apply` made: {error}");
            Vec::new()
        }
    }
}

fn show(departed: &[Departed], by_hand: &[StackName], output: Output) -> anyhow::Result<ExitCode> {
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(departed)?);
        return Ok(ExitCode::SUCCESS);
    }
    match (departed.is_empty(), by_hand.is_empty()) {
        (true, true) => println!("nothing is held: every stack on the engine is in its source"),
        (true, false) => println!("nothing is held that left its source"),
        (false, _) => {}
    }
    for one in departed {
        println!("{}", described(one, Timestamp::now()));
    }
    for name in by_hand {
        println!("{name}: made by `apply`, in no source; kept; `bowline remove {name}` removes it");
    }
    Ok(ExitCode::SUCCESS)
}

/// A stack that left its source, for people, in a few lines.
fn described(one: &Departed, now: Timestamp) -> String {
    let since = elapsed(now.duration_since(one.departure.since).as_secs_f64());
    let (stack, source) = (&one.stack, &one.source);
    let head = match &one.departure.held {
        Some(why) => format!("{stack}: left {source}, held for {since}: {why}"),
        None if one.failures == 0 => format!("{stack}: left {source}, being removed for {since}"),
        None => {
            let problem = one.problem.as_deref().unwrap_or_default();
            let times = counted(one.failures as usize, "time");
            format!("{stack}: left {source}, could not be removed for {since} ({times}): {problem}")
        }
    };
    let mut lines = vec![head];
    let Holdings { containers, networks, volumes } = &one.holdings;
    for (what, names) in [("containers", containers), ("networks", networks)] {
        if !names.is_empty() {
            lines.push(format!("  goes: {what} {}", list(names)));
        }
    }
    if !volumes.is_empty() {
        lines.push(format!("  stays: volumes {}", list(volumes)));
    }
    lines.join("\n")
}

/// The same on the inventory itself, which no agent has open.
async fn without_agent(
    common: &Common,
    arguments: &Arguments,
    wanted: &Confirmation,
) -> anyhow::Result<ExitCode> {
    let state_dir = common.state_dir();
    arguments.socket.tell_absence(&state_dir);
    let _lock = store::lock(&state_dir)?;
    let inventory = inventory(&state_dir)?;
    let engine = engine::open(common)?;
    let adopted = Adopted::of(&state_dir);
    let departed = departed(&inventory, &adopted, &*engine).await;
    if !arguments.confirm {
        let known = inventory.stacks().into_iter().filter(|(_, record)| record.origin.is_some());
        let free = by_hand(&*engine, &known.map(|(name, _)| name).collect()).await;
        return show(&departed, &free, arguments.output);
    }
    let means = Means {
        engine,
        bounds: Bounds::new(PARALLEL, NonZeroUsize::MIN),
        onlooker: onlooker::terminal(),
        snapshots: std::sync::Arc::default(),
        stop: stop_on_interrupt(),
        brake: tokio_util::sync::CancellationToken::new(),
    };
    let notes = (&adopted, &Jobs::of(&state_dir));
    remove(common, &inventory, &means, notes, departed, wanted).await
}

async fn departed(inventory: &Inventory, adopted: &Adopted, engine: &dyn Engine) -> Vec<Departed> {
    let mut departed = Vec::new();
    for (stack, record) in inventory.stacks() {
        let StackRecord { origin: Some(origin), held, removal, holdings, .. } = record else {
            continue;
        };
        let departure = match (&held, &removal) {
            (Some(held), _) => Departure { since: held.since, held: Some(held.reason.to_string()) },
            (None, Some(removal)) => Departure { since: removal.since, held: None },
            (None, None) => continue,
        };
        let now = engine.observe(&adopted.owned_by(&stack, Some(&origin.source))).await;
        departed.push(Departed {
            holdings: now.map_or(holdings, |observed| Holdings::of(&stack, &observed)),
            stack,
            source: origin.source,
            departure,
            failures: removal.as_ref().map_or(0, |removal| removal.failures),
            problem: removal.and_then(|removal| removal.problem),
        });
    }
    departed
}

async fn remove(
    common: &Common,
    inventory: &Inventory,
    means: &Means,
    (adopted, jobs): (&Adopted, &Jobs),
    departed: Vec<Departed>,
    wanted: &Confirmation,
) -> anyhow::Result<ExitCode> {
    let departed = by_name(departed);
    let passes =
        |name: &StackName| inventory.stack(name).held.is_some_and(|held| held.reason.passes());
    let is_suspended = |name: &StackName| inventory.stack(name).suspended.is_some();
    let unknown = wanted
        .stacks
        .iter()
        .filter(|name| !departed.contains_key(*name))
        .map(|name| format!("{name} is not held; `bowline prune` lists what is"));
    let suspended = departed
        .keys()
        .filter(|name| wanted.stacks.is_empty() || wanted.stacks.contains(name))
        .filter(|name| is_suspended(name))
        .map(|name| format!("{name} is suspended; `bowline resume {name}` first"));
    let unknown: Vec<String> = unknown.chain(suspended).collect();
    let mut failed = refused(&unknown);
    let all = wanted.stacks.is_empty();
    let chosen: Vec<_> = departed
        .values()
        .filter(|one| wanted.stacks.contains(&one.stack) || (all && !passes(&one.stack)))
        .filter(|one| !is_suspended(&one.stack))
        .collect();
    if chosen.is_empty() && !failed {
        println!("nothing is held");
    }
    for one in dependents_first(inventory, &chosen) {
        let Some(_lock) = store::lock_stack(&common.state_dir(), &one.stack)? else {
            anstream::eprintln!(
                "error: {}; try again when it is done",
                is_busy(common, &one.stack)
            );
            failed = true;
            continue;
        };
        let query = adopted.owned_by(&one.stack, Some(&one.source));
        let report = means.remove(&query, Some(one.source.clone()), false).await;
        print(&report);
        if report.result.is_success() {
            inventory.forget(&one.stack);
            adopted.forget(&one.stack);
            jobs.forget(&one.stack);
            continue;
        }
        failed = true;
        inventory.update(&one.stack, |record| {
            record.held = None;
            let fresh = RemovalRecord::new(Timestamp::now(), true);
            let removal = record.removal.get_or_insert(fresh);
            removal.confirmed = true;
            removal.failures += 1;
            removal.problem = Some(report.message.clone());
        });
    }
    if let Err(mishap) = inventory.flush() {
        anstream::eprintln!("warning: {mishap}");
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Stacks before those that they depended on.
fn dependents_first<'a>(inventory: &Inventory, chosen: &[&'a Departed]) -> Vec<&'a Departed> {
    let depended = |one: &&Departed| {
        let origin = inventory.stack(&one.stack).origin;
        origin.map(|origin| origin.depends_on).unwrap_or_default()
    };
    let depended: Vec<BTreeSet<StackName>> = chosen.iter().map(depended).collect();
    let stacks: Vec<_> =
        chosen.iter().zip(&depended).map(|(one, others)| Some((&one.stack, others))).collect();
    in_order(&stacks).into_iter().rev().map(|at| chosen[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceName;

    #[test]
    fn a_departed_stack_is_described_with_what_goes_and_what_stays() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let mut one = Departed {
            stack: StackName::new("shop").unwrap(),
            source: SourceName::new("infra").unwrap(),
            departure: Departure {
                since: Timestamp::UNIX_EPOCH,
                held: Some("it seems renamed to store".to_owned()),
            },
            failures: 0,
            problem: None,
            holdings: Holdings {
                containers: names(&["shop-web-1", "shop-web-2"]),
                networks: names(&["shop_default"]),
                volumes: names(&["shop_data"]),
            },
        };
        let now = Timestamp::from_second(7200).unwrap();
        assert_eq!(
            described(&one, now),
            "shop: left infra, held for 2h: it seems renamed to store\n  \
             goes: containers shop-web-1, shop-web-2\n  goes: networks shop_default\n  \
             stays: volumes shop_data"
        );
        one.departure.held = None;
        one.failures = 2;
        one.problem = Some("the engine said no".to_owned());
        let shown = described(&one, now);
        let head = "shop: left infra, could not be removed for 2h (2 times): the engine said no\n";
        assert!(shown.starts_with(head), "{shown}");
    }
}
