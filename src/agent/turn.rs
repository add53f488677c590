//! One pass over one stack: what it works towards, with what it is made, and what follows for the queue.

use super::desired::{REMOVAL_PATIENCE, Want, Wish};
use super::queue::{Outcome, Work};
use super::sources::jittered;
use super::stacks_in_order::Leave;
use super::steering::Course;
use super::waiting::refused;
use super::windows::Shut;
use super::{World, telling};
use crate::manifest::DigestKey;
use crate::model::{ContentDigest, DriftPolicy, Policy, SourceName, Stack, StackName};
use crate::pass::{Means, Subject};
use crate::status::{Departure, Holdings, PassResult, Report, SuspendedStatus};
use crate::store::{self, Lock};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Between two looks at whether a command is still at work on a stack.
const LOCK_LOOK: Duration = Duration::from_millis(500);

/// One pass over one stack.
pub(super) async fn pass(world: Arc<World>, work: Work<StackName>) {
    let name = work.key().clone();
    let wish = world.desired().wish(&name);
    let Some(wish) = wish else {
        world.forget(&name);
        work.done(Outcome::Succeeded);
        return;
    };
    world.views.begin(&name, wish.revision.as_ref());
    world.show_remembered(&name, Some(&wish.source));
    let (superseded, brake) = world.under_way(&name, &wish);
    let counts = world.at_its_window(&name, &wish).await;
    world.works_on(&name, &counts);
    world.views.note_towards(&name, world.towards(&name, &counts));
    let pass = world.reconcile(&name, &counts, &superseded, brake.clone());
    let report = tokio::select! {
        report = pass => report,
        never = world.make_way_at_its_window(&name, &counts) => match never {},
    };
    let report = world.with_holds(report);
    let report = counts.tell(report, &wish);
    world.memory().under_way.remove(&name);
    if brake.is_cancelled() && !report.result.is_success() && report.rollouts.is_empty() {
        tracing::info!(stack = %name, "paused in the middle");
        world.chronicle_broken_off(&report, "paused in the middle");
        world.memory().crashes.note(&report, Instant::now());
        work.done(Outcome::Succeeded);
        return;
    }
    if superseded.is_cancelled() && !world.stop.is_cancelled() && !report.result.is_success() {
        tracing::info!(stack = %name, "a newer definition came in the middle; beginning anew");
        world.chronicle_broken_off(&report, "a newer definition came in the middle");
        world.memory().crashes.note(&report, Instant::now());
        work.done(Outcome::Succeeded);
        return;
    }
    let is_short = world.memory().short.contains_key(&name);
    let outcome = match report.result {
        // Whatever else is to be mended is so beside the pulls.
        _ if is_short && report.shortage.pulls.is_empty() => Outcome::Beside,
        PassResult::Failed => Outcome::Failed,
        _ => Outcome::Succeeded,
    };
    if outcome == Outcome::Failed && work.failures() > 0 {
        let failures = work.failures() + 1;
        tracing::warn!(stack = %name, failures, "failed {failures} times in a row");
    }
    world.note(&report);
    world.note_left(&name, &wish, &counts, &report);
    if matches!(report.result, PassResult::Changed | PassResult::Removed) {
        world.clean_images(&name).await;
    }
    if report.result == PassResult::Removed {
        world.forget(&name);
        // Some may have waited for what it held: a port, a name.
        world.desired().names().into_iter().for_each(|other| world.queue.add(other));
    } else {
        let waits = [world.until_next(&report), world.until_its_window_turns(&wish)];
        if let Some(wait) = waits.into_iter().flatten().min() {
            world.queue.add_after(name.clone(), wait);
        }
    }
    if is_short && outcome == Outcome::Failed {
        // What ended while it was tried to pull.
        world.queue.add(name);
    }
    work.done(outcome);
}

