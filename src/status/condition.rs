//! Statements about a stack or source that hold, do not hold or are not known, since a time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConditionKind {
    /// It is as desired and works.
    Ready,
    /// A pass is under way.
    Reconciling,
    /// It will not get further until a person does something.
    Stalled,
    /// Fields differ from what is to run, and the last pass left them so.
    Drifted,
}

impl ConditionKind {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Reconciling, Self::Stalled, Self::Drifted];

    /// The word in JSON and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Drifted => "Drifted",
        }
    }
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known.
    Unknown,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::True, Self::False, Self::Unknown];

    /// The word in JSON and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Verdict {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about.
    pub kind: ConditionKind,
    /// Whether it holds.
    pub status: Verdict,
    /// Why, as one word in `CamelCase` for programs.
    pub reason: String,
    /// Why, for people; may be empty.
    pub message: String,
    /// Since when `status` is what it is.
    pub since: Timestamp,
}

/// The conditions of one stack or source, at most one of a kind, in the order of the kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// Takes over a statement. Where the status is as before, `since` stays as before too.
    pub fn set(&mut self, mut condition: Condition) {
        match self.0.binary_search_by_key(&condition.kind, |known| known.kind) {
            Ok(index) => {
                if self.0[index].status == condition.status {
                    condition.since = self.0[index].since;
                }
                self.0[index] = condition;
            }
            Err(index) => self.0.insert(index, condition),
        }
    }

    /// The same, where it is about something new: `since` is its own.
    pub fn renew(&mut self, condition: Condition) {
        self.0.retain(|known| known.kind != condition.kind);
        self.set(condition);
    }

    /// The statement about `kind`, if one was made.
    pub fn get(&self, kind: ConditionKind) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.kind == kind)
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Condition> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Conditions {
    type Item = &'a Condition;
    type IntoIter = std::slice::Iter<'a, Condition>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: Verdict, second: i64) -> Condition {
        let since = Timestamp::from_second(second).unwrap();
        Condition {
            kind: ConditionKind::Ready,
            status,
            reason: format!("At{second}"),
            message: String::new(),
            since,
        }
    }

    #[test]
    fn since_changes_only_when_the_status_does() {
        let mut conditions = Conditions::default();
        conditions.set(ready(Verdict::True, 10));
        conditions.set(ready(Verdict::True, 20));
        let kept = conditions.get(ConditionKind::Ready).unwrap();
        assert_eq!((kept.since.as_second(), kept.reason.as_str()), (10, "At20"));

        conditions.set(ready(Verdict::False, 30));
        assert_eq!(conditions.get(ConditionKind::Ready).unwrap().since.as_second(), 30);
        assert_eq!(conditions.iter().count(), 1);
    }
}
