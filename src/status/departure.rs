//! Stacks that left their source: what is known of their going.

use super::Holdings;
use crate::model::{SourceName, StackName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a stack that left its source is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The source held no stack at all.
    Empty,
    /// A stack of the source is in error, and may be this one.
    InError,
    /// A part of the source could not be read.
    Unreadable,
    /// More than half of the source's stacks were gone at once.
    TooMany,
    /// The configuration says that the source is elsewhere than where the stack was, as far as that is known.
    Reconfigured,
    /// Another stack came that looks the same.
    Renamed {
        /// Its name.
        to: StackName,
    },
}

impl HoldReason {
    /// Whether it holds only as long as the source is as it is; a reason that stays needs somebody
    /// to confirm.
    pub fn passes(&self) -> bool {
        match self {
            Self::InError | Self::Unreadable => true,
            Self::Empty | Self::TooMany | Self::Reconfigured | Self::Renamed { .. } => false,
        }
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the source holds no stack at all"),
            Self::InError => f.write_str("a stack of the source is in error"),
            Self::Unreadable => f.write_str("a part of the source cannot be read"),
            Self::TooMany => f.write_str("more than half of the source's stacks were gone at once"),
            Self::Reconfigured => f.write_str(
                "the agent's configuration names another place of the source than the one where it was, or \
                 that is not known",
            ),
            Self::Renamed { to } => write!(f, "it seems renamed to {to}"),
        }
    }
}

/// A stack that left its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// Since when it is held, or is being taken away.
    pub since: Timestamp,
    /// Why it is kept; absent: it is being taken away.
    pub held: Option<String>,
}

/// A stack that left its source, with all that somebody needs to know who decides about it; an entry
/// in the list of `bowline prune`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departed {
    /// The stack.
    pub stack: StackName,
    /// The source that it left.
    pub source: SourceName,
    /// Since when, and why it is still there.
    #[serde(flatten)]
    pub departure: Departure,
    /// How often taking it away failed.
    pub failures: u32,
    /// Why that failed the last time.
    pub problem: Option<String>,
    /// What it owns on the engine. Containers and networks go, volumes stay.
    pub holdings: Holdings,
}

/// What somebody wants to have taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// These stacks; empty: all that are held for a reason that does not pass by itself.
    #[serde(default)]
    pub stacks: Vec<StackName>,
}

/// What became of a confirmation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// These are being taken away now.
    pub removing: Vec<StackName>,
    /// These are not, with the reasons.
    pub refused: Vec<String>,
}
