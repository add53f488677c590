//! All that a simulated engine knows. It decides nothing.

use super::catalogue::{Catalogue, Entry, Key};
use super::clock::Agenda;
use super::events::Subscriber;
use super::faults::Faults;
use super::images::{Behaviour, SimImage};
use crate::engine::EngineError;
use crate::model::{
    ApiVersion, ContainerSpec, Endpoint, EngineFacts, Health, NetworkSpec, PortBinding, State,
    VolumeSpec,
};
use crate::plan::ContainerRef;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// An engine's objects, what is due, and who listens.
pub(super) struct World {
    pub facts: EngineFacts,
    pub now: Instant,
    pub born: Instant,
    /// The calendar's time at its birth.
    pub born_at: Timestamp,
    pub serial: u64,
    pub containers: Catalogue<SimContainer>,
    pub networks: Catalogue<SimNetwork>,
    /// By name.
    pub volumes: Catalogue<VolumeSpec>,
    /// By reference.
    pub tags: BTreeMap<String, String>,
    /// By id.
    pub images: BTreeMap<String, SimImage>,
    /// By reference.
    pub registry: BTreeMap<String, SimImage>,
    /// By container name; goes before what the image declares.
    pub behaviours: BTreeMap<String, Behaviour>,
    pub agenda: Agenda,
    pub clock_runs: bool,
    pub subscribers: Vec<Subscriber>,
    pub faults: Faults,
}

/// A container.
#[derive(Debug, Clone)]
pub(super) struct SimContainer {
    pub id: String,
    pub name: String,
    pub image_id: String,
    /// In the observed form, except that its networks are in `attached`.
    pub spec: ContainerSpec,
    pub attached: BTreeMap<String, Attachment>,
    pub anonymous_volumes: BTreeMap<String, String>,
    pub state: State,
    pub health: Health,
    pub failed_probes: u32,
    pub started: Option<Instant>,
    /// It was started, and its hooks are still to be run.
    pub owes_hooks: bool,
    /// Its contents were noted after it was made.
    pub contents_noted: bool,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    /// Somebody stopped it: no policy starts it again.
    pub stopped_by_hand: bool,
    pub backoff: Duration,
    pub restarts: u32,
    /// What was due when it was paused.
    pub frozen: Vec<(Duration, super::clock::Due)>,
    /// The host ports that it holds.
    pub ports: Vec<PortBinding>,
}

/// A container's place on a network.
#[derive(Debug, Clone, Default)]
pub(super) struct Attachment {
    pub endpoint: Endpoint,
    /// Empty until the container first runs.
    pub network_id: String,
    pub addresses: BTreeSet<IpAddr>,
}

/// A network.
#[derive(Debug, Clone)]
pub(super) struct SimNetwork {
    pub id: String,
    /// In the observed form.
    pub spec: NetworkSpec,
    /// The subnet was asked for, so that static addresses are possible.
    pub chosen_subnet: bool,
}

impl World {
    pub(super) fn new(minor: u16) -> Self {
        let mut world = Self {
            facts: EngineFacts {
                version: if minor < 44 { "20.10.24" } else { "27.5.1" }.to_owned(),
                api: ApiVersion { major: 1, minor },
                default_log_driver: "json-file".to_owned(),
                default_runtime: "runc".to_owned(),
                cpus: 4,
                limits_swap: true,
            },
            now: Instant::now(),
            born: Instant::now(),
            born_at: Timestamp::now(),
            serial: 0,
            containers: Catalogue::default(),
            networks: Catalogue::default(),
            volumes: Catalogue::default(),
            tags: BTreeMap::new(),
            images: BTreeMap::new(),
            registry: BTreeMap::new(),
            behaviours: BTreeMap::new(),
            agenda: Agenda::default(),
            clock_runs: false,
            subscribers: Vec::new(),
            faults: Faults::default(),
        };
        world.make_default_networks();
        world
    }

    /// 64 hexadecimal digits, the same in every run.
    pub(super) fn next_id(&mut self) -> String {
        use sha2::Digest;
        self.serial += 1;
        hex::encode(sha2::Sha256::digest(self.serial.to_be_bytes()))
    }

    /// The time on the engine's calendar.
    pub(super) fn calendar(&self) -> Timestamp {
        self.born_at + (self.now - self.born)
    }

    /// The time of an event, later with every call.
    pub(super) fn timestamp(&mut self) -> Timestamp {
        self.serial += 1;
        self.calendar() + Duration::from_nanos(self.serial)
    }

    /// The id of the container that `key` (id, name or short id) stands for.
    pub(super) fn find(&self, key: &str) -> Option<String> {
        let by_short_id = || self.containers.beginning_with(key).filter(|_| key.len() >= 12);
        let found = self.containers.get(key).or_else(|| self.named(key)).or_else(by_short_id);
        found.map(|found| found.id.clone())
    }

    /// The container called `name`.
    pub(super) fn named(&self, name: &str) -> Option<&SimContainer> {
        self.containers.having(&Key::Name(name.to_owned())).next()
    }

    /// The container, or that it is not there.
    pub(super) fn container(
        &self,
        operation: &'static str,
        wanted: &ContainerRef,
    ) -> Result<&SimContainer, EngineError> {
        let missing = || not_found(operation, format!("container {}", wanted.name));
        let id = self.find(&wanted.key).ok_or_else(missing)?;
        self.containers.get(&id).ok_or_else(missing)
    }
}

impl Entry for SimContainer {
    fn keys(&self) -> BTreeSet<Key> {
        let ports = self.ports.iter().filter_map(PortBinding::fixed_host_port).map(Key::HostPort);
        let by_name = self.attached.keys();
        let networks = by_name.chain(self.attached.values().map(|place| &place.network_id));
        [Key::Name(self.name.clone())]
            .into_iter()
            .chain(Key::claims(&self.spec.labels))
            .chain(ports)
            .chain(networks.cloned().map(Key::Network))
            .collect()
    }
}

impl Entry for SimNetwork {
    fn keys(&self) -> BTreeSet<Key> {
        let name = Key::Name(self.spec.name.clone());
        Key::claims(&self.spec.labels).chain([name]).collect()
    }
}

impl Entry for VolumeSpec {
    fn keys(&self) -> BTreeSet<Key> {
        Key::claims(&self.labels).collect()
    }
}

impl SimContainer {
    /// Whether it has a process.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Running | State::Paused)
    }
}

/// What the call is about is not there.
pub(super) fn not_found(operation: &'static str, object: impl Into<String>) -> EngineError {
    EngineError::NotFound { operation, object: object.into() }
}

/// The engine says no.
pub(super) fn refused(
    operation: &'static str,
    object: impl Into<String>,
    status: u16,
    message: impl Into<String>,
) -> EngineError {
    EngineError::Refused { operation, object: object.into(), status, message: message.into() }
}
