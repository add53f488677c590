//! The words: what should run ([`Stack`]) and what does run ([`Observed`]). Plain data, ordered
//! throughout, without IO.

mod container;
pub mod labels;
mod name;
mod network;
mod observed;
mod place;
mod sensitive;
mod stack;

pub use container::{
    Bind, ContainerPort, ContainerSpec, ContentDigest, CopiedFile, Device, Healthcheck, HostPorts,
    Limits, Logging, Mount, MountSource, PortBinding, Protocol, RestartPolicy, Tmpfs, Ulimit,
};
pub use name::{ImageRef, InvalidName, ServiceName, Slot, SourceName, StackName};
pub use network::{Endpoint, Ipam, IpamPool, NetworkSpec, Networking};
pub use observed::{
    ApiVersion, Container, ContainerId, EngineFacts, Health, Image, ImageConfig, Observed,
    ObservedNetwork, ObservedVolume, Query, State, Stranger,
};
pub use place::{Field, FieldPath, Place, Places, Position};
pub use sensitive::Sensitive;
pub use stack::{Condition, Dependency, PullPolicy, Revision, Service, Stack, VolumeSpec};
