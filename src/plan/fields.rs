//! A container's definition as named fields with their texts, each with the gentlest action that
//! can change it. Two definitions are compared field by field as texts.

use super::Action;
use super::show;
use crate::model::{
    Blkio, ContainerSpec, DeviceRequest, Endpoint, Healthcheck, HostPorts, Limits, Mount,
    MountSource, Networking,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// Fields by their path below the service (`environment.MODE`).
pub(super) type Fields = BTreeMap<String, Field>;

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// The value as text, for comparing. Not for showing: it may be a secret.
    text: String,
    /// What can change it: [`Action::Update`], [`Action::Reconnect`] or [`Action::Replace`].
    action: Action,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// The path below the service.
    pub(super) path: String,
    /// The desired value, fit to be shown.
    pub(super) desired: String,
    /// The actual value, fit to be shown.
    pub(super) actual: String,
    /// What can change it.
    pub(super) action: Action,
    /// Whether it is what a config, secret or mounted file holds.
    pub(super) of_content: bool,
}

/// What stands for an absent value beside one that is called as absence is.
const UNSAID: &str = "the default";

/// Compares two definitions in comparable form, in the order of the paths.
pub(super) fn differences(desired: &ContainerSpec, actual: &ContainerSpec) -> Vec<Difference> {
    if desired == actual {
        return Vec::new();
    }
    let (desired, actual) = (fields(desired), fields(actual));
    let can_be_unset = |path: &str| match path {
        "pids_limit" => true,
        // With a limit of memory the engine's choice of swap is known, and can be set.
        "memswap_limit" => desired.contains_key("mem_limit"),
        _ => false,
    };
    let paths: BTreeSet<&String> = desired.keys().chain(actual.keys()).collect();
    paths
        .into_iter()
        .filter_map(|path| {
            let (want, is) = (desired.get(path), actual.get(path));
            if want.map(|field| &field.text) == is.map(|field| &field.text) {
                return None;
            }
            let shown =
                |field: Option<&Field>| show::value(path, field.map(|field| field.text.as_str()));
            let (mut desired, mut actual) = (shown(want), shown(is));
            if actual == desired {
                // A driver may be called `none`.
                let absent = if want.is_none() { &mut desired } else { &mut actual };
                let text = if want.is_some() && is.is_some() { show::ANOTHER } else { UNSAID };
                text.clone_into(absent);
            }
            Some(Difference {
                path: path.clone(),
                desired,
                actual,
                action: action_for(can_be_unset(path), want, is),
                of_content: false,
            })
        })
        .collect()
}

/// What changes a field; a limit that shall go away can only go with the container, since the
/// engine takes zero for "as it is".
fn action_for(can_be_unset: bool, want: Option<&Field>, is: Option<&Field>) -> Action {
    match (want, is) {
        (None, Some(is)) if is.action == Action::Update && !can_be_unset => Action::Replace,
        (Some(field), _) | (None, Some(field)) => field.action,
        (None, None) => Action::Replace,
    }
}

/// The fields for which a container is made anew when they change, with their texts; not for showing.
pub(super) fn essence(spec: &ContainerSpec) -> String {
    let fields = fields(spec).into_iter();
    let fixed = fields.filter(|(_, field)| field.action == Action::Replace);
    let lines: Vec<String> =
        fixed.map(|(path, field)| format!("{path}: {:?}\n", field.text)).collect();
    lines.concat()
}

fn fields(spec: &ContainerSpec) -> Fields {
    let mut fields = Collect(Fields::new());
    fields.process(spec);
    fields.host(spec);
    fields.limits(&spec.limits);
    fields.networking(&spec.networking);
    if let Some(check) = &spec.healthcheck {
        fields.healthcheck(check);
    }
    fields.updatable("restart", Some(spec.restart));
    fields.0
}

/// The path of what is asked for under `gpus`, under `deploy.resources.reservations.devices`, or as
/// a device of another kind than a path.
pub(super) const DEVICE_REQUESTS: &str = "gpus";

fn quoted(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, String)> {
    map.iter().map(|(key, value)| (key, format!("{value:?}")))
}

fn below(kind: &str, name: &str, subpath: Option<&String>) -> String {
    subpath.map_or_else(|| format!("{kind} {name}"), |path| format!("{kind} {name} at {path}"))
}

/// `2 of nvidia: gpu, utility`.
fn device_request(request: &DeviceRequest) -> String {
    let join = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
    let count = match request.count {
        -1 => "all".to_owned(),
        0 => join(&request.device_ids),
        count => count.to_string(),
    };
    let driver = request.driver.as_ref().map(|driver| format!(" of {driver}")).unwrap_or_default();
    format!("{count}{driver}: {}", join(&request.capabilities))
}

struct Collect(Fields);

impl Collect {
    fn put(&mut self, path: &str, action: Action, value: Option<impl Display>) {
        if let Some(value) = value {
            self.0.insert(path.to_owned(), Field { text: value.to_string(), action });
        }
    }

    fn fixed(&mut self, path: &str, value: Option<impl Display>) {
        self.put(path, Action::Replace, value);
    }

