//! What was begun last of each stack: when that is noted, and the files of it that containers mount, which
//! the checkout goes on to show while a window is shut.

use super::World;
use super::desired::{Want, Wish};
use super::steering::Course;
use super::turn::definition;
use super::windows::asked;
use crate::execute::{Notice, Onlooker};
use crate::model::{ContentDigest, Passage, Revision, SourceName, Stack, StackName};
use crate::pass::Means;
use crate::plan::{Action, Change};
use crate::status::{PassResult, Report, RolloutReport, RolloutVerdict};
use crate::store::{Begun, StackRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Once};

/// What follows where the checkout cannot be held.
const UNHELD: &str = "containers may see files of a later commit";

/// What is kept while a window is shut.
pub(super) enum Kept {
    /// What git asks for.
    Asked,
    /// What was begun before it.
    Former(Begun),
    /// That is not known.
    Unknown,
}

/// What is kept outside of a window, where git asks for `asked`.
pub(super) fn kept(record: &StackRecord, asked: &ContentDigest) -> Kept {
    match record.last_begun() {
        Some(begun) if begun.definition == *asked => Kept::Asked,
        Some(begun) => Kept::Former(begun),
        None => Kept::Unknown,
    }
}

/// Whether `change` begins what a pass on `course` leads to. A pull changes nothing that runs, and what is
/// kept as it held before is only repaired.
fn begins(course: &Course, change: &Change) -> bool {
    let is_former = change.object.service().is_some_and(|service| course.is_former(service));
    change.action != Action::Pull && !is_former
}

/// Whether a pass on `course` shows that what git asks for was begun without a change of this pass: all is so
/// already, whoever did it; or it was tried and judged, so that going back from it must go on.
fn was_begun(course: &Course, report: &Report) -> bool {
    let nothing_differs =
        matches!(report.result, PassResult::Unchanged | PassResult::Changed | PassResult::Crashing);
    let judged = |rollout: &RolloutReport| {
        matches!(rollout.verdict, RolloutVerdict::RollBack | RolloutVerdict::Paused)
    };
    match course {
        Course::Asked => nothing_differs || report.rollouts.iter().any(judged),
        Course::Short(_) => report.rollouts.iter().any(judged),
        Course::Back(_) => false,
    }
}

impl Wish {
    /// The commit whose files are kept while a window is shut.
    pub(super) fn begun_at(&self, record: &StackRecord) -> Option<Revision> {
        self.shut.as_ref().and_then(|_| record.last_begun()?.revision)
    }
}

impl World {
    /// `means` that note what is asked for, with its digest, as begun when the first change of it begins.
    pub(super) fn beginning(
        self: &Arc<Self>,
        means: &Means,
        name: &StackName,
        wish: &Wish,
        (course, definition): (&Course, &ContentDigest),
    ) -> Means {
        if matches!(course, Course::Back(_)) || wish.shut.is_some() {
            return means.clone();
        }
        let (world, name, wish, course, definition) =
            (Arc::clone(self), name.clone(), wish.clone(), course.clone(), definition.clone());
        let (onlooker, once) = (Arc::clone(&means.onlooker), Once::new());
        let noting: Onlooker = Arc::new(move |notice| {
            if let Notice::Began(change) = &notice
                && begins(&course, change)
            {
                once.call_once(|| world.note_begun(&name, &wish, &definition));
            }
            onlooker(notice);
        });
        Means { onlooker: noting, ..means.clone() }
    }

    /// Notes what a pass along `course` shows to be begun.
    pub(super) fn note_if_begun(
        &self,
        name: &StackName,
        wish: &Wish,
        (course, definition): (&Course, &ContentDigest),
        report: &Report,
    ) {
        if wish.shut.is_none() && was_begun(course, report) {
            self.note_begun(name, wish, definition);
        }
    }

    /// Notes that what is asked for is begun, with its digest.
    pub(super) fn note_begun(&self, name: &StackName, wish: &Wish, definition: &ContentDigest) {
        let file = self.desired().file_of(name).unwrap_or_default();
        // The commit of files in error is not the one that the definition is of.
        let revision = wish.revision.clone().filter(|_| matches!(wish.want, Want::Run(_)));
        let begun = Begun { revision, file, definition: definition.clone() };
        if let Some(stack) = asked(wish) {
            let known = (definition.clone(), Arc::clone(stack));
            self.memory().begun.insert(name.clone(), known);
        }
        if self.inventory.update(name, |record| record.note_begun(begun)) {
            self.unsaved.notify_one();
        }
    }

