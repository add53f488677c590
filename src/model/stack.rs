//! What should run.

use super::{
    ContainerSpec, Hidden, Hooks, ImageRef, NetworkSpec, OnContentChange, Places, Policy, Rolling,
    ServiceName, Slot, StackName, Windows,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// The desired state of one stack: services, networks and volumes that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The Compose project name.
    pub name: StackName,
    /// Directory of the first file, absolute; for the labels that `docker compose ls` shows.
    pub working_dir: String,
    /// The files read, absolute.
    pub config_files: Vec<String>,
    /// By name.
    pub services: BTreeMap<ServiceName, Service>,
    /// By key; only those that a service uses.
    pub networks: BTreeMap<String, NetworkSpec>,
    /// By key; all that are declared.
    pub volumes: BTreeMap<String, VolumeSpec>,
    /// How it is treated.
    pub policy: Policy,
    /// When another definition of it may be begun. No part of what it is: who changes it changes nothing
    /// that runs.
    pub windows: Windows,
    /// Where each field was written.
    pub places: Places,
    /// What of its files nothing shows: values of encrypted files, and what configs and secrets hold.
    pub hidden: Hidden,
}

/// A service: one definition, run a number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What its containers are made from; in a box, since it is large.
    pub container: Box<ContainerSpec>,
    /// Instead of `<stack>-<service>-<number>`; then there is at most one replica.
    pub container_name: Option<String>,
    /// How many run.
    pub replicas: u32,
    /// What must be up first.
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// When its image is pulled.
    pub pull_policy: PullPolicy,
    /// Written to run to its end and not for ever: `restart: "no"` spelled out, or a job's
    /// `deploy.mode`.
    pub one_shot: bool,
    /// What becomes of its containers when a content changes.
    pub on_content_change: OnContentChange,
    /// How its containers are exchanged when its definition changes.
    pub rolling: Rolling,
    /// What is run around the life of its containers.
    pub hooks: Hooks,
    /// How long a container that goes is left running once nobody is led to it any more; absent: it
    /// is stopped at once, and its name stays its own until then.
    pub drain: Option<Duration>,
}

impl Service {
    /// The images that must be there: its containers', those that they mount, and its hooks'.
    pub fn images(&self) -> impl Iterator<Item = &ImageRef> {
        let hooks = self.hooks.pre_start.iter().filter_map(|hook| hook.image.as_ref());
        self.container.images().chain(hooks)
    }
}

impl Stack {
    /// The name of the container in `slot`, or `None` for a service that is not declared.
    pub fn container_name(&self, slot: &Slot) -> Option<String> {
        let service = self.services.get(&slot.service)?;
        Some(
            service
                .container_name
                .clone()
                .unwrap_or_else(|| format!("{}-{}-{}", self.name, slot.service, slot.number)),
        )
    }

    /// The slots of a service, by number.
    pub fn slots<'a>(&'a self, name: &'a ServiceName) -> impl Iterator<Item = Slot> + 'a {
        let replicas = self.services.get(name).map_or(0, |service| service.replicas);
        (1..=replicas).map(move |number| Slot { service: name.clone(), number })
    }

    /// Whether `other` is the same but for where it is written.
    pub fn is_defined_as(&self, other: &Self) -> bool {
        let Self { name, services, networks, volumes, policy, .. } = self;
        (name, services, networks) == (&other.name, &other.services, &other.networks)
            && (volumes, policy) == (&other.volumes, &other.policy)
    }

    /// Takes out of `hidden` what everybody sees: the stack's name, and those of its services.
    pub fn spare_names(&self, hidden: &mut Hidden) {
        hidden.spare(self.name.as_str());
        self.services.keys().for_each(|service| hidden.spare(service.as_str()));
    }

    /// Whether a service waits for `name` or uses what is its.
    pub fn is_needed(&self, name: &ServiceName) -> bool {
        self.services.values().any(|service| service.depends_on.contains_key(name))
    }

    /// The services that run to their end rather than for ever: they say so, or something waits for
    /// their completion.
    pub fn jobs(&self) -> BTreeSet<&ServiceName> {
        let say_so = self.services.iter().filter(|(_, service)| service.one_shot);
        let dependencies = self.services.values().flat_map(|service| &service.depends_on);
        let awaited = dependencies.filter(|(_, it)| it.condition == Condition::Completed);
        say_so.map(|(name, _)| name).chain(awaited.map(|(name, _)| name)).collect()
    }
}

/// What a service waits for in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// What must hold.
    pub condition: Condition,
    /// Restart the dependent when the other is replaced.
    pub restart: bool,
    /// Without it the dependent is not started; otherwise a failure is only a warning.
    pub required: bool,
}

/// What must hold of a service before another begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It runs (`service_started`).
    Started,
    /// It is healthy (`service_healthy`).
    Healthy,
    /// It ended with exit code 0 (`service_completed_successfully`).
    Completed,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::Completed => "service_completed_successfully",
        })
    }
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// When it is not there (`missing`, the default).
    Missing,
    /// On every apply, and at every resync of the agent.
    Always,
    /// Not at all: a missing image is an error.
    Never,
    /// When the last pull is longer ago than this (`daily`, `weekly`, `every_<duration>`).
    Every(Duration),
}

/// A volume as a manifest asks for it, or as the engine has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeSpec {
    /// The name on the engine.
    pub name: String,
    /// Made by someone else: looked up, never made or removed.
    pub external: bool,
    /// Absent: `local`.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// The user's labels; as observed, all labels.
    pub labels: BTreeMap<String, String>,
}

/// A commit, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub String);

impl Revision {
    /// The first twelve digits.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
