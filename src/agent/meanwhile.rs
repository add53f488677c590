//! What is told of a stack while a pass over it goes on: what that works towards, and how many containers are
//! up.

use super::World;
use super::desired::{Want, Wish};
use crate::model::{Query, Stack, StackName};
use crate::plan::Completed;
use crate::status::{Towards, Workload};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::sleep;

/// Between two counts of the containers of a stack that is being changed.
const COUNT: Duration = Duration::from_secs(2);

impl World {
    /// What a pass leads to that works on `counts`.
    pub(super) fn towards(&self, name: &StackName, counts: &Wish) -> Towards {
        match &counts.want {
            Want::Gone(_) => Towards::Nothing,
            Want::Run(_) => Towards::Commit(counts.revision.clone()),
            // Its commit is that of the files in error.
            Want::Invalid { .. } | Want::Held(_) => {
                let begun = self.inventory.stack(name).last_begun();
                Towards::Commit(begun.and_then(|begun| begun.revision))
            }
        }
    }

    /// Counts the containers of `stack`, of whose jobs these ran to their end, for as long as something of it is
    /// changed. An engine that does not answer is the pass's to tell.
    pub(super) async fn count_meanwhile(&self, stack: &Stack, completed: &Completed) -> Infallible {
        loop {
            sleep(COUNT).await;
            if !self.views.is_changing(&stack.name) {
                continue;
            }
            let bounds = self.bounds();
            // With many stacks that are changed, looks that are only told of would hold up those that act.
            let Some(_look) = bounds.spare_look() else { continue };
            if let Ok(observed) = self.engine.observe(&Query::of(stack)).await {
                self.views.note_workload(&stack.name, Workload::of(stack, &observed, completed));
            }
        }
    }
}
