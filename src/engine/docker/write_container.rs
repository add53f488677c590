//! A container to be made, written for the engine.

use super::ports::write_bindings;
use super::write_mounts;
use crate::model::{ContainerSpec, EngineFacts, Healthcheck, RestartPolicy, labels};
use crate::plan::NewContainer;
use bollard::models::{
    self, ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigLogConfig,
    ResourcesUlimits, RestartPolicyNameEnum,
};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// The body of the request that makes `new`, marked with `mark`.
pub(super) fn write(
    new: &NewContainer,
    facts: &EngineFacts,
    mark: &str,
    at_create: Option<models::NetworkingConfig>,
    mode: Option<String>,
) -> ContainerCreateBody {
    let spec = &new.spec;
    ContainerCreateBody {
        image: Some(spec.image.as_str().to_owned()),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.command.clone(),
        env: list(environment(spec)),
        labels: Some(all_labels(new, mark)),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        exposed_ports: list(exposed(spec)),
        healthcheck: spec.healthcheck.as_ref().map(|check| healthcheck(check, facts)),
        tty: Some(spec.tty),
        open_stdin: Some(spec.stdin_open),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_grace_period.map(whole_seconds),
        host_config: Some(host_config(new, mode)),
        networking_config: at_create,
        ..ContainerCreateBody::default()
    }
}

/// A restart policy.
pub(super) fn restart(policy: RestartPolicy) -> models::RestartPolicy {
    let (name, retries) = match policy {
        RestartPolicy::No => (RestartPolicyNameEnum::NO, 0),
        RestartPolicy::Always => (RestartPolicyNameEnum::ALWAYS, 0),
        RestartPolicy::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, 0),
        RestartPolicy::OnFailure { max_retries } => {
            (RestartPolicyNameEnum::ON_FAILURE, i64::from(max_retries))
        }
    };
    models::RestartPolicy { name: Some(name), maximum_retry_count: Some(retries) }
}

/// Rounded up: the engine knows whole seconds, and 0 would kill at once.
pub(super) fn whole_seconds(duration: Duration) -> i64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}

/// A count for the engine, which has signed ones only.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn host_config(new: &NewContainer, mode: Option<String>) -> HostConfig {
    let spec = &new.spec;
    let limits = &spec.limits;
    let mut config = HostConfig {
        network_mode: mode,
        port_bindings: (!spec.ports.is_empty()).then(|| write_bindings(&spec.ports)),
        restart_policy: Some(restart(spec.restart)),
        nano_cpus: limits.nano_cpus.map(signed),
        cpu_shares: limits.cpu_shares.map(signed),
        cpuset_cpus: limits.cpuset.clone(),
        memory: limits.memory.map(signed),
        memory_reservation: limits.memory_reservation.map(signed),
        memory_swap: limits.memory_swap,
        pids_limit: limits.pids,
        shm_size: spec.shm_size.map(signed),
        ulimits: list(ulimits(spec)),
        cap_add: list(spec.cap_add.iter().cloned().collect()),
        cap_drop: list(spec.cap_drop.iter().cloned().collect()),
        privileged: Some(spec.privileged),
        readonly_rootfs: Some(spec.read_only),
        init: spec.init,
        security_opt: list(spec.security_opt.iter().cloned().collect()),
        sysctls: (!spec.sysctls.is_empty()).then(|| spec.sysctls.clone().into_iter().collect()),
        devices: list(devices(spec)),
        group_add: list(spec.group_add.iter().cloned().collect()),
        dns: list(spec.dns.clone()),
        dns_search: list(spec.dns_search.clone()),
        dns_options: list(spec.dns_opt.clone()),
        extra_hosts: list(spec.extra_hosts.iter().cloned().collect()),
        log_config: spec.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: Some(logging.driver.clone().unwrap_or_default()),
            config: Some(logging.options.clone().into_iter().collect()),
        }),
        pid_mode: spec.pid.clone(),
        ipc_mode: spec.ipc.clone(),
        runtime: spec.runtime.clone(),
        ..HostConfig::default()
    };
    write_mounts::write(new, &mut config);
    config
}

/// The engine takes an empty list for a setting in some places, so nothing is said instead.
fn list<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

/// A bare name removes what the image sets.
fn environment(spec: &ContainerSpec) -> Vec<String> {
    let entry = |(key, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{key}={value}"),
        None => key.clone(),
    };
    spec.environment.iter().map(entry).collect()
}

fn all_labels(new: &NewContainer, mark: &str) -> HashMap<String, String> {
    let mut all: HashMap<_, _> = new.spec.labels.clone().into_iter().collect();
    all.extend(new.labels.clone());
    all.insert(labels::MARK.to_owned(), mark.to_owned());
    let log_options = new.spec.logging.iter().flat_map(|logging| logging.options.keys());
    let log_options: Vec<_> = log_options.map(String::as_str).collect();
    all.insert(labels::LOG_OPTIONS.to_owned(), log_options.join(","));
    if !new.spec.contents.is_empty() {
        let contents = serde_json::to_string(&new.spec.contents)
            .expect("a map of texts is always a JSON object");
        all.insert(labels::CONTENTS.to_owned(), contents);
    }
    all
}

fn exposed(spec: &ContainerSpec) -> Vec<String> {
    let published = spec.ports.iter().map(|port| port.container);
    let all: BTreeSet<_> = spec.expose.iter().copied().chain(published).collect();
    all.iter().map(ToString::to_string).collect()
}

fn healthcheck(check: &Healthcheck, facts: &EngineFacts) -> HealthConfig {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    HealthConfig {
        test: check.test.clone(),
        interval: check.interval.map(nanos),
        timeout: check.timeout.map(nanos),
        retries: check.retries.map(i64::from),
        start_period: check.start_period.map(nanos),
        start_interval: check.start_interval.filter(|_| facts.keeps_start_interval()).map(nanos),
    }
}

fn ulimits(spec: &ContainerSpec) -> Vec<ResourcesUlimits> {
    let ulimit = |(name, limit): (&String, &crate::model::Ulimit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    };
    spec.ulimits.iter().map(ulimit).collect()
}

fn devices(spec: &ContainerSpec) -> Vec<DeviceMapping> {
    let device = |(target, device): (&String, &crate::model::Device)| DeviceMapping {
        path_on_host: Some(device.source.clone()),
        path_in_container: Some(target.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    };
    spec.devices.iter().map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_is_rounded_up_and_never_to_an_instant_kill() {
        assert_eq!(whole_seconds(Duration::from_millis(500)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1500)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(3)), 3);
        assert_eq!(whole_seconds(Duration::ZERO), 0);
    }
}
