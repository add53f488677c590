//! Carries a plan out on an engine. It decides nothing: the plan says what must wait for what, the
//! rollouts say whose turn it is, and a change that fails takes only those with it that come after it.

mod check;
mod clock;
mod fault;
mod hands;
mod hook;
mod optional;
mod pacing;
mod probe;
mod wait;
mod watch;

use crate::engine::EngineError;
use crate::model::{ServiceName, Slot};
use crate::plan::{Action, Change, ContainerRef, Plan, Step};
use crate::rollout::Progress;
use crate::status::{ActionReport, Cause, RolloutReport, Shortage, SlotNotice, SlotPhase};
use jiff::Timestamp;
use optional::Optional;
use pacing::{Pacing, Seat, Watch};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

pub use check::{CheckFailed, Unjudged};
pub use clock::Clock;
pub use hands::Hands;
pub use hook::HookFailed;
pub use wait::NotReached;
pub(crate) use wait::last_words;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The changes that were begun, in the order in which they ended.
    pub actions: Vec<ActionReport>,
    /// Changes not begun, because one that they come after failed, their service's update came to an
    /// early end, or the stop came first.
    pub skipped: usize,
    /// How the updates of services ended, those that did.
    pub rollouts: Vec<RolloutReport>,
    /// How far each service came, for a pass that goes on.
    pub progress: BTreeMap<ServiceName, Progress>,
    /// Whether an update ended before it was known how it ends.
    pub open: bool,
    /// Why it did, where a canary could not be judged.
    pub unjudged: Option<String>,
    /// The images that could not be had through no fault of the definition, and who waits for them.
    pub shortage: Shortage,
}

impl Outcome {
    /// Whether all was done, and what was watched held.
    pub fn is_complete(&self) -> bool {
        !self.open
            && self.skipped == 0
            && self.actions.iter().all(|action| action.error.is_none())
            && self.rollouts.iter().all(|rollout| rollout.failed == 0)
    }
}

