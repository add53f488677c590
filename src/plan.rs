//! Compares desired with observed state and says what must change, in which order and why.
//!
//! Pure: the same stack and snapshot give the same plan, byte for byte. The order of the work here
//! is that of the plan: images, networks, volumes, services by their dependencies, leftovers.

mod backwards;
mod change;
mod containers;
mod drain;
mod effective;
mod fields;
mod images;
mod jobs;
mod known;
mod needs;
mod order;
mod orphans;
mod pace;
mod pinned;
mod pre_start;
mod recipe;
mod removal;
mod resources;
mod show;
mod slots;
mod step;
mod strangers;
mod written;

pub use change::{Action, Change, Object, Plan, Problem, Reason, Resting, Undo};
pub use jobs::{Completed, job_definition};
pub use pace::{Pace, Paced, Standing, Turn};
pub use removal::plan_removal;
pub use show::suggests_secret;
pub use step::{ContainerRef, Milestone, NewContainer, Step};

use crate::model::{ImageRef, Observed, ServiceName, Slot, SourceName, Stack};
use known::Known;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What surrounds a plan beside the stack and the snapshot.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// The git source, for the label that tells stacks of one source from another's.
    pub source: Option<SourceName>,
    /// Images that are there and whose pull policy asks for another pull now.
    pub refresh: BTreeSet<ImageRef>,
    /// Slots whose container ended too soon after it was started, and is not started yet again.
    pub resting: BTreeSet<Slot>,
    /// The ids of the images that services run, whatever the names in the stack stand for. The snapshot
    /// must have been asked for them as well.
    pub pinned: BTreeMap<ServiceName, String>,
    /// The ids of the images with which the definition is known to hold; another one under the same name
    /// is an update.
    pub held_with: BTreeMap<ServiceName, String>,
    /// What the plan is for.
    pub aim: Aim,
    /// The services that go back, where that is the aim; none: all of them. The others are updated.
    pub back: BTreeSet<ServiceName>,
    /// The services that are only kept as they are known to have held, whatever the aim.
    pub kept: BTreeSet<ServiceName>,
    /// Pulls of images for which nothing of the stack waits yet.
    pub ahead: Vec<Change>,
    /// Whether something is known to go back to.
    pub way_back: bool,
    /// How long a container that is up is watched where its service does not say.
    pub monitor: Duration,
    /// What is remembered of jobs.
    pub completed: Completed,
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Aim {
    /// To keep what is known to hold.
    #[default]
    Hold,
    /// To bring about what is not known to hold yet.
    Update,
    /// To go back to what is known to have held.
    Rollback,
}

/// What must change for `observed` to become `desired`.
pub fn plan(desired: &Stack, observed: &Observed, around: &Circumstances) -> Plan {
    let containers = &observed.containers;
    let with_strangers = orphans::with_orphans_as_strangers(desired, observed);
    let observed = with_strangers.as_ref().unwrap_or(observed);
    let with_pinned = pinned::with_pinned(desired, observed, around);
    let desired = with_pinned.as_ref().unwrap_or(desired);
    let mut draft = Draft {
        desired,
        observed,
        around,
        known: Known::of(desired, observed),
        plan: Plan { completed: around.completed.clone(), ..Plan::empty(desired.name.clone()) },
        planned: BTreeMap::new(),
        planned_names: BTreeMap::new(),
        made: BTreeMap::new(),
        upset: BTreeMap::new(),
        blocked: BTreeSet::new(),
    };
    draft.missing_pins();
    draft.plan.way_back = around.way_back;
    draft.images();
    draft.networks();
    draft.volumes();
    draft.leftovers_in_the_way();
    draft.services();
    draft.leftovers();
    draft.hook_leftovers();
    draft.ignored_leftovers();
    draft.orphans_of_compose(containers);
    draft.unused_networks();
    draft.plan
}

/// A plan in the making.
struct Draft<'a> {
    desired: &'a Stack,
    observed: &'a Observed,
    around: &'a Circumstances,
    known: Known<'a>,
    plan: Plan,
    /// The changes of each object.
    planned: BTreeMap<Object, Vec<usize>>,
    /// Those of containers by the name that they shall have.
    planned_names: BTreeMap<String, Vec<usize>>,
    /// The change that makes each image, network or volume.
    made: BTreeMap<Object, usize>,
    /// The changes of each service after which it must be seen to be up again.
    upset: BTreeMap<ServiceName, Vec<usize>>,
    /// Services with a problem, and those that depend on them.
    blocked: BTreeSet<ServiceName>,
}

impl Draft<'_> {
    fn push(&mut self, change: Change) -> usize {
        let index = self.plan.changes.len();
        self.planned.entry(change.object.clone()).or_default().push(index);
        if let Object::Container(slot) = &change.object
            && let Some(name) = self.desired.container_name(slot)
        {
            self.planned_names.entry(name).or_default().push(index);
        }
        self.plan.changes.push(change);
        index
    }

    fn reason(&self, field: String, desired: String, actual: String) -> Reason {
        let place = self.desired.places.of(&field);
        let (desired, actual) = show::discreetly(&self.desired.hidden, &field, desired, actual);
        Reason { field: show::field(&self.desired.hidden, field), desired, actual, place }
    }

    fn problem(&self, field: String, message: String) -> Problem {
        let place = self.desired.places.of(&field);
        let hidden = &self.desired.hidden;
        let message = if show::is_seen(&field) { message } else { hidden.without(&message) };
        Problem { field: show::field(hidden, field), message, place }
    }

    /// Notes a problem that keeps `services` as they are.
    fn refuse(&mut self, field: String, message: String, services: &[ServiceName]) {
        self.plan.problems.push(self.problem(field, message));
        self.blocked.extend(services.iter().cloned());
    }

    /// The services for which `uses` holds.
    fn users(&self, uses: impl Fn(&crate::model::Service) -> bool) -> Vec<ServiceName> {
        self.desired
            .services
            .iter()
            .filter(|(_, service)| uses(service))
            .map(|(name, _)| name.clone())
            .collect()
    }
}