impl World {
    /// How long after a pass that ended so the next one is due by itself; `None`: not for the sake of
    /// time alone, or, where it failed, after the queue's pause.
    fn until_next(&self, report: &Report) -> Option<Duration> {
        let resync = || jittered(self.config().resync);
        match report.result {
            // A stack whose files are in error waits for git: trying at once again changes nothing.
            // What does not help is not done again, so one that does not settle has no hurry.
            PassResult::Unchanged | PassResult::Changed => {
                // Once its containers stay up, what it was brought to may be good.
                let unrest = self.memory().crashes.unrest(report, Instant::now());
                Some(if unrest.is_zero() { resync() } else { resync().min(unrest) })
            }
            PassResult::Invalid
            | PassResult::Stalled
            | PassResult::Paused
            | PassResult::RolledBack
            | PassResult::Drifted
            | PassResult::Suspended => Some(resync()),
            PassResult::Waiting => Some(resync().min(REMOVAL_PATIENCE.unsigned_abs())),
            // One whose containers rest has its own time; what this pass started may have ended again,
            // and rest less than the others.
            PassResult::Crashing if !report.actions.is_empty() => Some(Duration::ZERO),
            PassResult::Crashing => Some(self.memory().crashes.rest(&report.stack, Instant::now())),
            PassResult::Failed | PassResult::Removed => None,
        }
    }

    async fn reconcile(
        self: &Arc<Self>,
        name: &StackName,
        wish: &Wish,
        stop: &CancellationToken,
        brake: CancellationToken,
    ) -> Report {
        let _lock = match self.alone_at(name, stop).await {
            Ok(lock) => lock,
            Err(Some(suspended)) => return self.look_at_suspended(name, wish, &suspended).await,
            Err(None) => return Report { result: PassResult::Failed, ..invalid(name, wish, "") },
        };
        let means = Means {
            engine: Arc::clone(&self.engine),
            bounds: self.bounds(),
            onlooker: telling::showing(self.views.clone(), name, wish.revision.as_ref()),
            snapshots: Arc::clone(&self.snapshots),
            stop: stop.clone(),
            brake,
        };
        let source = Some(wish.source.clone());
        match &wish.want {
            Want::Run(stack) => self.run(&means, name, wish, stack).await,
            Want::Gone(removal) => {
                let departure = Departure { since: removal.since, held: None };
                let first = self.desired().goes_before(name, Timestamp::now());
                let first = first.map(|other| format!("waiting for stack {other} to go first"));
                let window = wish.shut.as_ref().and_then(Shut::obstacle);
                let report = match window.or(first) {
                    Some(why) => {
                        Report { result: PassResult::Waiting, ..invalid(name, wish, &why) }
                    }
                    None => self.take_away(&means, name, source).await,
                };
                Report { departure: Some(departure), ..report }
            }
            Want::Held(hold) => {
                let why = hold.reason.to_string();
                let told = format!(
                    "left its source, but is kept: {why}; `bowline prune --confirm {name}` removes it"
                );
                let departure = Departure { since: hold.since, held: Some(why) };
                Report { departure: Some(departure), ..invalid(name, wish, &told) }
            }
            Want::Invalid { problem, last_good: None } => invalid(name, wish, problem),
            Want::Invalid { problem, last_good: Some(stack) } => {
                kept(self.run(&means, name, wish, stack).await, problem)
            }
        }
    }

