//! Names and host ports that are held by others: found before anything is changed.

use super::slots::{Wanted, takes_name};
use super::{Action, Change, Draft, Problem};
use crate::model::{Container, PortBinding, Service, Stranger};

impl Draft<'_> {
    /// What keeps a slot from being filled, if something does.
    pub(super) fn in_the_way(&self, wanted: &Wanted<'_>, change: &Change) -> Option<Problem> {
        let makes = matches!(change.action, Action::Create | Action::Replace);
        let needs_name = makes || takes_name(wanted, &change.steps);
        let needs_ports = makes || change.action == Action::Start;
        let strangers = &self.observed.strangers;
        let name = strangers.iter().find(|other| needs_name && other.name == wanted.final_name);
        let problem = |field: &str, message| {
            self.problem(format!("services.{}.{field}", wanted.name), message)
        };
        if let Some(other) = name {
            return Some(problem("container_name", name_message(other)));
        }
        if let Some(holder) = self.held_by_the_blocked(wanted).filter(|_| needs_ports) {
            let message = format!(
                "a host port is held by the container {holder} of a service that cannot be changed now; mend that service first"
            );
            return Some(problem("ports", message));
        }
        strangers.iter().filter(|_| needs_ports).find_map(|other| {
            let port = taken_port(wanted, other)?;
            let message = format!(
                "host port {port} is taken by the container {}{}; free it, or publish another port",
                other.name,
                owner(other)
            );
            Some(problem("ports", message))
        })
    }

    /// A container of a service with a problem, which stays, on a host port that is wanted.
    fn held_by_the_blocked(&self, wanted: &Wanted<'_>) -> Option<&str> {
        let mut others = self
            .containers_on_ports_of(wanted.service)
            .filter(|other| self.blocked.contains(&other.slot.service));
        others.find(|other| share_a_port(wanted.service, other)).map(|other| other.name.as_str())
    }

    /// The changes planned so far that free a name or host port which `wanted` needs.
    pub(super) fn holders_that_go(&self, wanted: &Wanted<'_>) -> Vec<usize> {
        let on_its_ports = self
            .containers_on_ports_of(wanted.service)
            .filter(|other| share_a_port(wanted.service, other));
        let holders = on_its_ports.chain(self.container_named(&wanted.final_name));
        let goes = [Action::Remove, Action::Replace, Action::Rename];
        holders
            .filter(|holder| holder.slot != wanted.slot)
            .flat_map(|holder| self.changes_of(&holder.slot))
            .filter(|index| goes.contains(&self.plan.changes[*index].action))
            .collect()
    }
}

fn name_message(other: &Stranger) -> String {
    format!(
        "the name {} is taken by a container that is not of this stack{}; remove or rename that container, or set another `container_name`",
        other.name,
        owner(other)
    )
}

fn owner(other: &Stranger) -> String {
    match (&other.stack, &other.project) {
        (Some(stack), _) => format!(" (of the stack {stack})"),
        (None, Some(project)) => {
            format!(" (of the Compose project {project}, not made by Bowline)")
        }
        (None, None) => String::new(),
    }
}

fn taken_port(wanted: &Wanted<'_>, other: &Stranger) -> Option<u16> {
    wanted.service.container.ports.iter().find_map(|own| {
        let taken = other.ports.iter().any(|port| collide(own, port));
        own.fixed_host_port().filter(|_| taken)
    })
}

/// Whether a service and a container publish the same host port.
pub(super) fn share_a_port(service: &Service, container: &Container) -> bool {
    let theirs = &container.spec.ports;
    service.container.ports.iter().any(|own| theirs.iter().any(|port| collide(own, port)))
}

/// Whether two bindings cannot be at the same time. A range leaves the engine a choice.
fn collide(one: &PortBinding, other: &PortBinding) -> bool {
    let addresses_meet = match (one.host_ip, other.host_ip) {
        (Some(one), Some(other)) => one == other || one.is_unspecified() || other.is_unspecified(),
        (None, _) | (_, None) => true,
    };
    one.fixed_host_port().is_some()
        && one.fixed_host_port() == other.fixed_host_port()
        && one.container.protocol == other.container.protocol
        && addresses_meet
}
