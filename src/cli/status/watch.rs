//! `bowline status --watch`: the stacks, and then a line for each that changes.

use super::select::{among, select};
use super::{Arguments, Form, absence, known, show};
use crate::model::StackName;
use crate::status::{Snapshot, StackStatus, Table, essence};
use anyhow::bail;
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Shows changes until Ctrl-C, which is no error. An agent that is away is waited for.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    tokio::select! {
        ended = follow(arguments) => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted.map(|()| ExitCode::SUCCESS)?),
    }
}

async fn follow(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Some(first) = known(arguments).await? else {
        bail!("{}, and only an agent can be watched; start it", absence(arguments));
    };
    let mut lines = Lines { form: arguments.output, widths: Vec::new() };
    let mut seen = Seen::default();
    let first = select(&first, &arguments.stacks, &arguments.source)?;
    lines.show(&seen.changes(&first.stacks), &first)?;
    let mut is_away = false;
    loop {
        sleep(LOOK).await;
        if let Ok(Some(snapshot)) = known(arguments).await {
            is_away = false;
            let chosen = among(&snapshot, &arguments.stacks, &arguments.source);
            lines.show(&seen.changes(&chosen.stacks), &chosen)?;
        } else if !is_away {
            is_away = true;
            anstream::eprintln!("the agent does not answer any more; waiting for it to be back");
        }
    }
}

/// What happened to a stack.
#[derive(Debug, PartialEq)]
enum Change {
    /// It is so now.
    Is(Box<StackStatus>),
    /// It is the agent's no more.
    Gone(StackName),
}

/// What was shown last of each stack.
#[derive(Default)]
struct Seen(BTreeMap<StackName, Shown>);

struct Shown {
    essence: Vec<String>,
    was_looked_at: bool,
    leaves: bool,
}

impl Seen {
    /// What of `stacks` is to be shown, by name. What an agent that was just started does not know yet is
    /// no change: neither a stack that it has not looked at, nor one that it has not heard of.
    fn changes(&mut self, stacks: &[StackStatus]) -> Vec<Change> {
        let mut changes = Vec::new();
        let is_gone = |name: &StackName, shown: &Shown| {
            shown.leaves && !stacks.iter().any(|stack| stack.name == *name)
        };
        let gone: Vec<StackName> = self
            .0
            .iter()
            .filter(|(name, it)| is_gone(name, it))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.0.remove(&name);
            changes.push(Change::Gone(name));
        }
        for stack in stacks {
            let shown = Shown {
                essence: essence(stack),
                was_looked_at: stack.last_pass.is_some(),
                leaves: stack.departure.is_some(),
            };
            let former = self.0.get(&stack.name);
            let is_as_before = former.is_some_and(|former| {
                former.essence == shown.essence || (former.was_looked_at && !shown.was_looked_at)
            });
            if !is_as_before {
                self.0.insert(stack.name.clone(), shown);
                changes.push(Change::Is(Box::new(stack.clone())));
            }
        }
        changes
    }
}

/// Prints changes; columns only ever grow wider.
struct Lines {
    form: Form,
    widths: Vec<usize>,
}

impl Lines {
    fn show(&mut self, changes: &[Change], snapshot: &Snapshot) -> anyhow::Result<()> {
        match self.form {
            Form::Text | Form::Wide => self.rows(changes, snapshot),
            Form::Json => changes.iter().try_for_each(|change| {
                show::put(&match change {
                    Change::Is(stack) => serde_json::to_string(stack)? + "\n",
                    Change::Gone(name) => {
                        json!({ "name": name, "removed": true }).to_string() + "\n"
                    }
                })
            }),
            Form::Yaml => changes.iter().try_for_each(|change| {
                let text = match change {
                    Change::Is(stack) => serde_yaml::to_string(stack)?,
                    Change::Gone(name) => {
                        serde_yaml::to_string(&json!({ "name": name, "removed": true }))?
                    }
                };
                show::put(&format!("---\n{text}"))
            }),
        }
    }

    fn rows(&mut self, changes: &[Change], snapshot: &Snapshot) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let mut table = show::stacks(&[], snapshot, self.form, now);
        for change in changes {
            let row = match change {
                Change::Is(stack) => {
                    let stack = std::slice::from_ref(&**stack);
                    show::stacks(stack, snapshot, self.form, now).rows.remove(0)
                }
                Change::Gone(name) => gone(name, &table),
            };
            table.rows.push(row);
        }
        let is_first = self.widths.is_empty();
        self.widths.resize(table.head.len(), 0);
        for (known, width) in self.widths.iter_mut().zip(table.widths()) {
            *known = width.max(*known);
        }
        let line = |cells: &[String]| show::line(table.head, cells, &self.widths);
        let head =
            if is_first { show::line(table.head, table.head, &self.widths) } else { String::new() };
        show::put(&table.rows.iter().fold(head, |text, cells| text + &line(cells)))
    }
}

/// The row of a stack that is no more.
fn gone(name: &StackName, table: &Table) -> Vec<String> {
    let cell = |title: &&str| match *title {
        "STACK" => name.to_string(),
        "SYNC" => "Removed".to_owned(),
        "MESSAGE" => String::new(),
        _ => "-".to_owned(),
    };
    table.head.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Board, Departure, PassResult, Report};

    fn looked_at(name: &str, message: &str) -> StackStatus {
        let name = StackName::new(name).unwrap();
        let mut board = Board::default();
        let report = Report::begun(name.clone(), Timestamp::UNIX_EPOCH);
        board.note(&Report { result: PassResult::Unchanged, message: message.into(), ..report });
        board.stack(&name).cloned().unwrap()
    }

    #[test]
    fn only_what_is_different_is_told_and_a_fresh_agent_s_ignorance_is_not() {
        let mut seen = Seen::default();
        let (shop, wiki) = (looked_at("shop", ""), looked_at("wiki", ""));
        assert_eq!(seen.changes(&[shop.clone(), wiki.clone()]).len(), 2);
        assert_eq!(seen.changes(&[shop.clone(), wiki.clone()]), []);
        let mut fresh = Board::default();
        fresh.begin(&shop.name, None, Timestamp::UNIX_EPOCH);
        let unseen = fresh.stack(&shop.name).cloned().unwrap();
        assert_eq!(seen.changes(&[unseen]), [], "nothing is known yet");
        assert_eq!(seen.changes(&[shop.clone(), wiki.clone()]), []);
        let ill = looked_at("shop", "port 80 is taken");
        assert_eq!(seen.changes(&[ill.clone(), wiki]), [Change::Is(Box::new(ill))]);
    }

    #[test]
    fn a_stack_that_was_leaving_is_told_as_gone_once() {
        let mut seen = Seen::default();
        let mut shop = looked_at("shop", "");
        shop.departure = Some(Departure { since: Timestamp::UNIX_EPOCH, held: None });
        seen.changes(std::slice::from_ref(&shop));
        assert_eq!(seen.changes(&[]), [Change::Gone(shop.name)]);
        assert_eq!(seen.changes(&[]), []);
    }
}
