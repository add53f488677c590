//! What planning asks again and again of the stack and the snapshot, answered without walking all of
//! them each time.

use super::containers::shared;
use super::{Draft, Object};
use crate::model::{Container, Observed, PortBinding, Service, ServiceName, Slot, Stack};
use std::collections::{BTreeMap, BTreeSet};

/// Answers by what is asked for. Containers are told by their index in the snapshot.
pub(super) struct Known<'a> {
    jobs: BTreeSet<&'a ServiceName>,
    /// The names of containers that others share something with.
    lenders: BTreeSet<&'a str>,
    /// The names that the stack's containers shall have.
    wanted_names: BTreeSet<String>,
    by_slot: BTreeMap<&'a Slot, Vec<usize>>,
    by_name: BTreeMap<&'a str, usize>,
    by_port: BTreeMap<u16, Vec<usize>>,
}

impl<'a> Known<'a> {
    pub(super) fn of(desired: &'a Stack, observed: &'a Observed) -> Self {
        let lenders = desired.services.values().flat_map(shared);
        let slots = desired.services.keys().flat_map(|name| desired.slots(name));
        let mut known = Self {
            jobs: desired.jobs(),
            lenders: lenders.map(|(_, name)| name).collect(),
            wanted_names: slots.filter_map(|slot| desired.container_name(&slot)).collect(),
            by_slot: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_port: BTreeMap::new(),
        };
        for (index, container) in observed.containers.iter().enumerate() {
            known.by_slot.entry(&container.slot).or_default().push(index);
            known.by_name.entry(&container.name).or_insert(index);
            for port in container.spec.ports.iter().filter_map(PortBinding::fixed_host_port) {
                known.by_port.entry(port).or_default().push(index);
            }
        }
        known
    }
}

impl<'a> Draft<'a> {
    pub(super) fn is_job(&self, name: &ServiceName) -> bool {
        self.known.jobs.contains(name)
    }

    /// Whether others share something with the container that shall have this name.
    pub(super) fn is_lender(&self, name: &str) -> bool {
        self.known.lenders.contains(name)
    }

    /// Whether a container of the stack shall have this name.
    pub(super) fn is_wanted_name(&self, name: &str) -> bool {
        self.known.wanted_names.contains(name)
    }

    /// The stack's containers in a slot.
    pub(super) fn containers_in(&self, slot: &Slot) -> impl Iterator<Item = &'a Container> {
        let found = self.known.by_slot.get(slot).into_iter().flatten();
        found.map(|index| &self.observed.containers[*index])
    }

    /// The container of the stack that is called so now.
    pub(super) fn container_named(&self, name: &str) -> Option<&'a Container> {
        self.known.by_name.get(name).map(|index| &self.observed.containers[*index])
    }

    /// The stack's containers on the host ports of `service`, of any protocol and address.
    pub(super) fn containers_on_ports_of(
        &self,
        service: &Service,
    ) -> impl Iterator<Item = &'a Container> {
        let ports = service.container.ports.iter().filter_map(PortBinding::fixed_host_port);
        let found = ports.filter_map(|port| self.known.by_port.get(&port)).flatten().copied();
        let found: BTreeSet<usize> = found.collect();
        found.into_iter().map(|index| &self.observed.containers[index])
    }

    /// The changes planned so far of the container in `slot`.
    pub(super) fn changes_of(&self, slot: &Slot) -> impl Iterator<Item = usize> {
        let object = Object::Container(slot.clone());
        self.planned.get(&object).into_iter().flatten().copied()
    }

    /// The changes planned so far of the container that shall be called `name`.
    pub(super) fn changes_of_named(&self, name: &str) -> impl Iterator<Item = usize> {
        self.planned_names.get(name).into_iter().flatten().copied()
    }
}
