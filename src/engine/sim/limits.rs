//! Limits as the engine tells them back. What it chose itself is left out.

use super::state::World;
use crate::engine::EngineError;
use crate::model::{Limits, RestartPolicy};
use crate::plan::ContainerRef;

/// `limits` without what says the same as nothing.
pub(super) fn observed(limits: &Limits) -> Limits {
    let some = |value: Option<u64>| value.filter(|&value| value > 0);
    let twice = limits.memory.and_then(|memory| i64::try_from(memory.checked_mul(2)?).ok());
    Limits {
        nano_cpus: some(limits.nano_cpus),
        cpu_shares: some(limits.cpu_shares),
        cpuset: limits.cpuset.clone().filter(|set| !set.is_empty()),
        cpu_period: some(limits.cpu_period),
        cpu_quota: some(limits.cpu_quota),
        memory: some(limits.memory),
        memory_reservation: some(limits.memory_reservation),
        memory_swap: limits.memory_swap.filter(|&swap| swap != 0 && Some(swap) != twice),
        pids: limits.pids.filter(|&pids| pids > 0),
    }
}

impl World {
    /// Changes limits and restart policy; an absent limit stays.
    pub(super) fn update(
        &mut self,
        wanted: &ContainerRef,
        limits: &Limits,
        restart: RestartPolicy,
    ) -> Result<(), EngineError> {
        let container = self.container("update", wanted)?;
        let old = container.spec.limits.clone();
        // Together with memory its swap is always set.
        let swap = if limits.memory.is_some() { None } else { old.memory_swap };
        let id = container.id.clone();
        let new = observed(&Limits {
            nano_cpus: limits.nano_cpus.or(old.nano_cpus),
            cpu_shares: limits.cpu_shares.or(old.cpu_shares),
            cpuset: limits.cpuset.clone().or(old.cpuset),
            cpu_period: limits.cpu_period.or(old.cpu_period),
            cpu_quota: limits.cpu_quota.or(old.cpu_quota),
            memory: limits.memory.or(old.memory),
            memory_reservation: limits.memory_reservation.or(old.memory_reservation),
            memory_swap: limits.memory_swap.or(swap),
            pids: limits.pids.or(old.pids),
        });
        self.containers.change(&id, |container| {
            container.spec.limits = new;
            container.spec.restart = restart;
        });
        self.tell_of(&id, "update");
        Ok(())
    }
}
