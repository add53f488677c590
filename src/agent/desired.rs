//! What all sources together ask for. Pure: it is told what each source holds, and answers what
//! each stack shall be.

mod alike;
mod departures;
mod dependence;

pub(crate) use alike::{Outline, outline_of};
pub(crate) use dependence::REMOVAL_PATIENCE;

use super::windows::Shut;
use crate::model::{Revision, Service, ServiceName, SourceName, Stack, StackName};
use crate::store::{HoldRecord, Origin, RemovalRecord};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The stacks that the sources hold.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    sources: BTreeMap<SourceName, Content>,
    /// Where each stack is in `sources`: the source, and the index there.
    items: BTreeMap<StackName, BTreeSet<(SourceName, usize)>>,
    /// The last definition of each stack that was fine, and the source that it came from.
    good: BTreeMap<StackName, (SourceName, Arc<Stack>)>,
    /// Where each stack came from, and when.
    origins: BTreeMap<StackName, Origin>,
    /// Stacks that left their source, but are kept.
    held: BTreeMap<StackName, (SourceName, HoldRecord)>,
    /// Stacks that left their source and are to be taken away.
    gone: BTreeMap<StackName, (SourceName, RemovalRecord)>,
    /// Those that an earlier process did not get to the end with, until their source is judged.
    unfinished: BTreeMap<StackName, (SourceName, RemovalRecord)>,
    /// Sources that came or changed while the agent ran and were not fetched since, or whose newest commit
    /// could not be read: what `sources` has of them is older.
    unfetched: BTreeSet<SourceName>,
}

/// What one source holds at one revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    /// The commit.
    pub revision: Option<Revision>,
    /// Its stacks.
    pub stacks: Vec<Item>,
    /// Whether a part of it could not be read, so that a stack may be missing here that is there.
    pub partly: bool,
    /// Whether something of it could not be read for a reason that may pass by itself.
    pub may_pass: bool,
}

/// A stack in a source.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its name; of a file in error the name that it had before, or its directory's.
    pub name: StackName,
    /// Its first file, relative to the checkout.
    pub file: String,
    /// The stack, or what is wrong with its files.
    pub stack: Result<Arc<Stack>, String>,
}

/// What shall become of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// The source that asks for it.
    pub source: SourceName,
    /// At this commit.
    pub revision: Option<Revision>,
    /// What it asks for.
    pub want: Want,
    /// The window that has to open before; `None`: it may be begun.
    pub shut: Option<Shut>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Want {
    /// It shall run so.
    Run(Arc<Stack>),
    /// Its files are in error: it is kept as it was last asked for, if that is known, and else
    /// stays as it is.
    Invalid {
        /// What is wrong.
        problem: String,
        /// How it was last asked for.
        last_good: Option<Arc<Stack>>,
    },
    /// It left its source, but is kept.
    Held(HoldRecord),
    /// It shall be taken away; its volumes stay.
    Gone(RemovalRecord),
}

impl Desired {
    /// Takes in what `source` holds at `now`. Returns the stacks concerned, before and after.
    pub(crate) fn set(
        &mut self,
        source: &SourceName,
        content: Content,
        now: Timestamp,
    ) -> BTreeSet<StackName> {
        let names = |content: &Content| -> Vec<StackName> {
            content.stacks.iter().map(|item| item.name.clone()).collect()
        };
        let mut concerned: BTreeSet<StackName> = names(&content).into_iter().collect();
        self.gone.retain(|name, _| !concerned.contains(name));
        self.held.retain(|name, _| !concerned.contains(name));
        self.unfinished.retain(|name, _| !concerned.contains(name));
        self.note_stays(source, &content, now);
        self.good.retain(|name, (owner, _)| owner != source || concerned.contains(name));
        for item in &content.stacks {
            if let Ok(stack) = &item.stack {
                self.good.insert(item.name.clone(), (source.clone(), Arc::clone(stack)));
            }
        }
        if let Some(former) = self.sources.insert(source.clone(), content) {
            concerned.extend(names(&former));
        }
        self.note_items(source, &concerned);
        concerned
    }

    /// Notes anew where in `source` the stacks `concerned` are.
    fn note_items(&mut self, source: &SourceName, concerned: &BTreeSet<StackName>) {
        for name in concerned {
            let Some(items) = self.items.get_mut(name) else { continue };
            items.retain(|(other, _)| other != source);
            if items.is_empty() {
                self.items.remove(name);
            }
        }
        let stacks = self.sources.get(source).into_iter().flat_map(|content| &content.stacks);
        for (index, item) in stacks.enumerate() {
            self.items.entry(item.name.clone()).or_default().insert((source.clone(), index));
        }
    }

