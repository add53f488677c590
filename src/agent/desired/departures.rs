//! Stacks that leave their source: which are taken away, which are held, and what is remembered of
//! it by the next process.

use super::alike::{Outline, alike, outline};
use super::{Content, Desired};
use crate::model::{SourceName, StackName};
use crate::status::{Confirmed, HoldReason};
use crate::store::{HoldRecord, Origin, RemovalRecord, StackRecord};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What was decided about the stacks that left a source.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// These are to be taken away.
    pub(crate) removed: BTreeSet<StackName>,
    /// These are kept, and were not before.
    pub(crate) held: BTreeMap<StackName, HoldReason>,
    /// These were held and are not any more.
    pub(crate) freed: BTreeSet<StackName>,
    /// These left while they were looked at, and are judged the next time.
    pub(crate) postponed: BTreeSet<StackName>,
    /// Nothing is left of these.
    pub(crate) forgotten: BTreeSet<StackName>,
}

/// What the next process must know of a stack.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Memo {
    pub(crate) origin: Option<Origin>,
    pub(crate) held: Option<HoldRecord>,
    pub(crate) removal: Option<RemovalRecord>,
}

impl Desired {
    /// What an earlier process remembered of stacks of `sources`.
    pub(crate) fn remembering(
        records: &BTreeMap<StackName, StackRecord>,
        sources: &BTreeSet<SourceName>,
    ) -> Self {
        let mut desired = Self::default();
        for (name, record) in records {
            let Some(origin) = &record.origin else { continue };
            if !sources.contains(&origin.source) {
                continue;
            }
            desired.origins.insert(name.clone(), origin.clone());
            let source = || origin.source.clone();
            if let Some(held) = &record.held {
                desired.held.insert(name.clone(), (source(), held.clone()));
            }
            if let Some(removal) = &record.removal {
                desired.unfinished.insert(name.clone(), (source(), removal.clone()));
            }
        }
        desired
    }

    /// What an earlier process remembered, if that is known only after sources were: their stays are
    /// older, and what was held and did not come back is so again. Returns what is.
    pub(crate) fn recall(
        &mut self,
        records: &BTreeMap<StackName, StackRecord>,
        sources: &BTreeSet<SourceName>,
        now: Timestamp,
    ) -> BTreeSet<StackName> {
        let former = Self::remembering(records, sources);
        let wanted: BTreeSet<StackName> = self.wanted().cloned().collect();
        for (name, mut origin) in former.origins {
            if let Some(stay) = self.origins.get_mut(&name) {
                if stay.source == origin.source && origin.left.is_none() {
                    stay.since = origin.since;
                    stay.place = stay.place.take().or(origin.place);
                }
                continue;
            }
            if self.knows(&origin.source) {
                origin.left = origin.left.or(Some(now));
            }
            self.origins.insert(name, origin);
        }
        let is_open = |name: &StackName| !wanted.contains(name) && !self.gone.contains_key(name);
        let open = former.unfinished.into_iter().filter(|(name, _)| is_open(name));
        self.unfinished.extend(open);
        let held: Vec<_> = former.held.into_iter().filter(|(name, _)| is_open(name)).collect();
        let names = held.iter().map(|(name, _)| name.clone()).collect();
        self.held.extend(held);
        names
    }

    /// Forgets `source`, which is not configured any more: nothing is asked of its stacks, and what is
    /// remembered of them waits in the inventory for it to come back. Returns them.
    pub(crate) fn leave(&mut self, source: &SourceName) -> BTreeSet<StackName> {
        let mut concerned: BTreeSet<StackName> = BTreeSet::new();
        if let Some(content) = self.sources.remove(source) {
            concerned.extend(content.stacks.into_iter().map(|item| item.name));
        }
        self.note_items(source, &concerned);
        let departed = self.departed().into_iter().filter(|(_, (owner, _))| owner == source);
        concerned.extend(departed.map(|(name, _)| name));
        self.good.retain(|_, (owner, _)| owner != source);
        self.origins.retain(|_, origin| origin.source != *source);
        self.held.retain(|_, (owner, _)| owner != source);
        self.gone.retain(|_, (owner, _)| owner != source);
        self.unfinished.retain(|_, (owner, _)| owner != source);
        self.unfetched.remove(source);
        concerned
    }

