//! Has an order about one stack carried out, and watches what follows. What is only to be noted
//! changes the stack's record in the inventory where no agent runs.

use super::Common;
use super::doer::{Directly, Doer};
use super::socket::{Socket, inventory};
use super::watch::{Patience, watch};
use crate::control;
use crate::model::StackName;
use crate::status::{Order, RollbackTo, near_misses};
use crate::store::{self, Inventory, StackRecord, Standing, Wanted};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Addressee {
    /// The stack.
    #[arg(value_name = "STACK", value_parser = stack_name)]
    pub(super) stack: StackName,
    #[command(flatten)]
    pub(super) socket: Socket,
}

/// A stack's name.
pub(super) fn stack_name(text: &str) -> Result<StackName, String> {
    StackName::new(text).map_err(|error| error.to_string())
}

/// Has `order` carried out and watches that, if there is `patience` for it.
pub(super) async fn give(
    common: &Common,
    to: &Addressee,
    order: &Order,
    (patience, directly): (&Patience, &Directly),
) -> anyhow::Result<ExitCode> {
    let Some(bound) = patience.bound() else {
        return note(common, to, order, directly).await;
    };
    let doer = Doer::find(common, to, directly).await?;
    let done = doer.order(&to.stack, order).await?;
    println!("{}: {}", to.stack, done.did);
    doer.work(watch(&doer, &done, bound)).await
}

/// Has `order` taken by the agent, or noted for the next one.
pub(super) async fn note(
    common: &Common,
    to: &Addressee,
    order: &Order,
    directly: &Directly,
) -> anyhow::Result<ExitCode> {
    if let Some(agent) = to.socket.agent()? {
        let done = agent.order(&to.stack, order).await?;
        println!("{}: {}", to.stack, done.did);
        return Ok(ExitCode::SUCCESS);
    }
    let state_dir = directly.state_dir(common)?;
    to.socket.tell_absence(&state_dir);
    let did = without_agent(&state_dir, &to.stack, order)?;
    let outlook = match order {
        Order::Suspend(_) => {
            "nothing is done without an agent, and the next one goes by this".to_owned()
        }
        Order::Pause => {
            "nothing is exchanged without an agent, and the next one goes by this".to_owned()
        }
        Order::Retry => format!(
            "this takes effect when an agent runs, but begins nothing that waits for a window: \
             `bowline retry {}` without `--no-wait` does",
            to.stack
        ),
        Order::Rollback(_) | Order::Resume | Order::Sync => {
            "this takes effect when an agent runs".to_owned()
        }
    };
    println!("{}: {did}; {outlook}", to.stack);
    Ok(ExitCode::SUCCESS)
}

/// Changes the record of a stack in the inventory, which no agent has open. Says what was done.
fn without_agent(state_dir: &Path, name: &StackName, order: &Order) -> anyhow::Result<String> {
    let unknown = |near: &str| {
        anyhow!("the inventory in {} knows no stack {name}{near}", state_dir.display())
    };
    // Nothing is made for what is refused.
    if store::look(state_dir) == Standing::Absent {
        return Err(unknown(""));
    }
    let _lock = store::lock(state_dir)?;
    let inventory = inventory(state_dir)?;
    let known = inventory.stacks();
    if !known.contains_key(name) {
        return Err(unknown(&near_misses(name.as_str(), known.keys().map(StackName::as_str))));
    }
    let did = change(&inventory, name, order)?;
    match inventory.flush() {
        Ok(()) => Ok(did),
        Err(mishap) => bail!("{mishap}"),
    }
}

fn change(inventory: &Inventory, name: &StackName, order: &Order) -> anyhow::Result<String> {
    let now = Timestamp::now();
    let mut record = inventory.stack(name);
    let did = match order {
        Order::Rollback(to) => {
            go_back(&mut record, to, now).with_context(|| format!("cannot roll back {name}"))?
        }
        Order::Retry => record.release().unwrap_or_else(|| "nothing is held back".to_owned()),
        Order::Pause => {
            record.pause(now);
            "paused".to_owned()
        }
        Order::Suspend(suspension) => {
            let by = control::user(rustix::process::geteuid().as_raw());
            record.suspend(suspension, &by, now);
            "suspended".to_owned()
        }
        Order::Resume => record.resume().unwrap_or("it is neither paused nor suspended").to_owned(),
        Order::Sync => bail!("only an agent fetches; without one `bowline apply` does"),
    };
    inventory.update(name, |known| *known = record);
    Ok(did)
}

fn go_back(record: &mut StackRecord, to: &RollbackTo, now: Timestamp) -> anyhow::Result<String> {
    let Some(wanted) = wanted(record) else {
        bail!("it is not known what git asks for now; ask again without `--no-wait`");
    };
    let instead = record.go_back(&wanted, to.to.as_ref(), now)?;
    let named = instead.revision.as_ref().map_or("the former definition", |it| it.short());
    Ok(format!("going back to {named}"))
}

/// What git asked for when an agent last looked, as far as its record tells.
fn wanted(record: &StackRecord) -> Option<Wanted> {
    if let Some(held) = &record.held_back {
        let (revision, definition) = (held.revision.clone(), held.definition.clone());
        return Some(Wanted { revision, definition, also: BTreeSet::new() });
    }
    let applied = record.applied.as_ref().filter(|applied| applied.result.is_success())?;
    let definition = record.good.as_ref()?.definition.clone();
    let revision = applied.revision.clone();
    Some(Wanted { revision, definition, also: BTreeSet::new() })
}
