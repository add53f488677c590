//! `bowline logs`: what the containers of a stack wrote, and go on to write. Asks the engine alone, so it
//! needs no agent.

mod follow;
mod history;
mod print;

use super::order::stack_name;
use super::{Common, engine};
use crate::engine::{Engine, EngineError, LogRange};
use crate::model::{Container, Query, ServiceName, StackName};
use crate::status::near_misses;
use crate::store::Adopted;
use anyhow::bail;
use clap::Args;
use follow::follow;
use history::history;
use jiff::Timestamp;
use print::Printer;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;

/// The last lines of a container that are shown unless told otherwise.
const TAIL: Tail = Tail(Some(100));

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The stack.
    #[arg(value_name = "STACK", value_parser = stack_name)]
    stack: StackName,
    /// Of these services only.
    #[arg(value_name = "SERVICE", value_parser = service_name)]
    services: Vec<ServiceName>,
    /// How many lines of each container, counted from the last: a number, or `all` [default: 100, with
    /// --since all]
    #[arg(long, value_name = "N", value_parser = tail)]
    tail: Option<Tail>,
    /// What was written since: a length of time such as `10m`, or a time such as
    /// `2026-11-22T08:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Go on with what is written from now on, until Ctrl-C; also by containers that take the place of
    /// others.
    #[arg(long, short = 'f')]
    follow: bool,
    /// Show when each line was written, by the engine's clock.
    #[arg(long, short = 't')]
    timestamps: bool,
}

/// How many lines; `None`: all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tail(Option<usize>);

fn tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" => Ok(Tail(None)),
        number => number
            .parse()
            .map(|lines| Tail(Some(lines)))
            .map_err(|_| "want a number, or `all`".to_owned()),
    }
}

fn service_name(text: &str) -> Result<ServiceName, String> {
    ServiceName::new(text).map_err(|error| error.to_string())
}

fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let wanted = "want a length of time such as `10m`, or a time such as `2026-11-22T08:00:00Z`";
    let length = super::apply::duration(text).map_err(|_| wanted)?;
    Timestamp::now().checked_sub(length).map_err(|error| error.to_string())
}

/// Whose logs are asked for.
struct Wanted {
    query: Query,
    services: BTreeSet<ServiceName>,
}

impl Wanted {
    /// The containers that are there now, by slot, then name.
    async fn containers(&self, engine: &dyn Engine) -> Result<Vec<Container>, EngineError> {
        let mut found = engine.observe(&self.query).await?.containers;
        found.retain(|it| self.services.is_empty() || self.services.contains(&it.slot.service));
        Ok(found.into_iter().filter(Container::is_taken_over).collect())
    }
}

pub(super) async fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    tokio::select! {
        ended = show(common, arguments) => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted.map(|()| ExitCode::SUCCESS)?),
    }
}

async fn show(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let engine = engine::open(common)?;
    let stack = &arguments.stack;
    let known = engine.stacks().await?;
    let query =
        Adopted::of(&common.state_dir()).owned_by(stack, known.get(stack).and_then(Option::as_ref));
    let all = engine.observe(&query).await?.containers;
    if all.is_empty() && !known.contains_key(stack) {
        let near = near_misses(stack.as_str(), known.keys().map(StackName::as_str));
        bail!("Bowline has no stack {stack} on this engine{near}; `bowline status` lists stacks");
    }
    let services: BTreeSet<&str> = all.iter().map(|it| it.slot.service.as_str()).collect();
    for service in &arguments.services {
        if !services.contains(service.as_str()) {
            let near = near_misses(service.as_str(), services.iter().copied());
            let there: Vec<&str> = services.iter().copied().collect();
            bail!(
                "stack {stack} has no container of a service {service}{near}; there are: {}",
                there.join(", ")
            );
        }
    }
    let wanted = Wanted { query, services: arguments.services.iter().cloned().collect() };
    let containers = wanted.containers(&*engine).await?;
    if containers.is_empty() && !arguments.follow {
        bail!("stack {stack} has no container now, so Docker has no log of it");
    }
    let tail = arguments.tail.unwrap_or(if arguments.since.is_some() { Tail(None) } else { TAIL });
    let range = LogRange { tail: tail.0, since: arguments.since, follow: false };
    let mut printer = Printer::new(arguments.timestamps);
    printer.reserve(&containers);
    let (last, unread) = history(&*engine, &containers, &range, &mut printer).await?;
    for (name, why) in &unread {
        anstream::eprintln!("error: {name}: {why}");
    }
    if !arguments.follow {
        return Ok(if unread.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if !containers.is_empty() && unread.len() == containers.len() {
        return Ok(ExitCode::FAILURE);
    }
    let started = Started { containers, last, range, unread: unread.into_keys().collect() };
    follow(&Arc::clone(&engine), &wanted, started, &mut printer).await
}

/// What was shown before it is followed.
struct Started {
    containers: Vec<Container>,
    /// When the last line that was shown of a container was written, by its id.
    last: BTreeMap<String, Timestamp>,
    range: LogRange,
    /// The names of those whose log cannot be read.
    unread: BTreeSet<String>,
}

/// Why a log cannot be read, for people.
fn unreadable(error: &EngineError) -> String {
    match error {
        EngineError::Refused { message, .. } if message.contains("does not support reading") => {
            "Docker keeps no log of it: its log driver (`logging.driver`) hands lines on and cannot be read; \
             look where that sends them"
                .to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_or_said_to_be_wrong() {
        assert_eq!(tail("all"), Ok(Tail(None)));
        assert_eq!(tail("0"), Ok(Tail(Some(0))));
        assert!(tail("-1").is_err() && tail("few").is_err());
        assert_eq!(since("1970-01-01T00:00:05Z").unwrap().as_second(), 5);
        let at = since("10m").unwrap();
        let ago = Timestamp::now().duration_since(at).as_secs();
        assert!((600..700).contains(&ago), "{ago}");
        assert!(since("yesterday").unwrap_err().contains("10m"));
    }
}
