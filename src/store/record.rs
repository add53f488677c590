//! The records of the inventory. Names, times and commits; never a value out of a manifest.
//!
//! They are JSON in the database. A field may be added, with a default for records without it; a
//! field that changes its meaning makes a new table.

use crate::model::{ContentDigest, Revision, ServiceName, SourceName, StackName};
use crate::rollout::Progress;
use crate::status::{
    GivenOrder, HeldBackStatus, HoldReason, Holdings, PassResult, PausedStatus, SuspendedStatus,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is remembered of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StackRecord {
    /// Where it came from.
    pub origin: Option<Origin>,
    /// The last pass that ended with another result, or on another revision, than the one before.
    pub applied: Option<Applied>,
    /// The commit that a pass brought about last, or went back to.
    pub runs: Option<Revision>,
    /// The keyed digest of the definition that a pass brought about in full; of stacks whose drift
    /// is only reported.
    pub definition: Option<ContentDigest>,
    /// The definition that was begun last: what counts until a window lets another one through.
    pub begun: Option<Begun>,
    /// The definition that was brought about last and seen to hold.
    pub good: Option<Good>,
    /// Those before it, the newest first.
    pub former: Vec<Good>,
    /// A definition that is not brought about though git asks for it.
    pub held_back: Option<HeldBack>,
    /// That its containers are not exchanged for now.
    pub paused: Option<Paused>,
    /// That nothing is done to it.
    pub suspended: Option<SuspendedStatus>,
    /// That the last pass that could look found it as `apply` had made it, in no source.
    pub from_hand: bool,
    /// Orders by hand that the history does not tell yet, the oldest first.
    pub orders: Vec<GivenOrder>,
    /// How far its services came towards a definition that is being brought about.
    pub progress: Option<ProgressRecord>,
    /// What it owned on the engine at the end of the last pass that could look.
    pub holdings: Holdings,
    /// That it left its source and is kept.
    pub held: Option<HoldRecord>,
    /// That it left its source and is being taken away.
    pub removal: Option<RemovalRecord>,
}

/// How many definitions that held are remembered beside the last one.
const REMEMBERED_GOOD: usize = 10;

impl StackRecord {
    /// Notes that a definition held. One that is known to have held goes on with the images of now; any
    /// other takes the place of the last, which becomes a former one. What is the same file of the same
    /// commit is the same to go back to, whatever its digest was.
    pub fn note_good(&mut self, good: Good) {
        if let Some(last) = self.good.as_mut().filter(|last| last.definition == good.definition) {
            last.images = good.images;
            return;
        }
        let is_other = |known: &Good| {
            known.definition != good.definition
                && (known.revision.is_none()
                    || (&known.revision, &known.file) != (&good.revision, &good.file))
        };
        self.former.retain(is_other);
        let last = self.good.take().filter(is_other);
        self.good = Some(good);
        self.former.splice(0..0, last);
        self.former.truncate(REMEMBERED_GOOD);
    }

    /// Notes that a definition is begun, unless it was before; then only its commit, if that was not known.
    pub fn note_begun(&mut self, begun: Begun) {
        let is_known = |last: &Begun| {
            last.definition == begun.definition
                && (last.revision.is_some() || begun.revision.is_none())
        };
        if !self.begun.as_ref().is_some_and(is_known) {
            self.begun = Some(begun);
        }
    }

    /// What was begun last, as far as that is known. Where it held its commit is known from then, too.
    pub fn last_begun(&self) -> Option<Begun> {
        let Some(begun) = &self.begun else { return self.good.as_ref().map(Begun::from) };
        let held = || {
            let mut held = self.good.iter().chain(&self.former);
            held.find(|good| good.definition == begun.definition && good.revision.is_some())
        };
        let known = if begun.revision.is_none() { held().map(Begun::from) } else { None };
        Some(known.unwrap_or_else(|| begun.clone()))
    }

    /// Notes that `known`, the digest of what was begun, and `now` are of one definition: another version of
    /// Bowline has another one for it. What is held back or rests stays so. What held is not touched: after
    /// a change of variables it did not hold as it is now.
    pub fn note_same(&mut self, known: &ContentDigest, now: &ContentDigest) {
        let begun = self.begun.iter_mut().map(|begun| &mut begun.definition);
        let held_back = self.held_back.iter_mut().map(|held| &mut held.definition);
        let paused = self.paused.iter_mut().filter_map(|paused| paused.definition.as_mut());
        let all = begun.chain(held_back).chain(paused);
        all.filter(|it| *it == known).for_each(|it| it.clone_from(now));
    }

    /// Takes in what an earlier process wrote that is known only now. What came later prevails.
    pub(super) fn take_in(&mut self, earlier: &Self) {
        let late = self.good.take().into_iter().chain(std::mem::take(&mut self.former));
        let late: Vec<Good> = late.collect();
        (self.good, self.former) = (earlier.good.clone(), earlier.former.clone());
        late.into_iter().rev().for_each(|good| self.note_good(good));
        self.begun = self.begun.take().or_else(|| earlier.begun.clone());
        self.held_back = self.held_back.take().or_else(|| earlier.held_back.clone());
        self.origin = self.origin.take().or_else(|| earlier.origin.clone());
        self.applied = self.applied.take().or_else(|| earlier.applied.clone());
        self.runs = self.runs.take().or_else(|| earlier.runs.clone());
        self.definition = self.definition.take().or_else(|| earlier.definition.clone());
        self.paused = self.paused.take().or_else(|| earlier.paused.clone());
        self.suspended = self.suspended.take().or_else(|| earlier.suspended.clone());
        self.orders.splice(0..0, earlier.orders.clone());
        self.held = self.held.take().or_else(|| earlier.held.clone());
        self.removal = self.removal.take().or_else(|| earlier.removal.clone());
        self.from_hand |= earlier.from_hand;
        if self.holdings == Holdings::default() {
            self.holdings.clone_from(&earlier.holdings);
        }
    }

    /// The commits to which the stack can go back, and that which it came from.
    pub fn revisions(&self) -> BTreeSet<Revision> {
        let instead = self.held_back.iter().map(|held_back| &held_back.instead);
        let all = self.good.iter().chain(&self.former).chain(instead).map(|good| &good.revision);
        let begun = self.begun.iter().map(|begun| &begun.revision);
        all.chain(begun).filter_map(Clone::clone).collect()
    }

    /// The ids of the images that the stack needs to go back to where it was last.
    pub fn images(&self) -> BTreeSet<String> {
        let instead = self.held_back.iter().map(|held_back| &held_back.instead);
        let good = self.good.iter().chain(instead);
        good.flat_map(|good| good.images.values().cloned()).collect()
    }
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
    /// Where the configuration said that its source is when it was last seen there; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The stacks that it depended on when it was last read without an error.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<StackName>,
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

/// A definition that a pass was let bring about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The commit that it was begun at, where known.
    pub revision: Option<Revision>,
    /// Its first file there, relative to the checkout.
    pub file: String,
    /// Its keyed digest.
    pub definition: ContentDigest,
}

impl From<&Good> for Begun {
    fn from(good: &Good) -> Self {
        let Good { revision, file, definition, .. } = good.clone();
        Self { revision, file, definition }
    }
}

/// A definition that held: every container was up and stayed so while it was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// The commit that it was first seen at, where known.
    pub revision: Option<Revision>,
    /// Its first file there, relative to the checkout.
    pub file: String,
    /// Its keyed digest.
    pub definition: ContentDigest,
    /// The id of the image that each service ran.
    pub images: BTreeMap<ServiceName, String>,
    /// When it was first seen to hold.
    pub since: Timestamp,
}

