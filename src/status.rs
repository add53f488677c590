//! What is known of each stack and source: the reports of passes, folded into current conditions.
//!
//! Pure: times come in with the reports.

mod report;
mod workload;

pub use report::{ActionReport, DriftKind, PassResult, Report, SourceReport, Workload};
