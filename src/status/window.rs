//! Stacks that wait for a window.

use crate::model::Revision;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// That what git asks for is not begun before a window opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowStatus {
    /// When it opens, where that can be foreseen.
    pub opens: Option<Timestamp>,
    /// The commit of what is kept until then, where known.
    pub instead: Option<Revision>,
}