/// A definition that failed, or that somebody went back from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The commit, where known.
    pub revision: Option<Revision>,
    /// Its keyed digest: another commit with the same definition is held back as well.
    pub definition: ContentDigest,
    /// Why, in one or more lines.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// What runs in its place.
    pub instead: Good,
    /// Whether what runs in its place was brought about since.
    #[serde(default)]
    pub reached: bool,
    /// The id of the image that each service ran then.
    #[serde(default)]
    pub images: BTreeMap<ServiceName, String>,
    /// The services that go back; empty: all.
    pub services: BTreeSet<ServiceName>,
    /// Whether somebody asked for it.
    pub by_hand: bool,
}

/// An update that rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// The definition that it leads to: another one ends the pause. Absent: whichever.
    pub definition: Option<ContentDigest>,
    /// The services concerned; empty: all.
    pub services: BTreeSet<ServiceName>,
    /// Why, in one or more lines.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether somebody asked for it.
    pub by_hand: bool,
}

/// How far an update came, for the process that goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressRecord {
    /// The definition that it leads to.
    pub definition: ContentDigest,
    /// The slots of its services.
    pub services: BTreeMap<ServiceName, Progress>,
}

impl From<&HeldBack> for HeldBackStatus {
    fn from(held: &HeldBack) -> Self {
        Self {
            revision: held.revision.clone(),
            reason: held.reason.clone(),
            since: held.since,
            instead: held.instead.revision.clone(),
            reached: held.reached,
            services: held.services.clone(),
            by_hand: held.by_hand,
        }
    }
}

