//! What somebody asks of the agent by hand about one stack, and what it answers.

use super::StackProblem;
use crate::model::{Revision, SourceName, StackName};
use crate::plan::Plan;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The fewest digits that name a commit.
const FEWEST_DIGITS: usize = 4;
/// The longest reason that somebody may give, in characters.
const LONGEST_REASON: usize = 500;

/// An order by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Back to a former definition.
    Rollback(RollbackTo),
    /// Try again what is held back, rests or did not help.
    Retry,
    /// Exchange no further container.
    Pause,
    /// Do nothing at all to it.
    Suspend(Suspension),
    /// Go on after a pause, or after nothing was done to it.
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
            Self::Suspend(_) => "suspend",
            Self::Resume => "resume",
            Self::Sync => "sync",
        }
    }
}

/// Who gives an order, for people: as far as the agent itself can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub String);

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// That nothing is to be done to a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Grounds>,
}

/// Why somebody gives an order: one line of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grounds(String);

/// A text that is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a reason is one line of 1 to {LONGEST_REASON} characters, without control characters")]
pub struct NoGrounds;

impl Grounds {
    /// Checks `text`.
    pub fn new(text: &str) -> Result<Self, NoGrounds> {
        let fits = (1..=LONGEST_REASON).contains(&text.chars().count());
        if fits && !text.contains(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoGrounds)
        }
    }
}

impl TryFrom<String> for Grounds {
    type Error = NoGrounds;
    fn try_from(text: String) -> Result<Self, NoGrounds> {
        Self::new(&text)
    }
}

impl From<Grounds> for String {
    fn from(grounds: Grounds) -> String {
        grounds.0
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

/// That a source is fetched. What follows from it passes do, which begin after `at`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDone {
    /// The source.
    pub source: SourceName,
    /// When, by the agent's clock.
    pub at: Timestamp,
    /// What was done, for people.
    pub did: String,
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

/// What an order, or the next pass, would lead to; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The stack.
    pub stack: StackName,
    /// The commit of the definition that would run, where known.
    pub revision: Option<Revision>,
    /// Why a pass would not make the changes now, in one or more lines; absent: it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    /// What would be changed, in the order of the plan.
    pub changes: Vec<PlannedChange>,
    /// What is in the way, and must be mended by a person.
    pub problems: Vec<StackProblem>,
    /// The plan, as it prints.
    pub plan: String,
    /// The changes that would be made together, one group after the other.
    pub waves: Vec<Vec<String>>,
}

/// A change that would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// What would be done: `create`, `replace`, ...
    pub action: String,
    /// To what: `container web/1`, `network shop_default`, ...
    pub object: String,
    /// Why.
    pub reasons: Vec<PlannedReason>,
}

/// Why a change would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedReason {
    /// The field concerned in Compose's terms.
    pub field: String,
    /// What it should be; of a secret never the value.
    pub desired: String,
    /// What it is; of a secret never the value.
    pub actual: String,
    /// `file:line:column`, where it was written.
    pub place: Option<String>,
}

impl Preview {
    /// What `plan` would lead to, with `waves` of its changes, towards the definition at `revision`.
    pub fn of(plan: &Plan, waves: Vec<Vec<usize>>, revision: Option<Revision>) -> Self {
        let reason = |reason: &crate::plan::Reason| PlannedReason {
            field: reason.field.clone(),
            desired: reason.desired.clone(),
            actual: reason.actual.clone(),
            place: reason.place.as_ref().map(ToString::to_string),
        };
        let changes = plan.changes.iter().map(|change| PlannedChange {
            action: change.action.word().to_owned(),
            object: change.object.to_string(),
            reasons: change.reasons.iter().map(reason).collect(),
        });
        let named =
            |wave: Vec<usize>| wave.iter().map(|&it| plan.changes[it].to_string()).collect();
        Self {
            stack: plan.stack.clone(),
            revision,
            obstacle: None,
            changes: changes.collect(),
            problems: plan.problems.iter().map(StackProblem::from).collect(),
            plan: plan.to_string(),
            waves: waves.into_iter().map(named).collect(),
        }
    }
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
    fn a_reason_is_one_line_within_a_bound() {
        let longest = "ä".repeat(LONGEST_REASON);
        for (text, fits) in [
            ("moving the disk", true),
            (&*longest, true),
            ("", false),
            ("a\nb", false),
            ("\u{1b}[31m", false),
            (&format!("{longest}a"), false),
        ] {
            assert_eq!(Grounds::new(text).is_ok(), fits, "{text:?}");
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
