//! What a container is made from.

use super::{
    Blkio, Device, DeviceRequest, ImageRef, Limits, Mount, MountSource, Networking, Platform,
    Sensitive, Ulimit, VolumesFrom,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What a container is made from, in one form for both sides of the comparison.
///
/// As desired it holds what the manifest says and nothing more: an absent value is the image's or
/// the engine's choice. As observed it holds what the engine tells back of a container, with the
/// image's share still in it (`inspect` cannot tell them apart): the planner takes both into
/// account. Attributes are the specification's, "Services top-level elements"; their places in the
/// engine's API are in `engine/docker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// The image as written.
    pub image: ImageRef,
    /// What the image must be made for; absent: the engine's own. As observed absent: the image
    /// tells it.
    pub platform: Option<Platform>,
    /// `Some([])` clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's `CMD`.
    pub command: Option<Vec<String>>,
    /// `None` removes a variable that the image sets.
    pub environment: BTreeMap<String, Option<String>>,
    /// The user's labels; as observed, all of them.
    pub labels: BTreeMap<String, String>,
    /// Handed to the container's runtime (API 1.43).
    pub annotations: BTreeMap<String, String>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// An absolute path.
    pub working_dir: Option<String>,
    /// As observed absent when it is the engine's choice (the short id).
    pub hostname: Option<String>,
    /// NIS domain.
    pub domainname: Option<String>,
    /// Published ports.
    pub ports: BTreeSet<PortBinding>,
    /// Ports that are documented but not published.
    pub expose: BTreeSet<ContainerPort>,
    /// What is mounted, by target path.
    pub mounts: BTreeMap<String, Mount>,
    /// Containers whose mounts it gets too, in order.
    pub volumes_from: Vec<VolumesFrom>,
    /// Networks.
    pub networking: Networking,
    /// What the engine does when the container ends.
    pub restart: RestartPolicy,
    /// Absent: the image's, if it has one.
    pub healthcheck: Option<Healthcheck>,
    /// CPU, memory and process limits.
    pub limits: Limits,
    /// Limits and weights of block devices.
    pub blkio: Blkio,
    /// Microseconds in which the realtime scheduler counts.
    pub cpu_rt_period: Option<u64>,
    /// Microseconds of each such period.
    pub cpu_rt_runtime: Option<u64>,
    /// From 0 to 100; absent: the host's.
    pub mem_swappiness: Option<u8>,
    /// The kernel does not end its processes for want of memory.
    pub oom_kill_disable: bool,
    /// From -1000 to 1000; 0 is the engine's default.
    pub oom_score_adj: i64,
    /// Bytes; absent: the engine's default.
    pub shm_size: Option<u64>,
    /// By name (`nofile`).
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Without the prefix `CAP_`, upper case.
    pub cap_add: BTreeSet<String>,
    /// Without the prefix `CAP_`, upper case.
    pub cap_drop: BTreeSet<String>,
    /// All capabilities and devices.
    pub privileged: bool,
    /// The root file system is read-only.
    pub read_only: bool,
    /// A process that reaps; absent: the engine's default.
    pub init: Option<bool>,
    /// A terminal.
    pub tty: bool,
    /// Standard input stays open.
    pub stdin_open: bool,
    /// As given to the engine.
    pub security_opt: BTreeSet<String>,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Devices of the host, by path in the container.
    pub devices: BTreeMap<String, Device>,
    /// Devices by what they can do, such as GPUs, in order.
    pub device_requests: Vec<DeviceRequest>,
    /// Rules of the device control group (`c 1:3 mr`).
    pub device_cgroup_rules: BTreeSet<String>,
    /// Further groups.
    pub group_add: BTreeSet<String>,
    /// Name servers, in order.
    pub dns: Vec<String>,
    /// Search domains, in order.
    pub dns_search: Vec<String>,
    /// Resolver options, in order.
    pub dns_opt: Vec<String>,
    /// `host:address` entries.
    pub extra_hosts: BTreeSet<String>,
    /// `SIGTERM`; absent: the image's.
    pub stop_signal: Option<String>,
    /// How long a stop waits before it kills; whole seconds at the engine. Absent: 10 s.
    pub stop_grace_period: Option<Duration>,
    /// Absent: the engine's default driver.
    pub logging: Option<Logging>,
    /// `host` or a private name; absent: the engine's default.
    pub pid: Option<String>,
    /// As given to the engine; absent: the engine's default.
    pub ipc: Option<String>,
    /// `host`; absent: a host name of its own.
    pub uts: Option<String>,
    /// `host`; absent: the engine's default.
    pub userns_mode: Option<String>,
    /// The namespace of control groups, `host` or `private`; absent: the engine's default.
    pub cgroup: Option<String>,
    /// The control group that it is put into; absent: the engine's default.
    pub cgroup_parent: Option<String>,
    /// Options of the storage driver for its root file system.
    pub storage_opt: BTreeMap<String, String>,
    /// Absent: the engine's default.
    pub runtime: Option<String>,
    /// Configs and secrets that are copied in before the start. Empty as observed.
    pub files: Vec<CopiedFile>,
    /// The digest of every content delivered, by its field: of configs and secrets
    /// (`configs.TARGET`), copied or mounted, and of files of the repository that the container can
    /// only read (`volumes.TARGET.content`). As observed, from our label and our notes.
    pub contents: BTreeMap<String, ContentDigest>,
}

