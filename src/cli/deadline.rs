//! A bound on a whole command. When it is over no further change is begun, and what was still going
//! on is said.

use crate::execute::{Notice, Onlooker};
use crate::model::Slot;
use crate::status::{SlotNotice, SlotPhase};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The bound, and what is going on.
#[derive(Clone, Default)]
pub(super) struct Deadline(Arc<Inner>);

#[derive(Default)]
struct Inner {
    is_over: AtomicBool,
    /// Changes that were begun, with how far they are.
    changes: Mutex<BTreeMap<String, String>>,
    /// Slots that are updated, with how far they are.
    slots: Mutex<BTreeMap<Slot, SlotPhase>>,
    /// What is waited for once all changes are made.
    waiting: Mutex<Option<String>>,
}

impl Deadline {
    /// Cancels `stop` after `bound`, if there is one.
    pub(super) fn after(bound: Option<Duration>, stop: &CancellationToken) -> Self {
        let deadline = Self::default();
        if let Some(bound) = bound {
            let (at, stop) = (deadline.clone(), stop.clone());
            tokio::spawn(async move {
                sleep(bound).await;
                at.0.is_over.store(true, Ordering::Relaxed);
                let doing = at.doing().join("; ");
                let doing = if doing.is_empty() { "a look at the engine" } else { &doing };
                anstream::eprintln!(
                    "error: not done within {} s; still going on: {doing}; stopping after the changes under way",
                    bound.as_secs_f64()
                );
                stop.cancel();
            });
        }
        deadline
    }

    /// Whether it is over, before all was done.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Relaxed)
    }

    /// An onlooker that tells `other` all, and keeps in mind what is going on.
    pub(super) fn listening(&self, other: Onlooker) -> Onlooker {
        let at = self.clone();
        Arc::new(move |notice| {
            match &notice {
                Notice::Began(change) => {
                    at.changes().insert(change.to_string(), change.to_string());
                }
                Notice::Doing(change, what) => {
                    at.changes().insert(change.to_string(), format!("{change}: {what}"));
                }
                Notice::Ended(change, ..) => drop(at.changes().remove(&change.to_string())),
                Notice::Slot(notice) => at.slot(notice),
                Notice::Warned(..) | Notice::Unjudged(..) => {}
            }
            other(notice);
        })
    }

    /// What is waited for now.
    pub(super) fn waiting(&self, what: String) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    /// Nothing is waited for any more.
    pub(super) fn waits_no_more(&self) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn slot(&self, notice: &SlotNotice<'_>) {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match notice.phase {
            SlotPhase::Waiting | SlotPhase::Done | SlotPhase::Failed => {
                slots.remove(notice.slot);
            }
            phase @ (SlotPhase::Creating
            | SlotPhase::Starting
            | SlotPhase::Watching
            | SlotPhase::Draining) => {
                slots.insert(notice.slot.clone(), phase);
            }
        }
    }

    fn doing(&self) -> Vec<String> {
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let slots = slots.into_iter().map(|(slot, phase)| format!("{slot} is {phase}"));
        self.changes().values().cloned().chain(slots).chain(waiting).collect()
    }

    fn changes(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceName;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn when_it_is_over_nothing_more_is_begun_and_before_that_nothing_happens() {
        let stop = CancellationToken::new();
        let deadline = Deadline::after(Some(Duration::from_secs(30)), &stop);
        deadline.waiting("shop: 1 container still starting".to_owned());
        let slot = Slot { service: ServiceName::new("web").unwrap(), number: 2 };
        let come =
            |phase| deadline.slot(&SlotNotice { slot: &slot, phase, why: None, is_update: true });
        come(SlotPhase::Starting);
        let doing = deadline.doing().join("; ");
        assert_eq!(doing, "web/2 is starting; shop: 1 container still starting");
        come(SlotPhase::Done);
        advance(Duration::from_secs(29)).await;
        assert!(!stop.is_cancelled() && !deadline.is_over());
        advance(Duration::from_secs(2)).await;
        stop.cancelled().await;
        assert!(deadline.is_over());
        deadline.waits_no_more();
        assert!(deadline.doing().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_bound_it_is_never_over() {
        let stop = CancellationToken::new();
        let deadline = Deadline::after(None, &stop);
        advance(Duration::from_secs(1_000_000)).await;
        assert!(!stop.is_cancelled() && !deadline.is_over());
    }
}
