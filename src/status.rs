//! What is known of each stack and source: the reports of passes, folded into current conditions.
//!
//! Pure: times come in with the reports.

mod board;
mod condition;
mod departure;
mod deployment;
mod detail;
mod explain;
#[cfg(test)]
mod fixtures;
mod fold;
mod history;
mod holdings;
mod near;
mod obstacle;
mod order;
mod progress;
mod report;
mod rollout;
mod said;
mod sources;
mod state;
mod table;
mod window;
mod workload;

pub use board::{Board, ConfigStatus, Remembered, Snapshot, Towards};
pub use condition::{Condition, ConditionKind, Conditions, Verdict};
pub use departure::{Confirmation, Confirmed, Departed, Departure, HoldReason};
pub use deployment::{
    DeployedAction, DeployedImage, DeployedReason, Deployment, DeploymentCause, GivenOrder,
    History, HistoryEntry, Occasion,
};
pub use detail::detail;
pub use explain::{ExplainedContainer, Explanation, ServiceChange};
pub use history::{history, no_deployment, told_in_full};
pub use holdings::{Holdings, RunImages, Seen, is_from_hand};
pub use near::near_misses;
pub use obstacle::first_line;
pub use order::{
    Caller, Done, Grounds, NoGrounds, NoRevision, Order, PlannedChange, PlannedReason, Preview,
    Refusal, RevisionPrefix, RollbackTo, SourceDone, Suspension,
};
pub use report::{
    ActionReport, Acts, DriftKind, PassResult, Report, Shortage, SourceReport, Unverified, Workload,
};
pub use rollout::{
    Cause, HeldBackStatus, PausedStatus, RolloutPhase, RolloutReport, RolloutStatus,
    RolloutVerdict, ServiceRollout, SlotNotice, SlotPhase, SlotStatus, SuspendedStatus,
};
pub use sources::{not_fetched, sources};
pub use state::{
    HealthStatus, LastFetch, LastPass, SourceStatus, StackProblem, StackStatus, SyncStatus,
};
pub use table::{Table, elapsed, essence, table, wide_table};
pub use window::WindowStatus;
