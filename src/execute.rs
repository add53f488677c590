//! Carries a plan out on an engine. It decides nothing: the plan says what must wait for what, the
//! rollouts say whose turn it is, and a change that fails takes only those with it that come after it.

mod bounds;
mod check;
mod clock;
mod doomed;
mod fault;
mod hands;
mod hook;
mod optional;
mod outcome;
mod pacing;
mod probe;
mod tasks;
mod wait;
mod watch;

use crate::model::{ServiceName, Slot};
use crate::plan::{Action, Paced, Plan};
use crate::rollout::Progress;
use crate::status::{Cause, SlotNotice, SlotPhase};
use jiff::Timestamp;
use optional::Optional;
use pacing::{Pacing, Seat};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tasks::{Ended, Task};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep_until;

pub use bounds::Bounds;
pub use check::{CheckFailed, Unjudged};
pub use clock::Clock;
pub use hands::Hands;
pub use hook::HookFailed;
pub use outcome::{ChangeError, Notice, Onlooker, Outcome};
pub use wait::NotReached;
pub(crate) use wait::last_words;

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

    fn tell(&self, slot: &Slot, phase: SlotPhase, why: Option<&str>) {
        let of = |paced: &&Paced| paced.service == slot.service;
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
