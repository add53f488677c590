//! Brings the desired and the observed definition of a container to one form, so that a difference
//! between them is a real one. The image's and the engine's share is where phantom differences come
//! from; this file holds every rule about it.

use crate::model::{
    Container, ContainerPort, ContainerSpec, EngineFacts, Healthcheck, ImageConfig, Mount,
    MountSource, Networking,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the engine gives to `/dev/shm` when nothing is said (moby, `daemon/config`).
const DEFAULT_SHM_SIZE: u64 = 64 << 20;
/// How long the engine waits for a stop when nothing is said.
pub(super) const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// The engine's interval and timeout of health checks.
const DEFAULT_PROBE: Duration = Duration::from_secs(30);
/// The option of an endpoint that stands for `interface_name`.
const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";

/// The container that the engine makes of `desired`: with the image's share merged in as the engine
/// does (moby, `daemon/commit.go`), and without values that are the engine's defaults.
pub(super) fn effective(
    desired: &ContainerSpec,
    image: &ImageConfig,
    engine: &EngineFacts,
) -> ContainerSpec {
    let mut spec = desired.clone();
    inherit_command(&mut spec, image);
    inherit_maps(&mut spec, image);
    inherit_volumes(&mut spec, image);
    let or_image = |own: &mut Option<String>, given: &str| {
        if own.as_deref().is_none_or(str::is_empty) && !given.is_empty() {
            *own = Some(given.to_owned());
        }
    };
    or_image(&mut spec.user, &image.user);
    or_image(&mut spec.working_dir, &image.working_dir);
    or_image(&mut spec.stop_signal, image.stop_signal.as_deref().unwrap_or_default());
    spec.healthcheck = inherit_healthcheck(spec.healthcheck, image.healthcheck.as_ref());
    if !engine.keeps_start_interval()
        && let Some(check) = &mut spec.healthcheck
    {
        check.start_interval = None;
    }
    without_defaults(spec, engine)
}

/// What the engine tells of a container, without values that are the engine's defaults. What only
/// exists because `desired` leaves the choice to the engine is dropped too.
pub(super) fn comparable(
    observed: &Container,
    desired: &ContainerSpec,
    engine: &EngineFacts,
) -> ContainerSpec {
    let mut spec = observed.spec.clone();
    if observed.adopted {
        adopt(&mut spec, desired);
    }
    let shares_a_host_name =
        matches!(desired.networking, Networking::Host | Networking::Container(_));
    if desired.hostname.is_none() && shares_a_host_name {
        spec.hostname = None;
    }
    without_defaults(spec, engine)
}

/// Of a container that Compose made nobody noted what was asked for. What `desired` leaves to the
/// engine is taken for the engine's choice, and what the engine does not tell for as desired.
fn adopt(spec: &mut ContainerSpec, desired: &ContainerSpec) {
    spec.ipc.take_if(|_| desired.ipc.is_none());
    spec.cgroup.take_if(|_| desired.cgroup.is_none());
    spec.runtime.take_if(|_| desired.runtime.is_none());
    spec.shm_size.take_if(|_| desired.shm_size.is_none());
    spec.ulimits.retain(|name, _| desired.ulimits.contains_key(name));
    spec.logging.take_if(|_| desired.logging.is_none());
    if let (Some(logging), Some(wanted)) = (&mut spec.logging, &desired.logging) {
        logging.options.retain(|key, _| wanted.options.contains_key(key));
    }
    spec.mem_swappiness = spec.mem_swappiness.or(desired.mem_swappiness);
    spec.oom_kill_disable |= desired.oom_kill_disable;
    spec.blkio.weight = spec.blkio.weight.or(desired.blkio.weight);
    for (device, weight) in &desired.blkio.weight_device {
        spec.blkio.weight_device.entry(device.clone()).or_insert(*weight);
    }
    if let (Networking::Networks(networks), Networking::Networks(wanted)) =
        (&mut spec.networking, &desired.networking)
    {
        for (name, endpoint) in networks {
            let asks = wanted.get(name).is_some_and(|wanted| wanted.mac_address.is_some());
            endpoint.mac_address.take_if(|_| !asks);
        }
    }
}

/// The engine's choice of memory and swap for a memory limit, in bytes.
pub(super) fn default_swap(memory: u64) -> i64 {
    i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX)
}