    /// All that the next process must know.
    pub(crate) fn memos(&self) -> BTreeMap<StackName, Memo> {
        let mut memos: BTreeMap<StackName, Memo> = BTreeMap::new();
        for (name, origin) in &self.origins {
            memos.entry(name.clone()).or_default().origin = Some(origin.clone());
        }
        for (name, (_, held)) in &self.held {
            memos.entry(name.clone()).or_default().held = Some(held.clone());
        }
        for (name, (_, removal)) in self.unfinished.iter().chain(&self.gone) {
            memos.entry(name.clone()).or_default().removal = Some(removal.clone());
        }
        memos
    }

    /// Notes who came into `source` and who left it.
    pub(super) fn note_stays(&mut self, source: &SourceName, content: &Content, now: Timestamp) {
        for item in &content.stacks {
            let depends_on = item.stack.as_ref().ok().map(|stack| &stack.policy.depends_on);
            let stay = self.origins.get_mut(&item.name);
            if let Some(stay) = stay.filter(|stay| stay.source == *source && stay.left.is_none()) {
                stay.file.clone_from(&item.file);
                if let Some(depends_on) = depends_on {
                    stay.depends_on.clone_from(depends_on);
                }
                continue;
            }
            let (source, file) = (source.clone(), item.file.clone());
            let depends_on = depends_on.cloned().unwrap_or_default();
            let origin = Origin { source, file, since: now, left: None, place: None, depends_on };
            self.origins.insert(item.name.clone(), origin);
        }
        let there: BTreeSet<&StackName> = content.stacks.iter().map(|item| &item.name).collect();
        for (name, stay) in &mut self.origins {
            if stay.source == *source && !there.contains(name) && stay.left.is_none() {
                stay.left = Some(now);
            }
        }
    }

    /// Notes those that left `source` before anything was remembered; when is not known. Losing the inventory
    /// loses no control, so they count as having been where the source is now.
    fn note_unknown(
        &mut self,
        (source, place): (&SourceName, &str),
        on_engine: &BTreeSet<StackName>,
    ) {
        for name in self.undecided(on_engine) {
            self.origins.entry(name).or_insert_with(|| Origin {
                source: source.clone(),
                file: String::new(),
                since: Timestamp::UNIX_EPOCH,
                left: Some(Timestamp::UNIX_EPOCH),
                place: Some(place.to_owned()),
                depends_on: BTreeSet::new(),
            });
        }
    }

    /// Those of `on_engine` that no source asks for, and about which nothing is decided yet.
    pub(crate) fn undecided(&self, on_engine: &BTreeSet<StackName>) -> BTreeSet<StackName> {
        let wanted: BTreeSet<&StackName> = self.wanted().collect();
        let open = |name: &&StackName| {
            let stays = self.held.get(*name).is_some_and(|(_, hold)| !hold.reason.passes());
            !wanted.contains(*name) && !stays && !self.gone.contains_key(*name)
        };
        on_engine.iter().filter(open).cloned().collect()
    }

