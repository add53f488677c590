//! The single calls to an engine, as data.

use crate::model::{
    Container, ContainerSpec, ContentDigest, CopiedFile, Endpoint, Hook, HookKind, ImageRef,
    Limits, NetworkSpec, Platform, RestartPolicy, VolumeSpec,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// One call to the engine. Each is idempotent where the engine allows it: starting what runs,
/// stopping what is stopped and removing what is gone succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Pull an image from its registry.
    PullImage {
        /// Which.
        image: ImageRef,
        /// What for; absent: the engine's own platform.
        platform: Option<Platform>,
    },
    /// Remove an image that no container uses; never by force.
    RemoveImage {
        /// What people read.
        name: String,
        /// Its id.
        id: String,
    },
    /// Make a network; `labels` holds all labels, the user's and ours.
    CreateNetwork {
        /// What it is.
        spec: NetworkSpec,
        /// All of its labels.
        labels: BTreeMap<String, String>,
    },
    /// Remove a network.
    RemoveNetwork {
        /// Its name, for messages.
        name: String,
        /// Its id.
        id: String,
    },
    /// Make a volume.
    CreateVolume {
        /// What it is.
        spec: VolumeSpec,
        /// All of its labels.
        labels: BTreeMap<String, String>,
    },
    /// Remove a volume with its data.
    RemoveVolume(String),
    /// Make a container, with its configs and secrets copied in, joined to all its networks.
    CreateContainer(Box<NewContainer>),
    /// Join a container to a network.
    Connect {
        /// The container.
        container: ContainerRef,
        /// The network's name.
        network: String,
        /// Its place there.
        endpoint: Endpoint,
    },
    /// Take a container off a network.
    Disconnect {
        /// The container.
        container: ContainerRef,
        /// The network's name.
        network: String,
    },
    /// Start a container.
    Start(ContainerRef),
    /// Let a paused container go on.
    Unpause(ContainerRef),
    /// Send a signal to a container's first process.
    Signal {
        /// The container.
        container: ContainerRef,
        /// `SIGHUP`.
        signal: String,
    },
    /// Copy configs and secrets into a container that is there.
    CopyFiles {
        /// The container.
        container: ContainerRef,
        /// What, and where to.
        files: Vec<CopiedFile>,
    },
    /// Remember which contents a container has now, since its labels cannot change.
    NoteContents {
        /// The container, by its id.
        container: ContainerRef,
        /// The digests of all of its contents, by target path.
        contents: BTreeMap<String, ContentDigest>,
    },
    /// Stop a container; the engine knows its stop signal.
    Stop {
        /// The container.
        container: ContainerRef,
        /// How long to wait before it is killed; absent: as it was made with.
        grace: Option<Duration>,
    },
    /// Remove a container, by force if it runs, with the anonymous volumes that nothing else uses
    /// left in place.
    Remove(ContainerRef),
    /// Give a container another name.
    Rename {
        /// The container.
        container: ContainerRef,
        /// Its new name.
        to: String,
    },
    /// Change limits and the restart policy of a container while it runs.
    Update {
        /// The container.
        container: ContainerRef,
        /// All limits as they shall be; an absent one is left as it is (the engine cannot unset it).
        limits: Limits,
        /// The restart policy as it shall be.
        restart: RestartPolicy,
    },
    /// Remove a container that ran a hook, with the anonymous volumes that nothing else uses.
    Discard(ContainerRef),
    /// Take a running container's names off a network: others find it no more, and its address and
    /// its connections stay.
    Withdraw {
        /// The container.
        container: ContainerRef,
        /// The network's name.
        network: String,
        /// Its place there, without the names.
        endpoint: Box<Endpoint>,
    },
    /// Remember that a container is being started, and that its hooks are still to be run.
    OweHooks(ContainerRef),
    /// Remember that the hooks after a container's start have succeeded.
    HooksDone(ContainerRef),
    /// Run hooks in a running container, one after the other, until one fails.
    RunHooks {
        /// The container.
        container: ContainerRef,
        /// When they are run.
        kind: HookKind,
        /// What is run.
        hooks: Vec<Hook>,
        /// For how long all of them together may run.
        bound: Duration,
        /// Whether a failure ends the change; otherwise it is only worth a warning.
        required: bool,
    },
    /// Wait until a container that runs a hook has ended with exit code 0. One that takes longer than
    /// it may is killed.
    Finish {
        /// The container.
        container: ContainerRef,
        /// For how long it may run.
        bound: Duration,
    },
    /// Let time pass, so that what is under way can end.
    Linger(Duration),
    /// Wait for a container. Carried out by watching, not by the engine.
    Await {
        /// The container.
        container: ContainerRef,
        /// What must hold.
        until: Milestone,
        /// For how long to wait at most.
        bound: Duration,
        /// Whether a failure ends the change; otherwise it is only worth a warning.
        required: bool,
    },
}

impl Step {
    /// Whether it consists of looks, waits and commands in containers, rather than of one call.
    pub fn is_the_callers(&self) -> bool {
        matches!(
            self,
            Self::Await { .. } | Self::Finish { .. } | Self::RunHooks { .. } | Self::Linger(_)
        )
    }

    /// Whether its failure ends the change; otherwise it is only worth a warning.
    pub fn is_required(&self) -> bool {
        !matches!(
            self,
            Self::Await { required: false, .. }
                | Self::RunHooks { required: false, .. }
                | Self::Withdraw { .. }
        )
    }
}

/// A container, by its id where it exists when the plan is made, by its name where the plan makes
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRef {
    /// What the engine is asked for: an id or a name.
    pub key: String,
    /// What people read.
    pub name: String,
}

impl ContainerRef {
    /// A container that the plan makes under `name`.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { key: name.clone(), name }
    }

    /// A container that exists.
    pub fn of(container: &Container) -> Self {
        Self { key: container.id.0.clone(), name: container.name.clone() }
    }
}

/// A container to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContainer {
    /// Its name at first; a replacement gets its final name when the old container is gone.
    pub name: String,
    /// What it is made from.
    pub spec: ContainerSpec,
    /// Our labels and Compose's, beside the user's in `spec`. The engine adds the mark.
    pub labels: BTreeMap<String, String>,
    /// Volumes kept from the container that it replaces, by target path.
    pub keep_volumes: BTreeMap<String, String>,
}

/// What to wait for in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// It was started, whether or not it still runs.
    Started,
    /// It runs.
    Running,
    /// It runs and its health check says healthy; without a check it is enough that it runs.
    Up,
    /// Its health check says healthy; without a check this is an error.
    Healthy,
    /// It ended with exit code 0.
    Completed,
    /// It is no more: the engine is removing it.
    Gone,
}
