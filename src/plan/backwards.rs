//! The order in which containers go: each after those that depend on it, as far as the labels tell
//! that they got when they were made.

use crate::model::{Container, ServiceName, labels};
use std::collections::{BTreeMap, BTreeSet};

/// Where the services of some containers stand in it.
pub(super) struct Backwards<'a> {
    /// Services of one rank may go at once; those in a circle, which labels of different times can
    /// tell of, in the order of their names.
    ranks: BTreeMap<&'a str, usize>,
    /// The services that depend on each.
    dependents: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Backwards<'a> {
    pub(super) fn of(containers: impl Iterator<Item = &'a Container>) -> Self {
        let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for container in containers {
            let service = container.slot.service.as_str();
            let others = dependencies(container).filter(|other| *other != service);
            needs.entry(service).or_default().extend(others);
        }
        let mut dependents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (service, others) in &needs {
            for other in others.iter().filter(|other| needs.contains_key(*other)) {
                dependents.entry(other).or_default().insert(service);
            }
        }
        Self { ranks: ranks(&needs, &dependents), dependents }
    }

    /// The lowest go first.
    pub(super) fn rank(&self, container: &Container) -> Option<usize> {
        self.ranks.get(container.slot.service.as_str()).copied()
    }

    /// The services all of whose containers go before those of `service`.
    pub(super) fn before(&self, service: &'a ServiceName) -> impl Iterator<Item = &'a str> {
        let rank = |service: &str| self.ranks.get(service).copied();
        let service = service.as_str();
        let dependents = self.dependents.get(service).into_iter().flatten().copied();
        dependents.filter(move |other| rank(other) < rank(service))
    }
}

fn ranks<'a>(
    needs: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    dependents: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> BTreeMap<&'a str, usize> {
    // How many services each still has to wait for.
    let count = |service: &str| dependents.get(service).map_or(0, BTreeSet::len);
    let mut left: BTreeMap<&str, usize> =
        needs.keys().map(|service| (*service, count(service))).collect();
    let mut ranks = BTreeMap::new();
    let mut free: BTreeSet<&str> =
        left.iter().filter(|(_, before)| **before == 0).map(|(service, _)| *service).collect();
    while let Some((&first, _)) = left.first_key_value() {
        if free.is_empty() {
            free.insert(first);
        }
        let (rank, mut next) = (ranks.len(), BTreeSet::new());
        for service in free {
            left.remove(service);
            ranks.insert(service, rank);
            for need in needs.get(service).into_iter().flatten() {
                let Some(before) = left.get_mut(need) else { continue };
                *before -= 1;
                if *before == 0 {
                    next.insert(*need);
                }
            }
        }
        next.retain(|service| left.contains_key(service));
        free = next;
    }
    ranks
}

/// The services that a container's service depended on when it was made.
fn dependencies(container: &Container) -> impl Iterator<Item = &str> {
    let noted = container.spec.labels.get(labels::DEPENDS_ON).map_or("", String::as_str);
    noted.split(',').filter_map(|noted| noted.split(':').next()).filter(|name| !name.is_empty())
}
