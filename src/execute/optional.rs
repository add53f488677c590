//! For how long a dependency that is not required is waited for: no longer once it is known that this
//! plan does not bring it about.

use crate::plan::{Plan, Step};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// The containers that are waited for without being required.
pub(super) struct Optional {
    /// What ends the waits for each, by its name.
    waits: BTreeMap<String, CancellationToken>,
}

impl Optional {
    /// Those of `plan`; the stop ends their waits as well.
    pub(super) fn of(plan: &Plan, stop: &CancellationToken) -> Self {
        let steps = plan.changes.iter().flat_map(|change| &change.steps);
        let names = steps.filter_map(|step| Some(name(step)?.to_owned()));
        Self { waits: names.map(|name| (name, stop.child_token())).collect() }
    }

    /// What ends the wait that `step` is; `None` for all else.
    pub(super) fn end_of(&self, step: &Step) -> Option<&CancellationToken> {
        self.waits.get(name(step)?)
    }

    /// The change at `index` of `plan` failed, or will not be begun.
    pub(super) fn give_up(&self, plan: &Plan, index: usize) {
        for name in plan.changes[index].brings() {
            if let Some(wait) = self.waits.get(name) {
                wait.cancel();
            }
        }
    }
}

fn name(step: &Step) -> Option<&str> {
    match step {
        Step::Await { container, required: false, .. } => Some(&container.name),
        _ => None,
    }
}
