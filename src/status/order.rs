//! What somebody asks of the agent by hand about one stack, and what it answers.

use crate::model::{Revision, StackName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The fewest digits that name a commit.
const FEWEST_DIGITS: usize = 4;

/// An order by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Back to a former definition.
    Rollback(RollbackTo),
    /// Try again what is held back, rests or did not help.
    Retry,
    /// Exchange no further container.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Fetch and look now.
    Sync,
}

impl Order {
    /// The verb, as in the address on the socket.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Rollback(_) => "rollback",
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Sync => "sync",
        }
    }
}

/// Where to go back to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackTo {
    /// The commit; absent: the newest that held and is defined otherwise than what is asked for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RevisionPrefix>,
}

/// The first digits of a commit, at least four.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RevisionPrefix(String);

/// A text that names no commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no commit: give its id, or at least the first {FEWEST_DIGITS} digits of it")]
pub struct NoRevision(pub String);

impl RevisionPrefix {
    /// Checks `text`.
    pub fn new(text: &str) -> Result<Self, NoRevision> {
        let digits = text.to_ascii_lowercase();
        let valid = digits.len() >= FEWEST_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if valid { Ok(Self(digits)) } else { Err(NoRevision(text.to_owned())) }
    }

    /// Whether `revision` begins so.
    pub fn fits(&self, revision: &Revision) -> bool {
        revision.0.starts_with(&self.0)
    }
}

impl TryFrom<String> for RevisionPrefix {
    type Error = NoRevision;
    fn try_from(text: String) -> Result<Self, NoRevision> {
        Self::new(&text)
    }
}

impl From<RevisionPrefix> for String {
    fn from(prefix: RevisionPrefix) -> String {
        prefix.0
    }
}

impl fmt::Display for RevisionPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What was done about an order, at once. What follows from it a pass does, which begins after
/// `at`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The stack.
    pub stack: StackName,
    /// When, by the agent's clock.
    pub at: Timestamp,
    /// What was done, for people.
    pub did: String,
    /// Whether a former definition shall run now, rather than what git asks for.
    pub goes_back: bool,
}

/// An order that is not carried out; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such stack.
    #[error("{0}")]
    Unknown(String),
    /// As things are it cannot be done.
    #[error("{0}")]
    Impossible(String),
    /// It should be possible, but something failed.
    #[error("{0}")]
    Failed(String),
}

/// What an order would lead to; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The stack.
    pub stack: StackName,
    /// The commit of the definition that would run, where known.
    pub revision: Option<Revision>,
    /// How many changes there would be.
    pub changes: usize,
    /// How many things are in the way.
    pub problems: usize,
    /// The plan, as it prints.
    pub plan: String,
    /// The changes that would be made together, one group after the other.
    pub waves: Vec<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_named_by_at_least_four_of_its_first_digits() {
        let revision = Revision("0a1B2c3d".to_lowercase());
        for (text, fits) in [("0a1b", true), ("0A1B2C3D", true), ("a1b2", false)] {
            assert_eq!(RevisionPrefix::new(text).unwrap().fits(&revision), fits, "{text}");
        }
        for text in ["", "0a1", "main", "0a1b~1", "-0a1b"] {
            assert_eq!(RevisionPrefix::new(text), Err(NoRevision(text.to_owned())));
        }
    }

    #[test]
    fn an_order_with_a_key_that_is_not_known_is_refused() {
        let read = serde_json::from_str::<RollbackTo>;
        assert_eq!(read("{}").unwrap(), RollbackTo::default());
        assert!(read(r#"{"to": "0a1b"}"#).unwrap().to.is_some());
        assert!(read(r#"{"too": "0a1b"}"#).is_err());
        assert!(read(r#"{"to": "main"}"#).is_err());
    }
}
