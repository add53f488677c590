//! What Compose made for services that the stack does not have. Nobody said that it goes, so it is
//! treated as a stranger: named, in the way where it is in the way, and never touched.

use super::{Draft, Problem};
use crate::model::{Container, Networking, Observed, Stack, State, Stranger};

impl Draft<'_> {
    /// Notes the orphans among `containers`.
    pub(super) fn orphans_of_compose(&mut self, containers: &[Container]) {
        let desired = self.desired;
        for container in containers.iter().filter(|container| is_orphan(desired, container)) {
            let message = format!(
                "the container {} was made by Compose for a service that is not in the file, and is left; remove it by hand if it is not needed",
                container.name
            );
            let note: Problem =
                self.problem(format!("services.{}", container.slot.service), message);
            self.plan.notes.push(note);
        }
    }
}

/// `observed` with the orphans among the strangers; none if there are no orphans.
pub(super) fn with_orphans_as_strangers(desired: &Stack, observed: &Observed) -> Option<Observed> {
    let orphan = |container: &Container| is_orphan(desired, container);
    if !observed.containers.iter().any(orphan) {
        return None;
    }
    let mut observed = observed.clone();
    let (orphans, ours) = observed.containers.into_iter().partition(orphan);
    observed.containers = ours;
    for orphan in orphans {
        if let Networking::Networks(networks) = &orphan.spec.networking {
            let on = |name: &str| networks.contains_key(name);
            for network in observed.networks.iter_mut().filter(|found| on(&found.spec.name)) {
                network.foreign_containers.insert(orphan.name.clone());
            }
        }
        let runs = matches!(orphan.state, State::Running | State::Paused);
        observed.strangers.push(Stranger {
            name: orphan.name,
            stack: None,
            project: Some(desired.name.to_string()),
            ports: orphan.spec.ports.into_iter().filter(|_| runs).collect(),
        });
    }
    Some(observed)
}

fn is_orphan(desired: &Stack, container: &Container) -> bool {
    container.adopted && !desired.services.contains_key(&container.slot.service)
}