    fn updatable(&mut self, path: &str, value: Option<impl Display>) {
        self.put(path, Action::Update, value);
    }

    fn flag(&mut self, path: &str, set: bool) {
        self.fixed(path, set.then_some(true));
    }

    fn each<V: Display>(&mut self, path: &str, map: impl IntoIterator<Item = (impl Display, V)>) {
        for (key, value) in map {
            self.fixed(&format!("{path}.{key}"), Some(value));
        }
    }

    fn list(&mut self, path: &str, items: impl IntoIterator<Item = impl Display>) {
        let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
        self.fixed(path, (!items.is_empty()).then(|| show::list(&items)));
    }

    fn process(&mut self, spec: &ContainerSpec) {
        self.fixed("image", Some(spec.image.as_str()));
        self.list("entrypoint", spec.entrypoint.iter().flatten());
        self.list("command", spec.command.iter().flatten());
        for (key, value) in &spec.environment {
            let text =
                value.as_deref().map_or("(removed)".to_owned(), |value| format!("{value:?}"));
            self.fixed(&format!("environment.{key}"), Some(text));
        }
        self.each("labels", quoted(&spec.labels));
        self.each("annotations", quoted(&spec.annotations));
        self.fixed("user", spec.user.as_ref());
        self.fixed("working_dir", spec.working_dir.as_ref());
        self.fixed("hostname", spec.hostname.as_ref());
        self.fixed("domainname", spec.domainname.as_ref());
        self.flag("tty", spec.tty);
        self.flag("stdin_open", spec.stdin_open);
        self.flag("init", spec.init == Some(true));
        self.fixed("stop_signal", spec.stop_signal.as_ref());
        self.fixed("stop_grace_period", spec.stop_grace_period.map(show::duration));
        for (field, digest) in &spec.contents {
            self.fixed(field, Some(&digest.0));
        }
    }

    fn host(&mut self, spec: &ContainerSpec) {
        self.ports(spec);
        for (target, mount) in &spec.mounts {
            self.mount(target, mount);
        }
        self.list("volumes_from", &spec.volumes_from);
        self.devices(spec);
        self.blkio(&spec.blkio);
        self.fixed("cpu_rt_period", spec.cpu_rt_period);
        self.fixed("cpu_rt_runtime", spec.cpu_rt_runtime);
        self.fixed("mem_swappiness", spec.mem_swappiness);
        self.flag("oom_kill_disable", spec.oom_kill_disable);
        self.fixed("oom_score_adj", Some(spec.oom_score_adj).filter(|score| *score != 0));
        self.fixed("shm_size", spec.shm_size.map(show::bytes));
        self.each(
            "ulimits",
            spec.ulimits.iter().map(|(k, v)| (k, format!("{}:{}", v.soft, v.hard))),
        );
        self.list("cap_add", &spec.cap_add);
        self.list("cap_drop", &spec.cap_drop);
        self.flag("privileged", spec.privileged);
        self.flag("read_only", spec.read_only);
        self.list("security_opt", &spec.security_opt);
        self.each("sysctls", &spec.sysctls);
        self.list("group_add", &spec.group_add);
        self.list("dns", &spec.dns);
        self.list("dns_search", &spec.dns_search);
        self.list("dns_opt", &spec.dns_opt);
        self.list("extra_hosts", &spec.extra_hosts);
        self.fixed("pid", spec.pid.as_ref());
        self.fixed("ipc", spec.ipc.as_ref());
        self.fixed("uts", spec.uts.as_ref());
        self.fixed("userns_mode", spec.userns_mode.as_ref());
        self.fixed("cgroup", spec.cgroup.as_ref());
        self.fixed("cgroup_parent", spec.cgroup_parent.as_ref());
        self.each("storage_opt", quoted(&spec.storage_opt));
        self.fixed("runtime", spec.runtime.as_ref());
        if let Some(logging) = &spec.logging {
            self.fixed("logging.driver", logging.driver.as_ref());
            self.each("logging.options", &logging.options);
        }
    }

    fn devices(&mut self, spec: &ContainerSpec) {
        let devices = spec.devices.iter();
        self.each(
            "devices",
            devices.map(|(at, device)| (at, format!("{}:{}", device.source, device.permissions))),
        );
        self.list("device_cgroup_rules", &spec.device_cgroup_rules);
        self.list(DEVICE_REQUESTS, spec.device_requests.iter().map(device_request));
        for (index, request) in spec.device_requests.iter().enumerate() {
            let path = format!("{DEVICE_REQUESTS}.{index}.options");
            self.each(&path, quoted(&request.options));
        }
    }

    fn blkio(&mut self, blkio: &Blkio) {
        self.fixed("blkio_config.weight", blkio.weight);
        self.each("blkio_config.weight_device", &blkio.weight_device);
        for (key, devices) in blkio.limits() {
            self.each(&format!("blkio_config.{key}"), devices);
        }
    }

