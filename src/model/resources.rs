//! What a container may use of its host.

use std::collections::{BTreeMap, BTreeSet};

/// Limits that the engine can change on a running container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Billionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// A weight.
    pub cpu_shares: Option<u64>,
    /// `0-2,4`.
    pub cpuset: Option<String>,
    /// Microseconds after which `cpu_quota` is given anew.
    pub cpu_period: Option<u64>,
    /// Microseconds of CPU time in each period.
    pub cpu_quota: Option<u64>,
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

/// Devices that are chosen by what they can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Absent: the engine picks one that has the capabilities.
    pub driver: Option<String>,
    /// How many; -1: all, 0: those named.
    pub count: i64,
    /// Those named.
    pub device_ids: BTreeSet<String>,
    /// What each of them must be able to do.
    pub capabilities: BTreeSet<String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// Limits and weights of block devices; devices by their path on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blkio {
    /// From 10 to 1000.
    pub weight: Option<u16>,
    /// From 10 to 1000.
    pub weight_device: BTreeMap<String, u16>,
    /// Bytes a second.
    pub device_read_bps: BTreeMap<String, u64>,
    /// Bytes a second.
    pub device_write_bps: BTreeMap<String, u64>,
    /// Operations a second.
    pub device_read_iops: BTreeMap<String, u64>,
    /// Operations a second.
    pub device_write_iops: BTreeMap<String, u64>,
}

impl Blkio {
    /// The limits by their key in the file.
    pub fn limits(&self) -> [(&'static str, &BTreeMap<String, u64>); 4] {
        [
            ("device_read_bps", &self.device_read_bps),
            ("device_write_bps", &self.device_write_bps),
            ("device_read_iops", &self.device_read_iops),
            ("device_write_iops", &self.device_write_iops),
        ]
    }
}