    /// Decides about the stacks that `source`, which is sought at `place` now, made on the engine and that have
    /// left it; `outlines` has those that are [`Desired::undecided`]. What is held for a reason that does not pass stays
    /// so until somebody confirms, or names it in `allowed`, or it is gone or back.
    pub(crate) fn judge(
        &mut self,
        (source, place): (&SourceName, &str),
        on_engine: &BTreeSet<StackName>,
        outlines: &BTreeMap<StackName, Outline>,
        allowed: &BTreeSet<StackName>,
        now: Timestamp,
    ) -> Judgement {
        let before = self.held_of(source);
        let mut judgement =
            Judgement { forgotten: self.vanished(source, on_engine), ..Judgement::default() };
        self.held.retain(|name, _| !judgement.forgotten.contains(name));
        self.unfinished.retain(|name, _| !judgement.forgotten.contains(name));
        self.origins.retain(|name, _| !judgement.forgotten.contains(name));
        for name in before.keys().filter(|name| allowed.contains(*name)) {
            if before[name].reason.passes() {
                continue;
            }
            self.take_away(name, source, RemovalRecord::new(now, true));
            judgement.removed.insert(name.clone());
        }
        self.note_unknown((source, place), on_engine);
        let objection = self.objection(source);
        let (unfinished, fresh): (Vec<_>, Vec<_>) = self
            .undecided(on_engine)
            .into_iter()
            .partition(|name| self.unfinished.contains_key(name));
        let too_many = fresh.len() * 2 > fresh.len() + self.remaining(on_engine, &fresh);
        for name in unfinished {
            let removal = self.unfinished[&name].1.clone();
            if removal.confirmed || objection.is_none() {
                self.take_away(&name, source, removal);
                judgement.removed.insert(name);
            }
        }
        for name in &fresh {
            let Some(outline) = outlines.get(name) else {
                judgement.postponed.insert(name.clone());
                continue;
            };
            let reason = objection
                .clone()
                .or_else(|| self.heir(name, outline).map(|to| HoldReason::Renamed { to }))
                .or_else(|| too_many.then_some(HoldReason::TooMany))
                .or_else(|| self.is_elsewhere(name, place).then_some(HoldReason::Reconfigured));
            match reason {
                Some(reason) if reason.passes() || !allowed.contains(name) => {
                    self.hold(name, source, reason.clone(), now);
                    if before.get(name).is_none_or(|hold| hold.reason != reason) {
                        judgement.held.insert(name.clone(), reason);
                    }
                }
                confirmed => {
                    self.take_away(name, source, RemovalRecord::new(now, confirmed.is_some()));
                    judgement.removed.insert(name.clone());
                }
            }
        }
        judgement.freed = before.into_keys().filter(|name| !self.held.contains_key(name)).collect();
        judgement
    }

    /// Has what is held taken away: the stacks `names`, or with none all that are held for a reason
    /// that does not pass by itself. What is being taken away already is tried again.
    pub(crate) fn confirm(
        &mut self,
        names: &[StackName],
        suspended: &BTreeSet<StackName>,
        now: Timestamp,
    ) -> Confirmed {
        let mut confirmed = Confirmed::default();
        let all: Vec<StackName> = if names.is_empty() {
            self.held.keys().chain(self.gone.keys()).cloned().collect()
        } else {
            names.to_vec()
        };
        for name in all {
            if suspended.contains(&name) {
                let refusal = format!("{name} is suspended; `bowline resume {name}` first");
                confirmed.refused.push(refusal);
                continue;
            }
            if let Some((_, removal)) = self.gone.get_mut(&name) {
                removal.confirmed = true;
                confirmed.removing.push(name);
                continue;
            }
            let Some((source, hold)) = self.held.get(&name).cloned() else {
                let refusal = format!("{name} is not held; `bowline prune` lists what is");
                confirmed.refused.push(refusal);
                continue;
            };
            if names.is_empty() && hold.reason.passes() {
                confirmed.refused.push(format!(
                    "{name} may not have left at all: {}; name it to have it removed all the same",
                    hold.reason
                ));
                continue;
            }
            self.take_away(&name, &source, RemovalRecord::new(now, true));
            confirmed.removing.push(name);
        }
        confirmed
    }

    /// Whether something that left `source` is still there.
    pub(crate) fn is_left_by_some(&self, source: &SourceName) -> bool {
        let all = self.held.values().map(|(owner, _)| owner);
        let all =
            all.chain(self.gone.values().chain(self.unfinished.values()).map(|(owner, _)| owner));
        all.into_iter().any(|owner| owner == source)
    }

    /// Stacks that left their source and are still there, with why they are held or how far their
    /// removal is.
    pub(crate) fn departed(
        &self,
    ) -> BTreeMap<StackName, (SourceName, Result<HoldRecord, RemovalRecord>)> {
        let held = self
            .held
            .iter()
            .map(|(name, (source, hold))| (name.clone(), (source.clone(), Ok(hold.clone()))));
        let leaving = self.gone.iter().chain(&self.unfinished);
        let leaving = leaving.map(|(name, (source, removal))| {
            (name.clone(), (source.clone(), Err(removal.clone())))
        });
        leaving.chain(held).collect()
    }

    /// Notes that a stack could not be taken away.
    pub(crate) fn removal_failed(&mut self, name: &StackName, problem: &str) {
        if let Some((_, removal)) = self.gone.get_mut(name) {
            removal.failures += 1;
            removal.problem = Some(problem.to_owned());
        }
    }

