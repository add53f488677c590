//! What a container may use of its host, written for the engine.

use super::write_container::list;
use crate::model::{ContainerSpec, Device, DeviceRequest, Ulimit};
use bollard::models::{
    self, DeviceMapping, HostConfig, ResourcesBlkioWeightDevice, ResourcesUlimits, ThrottleDevice,
};
use std::collections::BTreeMap;

/// Adds the limits and devices of `spec` to `config`.
pub(super) fn write(spec: &ContainerSpec, config: &mut HostConfig) {
    let limits = &spec.limits;
    config.nano_cpus = limits.nano_cpus.map(signed);
    config.cpu_shares = limits.cpu_shares.map(signed);
    config.cpuset_cpus.clone_from(&limits.cpuset);
    config.cpu_period = limits.cpu_period.map(signed);
    config.cpu_quota = limits.cpu_quota.map(signed);
    config.cpu_realtime_period = spec.cpu_rt_period.map(signed);
    config.cpu_realtime_runtime = spec.cpu_rt_runtime.map(signed);
    config.memory = limits.memory.map(signed);
    config.memory_reservation = limits.memory_reservation.map(signed);
    config.memory_swap = limits.memory_swap;
    config.memory_swappiness = spec.mem_swappiness.map(i64::from);
    config.oom_kill_disable = spec.oom_kill_disable.then_some(true);
    config.oom_score_adj = (spec.oom_score_adj != 0).then_some(spec.oom_score_adj);
    config.pids_limit = limits.pids;
    config.shm_size = spec.shm_size.map(signed);
    config.ulimits = list(ulimits(&spec.ulimits));
    config.devices = list(devices(&spec.devices));
    config.device_requests = list(spec.device_requests.iter().map(device_request).collect());
    config.device_cgroup_rules = list(spec.device_cgroup_rules.iter().cloned().collect());
    blkio(spec, config);
}

/// A count for the engine, which has signed ones only.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn blkio(spec: &ContainerSpec, config: &mut HostConfig) {
    let blkio = &spec.blkio;
    let weight = |(path, weight): (&String, &u16)| ResourcesBlkioWeightDevice {
        path: Some(path.clone()),
        weight: Some(usize::from(*weight)),
    };
    config.blkio_weight = blkio.weight;
    config.blkio_weight_device = list(blkio.weight_device.iter().map(weight).collect());
    config.blkio_device_read_bps = list(throttles(&blkio.device_read_bps));
    config.blkio_device_write_bps = list(throttles(&blkio.device_write_bps));
    config.blkio_device_read_iops = list(throttles(&blkio.device_read_iops));
    config.blkio_device_write_iops = list(throttles(&blkio.device_write_iops));
}

fn throttles(limits: &BTreeMap<String, u64>) -> Vec<ThrottleDevice> {
    let throttle = |(path, rate): (&String, &u64)| ThrottleDevice {
        path: Some(path.clone()),
        rate: Some(signed(*rate)),
    };
    limits.iter().map(throttle).collect()
}

fn ulimits(limits: &BTreeMap<String, Ulimit>) -> Vec<ResourcesUlimits> {
    let ulimit = |(name, limit): (&String, &Ulimit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    };
    limits.iter().map(ulimit).collect()
}

fn devices(devices: &BTreeMap<String, Device>) -> Vec<DeviceMapping> {
    let device = |(target, device): (&String, &Device)| DeviceMapping {
        path_on_host: Some(device.source.clone()),
        path_in_container: Some(target.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    };
    devices.iter().map(device).collect()
}

fn device_request(request: &DeviceRequest) -> models::DeviceRequest {
    let capabilities: Vec<String> = request.capabilities.iter().cloned().collect();
    models::DeviceRequest {
        driver: Some(request.driver.clone().unwrap_or_default()),
        count: Some(request.count),
        device_ids: list(request.device_ids.iter().cloned().collect()),
        capabilities: (!capabilities.is_empty()).then(|| vec![capabilities]),
        options: (!request.options.is_empty())
            .then(|| request.options.clone().into_iter().collect()),
    }
}
