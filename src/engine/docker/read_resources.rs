//! What a container may use of its host, read into the model.

use super::client::Host;
use crate::model::{Blkio, Device, DeviceRequest, Limits, Ulimit};
use bollard::models::{self, HostConfig};
use std::collections::BTreeMap;

/// Limits, with 0 for "none" left out.
pub(super) fn limits(host: &Host, config: &HostConfig) -> Limits {
    let memory = positive(config.memory);
    Limits {
        nano_cpus: positive(config.nano_cpus),
        cpu_shares: positive(config.cpu_shares),
        cpuset: config.cpuset_cpus.clone().filter(|set| !set.is_empty()),
        cpu_period: positive(config.cpu_period),
        cpu_quota: positive(config.cpu_quota),
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

/// Weights and limits of block devices. A weight of 0 is none.
pub(super) fn blkio(config: &HostConfig) -> Blkio {
    let weights = config.blkio_weight_device.iter().flatten();
    Blkio {
        weight: config.blkio_weight.filter(|&weight| weight > 0),
        weight_device: weights
            .filter_map(|device| Some((device.path.clone()?, u16::try_from(device.weight?).ok()?)))
            .collect(),
        device_read_bps: throttles(config.blkio_device_read_bps.as_ref()),
        device_write_bps: throttles(config.blkio_device_write_bps.as_ref()),
        device_read_iops: throttles(config.blkio_device_read_iops.as_ref()),
        device_write_iops: throttles(config.blkio_device_write_iops.as_ref()),
    }
}

/// Devices by what they can do.
pub(super) fn device_requests(config: &HostConfig) -> Vec<DeviceRequest> {
    let request = |request: &models::DeviceRequest| DeviceRequest {
        driver: request.driver.clone().filter(|driver| !driver.is_empty()),
        count: request.count.unwrap_or_default(),
        device_ids: request.device_ids.iter().flatten().cloned().collect(),
        capabilities: request.capabilities.iter().flatten().flatten().cloned().collect(),
        options: request.options.clone().unwrap_or_default().into_iter().collect(),
    };
    config.device_requests.iter().flatten().map(request).collect()
}

/// Devices of the host, by path in the container.
pub(super) fn devices(config: &HostConfig) -> Result<BTreeMap<String, Device>, String> {
    let device = |device: &models::DeviceMapping| {
        let source = device.path_on_host.clone().ok_or("a device without a path")?;
        let target = device.path_in_container.clone().unwrap_or_else(|| source.clone());
        let permissions = device.cgroup_permissions.clone().unwrap_or_default();
        Ok((target, Device { source, permissions }))
    };
    config.devices.iter().flatten().map(device).collect()
}

fn throttles(devices: Option<&Vec<models::ThrottleDevice>>) -> BTreeMap<String, u64> {
    let throttle =
        |device: &models::ThrottleDevice| Some((device.path.clone()?, positive(device.rate)?));
    devices.into_iter().flatten().filter_map(throttle).collect()
}

/// What is above 0.
pub(super) fn positive(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok()).filter(|&value| value > 0)
}

/// The engine chooses twice the memory, or -1 where the kernel does not limit swap.
fn memory_swap(host: &Host, memory: Option<u64>, swap: Option<i64>) -> Option<i64> {
    let twice = memory.and_then(|memory| i64::try_from(memory.checked_mul(2)?).ok());
    swap.filter(|&swap| swap != 0 && Some(swap) != twice && (host.facts.limits_swap || swap != -1))
}
