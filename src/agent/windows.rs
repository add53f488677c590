//! Has a stack wait for its window: until one opens, what was begun last counts as what git asks for.
//! Everything after that goes on as it would without windows.

use super::World;
use super::begun::{Kept, kept};
use super::desired::{Want, Wish};
use super::steering::Course;
use super::turn::definition;
use crate::model::{
    ContentDigest, Passage, Revision, ServiceName, SourceName, Stack, StackName, Turn, Windows,
};
use crate::pass::{Means, Moment, Subject};
use crate::plan::Aim;
use crate::status::{PassResult, Report, WindowStatus};
use crate::store::StackRecord;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The time between two looks at a window while a pass is under way.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_secs(60);

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
    /// All of it: what was begun last is not known.
    All,
    /// All of it: what was begun last cannot be read, and why.
    Unread(String),
}

impl Shut {
    /// Why nothing of the stack is touched, not even to be repaired.
    pub(super) fn obstacle(&self) -> Option<String> {
        match &self.waits {
            Waits::Nothing | Waits::Newer => None,
            Waits::All => Some(self.told()),
            Waits::Unread(why) => Some(format!(
                "{}\nwhat was begun before cannot be read, so nothing is repaired: {why}",
                self.told()
            )),
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
                let told = format!("{}\n{}", shut.told(), report.message);
                told.trim_end().clone_into(&mut report.message);
                report.waiting.clone_from(&asked.revision);
                // What was begun last may itself have been gone back from.
                let held = report.held_back.as_ref().filter(|held| held.services.is_empty());
                let instead = held.map_or(&self.revision, |held| &held.instead).clone();
                report.window = Some(WindowStatus { opens, instead });
            }
            Waits::All if report.result == PassResult::Waiting => {
                report.window = Some(WindowStatus { opens, instead: None });
            }
            Waits::Unread(_) => {
                report.window = Some(WindowStatus { opens, instead: None });
            }
            Waits::Nothing | Waits::All => {}
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
            return Wish { shut: shut(Waits::All), ..wish.clone() };
        };
        let digest = definition(asked, &self.digest_key);
        let begun = match kept(&self.inventory.stack(name), &digest) {
            Kept::Asked => return Wish { shut: shut(Waits::Nothing), ..wish.clone() },
            Kept::Unknown => return Wish { shut: shut(Waits::All), ..wish.clone() },
            Kept::Former(begun) => begun,
        };
        let stack = match self.defined(name, &wish.source, &begun).await {
            // Another version of Bowline, or another configuration, knows it by another digest.
            Ok(stack) if definition(&stack, &self.digest_key) == digest => {
                self.note_same(name, &begun.definition, &digest);
                return Wish { shut: shut(Waits::Nothing), ..wish.clone() };
            }
            Ok(stack) => stack,
            Err(problem) => {
                return Wish { shut: shut(Waits::Unread(problem)), ..wish.clone() };
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
        self.passage_of(&wish.source, asked(wish).map(AsRef::as_ref))
    }

    /// The same of a definition in a source; `None`: of a stack that left it.
    pub(super) fn passage_of(&self, source: &SourceName, asked: Option<&Stack>) -> Passage {
        let config = self.config();
        let Some(source) = config.sources.iter().find(|known| known.name == *source) else {
            // A reload took it away in this very moment: nothing new is begun of it.
            return Passage::Shut(None);
        };
        let levels =
            [Some(&config.windows), Some(&source.windows), asked.map(|stack| &stack.windows)];
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

    /// What begins when the window opens, for people; `None`: nothing waits for it.
    pub(super) fn comes_with_its_window(&self, name: &StackName, wish: &Wish) -> Option<String> {
        let (Passage::Shut(opens), Some(stack)) = (self.passage(wish), asked(wish)) else {
            return None;
        };
        let (counts, _) = self.counts(name, wish, stack);
        let waits = counts != definition(stack, &self.digest_key);
        let next = wish.revision.as_ref().map_or("what git asks for", Revision::short);
        waits.then(|| match opens {
            Some(turn) => format!("{next} begins when its window opens, {turn}"),
            None => format!("{next} waits for its window, which does not open"),
        })
    }

    /// A pass while all waits for the window: neither the stack is touched, nor what is known of it, nor
    /// the files that its containers see. What is so already as git asks for was begun, if nothing else is
    /// known to have been.
    pub(super) async fn only_look(
        &self,
        means: &Means,
        name: &StackName,
        wish: &Wish,
        (asked, digest): (&Arc<Stack>, &ContentDigest),
        obstacle: String,
    ) -> Report {
        let (source, revision) = (Some(wish.source.clone()), wish.revision.clone());
        let (stack, _) = self.with_adoption(name, asked, &wish.source);
        let subject = Subject { stack: &stack, source, revision };
        let moment = Moment {
            completed: self.completed(&stack, &Course::Asked),
            waits: Some(obstacle.clone()),
            ..Moment::by_hand(Duration::ZERO)
        };
        let report = means.reconcile(&subject, &moment).await;
        if wish.is_unread() {
            return Report { result: PassResult::Failed, message: obstacle, ..report };
        }
        if report.result == PassResult::Unchanged {
            self.note_begun(name, wish, digest);
            self.queue.add(name.clone());
        }
        report
    }

    /// Notes that `known` and `now` are digests of one definition.
    pub(super) fn note_same(&self, name: &StackName, known: &ContentDigest, now: &ContentDigest) {
        if self.inventory.update(name, |record| record.note_same(known, now)) {
            self.unsaved.notify_one();
        }
    }

    /// Has the pass under way towards what was begun before end when the window opens for something else.
    /// Goes on as long as that pass.
    pub(super) async fn make_way_at_its_window(
        &self,
        name: &StackName,
        counts: &Wish,
    ) -> Infallible {
        if counts.waits_for_newer() {
            self.until_its_window_opens(name).await;
            self.renew(name);
        }
        pending().await
    }

    async fn until_its_window_opens(&self, name: &StackName) {
        loop {
            let wish = self.desired().wish(name);
            let Some(wish) = wish else { return pending().await };
            let Passage::Shut(opens) = self.passage(&wish) else { return };
            // The clock may be set meanwhile, and another commit may say other windows.
            let until = opens.map(|turn| turn.at.duration_since(self.views.clock.now()));
            let until = until.and_then(|wait| Duration::try_from(wait).ok());
            sleep(until.unwrap_or(LONGEST_LOOK).clamp(SHORTEST_LOOK, LONGEST_LOOK)).await;
        }
    }
}

impl Wish {
    /// Whether something newer waits for a window, and this counts in its place.
    pub(super) fn waits_for_newer(&self) -> bool {
        self.shut.as_ref().is_some_and(|shut| shut.waits == Waits::Newer)
    }

    /// Whether what was begun before is known, and cannot be read.
    pub(super) fn is_unread(&self) -> bool {
        self.shut.as_ref().is_some_and(|shut| matches!(shut.waits, Waits::Unread(_)))
    }
}

/// The definition that is asked for.
pub(super) fn asked(wish: &Wish) -> Option<&Arc<Stack>> {
    match &wish.want {
        Want::Run(stack) | Want::Invalid { last_good: Some(stack), .. } => Some(stack),
        Want::Invalid { last_good: None, .. } | Want::Held(_) | Want::Gone(_) => None,
    }
}