    /// Has somebody's word count for an open window. A pass that works on what was begun before is ended.
    pub(super) fn begin_by_hand(&self, name: &StackName, wish: &Wish) -> bool {
        let Some(asked) = asked(wish).filter(|_| self.is_shut(wish)) else { return false };
        let digest = definition(asked, &self.digest_key);
        let waits = !matches!(kept(&self.inventory.stack(name), &digest), Kept::Asked);
        self.note_begun(name, wish, &digest);
        self.end_what_leads_elsewhere(name, wish);
        waits
    }

    /// The first file of a stack at a commit, relative to the checkout.
    pub(super) fn file_at(&self, name: &StackName, revision: Option<&Revision>) -> String {
        let begun = self.inventory.stack(name).last_begun();
        let begun = begun.filter(|begun| begun.revision.as_ref() == revision);
        let file = begun.map(|begun| begun.file).filter(|file| !file.is_empty());
        file.or_else(|| self.desired().file_of(name)).unwrap_or_default()
    }

    /// Has the checkout show what containers of `stack` mount: the newest, and while a window is shut what
    /// was begun before, so that no later commit reaches them. That it cannot holds up no repair.
    pub(super) async fn show_begun(
        &self,
        name: &StackName,
        wish: &Wish,
        stack: &Stack,
        record: &StackRecord,
    ) {
        if wish.shut.is_none() {
            return self.show_newest(name, &wish.source).await;
        }
        let Some(revision) = wish.begun_at(record) else { return };
        let shown = match self.layer(&wish.source, stack, Some(revision), |_| true) {
            Ok(layer) => self.show(name, &wish.source, layer.into_iter().collect()).await,
            Err(problem) => Err(problem),
        };
        if let Err(problem) = shown {
            tracing::warn!(stack = %name, "{UNHELD}: {problem}");
        }
    }

    /// Before a fetch of a source switches its checkout: has it go on to show what containers of its stacks
    /// mount as that was begun, for those that do not begin what comes. `waits` says so of a stack, given
    /// whether its window is shut, or it is suspended.
    pub(super) async fn hold_files(
        &self,
        source: &SourceName,
        waits: impl Fn(&StackName, bool) -> bool,
    ) {
        let mut begun: BTreeMap<StackName, Begun> = BTreeMap::new();
        let mut suspended = BTreeSet::new();
        for (name, record) in self.inventory.stacks() {
            let is_here = record.origin.as_ref().is_some_and(|origin| origin.source == *source);
            let known = record.last_begun().filter(|begun| is_here && begun.revision.is_some());
            if record.suspended.is_some() {
                suspended.insert(name.clone());
            }
            begun.extend(known.map(|known| (name, known)));
        }
        if begun.is_empty() {
            return;
        }
        let content = match self.last_read(source).await {
            Ok(Some(content)) => content,
            Ok(None) => return,
            Err(problem) => {
                tracing::warn!(source = %source, "{UNHELD}: {problem}");
                return;
            }
        };
        let mut layers = Vec::new();
        for item in content.stacks {
            let Some(begun) = begun.get(&item.name) else { continue };
            let last = item.stack.ok();
            let is_shut = matches!(self.passage_of(source, last.as_deref()), Passage::Shut(_));
            if !waits(&item.name, is_shut || suspended.contains(&item.name)) {
                continue;
            }
            let is_begun =
                |last: &Arc<Stack>| definition(last, &self.digest_key) == begun.definition;
            let stack = match last.filter(is_begun) {
                Some(last) => Ok(last),
                None => self.defined(&item.name, source, begun).await,
            };
            let layer = stack
                .and_then(|stack| self.layer(source, &stack, begun.revision.clone(), |_| true));
            match layer {
                Ok(layer) => layers.extend(layer.map(|layer| (item.name, layer))),
                Err(problem) => tracing::warn!(stack = %item.name, "{UNHELD}: {problem}"),
            }
        }
        if let Err(problem) = self.show_beneath(source, layers).await {
            tracing::warn!(source = %source, "{UNHELD}: {problem}");
        }
    }
}
