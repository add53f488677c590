//! A container as the engine tells it, read into the model. What the engine itself chose is left
//! out, so that only what somebody asked for can differ.

use super::client::Host;
use super::observe::{health, state};
use super::ports::{container_port, read_bindings};
use super::{read_mounts, read_networking, read_resources};
use crate::model::{
    Container, ContainerId, ContainerPort, ContainerSpec, ContentDigest, Healthcheck, ImageRef,
    Logging, Networking, RestartPolicy, Slot, VolumesFrom, labels, recall,
};
use bollard::models::{
    ContainerConfig, ContainerInspectResponse, HealthConfig, HostConfig, HostConfigLogConfig,
    RestartPolicyNameEnum,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Digits of the short id, which is the engine's choice of a hostname and of an alias.
const SHORT_ID: usize = 12;
/// The engine's choice of `shm_size`, in bytes.
const DEFAULT_SHM_SIZE: i64 = 64 << 20;
/// What the engine adds to the security options of a container that may do everything.
const LABEL_DISABLE: &str = "label=disable";

/// Reads one container of ours, or says what of it cannot be read. `names` holds the names of all
/// containers by id.
pub(super) fn read(
    host: &Host,
    names: &BTreeMap<String, String>,
    container: ContainerInspectResponse,
) -> Result<Container, String> {
    let id = container.id.ok_or("no id")?;
    let name = container.name.ok_or("no name")?.trim_start_matches('/').to_owned();
    let found = container.state.unwrap_or_default();
    let config = container.config.ok_or("no configuration")?;
    let host_config = container.host_config.ok_or("no host configuration")?;
    let mut networks =
        container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    if found.running == Some(true) && found.restarting != Some(true) {
        read_networking::drop_unreached(&mut networks);
    }
    let declared = config.volumes.as_deref().unwrap_or_default();
    let points = container.mounts.as_deref().unwrap_or_default();
    let mounts = read_mounts::read(&host_config, declared, points)?;

    let labels: BTreeMap<_, _> = config.labels.clone().unwrap_or_default().into_iter().collect();
    let image = config.image.clone().unwrap_or_default();
    let image = ImageRef::new(image).map_err(|error| error.to_string())?;
    let mut spec = ContainerSpec::new(image);
    spec.networking = read_networking::read(&host_config, &networks, &id, &name)?;
    read_config(&mut spec, host, &config, &host_config, &id)?;
    let log_config = host_config.log_config.clone();
    read_host_config(&mut spec, host, host_config)?;
    name_shared(&mut spec, names);
    spec.mounts = mounts.by_target;
    spec.logging = logging(host, log_config, &labels);
    spec.contents = contents(&labels);
    let of_compose = labels::of_compose(&labels, None);
    let adopted = of_compose.is_some();
    let slot = of_compose.map_or_else(|| slot(&labels), |(_, slot)| Ok(slot))?;
    spec.labels = labels;
    if !adopted {
        recall(&mut spec);
    }
    Ok(Container {
        slot,
        adopted,
        contents_known: !adopted,
        owes_hooks: false,
        image_id: container.image.unwrap_or_default(),
        spec,
        created: time(container.created.as_deref()).ok_or("no time of creation")?,
        started: time(found.started_at.as_deref()),
        state: state(&found).ok_or("no state")?,
        health: health(&found, config.healthcheck),
        network_ids: networks
            .into_iter()
            .map(|(name, endpoint)| (name, endpoint.network_id.unwrap_or_default()))
            .collect(),
        anonymous_volumes: mounts.anonymous,
        id: ContainerId(id),
        name,
    })
}

/// The engine turns the name of a container that another shares something with into its id. Turned
/// back, a replaced one under the same name is still told apart: its id is nobody's any more.
fn name_shared(spec: &mut ContainerSpec, names: &BTreeMap<String, String>) {
    if let Networking::Container(other) = &mut spec.networking
        && let Some(name) = names.get(other.as_str())
    {
        other.clone_from(name);
    }
    for from in &mut spec.volumes_from {
        if let Some(name) = names.get(from.container.as_str()) {
            from.container.clone_from(name);
        }
    }
    for mode in [&mut spec.pid, &mut spec.ipc].into_iter().flatten() {
        if let Some(name) = mode.strip_prefix("container:").and_then(|id| names.get(id)) {
            *mode = format!("container:{name}");
        }
    }
}

/// `K=V` and bare `K`.
pub(super) fn environment(entries: &[String]) -> BTreeMap<String, Option<String>> {
    entries
        .iter()
        .map(|entry| match entry.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (entry.clone(), None),
        })
        .collect()
}

