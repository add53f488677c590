//! Has each pass go where `steering` says, and notes what follows from how it ended.

use super::World;
use super::desired::Wish;
use super::keeping::good_of;
use super::steering::{
    Consequence, Course, Holds, Short, apply, consequence, course, end_holds, is_good, note_slot,
    partly, rests,
};
use crate::execute::{Notice, Onlooker};
use crate::model::{ContentDigest, Revision, ServiceName, Stack, StackName};
use crate::pass::Means;
use crate::plan::Action;
use crate::status::{PassResult, Report, RolloutVerdict, SlotNotice, SlotPhase};
use crate::store::HeldBack;
use jiff::Timestamp;
use std::sync::Arc;
use tokio::time::Instant;

impl World {
    /// `means` that note how far each slot of an update comes on the way to `definition`.
    pub(super) fn counting(
        self: &Arc<Self>,
        means: &Means,
        name: &StackName,
        definition: &ContentDigest,
    ) -> Means {
        let (world, name, definition) = (Arc::clone(self), name.clone(), definition.clone());
        let onlooker = Arc::clone(&means.onlooker);
        let counting: Onlooker = Arc::new(move |notice| {
            if let Notice::Slot(slot) = &notice
                && slot.is_update
            {
                world.note_progress(&name, &definition, slot);
            }
            onlooker(notice);
        });
        Means { onlooker: counting, ..means.clone() }
    }

    /// Notes how far a slot came on the way to `definition`.
    fn note_progress(&self, name: &StackName, definition: &ContentDigest, notice: &SlotNotice<'_>) {
        if !matches!(notice.phase, SlotPhase::Watching | SlotPhase::Failed | SlotPhase::Done) {
            return;
        }
        let (slot, phase) = (notice.slot, notice.phase);
        if self.inventory.update(name, |record| note_slot(record, definition, slot, phase)) {
            self.unsaved.notify_one();
        }
    }

    /// The definition that a pass works towards; what git asks for is `asked`, with the digest
    /// `digest`.
    pub(super) async fn target(
        &self,
        name: &StackName,
        wish: &Wish,
        asked: &Arc<Stack>,
        digest: &ContentDigest,
    ) -> Result<(Arc<Stack>, Course, Holds), String> {
        if self.inventory.update(name, |record| end_holds(record, digest, wish.revision.as_ref())) {
            self.unsaved.notify_one();
        }
        self.show_remembered(name, None);
        let (record, short) = (self.inventory.stack(name), self.memory().short.get(name).cloned());
        let course = course(&record, digest, short.as_ref());
        let (instead, services) = match &course {
            Course::Asked => {
                self.memory().short.remove(name);
                self.show_begun(name, wish, asked, &record).await;
                return Ok((Arc::clone(asked), course, Holds::of(&record)));
            }
            Course::Back(held) => {
                self.memory().short.remove(name);
                (&held.instead, held.services.clone())
            }
            Course::Short(short) => (&short.instead, course.kept()),
        };
        let good = self.former(name, &wish.source, instead).await;
        let good = good.map_err(|problem| unreadable(&course, &problem))?;
        let stack = partly(asked, &good, &services);
        // While a window is shut, the others do not see the newest either.
        let (begun, former) = (wish.begun_at(&record), instead.revision.clone());
        let layer = |revision, is_former| {
            let which = |it: &ServiceName| course.is_former(it) == is_former;
            self.layer(&wish.source, &stack, revision, which)
        };
        let layers = [layer(begun, false)?, layer(former, true)?];
        self.show(name, &wish.source, layers.into_iter().flatten().collect()).await?;
        Ok((Arc::new(stack), course, Holds::of(&record)))
    }