    /// Keeps commands off a stack, once none is at it. An error: the stop came before that, or it is suspended: it
    /// is only looked at then, which disturbs no command, and none is waited for. What cannot be locked is worked
    /// on all the same: an agent goes on without its disk.
    async fn alone_at(
        &self,
        name: &StackName,
        stop: &CancellationToken,
    ) -> Result<Option<Lock>, Option<SuspendedStatus>> {
        let state_dir = self.config().state_dir.clone();
        let is_to_be_changed = || self.inventory.stack(name).suspended.map_or(Ok(()), Err);
        let mut told = false;
        loop {
            is_to_be_changed()?;
            match store::lock_stack(&state_dir, name) {
                Ok(Some(lock)) => return is_to_be_changed().map(|()| Some(lock)).map_err(Some),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(stack = %name, "going on without the lock: {error}");
                    return Ok(None);
                }
            }
            if !std::mem::replace(&mut told, true) {
                let process = store::holder_of_stack(&state_dir, name);
                let process = process.map(|id| format!(", process {id}")).unwrap_or_default();
                tracing::info!(stack = %name, "waiting for a command that is at work on it{process}");
            }
            tokio::select! {
                () = sleep(LOCK_LOOK) => {}
                () = stop.cancelled() => return Err(None),
            }
        }
    }

    async fn take_away(
        &self,
        means: &Means,
        name: &StackName,
        source: Option<SourceName>,
    ) -> Report {
        let query = self.adopted.owned_by(name, source.as_ref());
        let report = means.remove(&query, source.clone(), false).await;
        if report.result.is_success() {
            if let Some(source) = &source {
                // Nobody mounts what it went back to any more.
                self.memory().unlaid.remove(name);
                self.show_newest(name, source).await;
            }
            self.adopted.forget(name);
            self.jobs.forget(name);
        }
        report
    }

    /// Forgets that stacks of `source` were taken over, of which nothing is left.
    pub(super) async fn forget_adoptions(&self, source: &SourceName, stacks: &BTreeSet<StackName>) {
        for stack in stacks {
            let query = self.adopted.owned_by(stack, Some(source));
            if !query.adopt {
                continue;
            }
            // What was taken over may have no label of ours; while it is there, `bowline remove` needs
            // the note.
            let Ok(observed) = self.engine.observe(&query).await else { continue };
            let left = Holdings::of(stack, &observed);
            if left.containers.is_empty() && left.networks.is_empty() {
                self.adopted.forget(stack);
            }
        }
    }

    async fn run(
        self: &Arc<Self>,
        means: &Means,
        name: &StackName,
        wish: &Wish,
        asked: &Arc<Stack>,
    ) -> Report {
        let digest = definition(asked, &self.digest_key);
        if let Some(obstacle) = wish.shut.as_ref().and_then(Shut::obstacle) {
            return self.only_look(means, name, wish, (asked, &digest), obstacle).await;
        }
        loop {
            let (stack, course, holds) = match self.target(name, wish, asked, &digest).await {
                Ok(target) => target,
                Err(problem) => {
                    self.memory().short.remove(name);
                    return Report { result: PassResult::Failed, ..invalid(name, wish, &problem) };
                }
            };
            let (target, leave) = match course {
                Course::Asked | Course::Short(_) => (digest.clone(), self.leave(asked)),
                Course::Back(_) => (definition(&stack, &self.digest_key), Leave::Begin),
            };
            let means = self.beginning(means, name, wish, (&course, &target));
            let way = (&course, &target, &leave);
            let report = self.work_towards(&means, name, wish, &stack, way).await;
            let report = Report { definition: Some(target.clone()), ..report };
            self.note_if_begun(name, wish, (&course, &target), &report);
            if course.short().is_some_and(|short| short.has_all(&report)) {
                tracing::info!(stack = %name, "the images that it waited for are there");
                self.chronicle_broken_off(&report, "the images that it waited for are there");
                let mut memory = self.memory();
                memory.short.remove(name);
                memory.crashes.note(&report, Instant::now());
                memory.pulls.note(&report, Instant::now());
                continue;
            }
            // The commit of files in error is not the one that the definition is of.
            let is_current = matches!(wish.want, Want::Run(_));
            let report = self.conclude(report, &course, &stack, &target, (&holds, is_current));
            return match leave {
                Leave::Refuse(problems) => refused(report, &problems),
                Leave::Begin | Leave::Wait(_) => report,
            };
        }
    }

    /// A pass towards `stack`, whose digest is given with what it is for, and whether it may begin.
    async fn work_towards(
        self: &Arc<Self>,
        means: &Means,
        name: &StackName,
        wish: &Wish,
        stack: &Stack,
        (course, target, leave): (&Course, &ContentDigest, &Leave),
    ) -> Report {
        let (source, revision) = (Some(wish.source.clone()), wish.revision.clone());
        let (stack, taken_over) = self.with_adoption(name, stack, &wish.source);
        let stack = &*stack;
        let subject = Subject { stack, source, revision };
        let record = self.inventory.stack(name);
        let due = self.due(wish, &record);
        let moment = self.moment((name, wish, &record), stack, (course, target, leave), &due);
        let definition = (stack.policy.drift == DriftPolicy::Report).then(|| target.clone());
        if !moment.only_report && self.inventory.update(name, |record| record.definition = None) {
            self.unsaved.notify_one();
        }
        let asked = course.asked(target);
        let means = self.counting(means, name, asked);
        let mut report = tokio::select! {
            report = means.reconcile(&subject, &moment) => report,
            never = self.count_meanwhile(stack, &moment.completed) => match never {},
        };
        self.note_from_hand(name, wish, &mut report);
        if report.result.is_success()
            && self.inventory.update(name, |record| record.definition = definition)
        {
            self.unsaved.notify_one();
        }
        self.note_completed(stack, course, &report);
        if report.workload.is_some() {
            if stack.policy.adopt
                && !taken_over
                && let Err(error) = self.adopted.note(name, Some(&wish.source))
            {
                tracing::warn!(stack = %name, "cannot note that it was taken over: {error}");
            }
            self.memory().note_stuck(name, stack, &report.stuck);
        }
        report
    }

    /// Says it once where a stack was made by `apply`, and is this source's from now on.
    fn note_from_hand(&self, name: &StackName, wish: &Wish, report: &mut Report) {
        if report.workload.is_none() {
            return;
        }
        let found = std::mem::take(&mut report.from_hand);
        let source = &wish.source;
        if self.inventory.update(name, |record| record.from_hand = found) {
            self.unsaved.notify_one();
            report.from_hand = found;
        }
        if report.from_hand {
            tracing::info!(
                stack = %name, source = %source,
                "taking over what `bowline apply` made: from now on {name} is as {source} has it"
            );
        }
    }

    /// `stack` as one that takes over what Compose made, if it did so before; and whether it did. Looked
    /// up each time: somebody may take it over by hand meanwhile.
    pub(super) fn with_adoption<'s>(
        &self,
        name: &StackName,
        stack: &'s Stack,
        source: &SourceName,
    ) -> (Cow<'s, Stack>, bool) {
        let taken_over = self.adopted.has(name, Some(source));
        if !taken_over || stack.policy.adopt {
            return (Cow::Borrowed(stack), taken_over);
        }
        let policy = Policy { adopt: true, ..stack.policy.clone() };
        (Cow::Owned(Stack { policy, ..stack.clone() }), taken_over)
    }
}

/// What tells one definition of a stack from another: all of it but where it is written. Keyed, since
/// a variable may be a secret.
pub(super) fn definition(stack: &Stack, key: &DigestKey) -> ContentDigest {
    let Stack { name, services, networks, volumes, policy, .. } = stack;
    key.digest(format!("{name} {services:?} {networks:?} {volumes:?} {policy:?}").as_bytes())
}

/// A pass that kept a stack as it was, since its files are in error now: that is newer than what is held
/// back or rests.
fn kept(mut report: Report, problem: &str) -> Report {
    if report.result.is_success()
        || matches!(report.result, PassResult::RolledBack | PassResult::Paused)
    {
        report.result = PassResult::Invalid;
    }
    if !report.message.is_empty() {
        report.message.insert(0, '\n');
    }
    report.message.insert_str(0, problem);
    report
}

pub(super) fn invalid(name: &StackName, wish: &Wish, problem: &str) -> Report {
    Report {
        source: Some(wish.source.clone()),
        revision: wish.revision.clone(),
        result: PassResult::Invalid,
        message: problem.to_owned(),
        ..Report::begun(name.clone(), Timestamp::now())
    }
}