    /// Notes that what `sources` hold now is not known before they are fetched and read.
    pub(crate) fn must_fetch<'a>(&mut self, sources: impl IntoIterator<Item = &'a SourceName>) {
        self.unfetched.extend(sources.into_iter().cloned());
    }

    /// Notes that what is known of `source` is what it holds now, at this place. Whether any of that was open.
    pub(crate) fn fetched(&mut self, source: &SourceName, place: &str) -> bool {
        let mut was_open = self.unfetched.remove(source);
        let stays =
            self.origins.values_mut().filter(|it| it.source == *source && it.left.is_none());
        for stay in stays.filter(|it| it.place.as_deref() != Some(place)) {
            stay.place = Some(place.to_owned());
            was_open = true;
        }
        was_open
    }

    /// Whether the content of `source` is known as it is configured now.
    pub(crate) fn knows_as_configured(&self, source: &SourceName) -> bool {
        self.knows(source) && !self.unfetched.contains(source)
    }

    /// Whether the content of `source` is known.
    pub(crate) fn knows(&self, source: &SourceName) -> bool {
        self.sources.contains_key(source)
    }

    /// The names of the stacks in `source`, by file, as far back as they are remembered.
    pub(crate) fn names_in(&self, source: &SourceName) -> BTreeMap<String, StackName> {
        let there = |origin: &Origin| origin.source == *source && origin.left.is_none();
        let stays = self.origins.iter().filter(|(_, origin)| there(origin));
        let stays = stays.map(|(name, origin)| (origin.file.clone(), name.clone()));
        let items = self.sources.get(source).into_iter().flat_map(|content| &content.stacks);
        stays.chain(items.map(|item| (item.file.clone(), item.name.clone()))).collect()
    }

    /// The first file of a stack, relative to the checkout, as far as it is remembered.
    pub(crate) fn file_of(&self, name: &StackName) -> Option<String> {
        self.origins.get(name).map(|origin| origin.file.clone())
    }

    /// What shall become of `name`; `None` if nobody asks for anything.
    pub(crate) fn wish(&self, name: &StackName) -> Option<Wish> {
        let items = self.items.get(name).into_iter().flatten().filter_map(|(source, index)| {
            let content = self.sources.get(source)?;
            Some((source, content, content.stacks.get(*index)?))
        });
        // The name of a file in error may be a guess, so a stack that is fine comes before it.
        let mut all: Vec<_> = items.collect();
        all.sort_by_key(|(_, _, item)| item.stack.is_err());
        let Some((source, content, item)) = all.first().copied() else {
            let held = || {
                let (source, hold) = self.held.get(name)?;
                Some((source.clone(), Want::Held(hold.clone())))
            };
            let gone = || {
                let (source, removal) = self.gone.get(name)?;
                Some((source.clone(), Want::Gone(removal.clone())))
            };
            let (source, want) = held().or_else(gone)?;
            return Some(Wish { source, revision: None, want, shut: None });
        };
        let other = all.get(1).filter(|(_, _, other)| other.stack.is_ok());
        let want = match (other, &item.stack) {
            (Some((other_source, _, other)), _) => Want::Invalid {
                problem: format!(
                    "two stacks are named {name}: {source}:{} and {other_source}:{}; give one of them another `name`",
                    item.file, other.file
                ),
                last_good: None,
            },
            (None, Ok(stack)) => Want::Run(Arc::clone(stack)),
            (None, Err(problem)) => {
                let known = self.good.get(name).filter(|(owner, _)| owner == source);
                let last_good = known.map(|(_, stack)| Arc::clone(stack));
                Want::Invalid { problem: problem.clone(), last_good }
            }
        };
        let (source, revision) = (source.clone(), content.revision.clone());
        Some(Wish { source, revision, want, shut: None })
    }

    /// Stacks that may run though it is not known which services they have: those that are held, or
    /// not judged yet, and those in error that were never fine.
    pub(crate) fn undefined(&self) -> BTreeSet<StackName> {
        let mut names = self.names();
        names.extend(self.unfinished.keys().cloned());
        names.retain(|name| match self.wish(name).map(|wish| wish.want) {
            Some(Want::Run(_) | Want::Gone(_) | Want::Invalid { last_good: Some(_), .. }) => false,
            Some(Want::Held(_) | Want::Invalid { last_good: None, .. }) | None => true,
        });
        names
    }

    /// The services that are asked for.
    pub(crate) fn services(&self) -> BTreeSet<(StackName, ServiceName)> {
        let of = |stack: &Arc<Stack>| {
            let (name, stack) = (stack.name.clone(), Arc::clone(stack));
            let names: Vec<_> = stack.services.keys().cloned().collect();
            names.into_iter().map(move |service| (name.clone(), service))
        };
        self.stacks().flat_map(of).collect()
    }

    /// The images that are asked for.
    pub(crate) fn images(&self) -> BTreeSet<String> {
        let services = self.stacks().flat_map(|stack| stack.services.values());
        let images = services.flat_map(Service::images);
        images.map(ToString::to_string).collect()
    }

    /// Definitions that are fine, those of the past that are kept among them.
    fn stacks(&self) -> impl Iterator<Item = &Arc<Stack>> {
        let items = self.sources.values().flat_map(|content| &content.stacks);
        let fine = items.filter_map(|item| item.stack.as_ref().ok());
        fine.chain(self.good.values().map(|(_, stack)| stack))
    }

    /// Whether all stacks of which something is asked are among `names`.
    pub(crate) fn are_all_in(&self, names: &BTreeSet<StackName>) -> bool {
        let left = self.gone.keys().chain(self.held.keys());
        self.items.keys().chain(left).all(|name| names.contains(name))
    }

    /// All stacks of which something is asked.
    pub(crate) fn names(&self) -> BTreeSet<StackName> {
        let held = self.sources.values().flat_map(|content| &content.stacks);
        let left = self.gone.keys().chain(self.held.keys());
        held.map(|item| item.name.clone()).chain(left.cloned()).collect()
    }
}

#[cfg(test)]
mod tests;
