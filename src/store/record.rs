//! The records of the inventory. Names, times and commits; never a value out of a manifest.
//!
//! They are JSON in the database. A field may be added, with a default for records without it; a
//! field that changes its meaning makes a new table.

use crate::model::{ContentDigest, Revision, SourceName};
use crate::status::{HoldReason, Holdings, PassResult};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is remembered of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StackRecord {
    /// Where it came from.
    pub origin: Option<Origin>,
    /// The last pass that ended with another result, or on another revision, than the one before.
    pub applied: Option<Applied>,
    /// The keyed digest of the definition that a pass brought about in full; of stacks whose drift
    /// is only reported.
    pub definition: Option<ContentDigest>,
    /// What it owned on the engine at the end of the last pass that could look.
    pub holdings: Holdings,
    /// That it left its source and is kept.
    pub held: Option<HoldRecord>,
    /// That it left its source and is being taken away.
    pub removal: Option<RemovalRecord>,
}

/// Where a stack came from, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its source.
    pub source: SourceName,
    /// Its first file, relative to the checkout.
    pub file: String,
    /// When it came into the source; of the present stay, if it came back.
    pub since: Timestamp,
    /// When it was seen to be gone from there; absent: it is there.
    pub left: Option<Timestamp>,
}

/// A pass over a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The commit, where known.
    pub revision: Option<Revision>,
    /// How it ended.
    pub result: PassResult,
    /// When it began.
    pub at: Timestamp,
}

/// A stack that is kept though it left its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRecord {
    /// Why.
    pub reason: HoldReason,
    /// Since when.
    pub since: Timestamp,
}

/// A stack that is being taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalRecord {
    /// Since when.
    pub since: Timestamp,
    /// Whether somebody said so; if not, its source did.
    pub confirmed: bool,
    /// How often it failed.
    pub failures: u32,
    /// Why it failed the last time.
    pub problem: Option<String>,
}

impl RemovalRecord {
    /// One that was not tried yet.
    pub fn new(since: Timestamp, confirmed: bool) -> Self {
        Self { since, confirmed, failures: 0, problem: None }
    }
}

/// The images that a service ran on this engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageRecord {
    /// The last first.
    pub used: Vec<UsedImage>,
}

/// An image that a service ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedImage {
    /// `sha256:...`.
    pub id: String,
    /// The references that it was asked for by.
    pub references: BTreeSet<String>,
    /// When it was first seen to run, or to run again.
    pub since: Timestamp,
}

/// How many images of a service are remembered.
const REMEMBERED_IMAGES: usize = 64;

impl ImageRecord {
    /// Notes that the service runs the image `id`, asked for by `reference`.
    pub fn note(&mut self, id: &str, reference: &str, now: Timestamp) {
        let known = self.used.iter().position(|image| image.id == id);
        let mut image = match known {
            Some(0) => {
                self.used[0].references.insert(reference.to_owned());
                return;
            }
            Some(index) => self.used.remove(index),
            None => UsedImage { id: id.to_owned(), references: BTreeSet::new(), since: now },
        };
        image.since = now;
        image.references.insert(reference.to_owned());
        self.used.insert(0, image);
        self.used.truncate(REMEMBERED_IMAGES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_listed_by_when_they_last_began_to_run() {
        let mut record = ImageRecord::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        for (second, id) in ["a", "b", "b", "a"].into_iter().enumerate() {
            record.note(id, &format!("app:{second}"), at(i64::try_from(second).unwrap()));
        }
        let ids: Vec<_> = record.used.iter().map(|image| image.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(record.used[1].since, at(1));
        assert_eq!(record.used[1].references, ["app:1", "app:2"].map(str::to_owned).into());
    }

    #[test]
    fn a_record_of_an_earlier_form_is_read_with_defaults() {
        let record: StackRecord = serde_json::from_str("{\"unknown\": 1}").unwrap();
        assert_eq!(record, StackRecord::default());
    }
}
