//! What orders by hand change in a stack's record. The record is all that they change: the next pass
//! goes by it, whoever makes it.

use super::{Good, HeldBack, Paused, StackRecord};
use crate::model::{ContentDigest, Revision};
use crate::status::{Caller, GivenOrder, RevisionPrefix, SuspendedStatus, Suspension};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Why a stack is held back, or rests, where somebody said so.
const BY_HAND: &str = "by hand";
/// How many orders are kept until the history tells them.
const MOST_ORDERS: usize = 100;

/// What git asks for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The commit, where known.
    pub revision: Option<Revision>,
    /// The keyed digest of the definition.
    pub definition: ContentDigest,
    /// Digests by which it was known to other versions of Bowline.
    pub also: BTreeSet<ContentDigest>,
}

impl Wanted {
    fn is(&self, good: &Good) -> bool {
        good.definition == self.definition
            || self.also.contains(&good.definition)
            || (good.revision.is_some() && good.revision == self.revision)
    }
}

/// There is nothing to go back to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    /// No other definition held so far.
    #[error("there is no former revision that held and is defined otherwise")]
    None,
    /// None of those that held is called so.
    #[error("no revision that held is called {to}; known are {known}")]
    Unknown {
        /// What was asked for.
        to: RevisionPrefix,
        /// The short ids of those that can be gone back to.
        known: String,
    },
    /// Several are called so.
    #[error("{to} may be any of {known}; give more digits")]
    Ambiguous {
        /// What was asked for.
        to: RevisionPrefix,
        /// Their short ids.
        known: String,
    },
    /// It is what git asks for already.
    #[error("{to} is defined as what git asks for now; `bowline retry` has it tried again")]
    Wanted {
        /// What was asked for.
        to: RevisionPrefix,
    },
}

impl StackRecord {
    /// Nothing is held back and nothing rests any more, and what failed before does not count. What
    /// was held back or rested, for people; `None`: nothing.
    pub fn release(&mut self) -> Option<String> {
        self.progress = None;
        let held_back = self.held_back.take().map(|held| match held.revision {
            Some(revision) => format!("{} is no longer held back", revision.short()),
            None => "what git asks for is no longer held back".to_owned(),
        });
        let paused = self.paused.take().map(|_| "the pause is over".to_owned());
        let released: Vec<_> = held_back.into_iter().chain(paused).collect();
        (!released.is_empty()).then(|| released.join(", and "))
    }

    /// Keeps an order until the history tells it; of too many the oldest goes.
    pub fn note_order(&mut self, given: GivenOrder) {
        if self.orders.len() == MOST_ORDERS {
            self.orders.remove(0);
        }
        self.orders.push(given);
    }

    /// No container is exchanged from now on.
    pub fn pause(&mut self, now: Timestamp) {
        self.paused = Some(Paused {
            definition: None,
            services: BTreeSet::new(),
            reason: format!("paused {BY_HAND}"),
            since: now,
            by_hand: true,
        });
    }

    /// Nothing is done to the stack from now on. Said again without a reason, the first word stays.
    pub fn suspend(&mut self, suspension: &Suspension, by: &Caller, now: Timestamp) {
        let reason = suspension.reason.clone().map(String::from);
        if reason.is_none() && self.suspended.is_some() {
            return;
        }
        self.suspended = Some(SuspendedStatus { since: now, by: by.to_string(), reason });
    }

    /// Ends that nothing is done, with a pause by hand; or else any pause. An update that rests since it failed
    /// rests on after a suspension. What there was of that, for people; `None`: nothing.
    pub fn resume(&mut self) -> Option<&'static str> {
        let was_suspended = self.suspended.take().is_some();
        let ends = |paused: &mut Paused| paused.by_hand || !was_suspended;
        match (was_suspended, self.paused.take_if(ends).is_some()) {
            (false, false) => None,
            (false, true) => Some("resumed"),
            (true, false) => Some("no longer suspended"),
            (true, true) => Some("neither suspended nor paused any more"),
        }
    }

    /// Goes back from what is `wanted` to a definition that held, which is the last good one from now
    /// on; a pause ends with it. Returns that definition.
    pub fn go_back(
        &mut self,
        wanted: &Wanted,
        to: Option<&RevisionPrefix>,
        now: Timestamp,
    ) -> Result<Good, NoWayBack> {
        let instead = self.way_back(wanted, to)?.clone();
        (self.paused, self.progress) = (None, None);
        let good = self.good.replace(instead.clone());
        let is_other = |known: &Good| known.definition != instead.definition;
        self.former.retain(is_other);
        self.former.splice(0..0, good.filter(is_other));
        self.held_back = Some(HeldBack {
            revision: wanted.revision.clone(),
            definition: wanted.definition.clone(),
            reason: format!("rolled back {BY_HAND}"),
            since: now,
            instead: instead.clone(),
            reached: false,
            images: BTreeMap::new(),
            services: BTreeSet::new(),
            by_hand: true,
        });
        Ok(instead)
    }

    /// The definition to go back to: the newest that is not the `wanted` one, or that which `to`
    /// names. One of the same commit is the wanted one, by whatever digest it was known.
    pub fn way_back(
        &self,
        wanted: &Wanted,
        to: Option<&RevisionPrefix>,
    ) -> Result<&Good, NoWayBack> {
        let is_other = |good: &&Good| !wanted.is(good);
        let Some(to) = to else { return self.held().find(is_other).ok_or(NoWayBack::None) };
        let is_named = |good: &&Good| good.revision.as_ref().is_some_and(|it| to.fits(it));
        let named: Vec<&Good> = self.held().filter(is_named).collect();
        match named.as_slice() {
            [] if !self.held().any(|good| is_other(&good)) => Err(NoWayBack::None),
            [] => {
                let (to, known) = (to.clone(), short_ids(self.held().filter(is_other)));
                Err(NoWayBack::Unknown { to, known })
            }
            [good] if is_other(good) => Ok(good),
            [_] => Err(NoWayBack::Wanted { to: to.clone() }),
            several => {
                let known = short_ids(several.iter().copied());
                Err(NoWayBack::Ambiguous { to: to.clone(), known })
            }
        }
    }

    /// The definitions that held, the newest first.
    fn held(&self) -> impl Iterator<Item = &Good> {
        self.good.iter().chain(&self.former)
    }
}

