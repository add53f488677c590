//! What does run.

use super::{
    ContainerPort, ContainerSpec, Healthcheck, ImageRef, NetworkSpec, Platform, PortBinding,
    Service, Slot, Stack, StackName, VolumeSpec, labels,
};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a snapshot must tell about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Everything that this stack owns.
    pub stack: StackName,
    /// Also what Compose made for a project of that name.
    pub adopt: bool,
    /// Images by reference.
    pub images: BTreeSet<ImageRef>,
    /// Networks by name, whoever owns them.
    pub networks: BTreeSet<String>,
    /// Networks that have addresses of one of these subnets.
    pub subnets: BTreeSet<IpNet>,
    /// Volumes by name, whoever owns them.
    pub volumes: BTreeSet<String>,
    /// Containers of others that have one of these names.
    pub container_names: BTreeSet<String>,
    /// Containers of others that hold one of these host ports, of any protocol and address.
    pub host_ports: BTreeSet<u16>,
}

impl Query {
    /// What planning for `stack` needs to know.
    pub fn of(stack: &Stack) -> Self {
        Self {
            stack: stack.name.clone(),
            adopt: stack.policy.adopt,
            images: stack.services.values().flat_map(Service::images).cloned().collect(),
            networks: stack.networks.values().map(|network| network.name.clone()).collect(),
            subnets: stack
                .networks
                .values()
                .filter(|network| !network.external)
                .flat_map(NetworkSpec::subnets)
                .collect(),
            volumes: stack.volumes.values().map(|volume| volume.name.clone()).collect(),
            container_names: container_names(stack).collect(),
            host_ports: stack
                .services
                .values()
                .flat_map(|service| &service.container.ports)
                .filter_map(PortBinding::fixed_host_port)
                .collect(),
        }
    }

    /// Whether a network of somebody else is asked about, by its name or its addresses.
    pub fn names(&self, network: &NetworkSpec) -> bool {
        self.networks.contains(&network.name)
            || self.subnets.iter().any(|subnet| network.overlaps(subnet))
    }

    /// Whether `stranger` holds a name or a host port that is asked about.
    pub fn concerns(&self, stranger: &Stranger) -> bool {
        let mut ports = stranger.ports.iter().filter_map(PortBinding::fixed_host_port);
        self.container_names.contains(&stranger.name)
            || ports.any(|port| self.host_ports.contains(&port))
    }

    /// The stack that owns a network or volume with these labels: `stack`, or the one asked for, if
    /// it takes over what Compose made.
    pub fn owner(
        &self,
        stack: Option<&StackName>,
        labels: &BTreeMap<String, String>,
    ) -> Option<StackName> {
        let project = labels.get(labels::PROJECT).map(String::as_str);
        let adopts = self.adopt && project == Some(self.stack.as_str());
        stack.or(adopts.then_some(&self.stack)).cloned()
    }

    /// What removing the stack `name` needs to know.
    pub fn owned_by(name: StackName) -> Self {
        Self {
            stack: name,
            adopt: false,
            images: BTreeSet::new(),
            networks: BTreeSet::new(),
            subnets: BTreeSet::new(),
            volumes: BTreeSet::new(),
            container_names: BTreeSet::new(),
            host_ports: BTreeSet::new(),
        }
    }
}

/// The names that the containers of `stack` have, and those that replacements have for a while.
fn container_names(stack: &Stack) -> impl Iterator<Item = String> {
    let slots = stack.services.keys().flat_map(|name| stack.slots(name));
    let names = slots.filter_map(|slot| stack.container_name(&slot));
    names.flat_map(|name| [format!("{name}{}", labels::TEMPORARY), name])
}

/// A snapshot of an engine as far as one stack is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// What the engine is and can do.
    pub engine: EngineFacts,
    /// The stack's containers, by slot, then name.
    pub containers: Vec<Container>,
    /// The stack's containers that were made to run a hook, each with the slot that it was made for.
    pub hooks: Vec<Container>,
    /// The stack's networks and those asked for by name.
    pub networks: Vec<ObservedNetwork>,
    /// The stack's volumes and those asked for by name.
    pub volumes: Vec<ObservedVolume>,
    /// The images asked for, as far as they are there or containers of the stack are made from them.
    pub images: BTreeMap<ImageRef, Image>,
    /// The containers of others that were asked about, by name.
    pub strangers: Vec<Stranger>,
}

impl Observed {
    /// Notes the images that the stack's containers are made from under names that are asked for,
    /// but are gone. `found` tells of images by id. Where they do not agree nothing is noted.
    pub fn note_nameless(
        &mut self,
        names: &BTreeSet<ImageRef>,
        found: impl Fn(&str) -> Option<Image>,
    ) {
        for name in names.iter().filter(|name| !self.images.contains_key(name)).collect::<Vec<_>>()
        {
            let named = self.containers.iter().filter(|container| container.spec.image == *name);
            let ids: BTreeSet<&str> = named.map(|container| container.image_id.as_str()).collect();
            let only = ids.first().filter(|_| ids.len() == 1).and_then(|id| found(id));
            if let Some(image) = only {
                self.images.insert(name.clone(), Image { nameless: true, ..image });
            }
        }
    }
}

/// An id that the engine gave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerId(pub String);

