//! In which circumstances a pass is made, and what of its plan it leaves alone.

use super::act;
use crate::model::{ImageRef, PullPolicy, ServiceName, Slot};
use crate::plan::{Action, Aim, Change, Circumstances, Completed, Object, Plan};
use crate::rollout::Progress;
use crate::status::Acts;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What only the time tells.
#[derive(Clone)]
pub struct Moment<'a> {
    /// What time it is when the pass begins, on the calendar that the engine's times are of.
    pub now: Timestamp,
    /// Says of each image whose policy may ask for another pull whether it is time for one.
    pub due: &'a (dyn Fn(&ImageRef, PullPolicy) -> bool + Sync),
    /// Slots whose container, if it ended, is not started yet again.
    pub resting: BTreeSet<Slot>,
    /// What was done before and did not help; it is not done again.
    pub stuck: Acts,
    /// How long what was started is let run before the next look at it.
    pub settle: Duration,
    /// Whether differences are only told.
    pub only_report: bool,
    /// The ids of the images that services run, whatever the names in the stack stand for.
    pub pinned: BTreeMap<ServiceName, String>,
    /// The ids of the images with which the definition is known to hold.
    pub held_with: BTreeMap<ServiceName, String>,
    /// What the definition is: known to hold, new, or gone back to.
    pub aim: Aim,
    /// The services that go back, where that is the aim; none: all of them.
    pub back: BTreeSet<ServiceName>,
    /// The services that are only kept as they are known to have held, whatever the aim.
    pub kept: BTreeSet<ServiceName>,
    /// Pulls of images for which nothing of the stack waits yet.
    pub ahead: Vec<Change>,
    /// Whether something is known to go back to.
    pub way_back: bool,
    /// How long a container that is up is watched where its service does not say.
    pub monitor: Duration,
    /// How far services came in passes before, towards the same definition.
    pub earlier: BTreeMap<ServiceName, Progress>,
    /// Whose containers are not exchanged for now.
    pub paused: Pause,
    /// Why the stack waits for others, if it does: until then differences are only told, too.
    pub waits: Option<String>,
    /// Its jobs that ran to their end.
    pub completed: Completed,
}

/// Whose containers are not exchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pause {
    /// Nobody's.
    #[default]
    None,
    /// These services'.
    Services(BTreeSet<ServiceName>),
    /// All.
    All,
}

impl Pause {
    /// The changes of `plan` that are not made: those that exchange what rests, and removals that come
    /// after one of them.
    pub(super) fn resting(&self, plan: &Plan) -> BTreeSet<(Object, Action)> {
        let covered = |change: &Change| self.covers(change) || self.rests_as_job(change, plan);
        let follows = |change: &Change| {
            let mut before = change.after.iter().filter_map(|&index| plan.changes.get(index));
            change.action == Action::Remove && before.any(covered)
        };
        let rest = plan.changes.iter().filter(|change| covered(change) || follows(change));
        rest.map(act).collect()
    }

    fn covers(&self, change: &Change) -> bool {
        let Some(service) = change.object.service() else { return false };
        change.action.exchanges()
            && match self {
                Self::None => false,
                Self::Services(services) => services.contains(service),
                Self::All => true,
            }
    }

    /// Whether a change starts a job again whose failure is why its service rests.
    fn rests_as_job(&self, change: &Change, plan: &Plan) -> bool {
        let (Self::Services(services), Some(service)) = (self, change.object.service()) else {
            return false;
        };
        let is_job = plan.paced.iter().any(|paced| paced.is_job && paced.service == *service);
        is_job && change.action == Action::Start && services.contains(service)
    }
}

impl Moment<'_> {
    /// What a plan goes by in each round.
    pub(super) fn around(&self) -> Circumstances {
        Circumstances {
            pinned: self.pinned.clone(),
            held_with: self.held_with.clone(),
            aim: self.aim,
            back: self.back.clone(),
            kept: self.kept.clone(),
            way_back: self.way_back,
            monitor: self.monitor,
            completed: self.completed.clone(),
            ..Circumstances::default()
        }
    }

    /// What is done by hand is done now: what may be pulled again is pulled, nothing rests, and names
    /// stand for what they stand for.
    pub fn by_hand(settle: Duration) -> Self {
        Self {
            now: Timestamp::now(),
            due: &always_due,
            resting: BTreeSet::new(),
            stuck: Acts::new(),
            settle,
            only_report: false,
            pinned: BTreeMap::new(),
            held_with: BTreeMap::new(),
            aim: Aim::Hold,
            back: BTreeSet::new(),
            kept: BTreeSet::new(),
            ahead: Vec::new(),
            way_back: false,
            monitor: Duration::ZERO,
            earlier: BTreeMap::new(),
            paused: Pause::None,
            waits: None,
            completed: Completed::new(),
        }
    }
}

fn always_due(_: &ImageRef, policy: PullPolicy) -> bool {
    match policy {
        PullPolicy::Always | PullPolicy::Every(_) => true,
        PullPolicy::Missing | PullPolicy::Never => false,
    }
}
