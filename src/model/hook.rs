//! What is run around the life of a container.

use std::collections::BTreeMap;

/// The hooks of a service (specification, `pre_start`, `post_start`, `pre_stop`), each in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// In a container of their own before the service's first start.
    pub pre_start: Vec<Hook>,
    /// In the container once it runs.
    pub post_start: Vec<Hook>,
    /// In the container before it is stopped.
    pub pre_stop: Vec<Hook>,
}

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hook {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Of `pre_start` alone; absent: the service's.
    pub image: Option<String>,
    /// Absent: the service's.
    pub user: Option<String>,
    /// All capabilities.
    pub privileged: bool,
    /// Absent: the service's.
    pub working_dir: Option<String>,
    /// Beside the service's.
    pub environment: BTreeMap<String, Option<String>>,
    /// Of `pre_start` alone: once for each replica instead of once.
    pub per_replica: bool,
}