/// A container of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Its name, without the slash that the engine puts before it.
    pub name: String,
    /// Its place in the stack, from its labels.
    pub slot: Slot,
    /// The id of the image that it runs.
    pub image_id: String,
    /// What it is made from.
    pub spec: ContainerSpec,
    /// Compose made it, and it was taken over: what it was asked for is not noted on it.
    pub adopted: bool,
    /// Whether it is known what configs, secrets and mounted files it has. Of one that Compose made
    /// it is once it was taken over.
    pub contents_known: bool,
    /// Whether we started it and have not seen its `post_start` hooks succeed since.
    pub owes_hooks: bool,
    /// When it was made, by the engine's clock.
    pub created: Timestamp,
    /// When it was started last; absent if it never was.
    pub started: Option<Timestamp>,
    /// What it does.
    pub state: State,
    /// What its health check says.
    pub health: Health,
    /// Ids of the networks that it is attached to, by name.
    pub network_ids: BTreeMap<String, String>,
    /// The names of its anonymous volumes, by target path.
    pub anonymous_volumes: BTreeMap<String, String>,
}

impl Container {
    /// Whether it was made by us, or by Compose and taken over since.
    pub fn is_taken_over(&self) -> bool {
        !self.adopted || self.contents_known
    }
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Made, never started.
    Created,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// The engine is about to start it again.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited {
        /// Its exit code.
        code: i64,
    },
    /// Could not be removed.
    Dead,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Running => f.write_str("running"),
            Self::Paused => f.write_str("paused"),
            Self::Restarting => f.write_str("restarting"),
            Self::Removing => f.write_str("removing"),
            Self::Exited { code } => write!(f, "exited ({code})"),
            Self::Dead => f.write_str("dead"),
        }
    }
}

/// What a container's health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// There is none.
    Unchecked,
    /// No verdict yet.
    Starting,
    /// It answers.
    Healthy,
    /// It failed too often.
    Unhealthy,
}

impl Health {
    /// What the engine's word on a container in `state` is worth, after `failures` in a row of the `tries`
    /// that its check has. The engine calls what is paused unhealthy, and goes on to until the first check
    /// after the pause has ended.
    #[must_use]
    pub fn judged(self, state: State, failures: u32, tries: u32) -> Self {
        match (self, state) {
            (Self::Unhealthy, State::Running) if failures < tries => Self::Starting,
            _ => self,
        }
    }
}

/// A network on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNetwork {
    /// Its id: names need not be unique before API 1.44.
    pub id: String,
    /// What it is. `external` is false.
    pub spec: NetworkSpec,
    /// The stack that owns it.
    pub stack: Option<StackName>,
    /// The containers attached to it that are not the stack's, by name.
    pub foreign_containers: BTreeSet<String>,
}

/// A volume on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedVolume {
    /// What it is. `external` is false.
    pub spec: VolumeSpec,
    /// The stack that owns it.
    pub stack: Option<StackName>,
}

/// An image on the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// `sha256:...`.
    pub id: String,
    /// What it is made for, as far as it says so.
    pub platform: Platform,
    /// What it gives to its containers.
    pub config: ImageConfig,
    /// Its names, `repository:tag`.
    pub tags: BTreeSet<String>,
    /// Its names by content, `repository@sha256:...`.
    pub digests: BTreeSet<String>,
    /// The name was taken from it, and is nobody's; containers that were made from it are still
    /// there.
    pub nameless: bool,
}

/// What an image gives to its containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
    /// `ENV`.
    pub environment: BTreeMap<String, String>,
    /// `LABEL`.
    pub labels: BTreeMap<String, String>,
    /// `USER`, empty if none.
    pub user: String,
    /// `WORKDIR`, empty if none.
    pub working_dir: String,
    /// `VOLUME`.
    pub volumes: BTreeSet<String>,
    /// `EXPOSE`.
    pub exposed_ports: BTreeSet<ContainerPort>,
    /// `HEALTHCHECK`.
    pub healthcheck: Option<Healthcheck>,
    /// `STOPSIGNAL`.
    pub stop_signal: Option<String>,
}

/// A container that is not the stack's: it may hold a name or a port that the stack wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Its name.
    pub name: String,
    /// The stack that owns it, if Bowline made it.
    pub stack: Option<StackName>,
    /// The Compose project that its labels name.
    pub project: Option<String>,
    /// The host ports that it holds now; empty unless it runs.
    pub ports: Vec<PortBinding>,
}

/// A version of the engine's API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// 1.
    pub major: u16,
    /// 41 and up.
    pub minor: u16,
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What an engine is and can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineFacts {
    /// `20.10.24`.
    pub version: String,
    /// The version that is spoken with it.
    pub api: ApiVersion,
    /// The driver that containers log to when nothing is said.
    pub default_log_driver: String,
    /// The runtime that containers use when nothing is said.
    pub default_runtime: String,
    /// Processors: the bound of `cpus`.
    pub cpus: u64,
    /// Whether the kernel limits swap; without it the engine notes -1 for every limit.
    pub limits_swap: bool,
}

impl EngineFacts {
    /// Whether the engine speaks API 1.`minor`.
    pub fn speaks(&self, minor: u16) -> bool {
        self.api >= ApiVersion { major: 1, minor }
    }

    /// Whether a container can be made on several networks at once (API 1.44).
    pub fn joins_several_networks_at_create(&self) -> bool {
        self.speaks(44)
    }

    /// Whether a second network of the same name is refused (API 1.44).
    pub fn keeps_network_names_unique(&self) -> bool {
        self.speaks(44)
    }

    /// Whether `healthcheck.start_interval` is kept (API 1.44).
    pub fn keeps_start_interval(&self) -> bool {
        self.speaks(44)
    }
}
