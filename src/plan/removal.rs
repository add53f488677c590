//! What goes: containers that no service wants any more, and whole stacks.

use super::recipe::remove;
use super::strangers::share_a_port;
use super::{Action, Change, Draft, Object, Plan, Reason, Step};
use crate::model::{Container, Observed, ServiceName, StackName, State, labels};
use std::collections::{BTreeMap, BTreeSet};

impl<'a> Draft<'a> {
    /// Removes first the leftovers that hold a name or host port which the stack now wants for
    /// something else.
    pub(super) fn leftovers_in_the_way(&mut self) {
        for (container, reason) in self.all_leftovers() {
            if self.is_in_the_way(container) {
                self.push(removal(container, reason));
            }
        }
    }

    /// Removes the other leftovers. Those of a service that is no longer there go last: what takes
    /// its place must stand first.
    pub(super) fn leftovers(&mut self) {
        let successors: Vec<usize> = self.upset.values().flatten().copied().collect();
        for (container, reason) in self.all_leftovers() {
            if self.is_in_the_way(container) {
                continue;
            }
            let mut change = removal(container, reason);
            if !self.desired.services.contains_key(&container.slot.service) {
                change.after.clone_from(&successors);
            }
            self.push(change);
        }
    }

    /// The containers of services and slots that the stack no longer has and that do not count as
    /// ignored, highest numbers first.
    fn all_leftovers(&self) -> Vec<(&'a Container, Reason)> {
        let mut all = self.with_ignored_leftovers();
        all.retain(|(_, reason)| !self.desired.policy.ignores(&reason.field));
        all
    }

    /// Notes the surplus containers that are left alone.
    pub(super) fn ignored_leftovers(&mut self) {
        let mut all = self.with_ignored_leftovers();
        all.retain(|(_, reason)| self.desired.policy.ignores(&reason.field));
        self.plan.ignored.extend(all.into_iter().map(|(_, reason)| reason));
    }

    fn with_ignored_leftovers(&self) -> Vec<(&'a Container, Reason)> {
        let leftover = |container: &'a Container| {
            let slot = &container.slot;
            let (field, want, is) = match self.desired.services.get(&slot.service) {
                None => (String::new(), "none".to_owned(), format!("container {}", container.name)),
                Some(service) if slot.number > service.replicas || slot.number == 0 => (
                    ".replicas".to_owned(),
                    service.replicas.to_string(),
                    format!("a container number {}", slot.number),
                ),
                Some(_) => return None,
            };
            Some(self.reason(format!("services.{}{field}", slot.service), want, is))
        };
        self.observed
            .containers
            .iter()
            .rev()
            .filter(|container| container.state != State::Removing)
            .filter_map(|container| Some((container, leftover(container)?)))
            .collect()
    }

    fn is_in_the_way(&self, container: &Container) -> bool {
        self.is_wanted_name(&container.name)
            || self.desired.services.iter().any(|(name, service)| {
                *name != container.slot.service && share_a_port(service, container)
            })
    }
}