    fn ports(&mut self, spec: &ContainerSpec) {
        let mut published: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for port in &spec.ports {
            let host = port.host.as_ref().map_or("any free port".to_owned(), HostPorts::to_string);
            let text = match port.host_ip.filter(|ip| !ip.is_unspecified()) {
                Some(ip) => format!("{ip}:{host}"),
                None => host,
            };
            published.entry(port.container.to_string()).or_default().push(text);
        }
        for port in &spec.expose {
            self.fixed(&format!("expose.{port}"), Some("exposed"));
        }
        self.each("ports", published.into_iter().map(|(port, hosts)| (port, hosts.join(", "))));
    }

    fn mount(&mut self, target: &str, mount: &Mount) {
        let mut text = match &mount.source {
            MountSource::Bind(bind) => {
                let recursive = bind.recursive.map(|mode| format!("recursive={mode}"));
                let propagation = bind.propagation.iter().cloned();
                let options = propagation.chain(bind.selinux.map(String::from)).chain(recursive);
                options.fold(format!("bind {}", bind.path), |text, option| text + " " + &option)
            }
            MountSource::Volume { name, subpath, .. } => below("volume", name, subpath.as_ref()),
            MountSource::Image { image, subpath } => {
                below("image", image.as_str(), subpath.as_ref())
            }
            MountSource::Anonymous => "anonymous volume".to_owned(),
            MountSource::Tmpfs(tmpfs) => {
                let size = tmpfs.size.map(|size| format!(" size={}", show::bytes(size)));
                let mode = tmpfs.mode.map(|mode| format!(" mode={mode:o}"));
                let options = tmpfs.options.iter().map(|option| format!(" {option}"));
                size.into_iter().chain(mode).chain(options).fold("tmpfs".to_owned(), |a, b| a + &b)
            }
        };
        if mount.read_only {
            text += " read-only";
        }
        self.each(&format!("volumes.{target}.volume.labels"), quoted(&mount.labels));
        self.fixed(&format!("volumes.{target}"), Some(text));
    }

    fn limits(&mut self, limits: &Limits) {
        self.updatable("cpus", limits.nano_cpus.map(show::cpus));
        self.updatable("cpu_shares", limits.cpu_shares);
        self.updatable("cpu_period", limits.cpu_period);
        self.updatable("cpu_quota", limits.cpu_quota);
        self.updatable("cpuset", limits.cpuset.as_ref());
        self.updatable("mem_limit", limits.memory.map(show::bytes));
        self.updatable("mem_reservation", limits.memory_reservation.map(show::bytes));
        self.updatable("memswap_limit", limits.memory_swap.map(show::swap));
        self.updatable("pids_limit", limits.pids);
    }

    fn networking(&mut self, networking: &Networking) {
        match networking {
            Networking::Networks(networks) => {
                self.fixed("network_mode", Some("networks"));
                for (name, endpoint) in networks {
                    self.endpoint(name, endpoint);
                }
            }
            Networking::DefaultBridge => self.fixed("network_mode", Some("bridge")),
            Networking::Host => self.fixed("network_mode", Some("host")),
            Networking::None => self.fixed("network_mode", Some("none")),
            Networking::Container(other) => {
                self.fixed("network_mode", Some(format!("container:{other}")));
            }
        }
    }

    fn endpoint(&mut self, name: &str, endpoint: &Endpoint) {
        let path = format!("networks.{name}");
        let connected = |fields: &mut Self, suffix: &str, value: Option<String>| {
            fields.put(&format!("{path}{suffix}"), Action::Reconnect, value);
        };
        connected(self, "", Some("connected".into()));
        let aliases: Vec<String> = endpoint.aliases.iter().cloned().collect();
        connected(self, ".aliases", (!aliases.is_empty()).then(|| show::list(&aliases)));
        connected(self, ".ipv4_address", endpoint.ipv4_address.map(|ip| ip.to_string()));
        connected(self, ".ipv6_address", endpoint.ipv6_address.map(|ip| ip.to_string()));
        let local: Vec<_> = endpoint.link_local_ips.iter().map(ToString::to_string).collect();
        connected(self, ".link_local_ips", (!local.is_empty()).then(|| show::list(&local)));
        connected(self, ".interface_name", endpoint.interface_name.clone());
        let priority = Some(endpoint.gw_priority).filter(|priority| *priority != 0);
        connected(self, ".gw_priority", priority.map(|priority| priority.to_string()));
        let links: Vec<String> = endpoint.links.iter().cloned().collect();
        connected(self, ".links", (!links.is_empty()).then(|| show::list(&links)));
        // Our note of it cannot change while the container stays.
        self.fixed(&format!("{path}.mac_address"), endpoint.mac_address.as_ref());
        for (key, value) in &endpoint.driver_opts {
            connected(self, &format!(".driver_opts.{key}"), Some(value.clone()));
        }
    }

    fn healthcheck(&mut self, check: &Healthcheck) {
        self.list("healthcheck.test", check.test.iter().flatten());
        self.fixed("healthcheck.interval", check.interval.map(show::duration));
        self.fixed("healthcheck.timeout", check.timeout.map(show::duration));
        self.fixed("healthcheck.retries", check.retries);
        self.fixed("healthcheck.start_period", check.start_period.map(show::duration));
        self.fixed("healthcheck.start_interval", check.start_interval.map(show::duration));
    }
}
