//! Has a stack wait for its window: until one opens, what was begun last counts as what git asks for.
//! Everything after that goes on as it would without windows.

use super::World;
use super::desired::{Want, Wish};
use super::stacks_in_order::Leave;
use super::steering::Course;
use super::turn::definition;
use crate::model::{
    ContentDigest, Passage, Revision, ServiceName, Stack, StackName, Turn, Windows,
};
use crate::plan::Aim;
use crate::status::{PassResult, Report, WindowStatus};
use crate::store::{Begun, StackRecord};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A window that is shut.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shut {
    opens: Option<Turn>,
    pub(super) waits: Waits,
}

/// What has to wait for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Waits {
    /// Nothing: what git asks for was begun before.
    Nothing,
    /// What git asks for; what was begun last is kept.
    Newer,
    /// All of it: what was begun last is not known, and why, if that is odd.
    All(Option<String>),
}

/// What has to wait while a window is shut.
enum Kept {
    Asked,
    Former(Begun),
    Unknown,
}

/// What is kept outside of a window, where git asks for `asked`.
fn kept(record: &StackRecord, asked: &ContentDigest) -> Kept {
    match record.last_begun() {
        Some(begun) if begun.definition == *asked => Kept::Asked,
        Some(begun) => Kept::Former(begun),
        None => Kept::Unknown,
    }
}

impl Shut {
    /// Why a stack of which nothing was begun does not begin.
    pub(super) fn obstacle(&self) -> Option<String> {
        match &self.waits {
            Waits::Nothing | Waits::Newer => None,
            Waits::All(None) => Some(self.told()),
            Waits::All(Some(why)) => Some(format!("{}\n{why}", self.told())),
        }
    }

    pub(super) fn told(&self) -> String {
        match &self.opens {
            Some(turn) => format!("waiting for its window, opens {turn}"),
            None => "waiting for its window, which does not open".to_owned(),
        }
    }
}

impl Wish {
    /// Has the report of a pass towards this, where git asks for `asked`, say what waits.
    pub(super) fn tell(&self, mut report: Report, asked: &Self) -> Report {
        let Some(shut) = &self.shut else { return report };
        let opens = shut.opens.as_ref().map(|turn| turn.at);
        match shut.waits {
            Waits::Newer => {
                if report.result.is_success() {
                    report.result = PassResult::Waiting;
                }
                let told = format!("{}\n{}", shut.told(), report.message);
                told.trim_end().clone_into(&mut report.message);
                report.revision.clone_from(&asked.revision);
                report.window = Some(WindowStatus { opens, instead: self.revision.clone() });
            }
            Waits::All(_) if report.result == PassResult::Waiting => {
                report.window = Some(WindowStatus { opens, instead: None });
            }
            Waits::Nothing | Waits::All(_) => {}
        }
        report
    }

    /// The images that services run on the way along `course`, whatever their names stand for by now. While
    /// a window is shut those that held stay, unless they are being exchanged.
    pub(super) fn pinned(
        &self,
        course: &Course,
        record: &StackRecord,
        aim: Aim,
    ) -> BTreeMap<ServiceName, String> {
        match &record.good {
            Some(good)
                if self.shut.is_some()
                    && (course, aim) == (&Course::Asked, Aim::Hold)
                    && record.progress.is_none() =>
            {
                good.images.clone()
            }
            _ => course.pinned(),
        }
    }
}

impl World {
    /// What shall become of a stack as long as its window is shut; as it is once it is open.
    pub(super) async fn at_its_window(&self, name: &StackName, wish: &Wish) -> Wish {
        let Passage::Shut(opens) = self.passage(wish) else { return wish.clone() };
        let shut = |waits| Some(Shut { opens: opens.clone(), waits });
        let Some(asked) = asked(wish) else {
            return Wish { shut: shut(Waits::All(None)), ..wish.clone() };
        };
        let digest = definition(asked, &self.digest_key);
        let begun = match kept(&self.inventory.stack(name), &digest) {
            Kept::Asked => return Wish { shut: shut(Waits::Nothing), ..wish.clone() },
            Kept::Unknown => return Wish { shut: shut(Waits::All(None)), ..wish.clone() },
            Kept::Former(begun) => begun,
        };
        let stack = match self.defined(name, &wish.source, &begun).await {
            // Another version of Bowline, or another configuration, knows it by another digest.
            Ok(stack) if definition(&stack, &self.digest_key) == digest => {
                return Wish { shut: shut(Waits::Nothing), ..wish.clone() };
            }
            Ok(stack) => stack,
            Err(problem) => {
                let why = format!("what was begun before cannot be read: {problem}");
                return Wish { shut: shut(Waits::All(Some(why))), ..wish.clone() };
            }
        };
        let want = match &wish.want {
            Want::Invalid { problem, .. } => {
                Want::Invalid { problem: problem.clone(), last_good: Some(stack) }
            }
            Want::Run(_) | Want::Held(_) | Want::Gone(_) => Want::Run(stack),
        };
        let shut = shut(Waits::Newer);
        Wish { source: wish.source.clone(), revision: begun.revision, want, shut }
    }