impl From<&Paused> for PausedStatus {
    fn from(paused: &Paused) -> Self {
        Self {
            reason: paused.reason.clone(),
            since: paused.since,
            services: paused.services.clone(),
            by_hand: paused.by_hand,
        }
    }
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
    /// Notes that the service runs the image `id`, asked for by `reference`: a name, or the id itself.
    pub fn note(&mut self, id: &str, reference: &str, now: Timestamp) {
        let known = self.used.iter().position(|image| image.id == id);
        let name = (reference != id).then(|| reference.to_owned());
        let mut image = match known {
            Some(0) => {
                self.used[0].references.extend(name);
                return;
            }
            Some(index) => self.used.remove(index),
            None => UsedImage { id: id.to_owned(), references: BTreeSet::new(), since: now },
        };
        image.since = now;
        image.references.extend(name);
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
    fn an_image_that_was_asked_for_by_its_id_has_no_other_name_for_it() {
        let mut record = ImageRecord::default();
        record.note("sha256:a", "sha256:a", Timestamp::UNIX_EPOCH);
        record.note("sha256:a", "app:1", Timestamp::UNIX_EPOCH);
        assert_eq!(record.used[0].references, ["app:1".to_owned()].into());
    }

    fn good(revision: &str, image: &str) -> Good {
        Good {
            revision: Some(Revision(revision.to_owned())),
            file: "compose.yaml".to_owned(),
            definition: ContentDigest(format!("definition of {revision}")),
            images: [(ServiceName::new("web").unwrap(), image.to_owned())].into(),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    fn texts(revisions: impl IntoIterator<Item = Revision>) -> Vec<String> {
        revisions.into_iter().map(|revision| revision.0).collect()
    }

    fn former(record: &StackRecord) -> Vec<String> {
        texts(record.former.iter().filter_map(|good| good.revision.clone()))
    }

    #[test]
    fn what_held_before_is_remembered_within_bounds_each_definition_once() {
        let mut record = StackRecord::default();
        for number in 1..=3 {
            record.note_good(good(&number.to_string(), "a"));
        }
        assert_eq!(record.good, Some(good("3", "a")));
        assert_eq!(former(&record), ["2", "1"]);
        record.note_good(good("1", "a"));
        assert_eq!(former(&record), ["3", "2"], "it went back");
        (10..40).for_each(|number| record.note_good(good(&number.to_string(), "a")));
        assert_eq!(former(&record).len(), REMEMBERED_GOOD);
        assert_eq!(former(&record)[0], "38");
    }

    #[test]
    fn a_definition_that_goes_on_to_hold_keeps_its_beginning_and_gets_the_images_of_now() {
        let mut record = StackRecord::default();
        record.note_good(good("1", "a"));
        let again = Good {
            revision: Some(Revision("2".to_owned())),
            since: Timestamp::MAX,
            ..good("1", "b")
        };
        record.note_good(again);
        assert_eq!((record.good.clone(), record.former.len()), (Some(good("1", "b")), 0));
    }

    #[test]
    fn all_that_a_stack_can_go_back_to_is_needed_and_the_images_of_the_last() {
        let mut record = StackRecord::default();
        record.note_good(good("1", "a"));
        record.note_good(good("2", "b"));
        record.held_back = Some(held());
        assert_eq!(texts(record.revisions()), ["1", "2", "3"]);
        assert_eq!(record.images(), ["b", "c"].map(str::to_owned).into());
    }

    #[test]
    fn what_was_begun_last_is_known_by_what_held_in_records_of_an_earlier_form() {
        let mut record = StackRecord::default();
        assert_eq!(record.last_begun(), None);
        record.note_good(good("1", "a"));
        assert_eq!(record.last_begun(), Some(Begun::from(&good("1", "a"))));
        record.note_begun(Begun::from(&good("2", "a")));
        let again = Begun { revision: None, ..Begun::from(&good("2", "a")) };
        record.note_begun(again);
        assert_eq!(record.last_begun(), Some(Begun::from(&good("2", "a"))));
        assert_eq!(texts(record.revisions()), ["1", "2"]);
    }

    #[test]
    fn what_was_begun_without_a_commit_gets_the_one_at_which_it_comes_again_or_held() {
        let at = |revision: &str| Begun::from(&good(revision, "a"));
        let mut record = StackRecord::default();
        record.note_begun(Begun { revision: None, ..at("1") });
        assert_eq!(record.last_begun().unwrap().revision, None);
        let mut held = record.clone();
        held.note_good(good("1", "a"));
        held.note_good(good("2", "a"));
        assert_eq!(held.last_begun(), Some(at("1")));
        record.note_begun(at("1"));
        assert_eq!((record.last_begun(), record.begun), (Some(at("1")), Some(at("1"))));
    }

    #[test]
    fn a_commit_that_another_version_knew_by_another_digest_is_nothing_to_go_back_to() {
        let other = |revision: &str| Good {
            definition: ContentDigest(format!("as before: {revision}")),
            ..good(revision, "a")
        };
        let mut record = StackRecord::default();
        for good in [other("1"), other("2"), other("3"), good("3", "b"), good("2", "b")] {
            record.note_good(good);
        }
        assert_eq!(
            (record.good.clone(), former(&record)),
            (Some(good("2", "b")), vec!["3".into(), "1".into()])
        );
        // Another file of the commit is another definition.
        record.note_good(Good { file: "other.yaml".to_owned(), ..other("2") });
        assert_eq!(former(&record), ["2", "3", "1"]);
    }

    #[test]
    fn what_was_begun_is_known_by_a_new_digest_with_what_is_held_back_and_rests() {
        let mut record = StackRecord::default();
        record.note_good(good("1", "a"));
        record.note_begun(Begun::from(&good("1", "a")));
        let [known, now] = ["definition of 1", "now"].map(|it| ContentDigest(it.to_owned()));
        record.held_back = Some(HeldBack { definition: known.clone(), ..held() });
        record.paused = Some(Paused {
            definition: Some(known.clone()),
            services: BTreeSet::new(),
            reason: String::new(),
            since: Timestamp::UNIX_EPOCH,
            by_hand: false,
        });
        record.note_same(&known, &now);
        assert_eq!(record.last_begun().unwrap().definition, now);
        assert_eq!(record.held_back.unwrap().definition, now);
        assert_eq!(record.paused.unwrap().definition, Some(now));
        assert_eq!(record.good.unwrap().definition, known);
    }

    fn held() -> HeldBack {
        HeldBack {
            revision: None,
            definition: ContentDigest("bad".to_owned()),
            reason: String::new(),
            since: Timestamp::UNIX_EPOCH,
            instead: good("3", "c"),
            reached: false,
            images: BTreeMap::new(),
            services: BTreeSet::new(),
            by_hand: false,
        }
    }

    #[test]
    fn a_record_of_an_earlier_form_is_read_with_defaults() {
        let record: StackRecord = serde_json::from_str("{\"unknown\": 1}").unwrap();
        assert_eq!(record, StackRecord::default());
    }
}
