//! What a container is made from.

use super::{ImageRef, Networking, Sensitive};
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
    /// `Some([])` clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's `CMD`.
    pub command: Option<Vec<String>>,
    /// `None` removes a variable that the image sets.
    pub environment: BTreeMap<String, Option<String>>,
    /// The user's labels; as observed, all of them.
    pub labels: BTreeMap<String, String>,
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
    /// Networks.
    pub networking: Networking,
    /// What the engine does when the container ends.
    pub restart: RestartPolicy,
    /// Absent: the image's, if it has one.
    pub healthcheck: Option<Healthcheck>,
    /// CPU, memory and process limits.
    pub limits: Limits,
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
    /// Absent: the engine's default.
    pub runtime: Option<String>,
    /// Configs and secrets that are copied in before the start. Empty as observed.
    pub files: Vec<CopiedFile>,
    /// The digest of every config and secret delivered, copied or mounted, by target path. As
    /// observed, from our label.
    pub contents: BTreeMap<String, ContentDigest>,
}

impl ContainerSpec {
    /// A container of `image` with nothing else said.
    pub fn new(image: ImageRef) -> Self {
        Self {
            image,
            entrypoint: None,
            command: None,
            environment: BTreeMap::new(),
            labels: BTreeMap::new(),
            user: None,
            working_dir: None,
            hostname: None,
            domainname: None,
            ports: BTreeSet::new(),
            expose: BTreeSet::new(),
            mounts: BTreeMap::new(),
            networking: Networking::Networks(BTreeMap::new()),
            restart: RestartPolicy::No,
            healthcheck: None,
            limits: Limits::default(),
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

/// What stands at one path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// The container cannot write to it.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A path of the host.
    Bind(Bind),
    /// A volume, by its name on the engine.
    Volume {
        /// Its name.
        name: String,
        /// Do not fill an empty volume from the image.
        nocopy: bool,
    },
    /// A volume that the engine names. As observed every volume whose name is a 64-digit hex
    /// number is taken for one.
    Anonymous,
    /// Memory.
    Tmpfs(Tmpfs),
}

/// A path of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bind {
    /// Absolute.
    pub path: String,
    /// Make a missing path a directory. As observed always true for what went in as a bind string.
    pub create_host_path: bool,
    /// `rprivate`, `shared`, ...; absent: the engine's default, `rprivate`.
    pub propagation: Option<String>,
    /// `z` or `Z`.
    pub selinux: Option<char>,
}

/// A file system in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tmpfs {
    /// Bytes.
    pub size: Option<u64>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Further mount options (`noexec`), sorted.
    pub options: BTreeSet<String>,
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
    /// Whether it turns the image's check off.
    pub fn is_disabled(&self) -> bool {
        self.test.as_ref().and_then(|test| test.first()).is_some_and(|kind| kind == "NONE")
    }
}

/// Limits that the engine can change on a running container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Billionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// A weight.
    pub cpu_shares: Option<u64>,
    /// `0-2,4`.
    pub cpuset: Option<String>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes.
    pub memory_reservation: Option<u64>,
    /// Memory and swap in bytes; -1: no bound. Absent: twice the memory.
    pub memory_swap: Option<i64>,
    /// Processes; -1: no bound.
    pub pids: Option<i64>,
}

/// A resource limit of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ulimit {
    /// What a process begins with; -1: no bound.
    pub soft: i64,
    /// What it may raise it to; -1: no bound.
    pub hard: i64,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Path on the host.
    pub source: String,
    /// Of `rwm`.
    pub permissions: String,
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
