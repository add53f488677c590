//! What goes on side by side while a plan is carried out: changes, the watching of containers that were
//! started, and the judging of canaries.

use super::pacing::{Seat, Watch};
use super::{ChangeError, Execution, Notice, Stage, check, watch};
use crate::plan::ContainerRef;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// What a task was about.
pub(super) enum Task {
    Change(usize),
    /// The token has it look once more and end.
    Watch(Seat, AbortHandle, CancellationToken),
    Check(Seat, AbortHandle),
}

/// How a task ended.
pub(super) enum Ended {
    Change(Result<(), ChangeError>, Duration),
    /// The container came up and then failed, or did not come up.
    Watch(Option<ChangeError>),
    /// The container came up; it is to be watched on.
    CameUp(Watch),
    /// What was asked about the container, a canary, said that it is well, or not.
    Judged(Result<(), ChangeError>),
}

impl Execution<'_> {
    pub(super) fn begin_ready(&mut self) {
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
    pub(super) fn watch(&mut self, watch: Watch) {
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
    pub(super) fn end_watches(&mut self, now: Timestamp) {
        for task in self.what.values() {
            if let Task::Watch(seat, _, enough) = task
                && self.pacing.ends(*seat, now)
            {
                enough.cancel();
            }
        }
    }

    /// Ends the watching and judging of what is not watched any more.
    pub(super) fn end_idle_tasks(&mut self, now: Timestamp) {
        for task in self.what.values() {
            if let Task::Watch(seat, handle, _) | Task::Check(seat, handle) = task
                && !self.pacing.is_watched(*seat, now)
            {
                handle.abort();
            }
        }
    }
}