/// Removes all that the stack `name` owns: containers, then networks, and volumes only with
/// `volumes`.
pub fn plan_removal(name: &StackName, observed: &Observed, volumes: bool) -> Plan {
    let mut plan = Plan::empty(name.clone());
    let gone = |field: String, is: String| Reason {
        field,
        desired: "none".into(),
        actual: is,
        place: None,
    };
    let ranks = ranks(&observed.containers);
    let rank = |container: &Container| ranks.get(&container.slot.service).copied();
    let mut containers: Vec<&Container> =
        observed.containers.iter().rev().filter(|container| was_taken_over(container)).collect();
    containers.sort_by_key(|container| rank(container));
    for container in &containers {
        let service = &container.slot.service;
        let reason = gone(format!("services.{service}"), format!("container {}", container.name));
        let mut change = removal(container, reason);
        let dependents = containers.iter().enumerate().filter(|(_, other)| {
            rank(other) < rank(container)
                && dependencies(other).any(|name| name == service.as_str())
        });
        change.after = dependents.map(|(index, _)| index).collect();
        plan.changes.push(change);
    }
    let containers: Vec<usize> = (0..plan.changes.len()).collect();
    let owned = |stack: &Option<StackName>| stack.as_ref() == Some(name);
    let left: Vec<_> = observed.containers.iter().filter(|other| !was_taken_over(other)).collect();
    for network in observed.networks.iter().filter(|network| owned(&network.stack)) {
        if left.iter().any(|container| container.network_ids.contains_key(&network.spec.name)) {
            continue;
        }
        let network_name = network.spec.name.clone();
        let field =
            format!("networks.{}", key(&network.spec.labels, labels::NETWORK, &network_name));
        plan.changes.push(Change {
            object: Object::Network(network_name.clone()),
            action: Action::Remove,
            reasons: vec![gone(field, format!("network {network_name}"))],
            after: containers.clone(),
            steps: vec![Step::RemoveNetwork { name: network_name, id: network.id.clone() }],
        });
    }
    let anonymous = observed.containers.iter().flat_map(|container| &container.anonymous_volumes);
    let anonymous: BTreeSet<&String> = anonymous.map(|(_, name)| name).collect();
    for name in anonymous.into_iter().filter(|_| volumes) {
        let object = Object::Volume(name.clone());
        let reasons = vec![gone(format!("volumes.{name}"), "an anonymous volume".to_owned())];
        let steps = vec![Step::RemoveVolume(name.clone())];
        let after = containers.clone();
        plan.changes.push(Change { object, action: Action::Remove, reasons, after, steps });
    }
    // What Compose made for a project may hold what the stack never knew of.
    let ours = |all: &BTreeMap<String, String>| all.contains_key(labels::STACK);
    for volume in observed.volumes.iter().filter(|volume| volumes && owned(&volume.stack)) {
        if !ours(&volume.spec.labels) {
            continue;
        }
        let volume_name = volume.spec.name.clone();
        let field = format!("volumes.{}", key(&volume.spec.labels, labels::VOLUME, &volume_name));
        plan.changes.push(Change {
            object: Object::Volume(volume_name.clone()),
            action: Action::Remove,
            reasons: vec![gone(field, format!("volume {volume_name} with its data"))],
            after: containers.clone(),
            steps: vec![Step::RemoveVolume(volume_name)],
        });
    }
    plan
}

/// Whether a container was made by us, or by Compose and taken over since.
fn was_taken_over(container: &Container) -> bool {
    !container.adopted || container.contents_known
}

/// The key under which the stack's file had a network or volume, from its labels.
pub(super) fn key<'a>(labels: &'a BTreeMap<String, String>, kind: &str, name: &'a str) -> &'a str {
    labels.get(kind).map_or(name, String::as_str)
}

/// The services of `containers` by the order in which they go: each after those that depend on it.
/// Services in a circle, which labels of different times can tell of, go in the order of names.
fn ranks(containers: &[Container]) -> BTreeMap<ServiceName, usize> {
    let mut needs: BTreeMap<&ServiceName, BTreeSet<&str>> = BTreeMap::new();
    for container in containers {
        needs.entry(&container.slot.service).or_default().extend(dependencies(container));
    }
    let mut ranks = BTreeMap::new();
    while let Some(first) = needs.keys().next().copied() {
        let needed: BTreeSet<&str> = needs
            .iter()
            .flat_map(|(name, needs)| needs.iter().filter(move |need| **need != name.as_str()))
            .copied()
            .collect();
        let free: Vec<_> =
            needs.keys().copied().filter(|name| !needed.contains(name.as_str())).collect();
        let next = if free.is_empty() { vec![first] } else { free };
        let rank = ranks.len();
        for name in next {
            needs.remove(name);
            ranks.insert(name.clone(), rank);
        }
    }
    ranks
}

/// The services that a container's service depended on when it was made.
fn dependencies(container: &Container) -> impl Iterator<Item = &str> {
    let noted = container.spec.labels.get(labels::DEPENDS_ON).map_or("", String::as_str);
    noted.split(',').filter_map(|noted| noted.split(':').next())
}

fn removal(container: &Container, reason: Reason) -> Change {
    Change {
        object: Object::Container(container.slot.clone()),
        action: Action::Remove,
        reasons: vec![reason],
        after: Vec::new(),
        steps: remove(container),
    }
}
