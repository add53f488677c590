//! What a pass goes by. It is made here alone, for the pass and for what is foreseen of it: otherwise a plan
//! would tell something else than what is done.

use super::World;
use super::desired::Wish;
use super::stacks_in_order::Leave;
use super::steering::{self, Course};
use super::windows::Shut;
use crate::model::{ContentDigest, DriftPolicy, ImageRef, PullPolicy, Stack, StackName};
use crate::pass::Moment;
use crate::plan::Aim;
use crate::store::StackRecord;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

impl World {
    /// Whether it is time to pull an image again, as far as its policy asks for that. Not while nothing new is
    /// begun.
    pub(super) fn due(
        &self,
        wish: &Wish,
        record: &StackRecord,
    ) -> impl Fn(&ImageRef, PullPolicy) -> bool + Sync + use<> {
        let (pulls, resync) = (self.memory().pulls.clone(), self.config().resync);
        let (now, rests) = (Instant::now(), wish.shut.is_some() || record.suspended.is_some());
        move |image, policy| !rests && pulls.is_due(image, policy, resync, now)
    }

    /// What a pass over `stack` along `course` towards the definition `target` goes by. `due` is
    /// [`World::due`]'s.
    pub(super) fn moment<'d>(
        &self,
        (name, wish, record): (&StackName, &Wish, &StackRecord),
        stack: &Stack,
        (course, target, leave): (&Course, &ContentDigest, &Leave),
        due: &'d (dyn Fn(&ImageRef, PullPolicy) -> bool + Sync),
    ) -> Moment<'d> {
        // Where all is repaired, it does not matter who asked for it; and what is gone back to is brought
        // about, whatever was before.
        let aim = course.aim(record, target);
        let was_brought_about = record.definition.as_ref() == Some(target);
        let reports = stack.policy.drift == DriftPolicy::Report && was_brought_about;
        let asked = course.asked(target);
        // What held before is kept, and gone back to, whatever becomes of others.
        let waits = wish.shut.as_ref().and_then(Shut::obstacle);
        let waits = waits.or_else(|| leave.obstacle().filter(|_| aim == Aim::Update));
        let resting = self.memory().crashes.resting(name, Instant::now());
        let stuck = self.memory().stuck_of(name, stack);
        Moment {
            now: Timestamp::now(),
            due,
            resting,
            stuck,
            settle: Duration::ZERO,
            only_report: reports && aim == Aim::Hold,
            pinned: wish.pinned(course, record, aim),
            held_with: course.held_with(record, target),
            aim,
            back: course.services(),
            kept: course.kept(),
            // While it is not time for another try, the others are repaired.
            ahead: if self.queue.backs_off(name) { Vec::new() } else { course.pulls() },
            way_back: record.good.is_some(),
            monitor: self.config().monitor,
            earlier: steering::earlier(record, asked),
            paused: course.pause(record, asked),
            waits,
            completed: self.completed(stack, course),
        }
    }
}