    /// Notes that a stack is gone for good.
    pub(crate) fn forget(&mut self, name: &StackName) {
        if self.gone.remove(name).is_some() {
            self.origins.remove(name);
        }
    }

    /// How many of `on_engine` are as they were when the first of `left` went: nothing was decided
    /// about them, and they did not come since.
    fn remaining(&self, on_engine: &BTreeSet<StackName>, left: &[StackName]) -> usize {
        let known = |name: &StackName| self.origins.get(name)?.left;
        let unknown = Timestamp::UNIX_EPOCH;
        let first = left.iter().filter_map(known).filter(|at| *at != unknown).min();
        let came_since = |name: &StackName| {
            first.is_some_and(|first| self.origins.get(name).is_some_and(|it| it.since >= first))
        };
        let others = on_engine.iter().filter(|name| !left.contains(name));
        others.filter(|name| !self.is_decided(name) && !came_since(name)).count()
    }

    /// Whether it is held for good, or its removal was decided.
    fn is_decided(&self, name: &StackName) -> bool {
        self.held.get(name).is_some_and(|(_, hold)| !hold.reason.passes())
            || self.gone.contains_key(name)
            || self.unfinished.contains_key(name)
    }

    fn take_away(&mut self, name: &StackName, source: &SourceName, removal: RemovalRecord) {
        self.held.remove(name);
        self.unfinished.remove(name);
        self.gone.insert(name.clone(), (source.clone(), removal));
    }

    /// `since` stays what it was, whatever the reason was.
    fn hold(&mut self, name: &StackName, source: &SourceName, reason: HoldReason, now: Timestamp) {
        let since = self.held.get(name).map_or(now, |(_, hold)| hold.since);
        self.held.insert(name.clone(), (source.clone(), HoldRecord { reason, since }));
    }

    /// What speaks against taking anything away for what `source` holds now.
    fn objection(&self, source: &SourceName) -> Option<HoldReason> {
        let content = self.sources.get(source).filter(|content| !content.stacks.is_empty());
        match content {
            None => Some(HoldReason::Empty),
            Some(content) if content.stacks.iter().any(|item| item.stack.is_err()) => {
                Some(HoldReason::InError)
            }
            Some(content) if content.partly => Some(HoldReason::Unreadable),
            Some(_) => None,
        }
    }

    /// Whether `name` was last seen elsewhere than at `place`: a slip in the configuration is no commit.
    fn is_elsewhere(&self, name: &StackName, place: &str) -> bool {
        self.origins.get(name).is_some_and(|it| it.place.as_deref() != Some(place))
    }

    /// The stack that came when `name` left, or later, and looks the same.
    fn heir(&self, name: &StackName, former: &Outline) -> Option<StackName> {
        let left = self.origins.get(name).and_then(|origin| origin.left);
        let items = self.sources.values().flat_map(|content| &content.stacks);
        let mut heirs = items.filter(|item| {
            let came =
                self.origins.get(&item.name).is_some_and(|origin| Some(origin.since) >= left);
            came && item.stack.as_ref().is_ok_and(|stack| alike(former, &outline(stack)))
        });
        heirs.next().map(|item| item.name.clone())
    }

    /// Stacks that left `source` and of which nothing is on the engine any more.
    fn vanished(
        &self,
        source: &SourceName,
        on_engine: &BTreeSet<StackName>,
    ) -> BTreeSet<StackName> {
        let wanted: BTreeSet<&StackName> = self.wanted().collect();
        let of_source = self.origins.iter().filter(|(_, origin)| origin.source == *source);
        let absent = of_source.map(|(name, _)| name).filter(|name| {
            !wanted.contains(name) && !on_engine.contains(*name) && !self.gone.contains_key(*name)
        });
        absent.cloned().collect()
    }

    fn wanted(&self) -> impl Iterator<Item = &StackName> {
        self.sources.values().flat_map(|content| &content.stacks).map(|item| &item.name)
    }

    fn held_of(&self, source: &SourceName) -> BTreeMap<StackName, HoldRecord> {
        let of_source = self.held.iter().filter(|(_, (owner, _))| owner == source);
        of_source.map(|(name, (_, hold))| (name.clone(), hold.clone())).collect()
    }
}