    /// Whether something new may be begun of what is asked for. Without windows that is not foreseen.
    fn passage(&self, wish: &Wish) -> Passage {
        let is_under_way = match &wish.want {
            Want::Run(_) | Want::Invalid { last_good: Some(_), .. } => false,
            // Somebody said so, or it was begun.
            Want::Gone(removal) => removal.confirmed || removal.failures > 0,
            Want::Invalid { last_good: None, .. } | Want::Held(_) => true,
        };
        if is_under_way {
            return Passage::Open(None);
        }
        let config = self.config();
        let source = config.sources.iter().find(|source| source.name == wish.source);
        let levels = [
            Some(&config.windows),
            source.map(|source| &source.windows),
            asked(wish).map(|stack| &stack.windows),
        ];
        let said = |level: &&Windows| **level != Windows::default();
        let levels: Vec<&Windows> = levels.into_iter().flatten().filter(said).collect();
        Passage::through(&levels, self.views.clock.now())
    }

    /// In how long the window of a stack turns to the other of open and shut.
    pub(super) fn until_its_window_turns(&self, wish: &Wish) -> Option<Duration> {
        let passage = self.passage(wish);
        let wait = passage.turn()?.at.duration_since(self.views.clock.now());
        Some(Duration::try_from(wait).unwrap_or_default())
    }

    /// Whether a window holds up what is asked for.
    pub(super) fn is_shut(&self, wish: &Wish) -> bool {
        matches!(self.passage(wish), Passage::Shut(_))
    }

    /// The definition that counts, and its commit: of what git asks for, or of what was begun last while a
    /// window is shut.
    pub(super) fn counts(
        &self,
        name: &StackName,
        wish: &Wish,
        asked: &Stack,
    ) -> (ContentDigest, Option<Revision>) {
        let digest = definition(asked, &self.digest_key);
        match kept(&self.inventory.stack(name), &digest) {
            Kept::Former(begun) if self.is_shut(wish) => (begun.definition, begun.revision),
            _ => (digest, wish.revision.clone()),
        }
    }

    /// Whether a stack may begin what is asked for.
    pub(super) fn leave_in_its_window(&self, wish: &Wish, asked: &Stack) -> Leave {
        let obstacle = wish.shut.as_ref().and_then(Shut::obstacle);
        obstacle.map_or_else(|| self.leave(asked), Leave::Wait)
    }

    /// Notes that what is asked for is begun, with its digest, unless it waits for its window.
    pub(super) fn note_begun(&self, name: &StackName, wish: &Wish, definition: &ContentDigest) {
        if wish.shut.is_some() {
            return;
        }
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

    /// The first file of a stack at a commit, relative to the checkout.
    pub(super) fn file_at(&self, name: &StackName, revision: Option<&Revision>) -> String {
        let begun = self.inventory.stack(name).last_begun();
        let begun = begun.filter(|begun| begun.revision.as_ref() == revision);
        let file = begun.map(|begun| begun.file).filter(|file| !file.is_empty());
        file.or_else(|| self.desired().file_of(name)).unwrap_or_default()
    }

    /// Has the checkout show what containers of `stack` mount: the newest, and while a window is shut what
    /// was begun before, so that no later commit reaches them.
    pub(super) async fn show_begun(
        &self,
        name: &StackName,
        wish: &Wish,
        stack: &Stack,
        record: &StackRecord,
    ) -> Result<(), String> {
        match wish.shut.as_ref().map(|shut| &shut.waits) {
            None | Some(Waits::All(_)) => {
                self.show_newest(name, &wish.source).await;
                Ok(())
            }
            Some(Waits::Nothing | Waits::Newer) => {
                let begun = record.last_begun().and_then(|begun| begun.revision);
                self.show_former(name, &wish.source, stack, begun, |_| true).await
            }
        }
    }

    /// Has somebody's word count for an open window.
    pub(super) fn begin_by_hand(&self, name: &StackName, wish: &Wish) -> bool {
        let Some(asked) = asked(wish).filter(|_| self.is_shut(wish)) else { return false };
        let digest = definition(asked, &self.digest_key);
        let waits = !matches!(kept(&self.inventory.stack(name), &digest), Kept::Asked);
        self.note_begun(name, wish, &digest);
        waits
    }
}

/// The definition that is asked for.
fn asked(wish: &Wish) -> Option<&Arc<Stack>> {
    match &wish.want {
        Want::Run(stack) | Want::Invalid { last_good: Some(stack), .. } => Some(stack),
        Want::Invalid { last_good: None, .. } | Want::Held(_) | Want::Gone(_) => None,
    }
}