    /// Does what follows from `report`, and has it tell so.
    pub(super) fn conclude(
        &self,
        mut report: Report,
        course: &Course,
        stack: &Arc<Stack>,
        definition: &ContentDigest,
        (holds, is_current): (&Holds, bool),
    ) -> Report {
        let name = report.stack.clone();
        let record = self.inventory.stack(&name);
        let now = Timestamp::now();
        // What somebody ordered meanwhile leads elsewhere, and the pass after this one goes there.
        let follows = if *holds == Holds::of(&record) {
            consequence(&record, course, stack, &report)
        } else {
            Consequence::GoOn
        };
        // What ends again and again is up in between, too.
        let started = || report.actions.iter().any(|action| action.action == Action::Start);
        let unrest = || self.memory().crashes.unrest(&report, Instant::now());
        let restless = || started() || !unrest().is_zero();
        let follows = match follows {
            Consequence::Good if !is_good(&record, definition) && restless() => Consequence::GoOn,
            follows => follows,
        };
        match &follows {
            Consequence::Good if !is_current && !is_good(&record, definition) => {}
            Consequence::GoOn if report.result == PassResult::Paused && record.paused.is_some() => {
                let why = record.paused.as_ref().map_or("", |paused| &paused.reason);
                let told = format!("{}\nthe update rests: {why}", report.message);
                told.trim_start().clone_into(&mut report.message);
            }
            Consequence::GoOn | Consequence::Reached { .. } => {}
            Consequence::Good => {
                self.memory().good.insert(name.clone(), (definition.clone(), Arc::clone(stack)));
            }
            Consequence::NothingToGoBackTo => {
                let told = "\nnothing is known that held before, so it is tried again";
                report.message.push_str(told);
                let verdicts = report.rollouts.iter_mut().map(|rollout| &mut rollout.verdict);
                let back = verdicts.filter(|verdict| **verdict == RolloutVerdict::RollBack);
                back.for_each(|verdict| *verdict = RolloutVerdict::Failed);
            }
            Consequence::HoldBack { .. } => {
                let to = record.good.as_ref().and_then(|good| good.revision.as_ref());
                let told = format!(
                    "\n{} is held back until git moves or `bowline retry {name}`; going back to {}",
                    revision(report.revision.as_ref()),
                    revision(to)
                );
                report.message.push_str(&told);
                self.queue.add(name.clone());
            }
            Consequence::Rest { services, .. }
                if rests(&record, course.asked(definition), services) =>
            {
                report.result = PassResult::Paused;
                // It was told, and counted, when it began to rest.
                report.rollouts.retain(|rollout| rollout.verdict != RolloutVerdict::Paused);
            }
            Consequence::Rest { .. } => {
                report.result = PassResult::Paused;
                let told = format!("\nthe update rests until git moves or `bowline resume {name}`");
                report.message.push_str(&told);
            }
        }
        let file = self.file_at(&name, report.revision.as_ref());
        let changed = self.inventory.update(&name, |record| {
            // An order may have come in this very moment.
            if *holds != Holds::of(record) {
                return;
            }
            if follows == Consequence::Good && (is_current || is_good(record, definition)) {
                record.note_good(good_of(&report, &file, definition.clone(), now));
            }
            apply(record, &follows, course.asked(definition), report.revision.as_ref(), now);
        });
        if changed {
            self.unsaved.notify_one();
        }
        self.note_short(&name, course, definition, stack, &follows, &mut report);
        if let Course::Back(held) = course {
            tell_back(&mut report, held);
        }
        report
    }

    /// Notes who waits for images that could not be had, and who does so no longer.
    fn note_short(
        &self,
        name: &StackName,
        course: &Course,
        definition: &ContentDigest,
        stack: &Stack,
        follows: &Consequence,
        report: &mut Report,
    ) {
        // That others rest is no reason to wait longer for the images.
        let goes_on = matches!(follows, Consequence::GoOn | Consequence::Rest { .. });
        let short = match course {
            Course::Asked if goes_on => {
                let short = Short::of(&self.inventory.stack(name), definition, stack, report);
                if short.is_some() {
                    report.result = PassResult::Failed;
                }
                short
            }
            Course::Short(short) if goes_on && short.goes_on(report) => {
                let mut short = (**short).clone();
                short.tell(report);
                Some(short)
            }
            Course::Asked | Course::Back(_) | Course::Short(_) => None,
        };
        let mut memory = self.memory();
        match short {
            Some(short) => drop(memory.short.insert(name.clone(), short)),
            None => drop(memory.short.remove(name)),
        }
    }
}

/// That what held before, on the way to which a pass is, cannot be read.
fn unreadable(course: &Course, problem: &str) -> String {
    match course {
        Course::Back(held) => format!(
            "{} is held back ({}), and what held before cannot be read: {problem}",
            revision(held.revision.as_ref()),
            held.reason
        ),
        Course::Asked | Course::Short(_) => format!("what held before cannot be read: {problem}"),
    }
}

/// Has a report of a pass towards what held before say so.
fn tell_back(report: &mut Report, held: &HeldBack) {
    let what = if held.services.is_empty() {
        String::new()
    } else {
        let names: Vec<_> = held.services.iter().map(ToString::to_string).collect();
        format!(" for {}", names.join(", "))
    };
    let instead = revision(held.instead.revision.as_ref());
    let so_far = if report.result.is_success() {
        report.result = PassResult::RolledBack;
        format!("{instead} runs in its place")
    } else {
        format!("{instead} is to run in its place")
    };
    let told = format!(
        "{} is held back{what}, since {}; {so_far}",
        revision(held.revision.as_ref()),
        held.reason,
    );
    report.message =
        if report.message.is_empty() { told } else { format!("{told}\n{}", report.message) };
}

/// A commit for people.
fn revision(revision: Option<&Revision>) -> String {
    revision.map_or_else(|| "a definition without a commit".to_owned(), |it| it.short().to_owned())
}
