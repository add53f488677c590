//! Jobs that ran to their end. As long as they are defined as they were then, they are not run again,
//! whether or not their container is still there.

use super::containers::Found;
use super::fields::essence;
use super::recipe::remove;
use super::slots::Wanted;
use super::{Action, Change, Draft, Object};
use crate::model::{Container, Service, ServiceName, Slot, State};
use std::collections::BTreeMap;

/// Slots of jobs that ran to their end as they are defined now, each with the id of the image that it
/// ran; without one, any image counts.
pub type Completed = BTreeMap<Slot, Option<String>>;

/// What of a job must be as it was for the job not to be run again, as one text: what its container
/// would be made anew for. Not for showing, since it may hold secrets.
pub fn job_definition(service: &Service) -> String {
    essence(&service.container)
}

impl Draft<'_> {
    /// Whether a job without a container of its definition ran to its end, so that it needs none. One
    /// that others share something with is there for them.
    pub(super) fn is_past(&self, slot: &Slot, service: &Service, name: &str) -> bool {
        let Some(ran) = self.around.completed.get(slot) else { return false };
        let image = self.observed.images.get(&service.container.image);
        let same = ran.as_ref().is_none_or(|ran| image.is_none_or(|image| image.id == *ran));
        same && self.is_job(&slot.service) && !self.is_lender(name)
    }

    /// Whether all of a service is past, and nothing of it is there: then nobody needs its image.
    pub(super) fn is_past_and_gone(&self, name: &ServiceName, service: &Service) -> bool {
        self.desired.slots(name).all(|slot| {
            let final_name = self.desired.container_name(&slot).unwrap_or_default();
            self.containers_in(&slot).next().is_none() && self.is_past(&slot, service, &final_name)
        })
    }

    /// Takes what is left of other definitions in the slot of a job that needs no container.
    pub(super) fn clear_past(&mut self, wanted: &Wanted<'_>, found: &Found<'_>) {
        if found.old.is_empty() {
            return;
        }
        let names: Vec<_> = found.old.iter().map(|old| old.container.name.as_str()).collect();
        let want = "none, since it ran to its end".to_owned();
        let is = format!("container {}", names.join(", "));
        let reasons = vec![self.reason(format!("services.{}", wanted.name), want, is)];
        self.push(Change {
            object: Object::Container(wanted.slot.clone()),
            action: Action::Remove,
            reasons,
            after: Vec::new(),
            steps: found.old.iter().flat_map(|old| remove(old.container)).collect(),
            undo: Vec::new(),
        });
    }

    /// The image that a job ran which came to its end in `container`.
    pub(super) fn ended(&self, name: &ServiceName, container: &Container) -> Option<String> {
        let ended = self.is_job(name) && container.state == State::Exited { code: 0 };
        ended.then(|| container.image_id.clone())
    }

    /// Notes whether a slot's job ran to its end, and what it ran then.
    pub(super) fn note_end(&mut self, slot: &Slot, ran: Option<String>) {
        match ran {
            Some(image) => drop(self.plan.completed.insert(slot.clone(), Some(image))),
            None => drop(self.plan.completed.remove(slot)),
        }
    }
}

/// Whether a job runs again by an action.
pub(super) fn runs_again(action: Action) -> bool {
    match action {
        Action::Create | Action::Start | Action::Restart | Action::Replace => true,
        Action::Pull
        | Action::Adopt
        | Action::Rename
        | Action::Update
        | Action::Reconnect
        | Action::Unpause
        | Action::Signal
        | Action::Remove => false,
    }
}
