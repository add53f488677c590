//! Counts how a stack's containers are.

use super::Workload;
use crate::model::{Container, Health, Observed, RestartPolicy, Slot, Stack, State};
use crate::plan::Completed;
use std::collections::BTreeMap;

impl Workload {
    /// How the containers of `stack` are in a snapshot. Of several in one slot the best counts; a job
    /// that ran to its end needs none. What is left as it is, is as it should be.
    pub fn of(stack: &Stack, observed: &Observed, completed: &Completed) -> Self {
        let mut workload = Self::default();
        let jobs = stack.jobs();
        let mut found: BTreeMap<&Slot, Vec<&Container>> = BTreeMap::new();
        for container in &observed.containers {
            found.entry(&container.slot).or_default().push(container);
        }
        for name in stack.services.keys() {
            let job = jobs.contains(name);
            let service = &stack.services[name];
            let ends_well = matches!(service.container.restart, RestartPolicy::OnFailure { .. });
            let stays_down = stack.policy.ignores(&format!("services.{name}.state"));
            for slot in stack.slots(name) {
                workload.desired += 1;
                let there = found.get(&slot).into_iter().flatten();
                let past = completed.contains_key(&slot).then_some(Verdict::Up);
                match there
                    .filter_map(|container| {
                        let left_so = stays_down && matches!(container.state, State::Exited { .. });
                        if left_so {
                            Some(Verdict::Up)
                        } else {
                            verdict(container, job || ends_well)
                        }
                    })
                    .chain(past)
                    .min()
                {
                    Some(Verdict::Up) => workload.up += 1,
                    Some(Verdict::Starting) => workload.starting += 1,
                    Some(Verdict::Unhealthy) => workload.unhealthy += 1,
                    None => {}
                }
            }
        }
        workload
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Up,
    Starting,
    Unhealthy,
}

fn verdict(container: &Container, job: bool) -> Option<Verdict> {
    match (container.state, container.health) {
        (State::Exited { code: 0 }, _) if job => Some(Verdict::Up),
        (State::Running, Health::Unchecked | Health::Healthy) => Some(Verdict::Up),
        (State::Running, Health::Starting) => Some(Verdict::Starting),
        (State::Running, Health::Unhealthy) => Some(Verdict::Unhealthy),
        (
            State::Created
            | State::Paused
            | State::Restarting
            | State::Removing
            | State::Exited { .. }
            | State::Dead,
            _,
        ) => None,
    }
}
