//! Jobs that ran to their end: they are not run again for the lack of a container.

use super::World;
use super::steering::Course;
use crate::model::{ServiceName, Stack};
use crate::plan::Completed;
use crate::status::Report;

impl World {
    /// The jobs of `stack` that need not be run again. What held before had its jobs run, and what
    /// they did to data is not undone by going back.
    pub(super) fn completed(&self, stack: &Stack, course: &Course) -> Completed {
        let mut completed = self.jobs.completed(stack, &self.digest_key);
        completed.extend(all(stack, |name| course.is_former(name)));
        completed
    }

    /// Notes the jobs that ran to their end. Of what is as it was before none does: what git asks for had
    /// its run before, if it came so far.
    pub(super) fn note_completed(&self, stack: &Stack, course: &Course, report: &Report) {
        let Some(seen) = &report.seen else { return };
        let is_asked = |name: &ServiceName| !course.is_former(name);
        let noted = self.jobs.note(stack, &seen.completed, is_asked, &self.digest_key);
        if let Err(error) = noted {
            tracing::warn!(
                stack = %stack.name,
                "cannot note which jobs ran to their end, so one without a container is run again: {error}"
            );
        }
    }
}

/// All jobs of those services as if they had run to their end, whatever image they ran.
pub(super) fn all(stack: &Stack, services: impl Fn(&ServiceName) -> bool) -> Completed {
    let jobs = stack.jobs().into_iter().filter(|name| services(name));
    jobs.flat_map(|name| stack.slots(name)).map(|slot| (slot, None)).collect()
}