fn inherit_command(spec: &mut ContainerSpec, image: &ImageConfig) {
    let given = |words: &Option<Vec<String>>| words.as_ref().is_some_and(|words| !words.is_empty());
    if given(&spec.entrypoint) {
        return;
    }
    if !given(&spec.command) {
        spec.command = Some(image.command.clone());
    }
    if spec.entrypoint.is_none() {
        spec.entrypoint = Some(image.entrypoint.clone());
    }
}

fn inherit_maps(spec: &mut ContainerSpec, image: &ImageConfig) {
    for (key, value) in &image.environment {
        spec.environment.entry(key.clone()).or_insert_with(|| Some(value.clone()));
    }
    for (key, value) in &image.labels {
        spec.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    let published: BTreeSet<ContainerPort> = spec.ports.iter().map(|port| port.container).collect();
    spec.expose.extend(&image.exposed_ports);
    spec.expose.retain(|port| !published.contains(port));
}

fn inherit_volumes(spec: &mut ContainerSpec, image: &ImageConfig) {
    for target in &image.volumes {
        spec.mounts
            .entry(target.trim_end_matches('/').to_owned())
            .or_insert_with(|| Mount::of(MountSource::Anonymous));
    }
}

fn inherit_healthcheck(
    own: Option<Healthcheck>,
    image: Option<&Healthcheck>,
) -> Option<Healthcheck> {
    let Some(image) = image else { return own };
    let Some(own) = own else { return Some(image.clone()) };
    let said = |duration: Option<Duration>| duration.filter(|duration| !duration.is_zero());
    Some(Healthcheck {
        test: own.test.filter(|test| !test.is_empty()).or_else(|| image.test.clone()),
        interval: said(own.interval).or(image.interval),
        timeout: said(own.timeout).or(image.timeout),
        retries: own.retries.filter(|retries| *retries > 0).or(image.retries),
        start_period: said(own.start_period).or(image.start_period),
        start_interval: said(own.start_interval).or(image.start_interval),
    })
}

fn without_defaults(mut spec: ContainerSpec, engine: &EngineFacts) -> ContainerSpec {
    spec.labels.retain(|key, _| !crate::model::labels::is_bookkeeping(key));
    spec.entrypoint = spec.entrypoint.filter(|words| !words.is_empty());
    spec.command = spec.command.filter(|words| !words.is_empty());
    for text in [
        &mut spec.user,
        &mut spec.working_dir,
        &mut spec.hostname,
        &mut spec.domainname,
        &mut spec.pid,
        &mut spec.ipc,
        &mut spec.uts,
        &mut spec.userns_mode,
        &mut spec.cgroup,
        &mut spec.cgroup_parent,
    ] {
        text.take_if(|text| text.is_empty());
    }
    spec.working_dir = spec.working_dir.map(|path| cleaned(&path)).filter(|path| path != "/");
    // Compared with the image, which tells what it is made for.
    spec.platform = None;
    spec.runtime.take_if(|runtime| runtime.is_empty() || *runtime == engine.default_runtime);
    spec.shm_size.take_if(|size| *size == 0 || *size == DEFAULT_SHM_SIZE);
    spec.init.take_if(|init| !*init);
    spec.stop_signal = spec.stop_signal.and_then(|signal| canonical_signal(&signal));
    spec.stop_grace_period =
        spec.stop_grace_period.map(whole_seconds).filter(|grace| *grace != DEFAULT_GRACE);
    spec.healthcheck = spec.healthcheck.and_then(healthcheck_without_defaults);
    spec.limits.pids.take_if(|pids| *pids <= 0);
    spec.limits.nano_cpus.take_if(|cpus| *cpus == 0);
    spec.limits.cpu_shares.take_if(|shares| *shares == 0);
    spec.limits.cpu_period.take_if(|period| *period == 0);
    spec.limits.cpu_quota.take_if(|quota| *quota == 0);
    spec.cpu_rt_period.take_if(|period| *period == 0);
    spec.cpu_rt_runtime.take_if(|runtime| *runtime == 0);
    spec.blkio.weight.take_if(|weight| *weight == 0);
    spec.limits.memory.take_if(|memory| *memory == 0);
    spec.limits.memory_reservation.take_if(|memory| *memory == 0);
    // Without swap accounting in the kernel the engine says -1, whatever was asked for; without a
    // limit of memory there is none of swap.
    let usual_swap = spec.limits.memory.map(default_swap);
    let unlimited = !engine.limits_swap || usual_swap.is_none();
    spec.limits
        .memory_swap
        .take_if(|swap| *swap == 0 || (*swap == -1 && unlimited) || Some(*swap) == usual_swap);
    spec.limits.cpuset.take_if(|set| set.is_empty());
    if let Some(logging) = &mut spec.logging {
        logging.driver.take_if(|driver| driver.is_empty() || *driver == engine.default_log_driver);
    }
    spec.logging.take_if(|logging| logging.driver.is_none() && logging.options.is_empty());
    spec.cap_add = spec.cap_add.iter().map(|cap| canonical_capability(cap)).collect();
    spec.cap_drop = spec.cap_drop.iter().map(|cap| canonical_capability(cap)).collect();
    spec.mounts = spec.mounts.into_iter().map(|(at, mount)| (at, canonical_mount(mount))).collect();
    if let Networking::Networks(networks) = &mut spec.networking {
        for endpoint in networks.values_mut() {
            endpoint.priority = 0;
            // Found by it in any case; engines before 26 list it among the aliases.
            if let Some(hostname) = &spec.hostname {
                endpoint.aliases.remove(hostname);
            }
            if let Some(name) = endpoint.driver_opts.remove(INTERFACE_NAME) {
                endpoint.interface_name.get_or_insert(name);
            }
        }
    }
    spec.files = Vec::new();
    spec
}

fn healthcheck_without_defaults(check: Healthcheck) -> Option<Healthcheck> {
    if check.is_disabled() {
        return Some(Healthcheck { test: Some(vec!["NONE".into()]), ..Healthcheck::default() });
    }
    let test = check.test.filter(|test| !test.is_empty())?;
    let unless = |value: Option<Duration>, default: Duration| {
        value.filter(|value| !value.is_zero() && *value != default)
    };
    Some(Healthcheck {
        test: Some(test),
        interval: unless(check.interval, DEFAULT_PROBE),
        timeout: unless(check.timeout, DEFAULT_PROBE),
        retries: check
            .retries
            .filter(|retries| *retries != 0 && *retries != Healthcheck::DEFAULT_RETRIES),
        start_period: unless(check.start_period, Duration::ZERO),
        start_interval: unless(check.start_interval, Duration::ZERO),
    })
}

/// How long a container can take until its health check has said healthy or unhealthy.
pub(super) fn time_to_verdict(check: &Healthcheck) -> Duration {
    let or = |value: Option<Duration>| value.filter(|v| !v.is_zero()).unwrap_or(DEFAULT_PROBE);
    let probe = or(check.interval) + or(check.timeout);
    check.start_period.unwrap_or_default() + probe.saturating_mul(check.tries().saturating_add(1))
}

fn canonical_mount(mount: Mount) -> Mount {
    let source = match mount.source {
        MountSource::Bind(mut bind) => {
            // Not told back by the engine: what it did was done when the container was made.
            bind.create_host_path = false;
            bind.is_file = false;
            bind.propagation.take_if(|mode| mode.is_empty() || mode == "rprivate");
            MountSource::Bind(bind)
        }
        MountSource::Volume { name, nocopy: _, subpath } => {
            MountSource::Volume { name, nocopy: false, subpath }
        }
        source @ (MountSource::Anonymous | MountSource::Tmpfs(_) | MountSource::Image { .. }) => {
            source
        }
    };
    Mount { source, ..mount }
}

/// A path as the engine keeps it: without doubled or trailing slashes, `.` and `..`.
fn cleaned(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn canonical_capability(name: &str) -> String {
    let name = name.to_uppercase();
    name.strip_prefix("CAP_").unwrap_or(&name).to_owned()
}

fn canonical_signal(signal: &str) -> Option<String> {
    let name = signal.to_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    (!["", "TERM", "15"].contains(&name)).then(|| name.to_owned())
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}

/// The anonymous volumes of a replaced container that its replacement takes over, by target path.
pub(super) fn volumes_to_keep(
    effective: &ContainerSpec,
    old: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    old.iter()
        .filter(|(target, _)| {
            effective
                .mounts
                .get(*target)
                .is_some_and(|mount| mount.source == MountSource::Anonymous)
        })
        .map(|(target, name)| (target.clone(), name.clone()))
        .collect()
}
