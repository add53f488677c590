//! When each image was last pulled, to know when a pull policy asks for it again. Pure: `now`
//! comes in. A new process knows nothing and pulls once.

use crate::model::{ImageRef, PullPolicy};
use crate::plan::{Action, Object};
use crate::status::Report;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The last pull of each image.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulls(BTreeMap<String, Instant>);

impl Pulls {
    /// Whether `policy` asks for another pull of `image`. `always` means at every resync: wake-ups
    /// come by the second, and each would ask the registry.
    pub(crate) fn is_due(
        &self,
        image: &ImageRef,
        policy: PullPolicy,
        resync: Duration,
        now: Instant,
    ) -> bool {
        let older_than = |age: Duration| {
            self.0.get(image.as_str()).is_none_or(|last| now.duration_since(*last) >= age)
        };
        match policy {
            PullPolicy::Missing | PullPolicy::Never => false,
            PullPolicy::Always => older_than(resync),
            PullPolicy::Every(age) => older_than(age),
        }
    }

    /// Takes note of the pulls of a pass. Those that failed stay due and are
    /// retried with the pass's backoff.
    pub(crate) fn note(&mut self, report: &Report, now: Instant) {
        for action in report.actions.iter().filter(|action| action.action == Action::Pull) {
            if let (Object::Image(image), None) = (&action.object, &action.error) {
                self.0.insert(image.clone(), now);
            }
        }
    }
}
