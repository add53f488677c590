//! The one door to Docker.
//!
//! [`Engine`] is what the rest of Bowline sees. `docker` is the real one; `sim` behaves the same
//! in memory, which one suite of scenarios shows by running on both.

mod discreet;
pub mod docker;
mod error;
mod notes;
pub mod sim;

pub use discreet::{Discreet, Secrets};
pub use error::EngineError;
pub use notes::{Contents, InMemory, Notes};

use crate::model::{
    ContainerId, EngineFacts, Health, Hook, Observed, Query, SourceName, StackName, State,
};
use crate::plan::{ContainerRef, Step};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;
use tokio_stream::Stream;

/// Looks at and changes one engine.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// What the engine is and can do. Asked once, then remembered until a call fails to reach it.
    async fn facts(&self) -> Result<EngineFacts, EngineError>;

    /// What the engine says of itself and its host, asked anew, for people who look for what is wrong.
    async fn surroundings(&self) -> Result<Surroundings, EngineError>;

    /// A fresh snapshot of what `query` asks for. An answer that cannot be read is an error, never
    /// an empty snapshot.
    async fn observe(&self, query: &Query) -> Result<Observed, EngineError>;

    /// The stacks that Bowline made on this engine, with the source that each came from.
    async fn stacks(&self) -> Result<BTreeMap<StackName, Option<SourceName>>, EngineError>;

    /// What one container does now.
    async fn watch(&self, container: &ContainerRef) -> Result<Sighting, EngineError>;

    /// The last lines that a container wrote since its last start, oldest first, for messages about its
    /// failure.
    async fn tail(
        &self,
        container: &ContainerRef,
        lines: usize,
    ) -> Result<Vec<String>, EngineError>;

    /// What a container wrote, and, if it is followed, writes until it ends; from the oldest on. Ends with
    /// an error where it cannot be read any further.
    async fn logs(
        &self,
        container: &ContainerRef,
        range: &LogRange,
    ) -> Result<LogLines, EngineError>;

    /// Runs a hook in a container that runs, and waits at most for `bound` for its end. What takes
    /// longer goes on.
    async fn exec(
        &self,
        container: &ContainerRef,
        hook: &Hook,
        bound: Duration,
    ) -> Result<Ended, EngineError>;

    /// Carries one step out. Of long ones (pulls) `progress` hears in between. Those that wait or run
    /// hooks ([`Step::is_the_callers`]) are the caller's.
    async fn perform(&self, step: &Step, progress: Progress<'_>) -> Result<(), EngineError>;

    /// What happens on the engine from now on. Ends with an error when the connection does; the
    /// caller asks anew and then takes a full look, since what happened in between is lost.
    async fn events(&self) -> Result<EventStream, EngineError>;
}

/// Where an engine runs. What it does not tell is empty or absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The time by its clock.
    pub time: Option<Timestamp>,
    /// The directory of its images and volumes, on its host.
    pub root: PathBuf,
    /// Whether that host is this one, as far as the address tells.
    pub is_here: bool,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// `systemd`, `cgroupfs` or `none`.
    pub cgroup_driver: String,
    /// `overlay2` and the like.
    pub storage_driver: String,
    /// What it warns of: limits that its kernel cannot set, ways in that are open.
    pub warnings: Vec<String>,
}

/// Hears what a long step is doing, a line at a time.
pub type Progress<'a> = &'a (dyn Fn(Word<'_>) + Send + Sync);

/// What is heard of a step while it is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word<'a> {
    /// How far it is.
    Doing(&'a str),
    /// What of it the engine could not do, though it did the rest.
    Warning(&'a str),
}

/// What happens on an engine.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Event, EngineError>> + Send>>;

/// Which lines of a container are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// So many, counted from the last; `None`: all.
    pub tail: Option<usize>,
    /// Those that were written at this time or later, by the engine's clock; `None`: all.
    pub since: Option<Timestamp>,
    /// Also what it writes from now on.
    pub follow: bool,
}

/// A line that a container wrote; a very long one comes in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it wrote it.
    pub output: Output,
    /// When, by the engine's clock, where it tells.
    pub at: Option<Timestamp>,
    /// What, without its end; of any encoding.
    pub text: Vec<u8>,
}

/// Where a container writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// To its standard output, or to its terminal.
    Out,
    /// To its standard error.
    Err,
}

/// What a container writes.
pub type LogLines = Pin<Box<dyn Stream<Item = Result<LogLine, EngineError>> + Send>>;

/// A look at one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its id.
    pub id: ContainerId,
    /// What it does.
    pub state: State,
    /// When it was started last; absent if it never was.
    pub started: Option<Timestamp>,
    /// How often the engine restarted it by itself since it was made.
    pub restarts: u32,
    /// What its health check says.
    pub health: Health,
    /// The end of the last health check's output, if it has one.
    pub health_output: Option<String>,
    /// Where the host reaches it: its address on the first of its networks, by their names, that gave it
    /// one, IPv4 before IPv6; the loopback where it is on the host's own network. Absent: nowhere.
    pub address: Option<IpAddr>,
}

/// What became of a command in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; absent: it still ran at the bound.
    pub code: Option<i64>,
    /// The last lines that it wrote, oldest first.
    pub output: Vec<String>,
}

/// Something happened to an object of a stack. It carries no state: it only says where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Docker's word: `die`, `health_status`, `disconnect`, ...
    pub action: String,
    /// What it happened to.
    pub subject: Subject,
    /// The stack whose object it happened to, where the event tells.
    pub stack: Option<StackName>,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A container.
    Container,
    /// A network or volume of this name.
    Resource(String),
    /// An image, by id or reference, in all the ways the engine told it.
    Image(Vec<String>),
}
