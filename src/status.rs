//! What is known of each stack and source: the reports of passes, folded into current conditions.
//!
//! Pure: times come in with the reports.

mod board;
mod condition;
mod departure;
mod detail;
mod fold;
mod holdings;
mod obstacle;
mod order;
mod progress;
mod report;
mod rollout;
mod sources;
mod state;
mod table;
mod window;
mod workload;

pub use board::{Board, Snapshot};
pub use condition::{Condition, ConditionKind, Conditions, Verdict};
pub use departure::{Confirmation, Confirmed, Departed, Departure, HoldReason};
pub use detail::detail;
pub use holdings::{Holdings, RunImages, Seen};
pub use obstacle::first_line;
pub use order::{Done, NoRevision, Order, Preview, Refusal, RevisionPrefix, RollbackTo};
pub use report::{
    ActionReport, Acts, DriftKind, PassResult, Report, Shortage, SourceReport, Unverified, Workload,
};
pub use rollout::{
    Cause, HeldBackStatus, PausedStatus, RolloutPhase, RolloutReport, RolloutStatus,
    RolloutVerdict, ServiceRollout, SlotNotice, SlotPhase, SlotStatus,
};
pub use sources::sources;
pub use state::{
    HealthStatus, LastFetch, LastPass, SourceStatus, StackProblem, StackStatus, SyncStatus,
};
pub use table::{Table, elapsed, essence, table, wide_table};
pub use window::WindowStatus;
