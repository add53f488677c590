//! What is done while images cannot be had through no fault of the commit: the services that wait for
//! them are kept as they are known to have held, and nothing of them is exchanged, until the images come.

use super::{Course, earlier};
use crate::model::{ContentDigest, DriftPolicy, Revision, ServiceName, Stack};
use crate::plan::{Action, Object};
use crate::status::{PassResult, Report, Shortage};
use crate::store::{Good, StackRecord};

/// Services that wait for images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct Short {
    /// What git asks for.
    pub(super) definition: ContentDigest,
    /// The pulls, and who waits for them.
    pub(super) shortage: Shortage,
    /// What is kept so long.
    pub(in crate::agent) instead: Good,
    /// What the last try to pull said.
    why: String,
}

impl Short {
    /// What follows from `report` of a pass over `stack`, which is asked for. What was begun before is not
    /// taken back, and what is only reported is not repaired.
    pub(in crate::agent) fn of(
        record: &StackRecord,
        definition: &ContentDigest,
        stack: &Stack,
        report: &Report,
    ) -> Option<Self> {
        let (shortage, instead) = (report.shortage.clone(), record.good.clone()?);
        let came = earlier(record, definition);
        let is_begun = shortage.services.iter().any(|service| came.contains_key(service));
        let is_repaired = stack.policy.drift == DriftPolicy::Repair;
        let (definition, why) = (definition.clone(), report.message.clone());
        (!shortage.services.is_empty() && !is_begun && is_repaired).then_some(Self {
            definition,
            shortage,
            instead,
            why,
        })
    }

    /// Whether a service waits.
    pub(in crate::agent) fn keeps(&self, service: &ServiceName) -> bool {
        self.shortage.services.contains(service)
    }

    /// Whether all images came in the pass of `report`.
    pub(in crate::agent) fn has_all(&self, report: &Report) -> bool {
        let came = |image: &Object| {
            let mut pulls = report.actions.iter().filter(|action| action.action == Action::Pull);
            pulls.any(|pull| pull.object == *image && pull.error.is_none())
        };
        self.shortage.pulls.iter().all(|pull| came(&pull.object))
    }

    /// Whether nothing else went wrong in the pass of `report`, so that the next event may lead to another
    /// one at once.
    pub(in crate::agent) fn goes_on(&self, report: &Report) -> bool {
        let is_ours = |object: &Object| self.shortage.pulls.iter().any(|it| it.object == *object);
        let mut failed = report.actions.iter().filter(|action| action.error.is_some()).peekable();
        match report.result {
            PassResult::Failed => {
                failed.peek().is_some() && failed.all(|action| is_ours(&action.object))
            }
            PassResult::Unchanged
            | PassResult::Changed
            | PassResult::Crashing
            | PassResult::Stalled
            | PassResult::Paused => true,
            PassResult::Invalid
            | PassResult::RolledBack
            | PassResult::Drifted
            | PassResult::Waiting
            | PassResult::Suspended
            | PassResult::Removed => false,
        }
    }

    /// Has `report` of a pass that kept what waits say so: what git asks for is still to come.
    pub(in crate::agent) fn tell(&mut self, report: &mut Report) {
        let own = std::mem::take(&mut report.message);
        if !report.shortage.pulls.is_empty() {
            self.why.clone_from(&own);
        }
        let names: Vec<_> = self.shortage.services.iter().map(ToString::to_string).collect();
        let at = self.instead.revision.as_ref().map_or("the last that held", Revision::short);
        report.message = format!(
            "{}\nuntil the image can be had, {at} is kept for {}",
            self.why,
            names.join(", ")
        );
        if own != self.why && !own.is_empty() {
            report.message.push('\n');
            report.message.push_str(&own);
        }
        if report.result.is_success() || report.result == PassResult::Paused {
            report.result = PassResult::Failed;
        }
    }
}

impl Course {
    /// What waits for images on this course, if anything does.
    pub(in crate::agent) fn short(&self) -> Option<&Short> {
        match self {
            Self::Short(short) => Some(short),
            Self::Asked | Self::Back(_) => None,
        }
    }
}
