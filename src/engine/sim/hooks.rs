//! What is done around the life of a container: commands in it, its way out of the names of networks,
//! and the notes about both.

use super::images::Deed;
use super::state::{World, refused};
use crate::engine::EngineError;
use crate::model::{Endpoint, State};
use crate::plan::ContainerRef;
use std::net::IpAddr;

impl World {
    /// What `command` does in a container that runs.
    pub(super) fn deed(
        &self,
        wanted: &ContainerRef,
        command: &[String],
    ) -> Result<Deed, EngineError> {
        let operation = "run a command in";
        let found = self.container(operation, wanted)?;
        let object = format!("container {}", wanted.name);
        match found.state {
            State::Running => {}
            State::Paused => {
                let id = &found.id;
                let message =
                    format!("Container {id} is paused, unpause the container before exec");
                return Err(refused(operation, object, 409, message));
            }
            _ => {
                let message = format!("Container {} is not running", found.id);
                return Err(refused(operation, object, 409, message));
            }
        }
        Ok(self.behaviour(found).commands.get(command).cloned().unwrap_or_default())
    }

    /// Whether a container runs.
    pub(super) fn is_up(&self, wanted: &ContainerRef) -> bool {
        let found = self.find(&wanted.key).and_then(|id| self.containers.get(&id));
        found.is_some_and(super::state::SimContainer::is_up)
    }

    /// Takes a running container's names off a network. Gives a warning if that cost its address.
    pub(super) fn withdraw(
        &mut self,
        wanted: &ContainerRef,
        network: &str,
        endpoint: &Endpoint,
    ) -> Result<Option<String>, EngineError> {
        let found = self.container("look at", wanted)?;
        let Some(place) = found.attached.get(network).filter(|_| found.is_up()) else {
            return Ok(None);
        };
        let address = place.addresses.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        let same = Endpoint { ipv4_address: address, ..endpoint.clone() };
        self.disconnect(wanted, network)?;
        let Err(refusal) = self.connect(wanted, network, &same) else { return Ok(None) };
        self.connect(wanted, network, endpoint)?;
        Ok(Some(format!("its connections on {network} are cut: {refusal}")))
    }

    /// Notes whether the hooks after a container's start are still to be run.
    pub(super) fn note_hooks(
        &mut self,
        wanted: &ContainerRef,
        owed: bool,
    ) -> Result<(), EngineError> {
        let id = self.container("note", wanted)?.id.clone();
        self.containers.change(&id, |found| found.owes_hooks = owed);
        Ok(())
    }

    /// Takes a container away with the anonymous volumes that nothing else uses.
    pub(super) fn discard(&mut self, wanted: &ContainerRef) {
        let found = self.find(&wanted.key).and_then(|id| self.containers.get(&id));
        let volumes: Vec<String> =
            found.into_iter().flat_map(|found| found.anonymous_volumes.values().cloned()).collect();
        self.remove(wanted);
        for volume in volumes {
            // One that is in use stays.
            let _ = self.remove_volume(&volume);
        }
    }
}
