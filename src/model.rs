//! The words: what should run ([`Stack`]) and what does run ([`Observed`]). Plain data, ordered
//! throughout, without IO.

mod asked;
mod commit;
mod container;
mod cron;
mod hidden;
mod hook;
pub mod labels;
mod mount;
mod name;
mod network;
mod observed;
mod place;
mod platform;
mod policy;
mod reference;
mod resources;
mod sensitive;
mod stack;
mod update;
mod window;

pub use asked::{asked, recall};
pub use commit::Commit;
pub use container::{
    ContainerPort, ContainerSpec, ContentDigest, CopiedFile, Healthcheck, HostPorts, Logging,
    PortBinding, Protocol, RestartPolicy,
};
pub use cron::{cron_of_minutes, cron_of_seconds};
pub(crate) use hidden::PLAIN_WORDS;
pub use hidden::{HIDDEN, Hidden};
pub use hook::{Hook, HookKind, Hooks};
pub use mount::{Bind, Mount, MountSource, Recursive, Tmpfs, VolumesFrom};
pub use name::{ImageRef, InvalidName, ServiceName, Slot, SourceName, StackName};
pub use network::{Endpoint, Ipam, IpamPool, NetworkSpec, Networking};
pub use observed::{
    ApiVersion, Container, ContainerId, EngineFacts, Health, Image, ImageConfig, Observed,
    ObservedNetwork, ObservedVolume, Query, State, Stranger,
};
pub use place::{FieldIndex, FieldPath, Place, Places, Position};
pub use platform::Platform;
pub use policy::{DriftPolicy, FieldPattern, OnContentChange, Policy, RollbackPolicy};
pub use reference::{broken_rule, familiar, repository};
pub use resources::{Blkio, Device, DeviceRequest, Limits, Ulimit};
pub use sensitive::Sensitive;
pub use stack::{Condition, Dependency, PullPolicy, Revision, Service, Stack, VolumeSpec};
pub use update::{Canary, CanaryCheck, FailureAction, Order, Ratio, Rolling, UpdatePolicy};
pub use window::{BadWindow, Passage, Turn, Window, Windows};
