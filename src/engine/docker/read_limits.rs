//! CPU, memory, process and kernel limits, read into the model.

use super::client::Host;
use crate::model::{Limits, Ulimit};
use bollard::models::HostConfig;
use std::collections::BTreeMap;

/// Limits, with 0 for "none" left out.
pub(super) fn limits(host: &Host, config: &HostConfig) -> Limits {
    let memory = positive(config.memory);
    Limits {
        nano_cpus: positive(config.nano_cpus),
        cpu_shares: positive(config.cpu_shares),
        cpuset: config.cpuset_cpus.clone().filter(|set| !set.is_empty()),
        memory,
        memory_reservation: positive(config.memory_reservation),
        memory_swap: memory_swap(host, memory, config.memory_swap),
        // Engines differ in how they keep "no bound": as 0, as -1 or not at all.
        pids: config.pids_limit.filter(|&pids| pids > 0),
    }
}

/// By name.
pub(super) fn ulimits(config: &HostConfig) -> BTreeMap<String, Ulimit> {
    config
        .ulimits
        .iter()
        .flatten()
        .filter_map(|limit| {
            let soft = limit.soft.unwrap_or_default();
            let hard = limit.hard.unwrap_or(soft);
            Some((limit.name.clone()?, Ulimit { soft, hard }))
        })
        .collect()
}

fn positive(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok()).filter(|&value| value > 0)
}

/// The engine chooses twice the memory, or -1 where the kernel does not limit swap.
fn memory_swap(host: &Host, memory: Option<u64>, swap: Option<i64>) -> Option<i64> {
    let twice = memory.and_then(|memory| i64::try_from(memory.checked_mul(2)?).ok());
    swap.filter(|&swap| swap != 0 && Some(swap) != twice && (host.limits_swap || swap != -1))
}
