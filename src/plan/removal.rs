//! What goes: containers that no service wants any more, and whole stacks.

use super::backwards::Backwards;
use super::recipe::remove;
use super::strangers::share_a_port;
use super::{Action, Change, ContainerRef, Draft, Object, Plan, Reason, Step, pre_start};
use crate::model::{Container, Observed, Order, ServiceName, StackName, State, labels};
use std::collections::{BTreeMap, BTreeSet};

impl<'a> Draft<'a> {
    /// Removes first the leftovers that hold a name or host port which the stack now wants for
    /// something else.
    pub(super) fn leftovers_in_the_way(&mut self) {
        for (container, reason) in self.all_leftovers() {
            if self.is_in_the_way(container) {
                let change = self.leaving(container, reason);
                self.push(change);
            }
        }
    }

    /// Removes the other leftovers. Those of a service that is no longer there go last: what takes
    /// its place must stand first.
    pub(super) fn leftovers(&mut self) {
        let successors: Vec<usize> = self.upset.values().flatten().copied().collect();
        let mut all = self.all_leftovers();
        all.retain(|(container, _)| !self.is_in_the_way(container));
        let order = Backwards::of(all.iter().map(|(container, _)| *container));
        all.sort_by_key(|(container, _)| order.rank(container));
        let mut going = Going::new();
        for (container, reason) in all {
            let service = &container.slot.service;
            let mut change = self.leaving(container, reason);
            if !self.desired.services.contains_key(service) {
                change.after.clone_from(&successors);
                change.after.extend(after(&order, &going, service));
            }
            let index = self.push(change);
            going.entry(service.as_str()).or_default().push(index);
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

    /// Takes a container away that others may have been led to.
    fn leaving(&self, container: &Container, reason: Reason) -> Change {
        let mut steps = self.leave_steps(container, Order::StopFirst);
        steps.push(Step::Remove(ContainerRef::of(container)));
        Change { steps, ..removal(container, reason) }
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
    let mut containers: Vec<&Container> =
        observed.containers.iter().rev().filter(|container| container.is_taken_over()).collect();
    let order = Backwards::of(containers.iter().copied());
    containers.sort_by_key(|container| order.rank(container));
    let mut going = Going::new();
    for container in &containers {
        let service = &container.slot.service;
        let reason = gone(format!("services.{service}"), format!("container {}", container.name));
        let mut change = removal(container, reason);
        change.after = after(&order, &going, service);
        going.entry(service.as_str()).or_default().push(plan.changes.len());
        plan.changes.push(change);
    }
    for hook in &observed.hooks {
        let field = format!("services.{}.pre_start", hook.slot.service);
        let reason = gone(field, format!("container {}", hook.name));
        plan.changes.push(pre_start::removal(hook, reason));
    }
    let containers: Vec<usize> = (0..plan.changes.len()).collect();
    let owned = |stack: &Option<StackName>| stack.as_ref() == Some(name);
    let left: Vec<_> = observed.containers.iter().filter(|other| !other.is_taken_over()).collect();
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
            undo: Vec::new(),
        });
    }
    let anonymous = observed.containers.iter().flat_map(|container| &container.anonymous_volumes);
    let anonymous: BTreeSet<&String> = anonymous.map(|(_, name)| name).collect();
    for name in anonymous.into_iter().filter(|_| volumes) {
        let object = Object::Volume(name.clone());
        let reasons = vec![gone(format!("volumes.{name}"), "an anonymous volume".to_owned())];
        let steps = vec![Step::RemoveVolume(name.clone())];
        let after = containers.clone();
        plan.changes.push(Change {
            object,
            action: Action::Remove,
            reasons,
            after,
            steps,
            undo: Vec::new(),
        });
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
            undo: Vec::new(),
        });
    }
    plan
}

/// The changes by which the containers of each service go.
type Going<'a> = BTreeMap<&'a str, Vec<usize>>;

/// Those after which a container of `service` goes.
fn after<'a>(order: &Backwards<'a>, going: &Going<'_>, service: &'a ServiceName) -> Vec<usize> {
    let mut after: Vec<usize> =
        order.before(service).filter_map(|other| going.get(other)).flatten().copied().collect();
    after.sort_unstable();
    after
}

/// The key under which the stack's file had a network or volume, from its labels.
pub(super) fn key<'a>(labels: &'a BTreeMap<String, String>, kind: &str, name: &'a str) -> &'a str {
    labels.get(kind).map_or(name, String::as_str)
}

fn removal(container: &Container, reason: Reason) -> Change {
    Change {
        object: Object::Container(container.slot.clone()),
        action: Action::Remove,
        reasons: vec![reason],
        after: Vec::new(),
        steps: remove(container),
        undo: Vec::new(),
    }
}