/// A health check in which 0 and absence are the same; none if nothing is said.
pub(super) fn healthcheck(config: HealthConfig) -> Option<Healthcheck> {
    let nanos = |value: Option<i64>| {
        value.and_then(|value| u64::try_from(value).ok()).filter(|&value| value > 0)
    };
    let check = Healthcheck {
        test: config.test.filter(|test| !test.is_empty()),
        interval: nanos(config.interval).map(Duration::from_nanos),
        timeout: nanos(config.timeout).map(Duration::from_nanos),
        retries: nanos(config.retries).and_then(|retries| u32::try_from(retries).ok()),
        start_period: nanos(config.start_period).map(Duration::from_nanos),
        start_interval: nanos(config.start_interval).map(Duration::from_nanos),
    };
    (check != Healthcheck::default()).then_some(check)
}

fn read_config(
    spec: &mut ContainerSpec,
    host: &Host,
    config: &ContainerConfig,
    host_config: &HostConfig,
    id: &str,
) -> Result<(), String> {
    spec.entrypoint.clone_from(&config.entrypoint);
    spec.command.clone_from(&config.cmd);
    spec.environment = environment(config.env.as_deref().unwrap_or_default());
    spec.user = said(config.user.clone());
    spec.working_dir = said(config.working_dir.clone());
    spec.hostname = hostname(host, config, host_config, id);
    spec.domainname = said(config.domainname.clone());
    spec.ports = read_bindings(host_config.port_bindings.as_ref())
        .map_err(|port| format!("`{port}` is no port"))?;
    spec.expose = exposed(config, spec);
    spec.healthcheck = config.healthcheck.clone().and_then(healthcheck);
    spec.tty = config.tty.unwrap_or_default();
    spec.stdin_open = config.open_stdin.unwrap_or_default();
    spec.stop_signal = said(config.stop_signal.clone());
    spec.stop_grace_period = config
        .stop_timeout
        .map(|secs| u64::try_from(secs).map(Duration::from_secs))
        .transpose()
        .map_err(|_| "a negative stop timeout")?;
    Ok(())
}

fn read_host_config(
    spec: &mut ContainerSpec,
    host: &Host,
    config: HostConfig,
) -> Result<(), String> {
    spec.restart = restart(&config);
    spec.limits = read_resources::limits(host, &config);
    spec.ulimits = read_resources::ulimits(&config);
    spec.shm_size = config
        .shm_size
        .filter(|&size| size != DEFAULT_SHM_SIZE)
        .and_then(|size| u64::try_from(size).ok())
        .filter(|&size| size > 0);
    spec.security_opt = security_opt(&config);
    spec.devices = read_resources::devices(&config)?;
    spec.device_requests = read_resources::device_requests(&config);
    spec.blkio = read_resources::blkio(&config);
    spec.cpu_rt_period = read_resources::positive(config.cpu_realtime_period);
    spec.cpu_rt_runtime = read_resources::positive(config.cpu_realtime_runtime);
    // Engines say -1 or nothing for "the host's".
    spec.mem_swappiness = config.memory_swappiness.and_then(|value| u8::try_from(value).ok());
    spec.oom_kill_disable = config.oom_kill_disable.unwrap_or_default();
    spec.oom_score_adj = config.oom_score_adj.unwrap_or_default();
    spec.volumes_from = volumes_from(&config);
    spec.cap_add = capabilities(config.cap_add);
    spec.cap_drop = capabilities(config.cap_drop);
    spec.privileged = config.privileged.unwrap_or_default();
    spec.read_only = config.readonly_rootfs.unwrap_or_default();
    spec.init = config.init;
    spec.cgroup = config.cgroupns_mode.map(|mode| mode.to_string());
    spec.sysctls = config.sysctls.unwrap_or_default().into_iter().collect();
    spec.annotations = config.annotations.unwrap_or_default().into_iter().collect();
    spec.storage_opt = config.storage_opt.unwrap_or_default().into_iter().collect();
    spec.device_cgroup_rules = config.device_cgroup_rules.unwrap_or_default().into_iter().collect();
    spec.group_add = config.group_add.unwrap_or_default().into_iter().collect();
    spec.dns = config.dns.unwrap_or_default();
    spec.dns_search = config.dns_search.unwrap_or_default();
    spec.dns_opt = config.dns_options.unwrap_or_default();
    spec.extra_hosts = config.extra_hosts.unwrap_or_default().into_iter().collect();
    spec.pid = said(config.pid_mode);
    spec.ipc = said(config.ipc_mode);
    spec.uts = said(config.uts_mode);
    spec.userns_mode = said(config.userns_mode);
    spec.cgroup_parent = said(config.cgroup_parent);
    spec.runtime = said(config.runtime).filter(|name| *name != host.facts.default_runtime);
    Ok(())
}

