//! Which definition of a stack a pass works towards, and in which circumstances.

use super::Short;
use crate::model::{ContentDigest, ServiceName, Stack};
use crate::pass::Pause;
use crate::plan::{Aim, Change};
use crate::rollout::Progress;
use crate::store::{Good, HeldBack, Paused, StackRecord};
use std::collections::{BTreeMap, BTreeSet};

/// What a pass works towards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) enum Course {
    /// What git asks for.
    Asked,
    /// What held before, in whole or in part.
    Back(Box<HeldBack>),
    /// What git asks for, but for services that wait for images: they are kept as they held before.
    Short(Box<Short>),
}

/// Where to go, given what is remembered, the definition that git asks for, and what it waited for last.
pub(in crate::agent) fn course(
    record: &StackRecord,
    asked: &ContentDigest,
    short: Option<&Short>,
) -> Course {
    match (&record.held_back, short) {
        (Some(held), _) if held.definition == *asked => Course::Back(Box::new(held.clone())),
        (_, Some(short)) if short.definition == *asked => Course::Short(Box::new(short.clone())),
        _ => Course::Asked,
    }
}

impl Course {
    /// What git asked for when it was taken: what rests, and how far it came, is noted with it.
    pub(in crate::agent) fn asked<'a>(
        &'a self,
        definition: &'a ContentDigest,
    ) -> &'a ContentDigest {
        match self {
            Self::Asked => definition,
            Self::Back(held) => &held.definition,
            Self::Short(short) => &short.definition,
        }
    }

    /// Whether a service is brought to what held before, rather than to what git asks for.
    pub(in crate::agent) fn is_former(&self, service: &ServiceName) -> bool {
        match self {
            Self::Asked => false,
            Self::Back(held) => held.services.is_empty() || held.services.contains(service),
            Self::Short(short) => short.keeps(service),
        }
    }

    /// The services that go back; none: all of them, if any.
    pub(in crate::agent) fn services(&self) -> BTreeSet<ServiceName> {
        match self {
            Self::Asked | Self::Short(_) => BTreeSet::new(),
            Self::Back(held) => held.services.clone(),
        }
    }

    /// The services that are only kept until their images can be had.
    pub(in crate::agent) fn kept(&self) -> BTreeSet<ServiceName> {
        self.short().map(|short| short.shortage.services.clone()).unwrap_or_default()
    }

    /// The pulls for which something waits.
    pub(in crate::agent) fn pulls(&self) -> Vec<Change> {
        self.short().map(|short| short.shortage.pulls.clone()).unwrap_or_default()
    }

    /// The images that ran when what is brought about again held.
    pub(in crate::agent) fn pinned(&self) -> BTreeMap<ServiceName, String> {
        let instead: &Good = match self {
            Self::Asked => return BTreeMap::new(),
            Self::Back(held) => &held.instead,
            Self::Short(short) => &short.instead,
        };
        let images = instead.images.iter().filter(|(service, _)| self.is_former(service));
        images.map(|(service, id)| (service.clone(), id.clone())).collect()
    }

    /// The images with which what is asked for is known to hold: another one under the same name is an
    /// update. What is brought about again has those that it had.
    pub(in crate::agent) fn held_with(
        &self,
        record: &StackRecord,
        definition: &ContentDigest,
    ) -> BTreeMap<ServiceName, String> {
        let mut images = match self {
            Self::Asked | Self::Short(_) => {
                let good = record.good.as_ref().filter(|good| good.definition == *definition);
                good.map(|good| good.images.clone()).unwrap_or_default()
            }
            Self::Back(held) => held.images.clone(),
        };
        images.retain(|service, _| !self.is_former(service));
        images
    }

    /// What a pass over `definition` is for.
    pub(in crate::agent) fn aim(&self, record: &StackRecord, definition: &ContentDigest) -> Aim {
        match self {
            Self::Back(held) if !held.reached => Aim::Rollback,
            Self::Back(_) => Aim::Hold,
            Self::Asked | Self::Short(_) if is_good(record, definition) => Aim::Hold,
            Self::Asked | Self::Short(_) => Aim::Update,
        }
    }

    /// Whose containers are not exchanged on the way to `definition`, which git asks for.
    pub(in crate::agent) fn pause(
        &self,
        record: &StackRecord,
        definition: &ContentDigest,
    ) -> Pause {
        match (pause(record, definition), self.kept()) {
            (rests, kept) if kept.is_empty() => rests,
            (Pause::None, kept) => Pause::Services(kept),
            (Pause::Services(rests), kept) => Pause::Services(&rests | &kept),
            (Pause::All, _) => Pause::All,
        }
    }
}

pub(in crate::agent) fn is_good(record: &StackRecord, definition: &ContentDigest) -> bool {
    record.good.as_ref().is_some_and(|good| good.definition == *definition)
}

/// Whose containers are not exchanged on the way to `definition`.
fn pause(record: &StackRecord, definition: &ContentDigest) -> Pause {
    let applies = |paused: &&Paused| paused.definition.as_ref().is_none_or(|of| of == definition);
    match record.paused.as_ref().filter(applies) {
        None => Pause::None,
        Some(paused) if paused.services.is_empty() => Pause::All,
        Some(paused) => Pause::Services(paused.services.clone()),
    }
}

/// How far services came towards `definition` before.
pub(in crate::agent) fn earlier(
    record: &StackRecord,
    definition: &ContentDigest,
) -> BTreeMap<ServiceName, Progress> {
    let known = record.progress.as_ref().filter(|progress| progress.definition == *definition);
    known.map(|progress| progress.services.clone()).unwrap_or_default()
}

/// `asked` with `services` as they were in `good`. One that was not there goes, unless others need it.
pub(in crate::agent) fn partly(
    asked: &Stack,
    good: &Stack,
    services: &BTreeSet<ServiceName>,
) -> Stack {
    if services.is_empty() {
        let mut stack = good.clone();
        stack.hidden.extend(&asked.hidden);
        return stack;
    }
    let mut stack = asked.clone();
    let (there, new): (Vec<_>, Vec<_>) =
        services.iter().partition(|name| good.services.contains_key(*name));
    let former = there.into_iter().filter_map(|name| good.services.get_key_value(name));
    stack.services.extend(former.map(|(name, service)| (name.clone(), service.clone())));
    // Of new ones those first that only other new ones need.
    for _ in &new {
        for name in new.iter().filter(|name| !stack.is_needed(name)).collect::<Vec<_>>() {
            stack.services.remove(*name);
        }
    }
    for (key, network) in &good.networks {
        stack.networks.entry(key.clone()).or_insert_with(|| network.clone());
    }
    for (key, volume) in &good.volumes {
        stack.volumes.entry(key.clone()).or_insert_with(|| volume.clone());
    }
    stack.hidden.extend(&good.hidden);
    stack
}
