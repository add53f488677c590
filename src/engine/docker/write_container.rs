//! A container to be made, written for the engine.

use super::ports::write_bindings;
use super::{write_mounts, write_resources};
use crate::model::{ContainerSpec, EngineFacts, Healthcheck, RestartPolicy, asked, labels};
use crate::plan::NewContainer;
use bollard::models::{
    self, ContainerCreateBody, HealthConfig, HostConfig,
    HostConfigCgroupnsModeEnum as CgroupnsMode, HostConfigLogConfig, RestartPolicyNameEnum,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
        env: list(environment(&spec.environment)),
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

/// The same for an engine before API 1.44, which wants to hear the hardware address on the first
/// network at the top of it.
pub(super) fn with_mac_address(body: &ContainerCreateBody, address: &str) -> Vec<u8> {
    let mut json = serde_json::json!(body);
    json["MacAddress"] = address.into();
    json.to_string().into_bytes()
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

fn host_config(new: &NewContainer, mode: Option<String>) -> HostConfig {
    let spec = &new.spec;
    let mut config = HostConfig {
        network_mode: mode,
        port_bindings: (!spec.ports.is_empty()).then(|| write_bindings(&spec.ports)),
        restart_policy: Some(restart(spec.restart)),
        cap_add: list(spec.cap_add.iter().cloned().collect()),
        cap_drop: list(spec.cap_drop.iter().cloned().collect()),
        privileged: Some(spec.privileged),
        readonly_rootfs: Some(spec.read_only),
        init: spec.init,
        security_opt: list(spec.security_opt.iter().cloned().collect()),
        sysctls: map(&spec.sysctls),
        annotations: map(&spec.annotations),
        storage_opt: map(&spec.storage_opt),
        volumes_from: list(spec.volumes_from.iter().map(ToString::to_string).collect()),
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
        uts_mode: spec.uts.clone(),
        userns_mode: spec.userns_mode.clone(),
        cgroupns_mode: spec.cgroup.as_deref().and_then(cgroup),
        cgroup_parent: spec.cgroup_parent.clone(),
        runtime: spec.runtime.clone(),
        ..HostConfig::default()
    };
    write_resources::write(spec, &mut config);
    write_mounts::write(new, &mut config);
    config
}

fn cgroup(mode: &str) -> Option<CgroupnsMode> {
    match mode {
        "host" => Some(CgroupnsMode::HOST),
        "private" => Some(CgroupnsMode::PRIVATE),
        _ => None,
    }
}

fn map(pairs: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!pairs.is_empty()).then(|| pairs.clone().into_iter().collect())
}

/// The engine takes an empty list for a setting in some places, so nothing is said instead.
pub(super) fn list<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

/// A bare name removes what the image sets.
pub(super) fn environment(variables: &BTreeMap<String, Option<String>>) -> Vec<String> {
    let entry = |(key, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{key}={value}"),
        None => key.clone(),
    };
    variables.iter().map(entry).collect()
}

fn all_labels(new: &NewContainer, mark: &str) -> HashMap<String, String> {
    let mut all: HashMap<_, _> = new.spec.labels.clone().into_iter().collect();
    all.extend(new.labels.clone());
    all.insert(labels::MARK.to_owned(), mark.to_owned());
    let log_options = new.spec.logging.iter().flat_map(|logging| logging.options.keys());
    let log_options: Vec<_> = log_options.map(String::as_str).collect();
    all.insert(labels::LOG_OPTIONS.to_owned(), log_options.join(","));
    all.extend(asked(&new.spec).map(|asked| (labels::ASKED.to_owned(), asked)));
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
