//! In which order services change, and what each waits for in the others.

use super::effective::time_to_verdict;
use super::slots::Wanted;
use super::step::ContainerRef;
use super::{Action, Draft, Milestone, Step};
use crate::model::{Condition, Container, Dependency, Health, ServiceName, Slot, State};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long to wait for a container to run once it was started.
const START_BOUND: Duration = Duration::from_secs(60);
/// How much longer than its own numbers say to wait for a health check's verdict.
const HEALTH_MARGIN: Duration = Duration::from_secs(30);
/// How long to wait for a job to end.
pub(super) const JOB_BOUND: Duration = Duration::from_secs(30 * 60);

impl Draft<'_> {
    /// The services, each after those that it depends on; equal ones by name. Services in a circle
    /// are refused.
    pub(super) fn ordered_services(&mut self) -> Vec<ServiceName> {
        let desired = self.desired;
        let mut ordered: Vec<ServiceName> = Vec::new();
        // How many services each still waits for, and those that wait for each.
        let mut left: BTreeMap<&ServiceName, usize> = BTreeMap::new();
        let mut waiting: BTreeMap<&ServiceName, Vec<&ServiceName>> = BTreeMap::new();
        for (name, service) in &desired.services {
            let needs = service.depends_on.keys();
            let needs = needs.filter(|need| *need != name && desired.services.contains_key(*need));
            let mut count = 0;
            for need in needs {
                waiting.entry(need).or_default().push(name);
                count += 1;
            }
            left.insert(name, count);
        }
        let free = left.iter().filter(|(_, needs)| **needs == 0);
        let mut ready: BTreeSet<&ServiceName> = free.map(|(name, _)| *name).collect();
        while !ready.is_empty() {
            let mut next = BTreeSet::new();
            for name in ready {
                left.remove(name);
                ordered.push(name.clone());
                for dependent in waiting.remove(name).unwrap_or_default() {
                    let Some(needs) = left.get_mut(dependent) else { continue };
                    *needs -= 1;
                    if *needs == 0 {
                        next.insert(dependent);
                    }
                }
            }
            ready = next;
        }
        for name in left.into_keys() {
            let message = "is part of a circle of dependencies; remove one of them".to_owned();
            let field = format!("services.{name}.depends_on");
            self.refuse(field, message, std::slice::from_ref(name));
        }
        ordered
    }

    /// Whether a service must be left alone because it, or one that it needs, has a problem.
    pub(super) fn is_blocked(&mut self, name: &ServiceName) -> bool {
        let needs_blocked = self.desired.services[name]
            .depends_on
            .iter()
            .any(|(need, dependency)| dependency.required && self.blocked.contains(need));
        if needs_blocked {
            self.blocked.insert(name.clone());
        }
        self.blocked.contains(name)
    }

    /// The changes of other services that a start of `name` must come after.
    pub(super) fn prerequisites(&self, name: &ServiceName) -> BTreeSet<usize> {
        self.desired.services[name]
            .depends_on
            .iter()
            .filter(|(_, dependency)| dependency.required)
            .flat_map(|(need, _)| self.upsets(need))
            .collect()
    }

    /// The services after whose being made anew `name` is restarted.
    pub(super) fn restart_with(&self, name: &ServiceName) -> impl Iterator<Item = &ServiceName> {
        let needs = self.desired.services[name].depends_on.iter();
        needs.filter(|(_, dependency)| dependency.restart).map(|(need, _)| need)
    }

    /// Those of them all of whose containers are younger than the last start of `container`, or are
    /// made anew by this plan.
    pub(super) fn made_anew_since(
        &self,
        wanted: &Wanted<'_>,
        container: &Container,
    ) -> Vec<&ServiceName> {
        let Some(started) = container.started.filter(|_| container.state == State::Running) else {
            return Vec::new();
        };
        let is_younger = |slot: &Slot| {
            let others: Vec<_> = self.containers_in(slot).collect();
            self.makes_anew(slot)
                || (!others.is_empty() && others.iter().all(|other| other.created > started))
        };
        let is_anew = |need: &&ServiceName| {
            let mut slots = self.desired.slots(need).peekable();
            slots.peek().is_some() && slots.all(|slot| is_younger(&slot))
        };
        let minds = |need: &&ServiceName| !self.ignores(wanted.name, &format!("depends_on.{need}"));
        self.restart_with(wanted.name).filter(minds).filter(is_anew).collect()
    }

    fn makes_anew(&self, slot: &Slot) -> bool {
        self.changes_of(slot).any(|index| self.is_anew(index))
    }

    /// Whether a change makes a container.
    pub(super) fn is_anew(&self, index: usize) -> bool {
        matches!(self.plan.changes[index].action, Action::Create | Action::Replace)
    }

    /// The changes after which a service must be seen to be up again.
    pub(super) fn upsets(&self, name: &ServiceName) -> impl Iterator<Item = usize> {
        self.upset.get(name).into_iter().flatten().copied()
    }

    /// What to wait for before a container of `name` is started.
    pub(super) fn gates(&self, name: &ServiceName) -> Vec<Step> {
        self.desired.services[name]
            .depends_on
            .iter()
            .filter(|(need, dependency)| dependency.required || !self.blocked.contains(*need))
            .flat_map(|(need, dependency)| self.gate(need, *dependency))
            .collect()
    }

    fn gate(&self, need: &ServiceName, dependency: Dependency) -> Vec<Step> {
        if !self.upset.contains_key(need) && self.holds(need, dependency.condition) {
            return Vec::new();
        }
        let (until, bound) = match dependency.condition {
            Condition::Started => (Milestone::Running, START_BOUND),
            Condition::Healthy => (Milestone::Healthy, self.up_bound(need)),
            Condition::Completed => (Milestone::Completed, JOB_BOUND),
        };
        let until = if until == Milestone::Running && self.is_job(need) {
            Milestone::Started
        } else {
            until
        };
        self.desired
            .slots(need)
            .filter(|slot| !self.is_through(slot, dependency.condition))
            .map(|slot| Step::Await {
                container: self.container_in(&slot),
                until,
                bound,
                required: dependency.required,
            })
            .collect()
    }

    /// How long a container of a service may take to be up by its health check's own numbers.
    fn health_bound(&self, name: &ServiceName) -> Duration {
        let service = &self.desired.services[name];
        let image = self.observed.images.get(&service.container.image);
        let own = service.container.healthcheck.as_ref();
        let check = own.or_else(|| image.and_then(|image| image.config.healthcheck.as_ref()));
        let check = check.filter(|check| !check.is_disabled());
        check.map_or(START_BOUND, time_to_verdict) + HEALTH_MARGIN
    }

    /// How long a container of a service may take to be up once it was started.
    pub(super) fn up_bound(&self, name: &ServiceName) -> Duration {
        let asked = self.desired.services[name].rolling.start_timeout;
        asked.unwrap_or_else(|| self.health_bound(name))
    }

    fn holds(&self, name: &ServiceName, condition: Condition) -> bool {
        self.desired.slots(name).all(|slot| {
            self.is_through(&slot, condition)
                || self.containers_in(&slot).any(|container| meets(container, condition))
        })
    }

    /// Whether a slot's job ran to its end and is not run again: it need not be there any more.
    fn is_through(&self, slot: &Slot, condition: Condition) -> bool {
        condition != Condition::Healthy && self.plan.completed.contains_key(slot)
    }

    fn container_in(&self, slot: &Slot) -> ContainerRef {
        ContainerRef::named(self.desired.container_name(slot).unwrap_or_else(|| slot.to_string()))
    }

    /// Notes which services a change upsets, so that others wait for it.
    pub(super) fn note_upset(&mut self, name: &ServiceName, action: Action, index: usize) {
        match action {
            Action::Create
            | Action::Start
            | Action::Restart
            | Action::Replace
            | Action::Unpause => {
                self.upset.entry(name.clone()).or_default().push(index);
            }
            Action::Pull
            | Action::Adopt
            | Action::Rename
            | Action::Update
            | Action::Reconnect
            | Action::Signal
            | Action::Remove => {}
        }
    }
}

fn meets(container: &Container, condition: Condition) -> bool {
    match condition {
        Condition::Started => container.state != State::Created,
        Condition::Healthy => {
            container.state == State::Running && container.health == Health::Healthy
        }
        Condition::Completed => container.state == State::Exited { code: 0 },
    }
}