/// Why a change ended early.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The engine refused a step or could not be reached.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A container did not come to where it should.
    #[error(transparent)]
    NotReached(#[from] NotReached),
    /// Another service, which must be up before, did not come to where it should.
    #[error(transparent)]
    Needed(NotReached),
    /// A hook failed.
    #[error(transparent)]
    Hook(#[from] HookFailed),
    /// A check of a canary failed.
    #[error(transparent)]
    Check(#[from] CheckFailed),
    /// Nobody could say whether a canary is well.
    #[error(transparent)]
    Unjudged(#[from] Unjudged),
}

/// What an onlooker hears while a plan is carried out.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A change begins.
    Began(&'a Change),
    /// A long step says how far it is.
    Doing(&'a Change, &'a str),
    /// A wait that is not required failed, or the engine could not do a part of a step.
    Warned(&'a Change, &'a str),
    /// A slot of a service that is updated came to another phase.
    Slot(SlotNotice<'a>),
    /// Nobody can say for now whether the container of this slot, a canary, is well.
    Unjudged(&'a Slot, &'a str),
    /// A change ended.
    Ended(&'a Change, Result<(), &'a ChangeError>, Duration),
}

/// Hears [`Notice`]s, from several tasks at once.
pub type Onlooker = Arc<dyn Fn(Notice<'_>) + Send + Sync>;

/// How much is done at once, by all who share it. Waiting for a container takes nothing of it, so
/// that stacks with slow services do not hold up others.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Engine calls that change something.
    calls: Arc<Semaphore>,
    /// Those that may take long: pulls of images, and stops with their grace.
    slow: Arc<Semaphore>,
    /// Snapshots taken, and planned on.
    looks: Arc<Semaphore>,
}

impl Bounds {
    /// At most `calls` changes, as many slow ones, and `looks` snapshots at once.
    pub fn new(calls: NonZeroUsize, looks: NonZeroUsize) -> Self {
        let permits = |count: NonZeroUsize| Arc::new(Semaphore::new(count.get()));
        Self { calls: permits(calls), slow: permits(calls), looks: permits(looks) }
    }

    /// Waits for leave to take a snapshot; it lasts as long as what is returned.
    pub async fn look(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so there is always one in the end.
        self.looks.acquire().await.ok()
    }

    async fn step(&self, step: &Step) -> Option<SemaphorePermit<'_>> {
        let slow = matches!(step, Step::PullImage { .. } | Step::Stop { .. });
        if slow { &self.slow } else { &self.calls }.acquire().await.ok()
    }
}

/// Carries `plan` out with `hands`; its services came as far as `earlier` before. When the stop
/// comes, no change is begun any more and waits end; calls under way are finished.
pub async fn execute(
    hands: &Hands,
    plan: &Plan,
    earlier: &BTreeMap<ServiceName, Progress>,
) -> Outcome {
    // When the stack is to go back, nothing of it is waited for any more.
    let hands = Hands { stop: hands.stop.child_token(), ..hands.clone() };
    let (pacing, watches) = Pacing::of(plan, earlier, hands.clock.now());
    let mut execution = Execution {
        optional: Arc::new(Optional::of(plan, &hands.stop)),
        hands,
        plan,
        pacing,
        stages: vec![Stage::Waiting; plan.changes.len()],
        released: BTreeMap::new(),
        short: BTreeSet::new(),
        tasks: JoinSet::new(),
        what: BTreeMap::new(),
        outcome: Outcome::default(),
    };
    for turn in plan.paced.iter().flat_map(|paced| &paced.changes) {
        execution.tell(&turn.slot, SlotPhase::Waiting, None);
    }
    for watch in watches {
        execution.watch(watch);
    }
    execution.run().await
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Done,
    /// It failed, or came after one that did; with the definition's fault, if it was one.
    Failed(Option<(String, Cause)>),
}

/// What a task was about.
enum Task {
    Change(usize),
    /// The token has it look once more and end.
    Watch(Seat, AbortHandle, CancellationToken),
    Check(Seat, AbortHandle),
}

/// How a task ended.
enum Ended {
    Change(Result<(), ChangeError>, Duration),
    /// The container came up and then failed, or did not come up.
    Watch(Option<ChangeError>),
    /// The container came up; it is to be watched on.
    CameUp(Watch),
    /// What was asked about the container, a canary, said that it is well, or not.
    Judged(Result<(), ChangeError>),
}

/// A plan that is being carried out.
struct Execution<'a> {
    hands: Hands,
    optional: Arc<Optional>,
    plan: &'a Plan,
    pacing: Pacing<'a>,
    stages: Vec<Stage>,
    /// The paced changes whose turn has come.
    released: BTreeMap<usize, Seat>,
    /// Pulls that failed through no fault of the definition, and what comes after them.
    short: BTreeSet<usize>,
    tasks: JoinSet<Ended>,
    what: BTreeMap<Id, Task>,
    outcome: Outcome,
}

impl Execution<'_> {
    async fn run(mut self) -> Outcome {
        loop {
            let now = self.hands.clock.now();
            if self.plan.way_back && self.pacing.roll_back() {
                self.hands.stop.cancel();
            }
            let stopped = self.hands.stop.is_cancelled();
            if stopped || self.hands.brake.is_cancelled() {
                self.pacing.interrupt();
                self.give_up_all();
            }
            self.end_watches(now);
            let (released, wake) = self.pacing.release(now);
            let wake = [wake, self.pacing.next_end(now)].into_iter().flatten().min();
            for change in released {
                self.released.extend(self.pacing.seat(change).map(|seat| (change, seat)));
            }
            if self.give_up_doomed() {
                continue;
            }
            self.begin_ready();
            self.end_idle_tasks(now);
            let changing = self.what.values().any(|task| matches!(task, Task::Change(_)));
            let waiting = self.stages.contains(&Stage::Waiting);
            let idle = self.what.is_empty() && wake.is_none();
            if idle || (!changing && !waiting && self.pacing.are_over()) {
                break;
            }
            self.wait(wake, stopped).await;
        }
        self.tasks.abort_all();
        self.outcome.open = self.pacing.is_open();
        self.outcome.rollouts = self.pacing.reports();
        self.outcome.progress = self.pacing.progress(self.hands.clock.now());
        self.outcome.shortage = self.shortage();
        self.tell_ends();
        self.outcome
    }

    /// Waits until a task ends, time comes, or we are told to stop.
    async fn wait(&mut self, wake: Option<Timestamp>, stopped: bool) {
        let wake = wake.map(|time| self.hands.clock.at(time));
        let waking = async {
            match wake {
                Some(time) => sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        let (stop, brake) = (self.hands.stop.clone(), self.hands.brake.clone());
        let braked = brake.is_cancelled();
        tokio::select! {
            Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            () = waking => {}
            () = stop.cancelled(), if !stopped => {}
            () = brake.cancelled(), if !braked => {}
        }
    }

    fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(task) = self.what.remove(&id) else { return };
        let now = self.hands.clock.now();
        match (task, ended) {
            (Task::Change(index), Ok((_, Ended::Change(result, took)))) => {
                self.change_ended(index, &result, took, now);
            }
            // A panic inside a change is a defect of ours: it ends this change, not the agent.
            (Task::Change(index), _) => {
                self.give_up(index, None);
                if let Some(seat) = self.pacing.seat(index) {
                    self.pacing.skipped(seat, None);
                }
            }
            (Task::Watch(seat, ..), Ok((_, Ended::CameUp(watch)))) => {
                self.pacing.up(seat, now);
                self.tell(self.pacing.slot(seat), SlotPhase::Watching, None);
                // A job has ended.
                if !self.pacing.is_job(seat) {
                    self.watch(watch);
                }
            }
            (Task::Watch(seat, ..), Ok((_, Ended::Watch(Some(error))))) => {
                self.container_failed(seat, &error, now);
            }
            (Task::Watch(seat, _, enough), _) if enough.is_cancelled() => {
                self.pacing.settled(seat);
            }
            (Task::Watch(seat, ..), _) => self.pacing.lost(seat),
            (Task::Check(seat, _), Ok((_, Ended::Judged(result)))) => {
                self.canary_judged(seat, result, now);
            }
            (Task::Check(seat, _), _) => self.pacing.unjudged(seat),
        }
    }

    fn canary_judged(&mut self, seat: Seat, result: Result<(), ChangeError>, now: Timestamp) {
        match result {
            Ok(()) => self.pacing.settled(seat),
            Err(error) if error.cause().is_some() => self.container_failed(seat, &error, now),
            Err(error) => {
                self.outcome.unjudged.get_or_insert(error.to_string());
                self.pacing.unjudged(seat);
            }
        }
    }

    /// A container that was started failed.
    fn container_failed(&mut self, seat: Seat, error: &ChangeError, now: Timestamp) {
        if self.pacing.failed(seat, error, now) {
            let why = error.to_string();
            self.tell(self.pacing.slot(seat), SlotPhase::Failed, Some(&why));
        }
    }

    fn change_ended(
        &mut self,
        index: usize,
        result: &Result<(), ChangeError>,
        took: Duration,
        now: Timestamp,
    ) {
        let seat = self.pacing.seat(index);
        self.outcome.note(&self.plan.changes[index], result, took);
        match result {
            Ok(()) => {
                self.stages[index] = Stage::Done;
                if let Some(seat) = seat {
                    let watch = self.pacing.done(seat, now);
                    let phase = match watch.until_up {
                        Some(_) => SlotPhase::Starting,
                        None => SlotPhase::Watching,
                    };
                    self.tell(self.pacing.slot(seat), phase, None);
                    self.watch(watch);
                }
            }
            Err(error) => {
                let fault = error.cause().map(|cause| (error.to_string(), cause));
                if let Some(seat) = seat {
                    let counts = self.pacing.failed(seat, error, now);
                    let why = error.to_string();
                    // What is not its own fault has it wait for another turn.
                    let phase = if counts { SlotPhase::Failed } else { SlotPhase::Waiting };
                    self.tell(self.pacing.slot(seat), phase, Some(&why));
                }
                if self.plan.changes[index].action == Action::Pull && fault.is_none() {
                    self.short.insert(index);
                }
                self.fail(index, fault);
            }
        }
    }

    /// Nothing that was not begun will be.
    fn give_up_all(&mut self) {
        for index in 0..self.stages.len() {
            if self.stages[index] != Stage::Waiting {
                continue;
            }
            self.give_up(index, None);
            if let Some(seat) = self.released.get(&index) {
                self.pacing.skipped(*seat, None);
            }
        }
    }

    fn give_up(&mut self, index: usize, fault: Option<(String, Cause)>) {
        self.fail(index, fault);
        self.outcome.skipped += 1;
    }

    fn fail(&mut self, index: usize, fault: Option<(String, Cause)>) {
        self.stages[index] = Stage::Failed(fault);
        self.optional.give_up(self.plan, index);
    }

    /// Gives up what comes after a failure, and what its rollout will not begin any more. Whether
    /// there was any.
    fn give_up_doomed(&mut self) -> bool {
        let mut any = false;
        let ended: Vec<usize> = self.pacing.given_up().collect();
        for index in ended {
            if self.stages[index] != Stage::Waiting {
                continue;
            }
            self.give_up(index, None);
            // Its turn had come, but it was still waiting for something else.
            if let Some(seat) = self.released.get(&index) {
                self.pacing.skipped(*seat, None);
            }
            any = true;
        }
        while let Some((index, fault)) = self.next_doomed() {
            if self.plan.changes[index].after.iter().any(|before| self.short.contains(before)) {
                self.short.insert(index);
            }
            // A service is blamed for what is its own: an image, a network, a volume.
            let own = fault.clone().filter(|_| self.pacing.seat(index).is_some());
            self.give_up(index, fault);
            if let Some(seat) = self.pacing.seat(index) {
                let own = own.as_ref().map(|(why, cause)| (why.as_str(), *cause));
                self.pacing.skipped(seat, own);
            }
            any = true;
        }
        any
    }

    /// The images that could not be had for now, and the services that wait for them.
    fn shortage(&self) -> Shortage {
        let changes = || self.short.iter().map(|&index| &self.plan.changes[index]);
        let pulls = changes().filter(|change| change.action == Action::Pull);
        let services = changes().filter_map(|change| change.object.service());
        Shortage { pulls: pulls.cloned().collect(), services: services.cloned().collect() }
    }

    /// A change that waits for one that failed.
    fn next_doomed(&self) -> Option<(usize, Option<(String, Cause)>)> {
        (0..self.stages.len()).filter(|&index| self.stages[index] == Stage::Waiting).find_map(
            |index| {
                let before = self.plan.changes[index].after.iter();
                before.copied().find_map(|before| match &self.stages[before] {
                    // Another service's failure is that service's.
                    Stage::Failed(_) if self.pacing.seat(before).is_some() => Some((index, None)),
                    Stage::Failed(fault) => Some((index, fault.clone())),
                    Stage::Waiting | Stage::Running | Stage::Done => None,
                })
            },
        )
    }

    fn begin_ready(&mut self) {
        for index in 0..self.stages.len() {
            let is_due = self.pacing.seat(index).is_none() || self.released.contains_key(&index);
            let mut after = self.plan.changes[index].after.iter();
            if self.stages[index] != Stage::Waiting
                || !is_due
                || !after.all(|before| self.stages[*before] == Stage::Done)
            {
                continue;
            }
            self.stages[index] = Stage::Running;
            let is_update = self.pacing.seat(index).map(|seat| self.pacing.is_update(seat));
            let (hands, change) = (self.hands.clone(), self.plan.changes[index].clone());
            let optional = Arc::clone(&self.optional);
            let task = self.tasks.spawn(async move {
                let (result, took) = hands.carry_out(&change, is_update, &optional).await;
                Ended::Change(result, took)
            });
            self.what.insert(task.id(), Task::Change(index));
        }
    }

    /// Watches a container that was started; one that is up is checked if it is a canary.
    fn watch(&mut self, watch: Watch) {
        let (hands, enough) = (self.hands.clone(), CancellationToken::new());
        let (seat, last, is_job) = (watch.seat, enough.clone(), self.pacing.is_job(watch.seat));
        if watch.until_up.is_none() {
            self.check(seat, &watch.container);
        }
        let task = self.tasks.spawn(async move {
            let (engine, stop) = (&*hands.engine, &hands.stop);
            if let Some(bound) = watch.until_up {
                let up = if is_job {
                    watch::end_well(engine, &watch.container, bound, stop).await
                } else {
                    watch::come_up(engine, &watch.container, bound, stop).await
                };
                return match up {
                    Ok(()) => Ended::CameUp(Watch { until_up: None, ..watch }),
                    Err(error) => Ended::Watch(Some(error)),
                };
            }
            Ended::Watch(watch::until_it_fails(engine, &watch.container, &last, stop).await)
        });
        self.what.insert(task.id(), Task::Watch(seat, task, enough));
    }

    /// Has a container that is up judged by others while it is held, if it is a canary.
    fn check(&mut self, seat: Seat, container: &ContainerRef) {
        let Some((canary, start)) = self.pacing.hold(seat) else { return };
        let canary = canary.clone();
        let (hands, container) = (self.hands.clone(), container.clone());
        let slot = self.pacing.slot(seat).clone();
        let task = self.tasks.spawn(async move {
            let warn = |why: &str| (hands.onlooker)(Notice::Unjudged(&slot, why));
            Ended::Judged(check::judge(&hands, &container, &canary, start, &warn).await)
        });
        self.what.insert(task.id(), Task::Check(seat, task));
    }

    /// Has what was watched long enough looked at once more. Nothing follows it before.
    fn end_watches(&mut self, now: Timestamp) {
        for task in self.what.values() {
            if let Task::Watch(seat, _, enough) = task
                && self.pacing.ends(*seat, now)
            {
                enough.cancel();
            }
        }
    }

    /// Ends the watching and judging of what is not watched any more.
    fn end_idle_tasks(&mut self, now: Timestamp) {
        for task in self.what.values() {
            if let Task::Watch(seat, handle, _) | Task::Check(seat, handle) = task
                && !self.pacing.is_watched(*seat, now)
            {
                handle.abort();
            }
        }
    }

    fn tell(&self, slot: &Slot, phase: SlotPhase, why: Option<&str>) {
        let of = |paced: &&crate::plan::Paced| paced.service == slot.service;
        let is_update = self.plan.paced.iter().find(of).is_some_and(|paced| paced.is_update);
        (self.hands.onlooker)(Notice::Slot(SlotNotice { slot, phase, why, is_update }));
    }

    /// What held is done.
    fn tell_ends(&self) {
        for slot in self.pacing.held_slots(self.hands.clock.now()) {
            self.tell(slot, SlotPhase::Done, None);
        }
    }
}

impl Outcome {
    fn note(&mut self, change: &Change, result: &Result<(), ChangeError>, took: Duration) {
        self.actions.push(ActionReport {
            object: change.object.clone(),
            action: change.action,
            reasons: change.reasons.clone(),
            error: result.as_ref().err().map(ToString::to_string),
            took,
        });
    }
}