fn short_ids<'a>(goods: impl Iterator<Item = &'a Good>) -> String {
    let ids =
        goods.map(|good| good.revision.as_ref().map_or("one without a commit", |it| it.short()));
    ids.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ProgressRecord;

    fn digest(text: &str) -> ContentDigest {
        ContentDigest(text.to_owned())
    }

    fn good(revision: &str, definition: &str) -> Good {
        Good {
            revision: Some(Revision(revision.to_owned())),
            file: "shop/compose.yaml".to_owned(),
            definition: digest(definition),
            images: BTreeMap::new(),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    /// One that held three definitions, of which the newest is what git asks for.
    fn record() -> StackRecord {
        StackRecord {
            good: Some(good("cccc3333", "three")),
            former: vec![good("bbbb2222", "two"), good("bbbb1111", "one")],
            ..StackRecord::default()
        }
    }

    fn back(record: &StackRecord, wanted: &str, to: &str) -> Result<String, String> {
        let prefix = (!to.is_empty()).then(|| RevisionPrefix::new(to).unwrap());
        let wanted = Wanted { revision: None, definition: digest(wanted), also: BTreeSet::new() };
        let found = record.way_back(&wanted, prefix.as_ref());
        found.map(|good| good.revision.clone().unwrap().0).map_err(|error| error.to_string())
    }

    #[test]
    fn the_way_back_leads_to_the_newest_that_is_defined_otherwise_or_to_the_one_named() {
        let record = record();
        assert_eq!(back(&record, "three", "").unwrap(), "bbbb2222");
        assert_eq!(back(&record, "four", "").unwrap(), "cccc3333");
        assert_eq!(back(&record, "three", "bbbb1").unwrap(), "bbbb1111");
    }

    #[test]
    fn the_commit_that_git_asks_for_is_no_way_back_by_whatever_digest_it_was_known() {
        let (record, later) = (record(), digest("three, as another version has it"));
        let wanted = Wanted { definition: later, ..three() };
        let to = |prefix: &str| Some(RevisionPrefix::new(prefix).unwrap());
        let found = record.way_back(&wanted, None).unwrap();
        assert_eq!(found.definition, digest("two"));
        let also = BTreeSet::from([digest("two")]);
        let wanted = Wanted { also, ..wanted };
        assert_eq!(record.way_back(&wanted, None).unwrap().definition, digest("one"));
        let refused = record.way_back(&wanted, to("cccc").as_ref()).unwrap_err();
        assert_eq!(refused, NoWayBack::Wanted { to: to("cccc").unwrap() });
    }

    #[test]
    fn what_cannot_be_gone_back_to_is_refused_with_what_can() {
        let record = record();
        assert_eq!(
            back(&record, "three", "dddd").unwrap_err(),
            "no revision that held is called dddd; known are bbbb2222, bbbb1111"
        );
        assert_eq!(
            back(&record, "three", "bbbb").unwrap_err(),
            "bbbb may be any of bbbb2222, bbbb1111; give more digits"
        );
        let wanted = back(&record, "three", "cccc").unwrap_err();
        assert!(wanted.starts_with("cccc is defined as what git asks for now"), "{wanted}");
        let none = NoWayBack::None.to_string();
        assert_eq!(back(&StackRecord::default(), "one", "").unwrap_err(), none);
        let alone = StackRecord { former: vec![], ..record };
        assert_eq!(back(&alone, "three", "dddd").unwrap_err(), none);
    }

    #[test]
    fn going_back_ends_a_pause_and_makes_the_former_definition_the_good_one() {
        let mut record = record();
        let now = Timestamp::UNIX_EPOCH;
        record.pause(now);
        let instead = record.go_back(&three(), None, now).unwrap();
        assert_eq!((&record.paused, instead.revision.unwrap().0.as_str()), (&None, "bbbb2222"));
        let held = record.held_back.clone().unwrap();
        assert!(held.by_hand && held.definition == three().definition);
        assert_eq!(record.good.as_ref(), Some(&held.instead));
        assert_eq!(record.former, [good("cccc3333", "three"), good("bbbb1111", "one")]);
        assert_eq!(back(&record, "four", "").unwrap(), "bbbb2222");
    }

    #[test]
    fn a_retry_ends_what_is_held_back_and_a_pause_and_forgets_what_failed() {
        let mut record = record();
        let now = Timestamp::UNIX_EPOCH;
        record.go_back(&three(), None, now).unwrap();
        record.pause(now);
        let (definition, services) = (digest("three"), BTreeMap::new());
        record.progress = Some(ProgressRecord { definition, services });
        assert_eq!(
            record.release().as_deref(),
            Some("cccc3333 is no longer held back, and the pause is over")
        );
        assert_eq!((record.release(), record.resume()), (None, None));
        assert_eq!((record.held_back, record.progress), (None, None));
    }

    fn three() -> Wanted {
        let revision = Some(Revision("cccc3333".to_owned()));
        Wanted { revision, definition: digest("three"), also: BTreeSet::new() }
    }
}
