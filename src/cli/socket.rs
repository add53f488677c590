//! Where the agent that runs is asked, and its inventory where none does.

use crate::control::{AskError, Asker, SOCKET};
use crate::store::{Inventory, Mishap};
use anyhow::bail;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Socket {
    /// Where the agent listens for commands.
    #[arg(long, env = "BOWLINE_SOCKET", default_value = SOCKET, value_name = "PATH")]
    socket: PathBuf,
}

impl Socket {
    /// The agent that answers there; `None` if none does.
    pub(super) fn agent(&self) -> Result<Option<Asker>, AskError> {
        Asker::at(&self.socket)
    }

    /// Where that is.
    pub(super) fn path(&self) -> &Path {
        &self.socket
    }

    /// That there is no agent.
    pub(super) fn absence(&self) -> String {
        format!("no agent answers at {}", self.socket.display())
    }

    /// Says that there is no agent, and what is worked on instead.
    pub(super) fn tell_absence(&self, state_dir: &Path) {
        let absence = self.absence();
        anstream::eprintln!(
            "{absence}; this is what its inventory in {} says",
            state_dir.display()
        );
    }
}

/// The inventory in `state_dir`, whose lock the caller has.
pub(super) fn inventory(state_dir: &Path) -> anyhow::Result<Inventory> {
    let (inventory, mishap) = Inventory::open(state_dir);
    match mishap {
        Some(mishap @ Mishap::Unavailable { .. }) => bail!("{mishap}"),
        Some(mishap) => anstream::eprintln!("warning: {mishap}"),
        None => {}
    }
    Ok(inventory)
}
