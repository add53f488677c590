//! What is run around the life of a container.

use super::ImageRef;
use std::collections::BTreeMap;
use std::fmt;

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

impl Hooks {
    /// Those of one kind.
    pub fn of(&self, kind: HookKind) -> &[Hook] {
        match kind {
            HookKind::PreStart => &self.pre_start,
            HookKind::PostStart => &self.post_start,
            HookKind::PreStop => &self.pre_stop,
        }
    }

    /// Those of all kinds.
    pub fn all(&self) -> impl Iterator<Item = &Hook> {
        self.pre_start.iter().chain(&self.post_start).chain(&self.pre_stop)
    }
}

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookKind {
    /// Before the start.
    PreStart,
    /// After the start.
    PostStart,
    /// Before the stop.
    PreStop,
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreStart => "pre_start",
            Self::PostStart => "post_start",
            Self::PreStop => "pre_stop",
        })
    }
}

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hook {
    /// Program and arguments; empty only in `pre_start`, where the image says what is run.
    pub command: Vec<String>,
    /// Of `pre_start` alone; absent: the service's.
    pub image: Option<ImageRef>,
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

impl Hook {
    /// Its program, which may be shown: not its arguments, where secrets may stand.
    pub fn program(&self) -> &str {
        match self.command.first() {
            // `NAME=VALUE` is none.
            Some(program) if !program.contains('=') => program,
            Some(_) => "(hidden)",
            None => "the image's command",
        }
    }
}
