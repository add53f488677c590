//! What a stack owns on the engine, by name.

use crate::model::{Observed, ServiceName, StackName, labels};
use crate::plan::Completed;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names of what a stack owns; never values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holdings {
    /// Its containers.
    pub containers: BTreeSet<String>,
    /// Its networks.
    pub networks: BTreeSet<String>,
    /// Its volumes, without those that have no name of their own.
    pub volumes: BTreeSet<String>,
}

/// What a pass saw of a stack when it last looked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the stack owns.
    pub holdings: Holdings,
    /// The images that its containers run.
    pub images: RunImages,
    /// Its jobs that ran to their end.
    pub completed: Completed,
}

/// Whether a snapshot shows containers or networks of `stack` that Bowline made, all of them in no source.
pub fn is_from_hand(stack: &StackName, observed: &Observed) -> bool {
    let containers = observed.containers.iter().filter(|found| !found.adopted);
    let networks = observed.networks.iter().filter(|found| found.stack.as_ref() == Some(stack));
    let networks = networks.map(|found| &found.spec.labels);
    let all = containers.map(|found| &found.spec.labels).chain(networks);
    let mut made = all.filter(|labels| labels.contains_key(labels::STACK)).peekable();
    made.peek().is_some() && made.all(|labels| !labels.contains_key(labels::SOURCE))
}

/// The images that each service runs: the id, and the reference that it was asked for by.
pub type RunImages = BTreeMap<ServiceName, BTreeMap<String, String>>;

impl Holdings {
    /// What a snapshot shows of `stack`. What it never took over is not its own, nor are networks that
    /// such a container is on.
    pub fn of(stack: &StackName, observed: &Observed) -> Self {
        let owned = |owner: &Option<StackName>| owner.as_ref() == Some(stack);
        let (containers, others): (Vec<_>, Vec<_>) =
            observed.containers.iter().partition(|found| found.is_taken_over());
        let is_free = |name: &str| others.iter().all(|it| !it.network_ids.contains_key(name));
        let networks = observed.networks.iter().filter(|network| owned(&network.stack));
        let networks = networks.filter(|network| is_free(&network.spec.name));
        let volumes = observed.volumes.iter().filter(|volume| owned(&volume.stack));
        Self {
            containers: containers.iter().map(|found| found.name.clone()).collect(),
            networks: networks.map(|network| network.spec.name.clone()).collect(),
            volumes: volumes.map(|volume| volume.spec.name.clone()).collect(),
        }
    }
}

impl Seen {
    /// What a snapshot shows of `stack`, of whose jobs these ran to their end.
    pub fn of(stack: &StackName, observed: &Observed, completed: Completed) -> Self {
        let holdings = Holdings::of(stack, observed);
        Self { holdings, images: run_images(observed), completed }
    }

    /// The image of each service whose containers all run the same.
    pub fn sole_images(&self) -> BTreeMap<ServiceName, String> {
        let sole = self.images.iter().filter(|(_, images)| images.len() == 1);
        sole.flat_map(|(service, images)| images.keys().map(|id| (service.clone(), id.clone())))
            .collect()
    }
}

fn run_images(observed: &Observed) -> RunImages {
    let mut images = RunImages::new();
    for container in observed.containers.iter().filter(|found| !found.image_id.is_empty()) {
        let service = images.entry(container.slot.service.clone()).or_default();
        service.insert(container.image_id.clone(), container.spec.image.to_string());
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_in_the_middle_of_an_exchange_has_no_image_to_go_back_to() {
        let service = |name: &str| ServiceName::new(name).unwrap();
        let images = |ids: &[&str]| -> BTreeMap<String, String> {
            ids.iter().map(|&id| (id.to_owned(), "app:1".to_owned())).collect()
        };
        let images = RunImages::from([
            (service("web"), images(&["sha256:a"])),
            (service("job"), images(&["sha256:a", "sha256:b"])),
        ]);
        let seen = Seen { images, ..Seen::default() };
        assert_eq!(seen.sole_images(), [(service("web"), "sha256:a".to_owned())].into());
    }
}
