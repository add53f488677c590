//! What is mounted into a container.

use super::ImageRef;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What stands at one path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// The container cannot write to it.
    pub read_only: bool,
    /// The labels of a volume that is made together with the container.
    pub labels: BTreeMap<String, String>,
}

impl Mount {
    /// A mount of `source` that can be written to.
    pub fn of(source: MountSource) -> Self {
        Self { source, read_only: false, labels: BTreeMap::new() }
    }
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
        /// The part of it that is mounted (API 1.45); absent: all.
        subpath: Option<String>,
    },
    /// A volume that the engine names. As observed every volume whose name is a 64-digit hex
    /// number is taken for one.
    Anonymous,
    /// Memory.
    Tmpfs(Tmpfs),
    /// The files of an image (API 1.48).
    Image {
        /// The image as written.
        image: ImageRef,
        /// The part of it that is mounted; absent: all.
        subpath: Option<String>,
    },
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
    /// Whether it is a single file of the repository: a container that runs goes on seeing it as it
    /// was when another takes its place. As observed always false.
    pub is_file: bool,
    /// What becomes of the mounts below the path; absent: they come along, read-only like the path
    /// itself where the kernel can do that.
    pub recursive: Option<Recursive>,
}

/// What becomes of the mounts below the path of a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recursive {
    /// They do not come along (`disabled`).
    Disabled,
    /// They come along and can be written to, though the path itself cannot (`writable`, API 1.44).
    Writable,
    /// They come along read-only, or the container does not start (`readonly`, API 1.44).
    ReadOnly,
}

impl fmt::Display for Recursive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "disabled",
            Self::Writable => "writable",
            Self::ReadOnly => "readonly",
        })
    }
}

/// A container whose mounts another one gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumesFrom {
    /// Its name. As observed, its id if no container of that id is left.
    pub container: String,
    /// The other one cannot write to them.
    pub read_only: bool,
}

impl fmt::Display for VolumesFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.container, if self.read_only { "ro" } else { "rw" })
    }
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