impl ContainerSpec {
    /// The images that must be there: its own and those that it mounts.
    pub fn images(&self) -> impl Iterator<Item = &ImageRef> {
        let mounted = self.mounts.values().filter_map(|mount| match &mount.source {
            MountSource::Image { image, .. } => Some(image),
            _ => None,
        });
        std::iter::once(&self.image).chain(mounted)
    }

    /// A container of `image` with nothing else said.
    pub fn new(image: ImageRef) -> Self {
        Self {
            image,
            platform: None,
            entrypoint: None,
            command: None,
            environment: BTreeMap::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            user: None,
            working_dir: None,
            hostname: None,
            domainname: None,
            ports: BTreeSet::new(),
            expose: BTreeSet::new(),
            mounts: BTreeMap::new(),
            volumes_from: Vec::new(),
            networking: Networking::Networks(BTreeMap::new()),
            restart: RestartPolicy::No,
            healthcheck: None,
            limits: Limits::default(),
            blkio: Blkio::default(),
            cpu_rt_period: None,
            cpu_rt_runtime: None,
            mem_swappiness: None,
            oom_kill_disable: false,
            oom_score_adj: 0,
            shm_size: None,
            ulimits: BTreeMap::new(),
            cap_add: BTreeSet::new(),
            cap_drop: BTreeSet::new(),
            privileged: false,
            read_only: false,
            init: None,
            tty: false,
            stdin_open: false,
            security_opt: BTreeSet::new(),
            sysctls: BTreeMap::new(),
            devices: BTreeMap::new(),
            device_requests: Vec::new(),
            device_cgroup_rules: BTreeSet::new(),
            group_add: BTreeSet::new(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_opt: Vec::new(),
            extra_hosts: BTreeSet::new(),
            stop_signal: None,
            stop_grace_period: None,
            logging: None,
            pid: None,
            ipc: None,
            uts: None,
            userns_mode: None,
            cgroup: None,
            cgroup_parent: None,
            storage_opt: BTreeMap::new(),
            runtime: None,
            files: Vec::new(),
            contents: BTreeMap::new(),
        }
    }
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// A port inside a container, shown as `80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPort {
    /// From 1.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl fmt::Display for ContainerPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

/// A range of host ports, both ends included; a single port has equal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPorts {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl fmt::Display for HostPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A container port published on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortBinding {
    /// Inside.
    pub container: ContainerPort,
    /// The host's address; absent: all addresses.
    pub host_ip: Option<IpAddr>,
    /// Outside; absent: the engine picks a free port.
    pub host: Option<HostPorts>,
}

impl PortBinding {
    /// The host port, unless the engine has a choice.
    pub fn fixed_host_port(&self) -> Option<u16> {
        self.host.filter(|range| range.first == range.last).map(|range| range.first)
    }
}

/// What the engine does when a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Nothing. Bowline starts it again unless it is a job.
    No,
    /// Starts it again, also after a restart of the engine.
    Always,
    /// Starts it again, unless it was stopped by hand.
    UnlessStopped,
    /// Starts it again when its exit code is not 0.
    OnFailure {
        /// At most so often; 0: without bound.
        max_retries: u32,
    },
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
            Self::OnFailure { max_retries: 0 } => f.write_str("on-failure"),
            Self::OnFailure { max_retries } => write!(f, "on-failure:{max_retries}"),
        }
    }
}

/// How health is asked for. An absent value is the image's, then the engine's (interval 30 s,
/// timeout 30 s, 3 retries, start period 0).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ..]` or `["CMD-SHELL", ..]`.
    pub test: Option<Vec<String>>,
    /// Between two checks.
    pub interval: Option<Duration>,
    /// Until a check counts as failed.
    pub timeout: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    pub retries: Option<u32>,
    /// In which failures do not count.
    pub start_period: Option<Duration>,
    /// Between two checks in the start period (API 1.44).
    pub start_interval: Option<Duration>,
}

impl Healthcheck {
    /// The engine's choice of `retries`.
    pub const DEFAULT_RETRIES: u32 = 3;

    /// How many failures in a row make it unhealthy; to the engine 0 is absent.
    pub fn tries(&self) -> u32 {
        self.retries.filter(|retries| *retries > 0).unwrap_or(Self::DEFAULT_RETRIES)
    }

    /// Whether it turns the image's check off.
    pub fn is_disabled(&self) -> bool {
        self.test.as_ref().and_then(|test| test.first()).is_some_and(|kind| kind == "NONE")
    }
}

/// Where output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logging {
    /// Absent: the engine's default.
    pub driver: Option<String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// A config or secret that is copied into a container before its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedFile {
    /// An absolute path in the container.
    pub target: String,
    /// Its bytes.
    pub content: Sensitive<Vec<u8>>,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Permission bits.
    pub mode: u32,
}

/// A digest of a content, keyed for secrets so that a short one cannot be guessed from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContentDigest(pub String);
