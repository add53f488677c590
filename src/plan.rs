//! Compares desired with observed state and says what must change, in which order and why.
//!
//! Pure: the same stack and snapshot give the same plan, byte for byte.

mod change;
mod step;

pub use change::{Action, Change, Object, Plan, Problem, Reason};
pub use step::{ContainerRef, Milestone, NewContainer, Step};