fn volumes_from(config: &HostConfig) -> Vec<VolumesFrom> {
    let read = |text: &String| {
        let (container, mode) = text.split_once(':').unwrap_or((text, ""));
        let read_only = mode.split(',').any(|option| option == "ro");
        VolumesFrom { container: container.to_owned(), read_only }
    };
    config.volumes_from.iter().flatten().map(read).collect()
}

fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Absent where the engine chose it: the short id, on the host's network the host's name, and in
/// another container's network that container's.
fn hostname(
    host: &Host,
    config: &ContainerConfig,
    host_config: &HostConfig,
    id: &str,
) -> Option<String> {
    let name = said(config.hostname.clone())?;
    let mode = host_config.network_mode.as_deref().unwrap_or_default();
    let chosen = Some(name.as_str()) == id.get(..SHORT_ID)
        || (mode == "host" && name == host.name)
        || mode.starts_with("container:");
    (!chosen).then_some(name)
}

fn exposed(config: &ContainerConfig, spec: &ContainerSpec) -> BTreeSet<ContainerPort> {
    let published: BTreeSet<_> = spec.ports.iter().map(|port| port.container).collect();
    config
        .exposed_ports
        .iter()
        .flatten()
        .filter_map(|port| container_port(port))
        .filter(|port| !published.contains(port))
        .collect()
}

fn restart(config: &HostConfig) -> RestartPolicy {
    let Some(policy) = &config.restart_policy else { return RestartPolicy::No };
    match policy.name {
        Some(RestartPolicyNameEnum::ALWAYS) => RestartPolicy::Always,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => RestartPolicy::UnlessStopped,
        Some(RestartPolicyNameEnum::ON_FAILURE) => RestartPolicy::OnFailure {
            max_retries: policy
                .maximum_retry_count
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or_default(),
        },
        Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY) | None => RestartPolicy::No,
    }
}

fn security_opt(config: &HostConfig) -> BTreeSet<String> {
    let mode = |mode: &Option<String>| mode.as_deref() == Some("host");
    let adds_label_disable =
        config.privileged.unwrap_or_default() || mode(&config.pid_mode) || mode(&config.ipc_mode);
    let options = config.security_opt.iter().flatten().cloned();
    options.filter(|option| !(adds_label_disable && option == LABEL_DISABLE)).collect()
}

/// To the options of its default driver the engine adds its own; our label tells which were asked
/// for.
fn logging(
    host: &Host,
    config: Option<HostConfigLogConfig>,
    labels: &BTreeMap<String, String>,
) -> Option<Logging> {
    let config = config?;
    let asked: Option<BTreeSet<&str>> =
        labels.get(labels::LOG_OPTIONS).map(|keys| keys.split(',').collect());
    let options = config.config.unwrap_or_default().into_iter();
    let logging = Logging {
        driver: said(config.typ).filter(|driver| *driver != host.facts.default_log_driver),
        options: options
            .filter(|(key, _)| asked.as_ref().is_none_or(|asked| asked.contains(key.as_str())))
            .collect(),
    };
    (logging != Logging::default()).then_some(logging)
}

fn capabilities(names: Option<Vec<String>>) -> BTreeSet<String> {
    names
        .unwrap_or_default()
        .into_iter()
        .map(|name| {
            let name = name.to_ascii_uppercase();
            name.strip_prefix("CAP_").map_or_else(|| name.clone(), str::to_owned)
        })
        .collect()
}

/// A time; the engine writes the beginning of its calendar for "never".
pub(super) fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok().filter(|time: &Timestamp| *time > Timestamp::UNIX_EPOCH)
}

fn contents(labels: &BTreeMap<String, String>) -> BTreeMap<String, ContentDigest> {
    // A label that cannot be read says the same as none: the contents are not known to be right.
    labels
        .get(labels::CONTENTS)
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default()
}

fn slot(labels: &BTreeMap<String, String>) -> Result<Slot, String> {
    let label = labels.get(labels::SLOT).ok_or("no slot among its labels")?;
    let wrong = || format!("`{label}` is no slot");
    let (service, number) = label.rsplit_once('/').ok_or_else(wrong)?;
    Ok(Slot {
        service: service.to_owned().try_into().map_err(|_| wrong())?,
        number: number.parse().map_err(|_| wrong())?,
    })
}
