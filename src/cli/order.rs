//! Gives the agent that runs an order about one stack, and watches what follows. Without an agent
//! the same record is changed in its inventory.

use super::Common;
use super::socket::{Socket, inventory};
use super::watch::{Patience, watch};
use crate::model::StackName;
use crate::status::{Order, RollbackTo};
use crate::store::{self, Inventory, StackRecord, Wanted};
use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
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

/// Gives `order` and watches what follows, if there is `patience` for it.
pub(super) async fn give(
    common: &Common,
    to: &Addressee,
    order: &Order,
    patience: Option<&Patience>,
) -> anyhow::Result<ExitCode> {
    let Some(agent) = to.socket.agent()? else {
        to.socket.tell_absence(common);
        let did = without_agent(common, &to.stack, order)?;
        println!("{}: {did}; this takes effect when an agent runs", to.stack);
        return Ok(ExitCode::SUCCESS);
    };
    let done = agent.order(&to.stack, order).await?;
    println!("{}: {}", to.stack, done.did);
    match patience.and_then(Patience::bound) {
        Some(bound) => watch(&agent, &done, bound).await,
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Changes the record of a stack in the inventory, which no agent has open. Says what was done.
fn without_agent(common: &Common, name: &StackName, order: &Order) -> anyhow::Result<String> {
    let state_dir = common.state_dir();
    let _lock = store::lock(&state_dir)?;
    let inventory = inventory(&state_dir)?;
    if !inventory.stacks().contains_key(name) {
        bail!("the inventory in {} knows no stack {name}", state_dir.display());
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
        Order::Resume if record.resume() => "resumed".to_owned(),
        Order::Resume => "it is not paused".to_owned(),
        Order::Sync => bail!("only an agent fetches; without one `bowline apply` does"),
    };
    inventory.update(name, |known| *known = record);
    Ok(did)
}

fn go_back(record: &mut StackRecord, to: &RollbackTo, now: Timestamp) -> anyhow::Result<String> {
    let Some(wanted) = wanted(record) else {
        bail!("without an agent it is not known what git asks for now; start it, and ask again");
    };
    let instead = record.go_back(&wanted, to.to.as_ref(), now)?;
    let named = instead.revision.as_ref().map_or("the former definition", |it| it.short());
    Ok(format!("going back to {named}"))
}

/// What git asked for when an agent last looked, as far as its record tells.
fn wanted(record: &StackRecord) -> Option<Wanted> {
    if let Some(held) = &record.held_back {
        let (revision, definition) = (held.revision.clone(), held.definition.clone());
        return Some(Wanted { revision, definition });
    }
    let applied = record.applied.as_ref().filter(|applied| applied.result.is_success())?;
    let definition = record.good.as_ref()?.definition.clone();
    Some(Wanted { revision: applied.revision.clone(), definition })
}
