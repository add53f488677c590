//! What a plan consists of, and how it reads.

use super::{Completed, ContainerRef, Paced, Step};
use crate::model::{Place, ServiceName, Slot, StackName};
use std::collections::BTreeSet;
use std::fmt;

/// All that must change for one stack to become as desired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The stack.
    pub stack: StackName,
    /// In an order in which they could be made one by one; [`Change::after`] says what must truly
    /// wait for what.
    pub changes: Vec<Change>,
    /// Which changes follow a pace.
    pub paced: Vec<Paced>,
    /// Whether there is something that is known to hold to go back to: then one service that fails ends
    /// the updates of all.
    pub way_back: bool,
    /// What cannot be done, and keeps the services concerned as they are.
    pub problems: Vec<Problem>,
    /// Containers that should run, but are not started yet again.
    pub resting: Vec<Resting>,
    /// What differs and is left alone, since the stack says so.
    pub ignored: Vec<Reason>,
    /// What differs or has no effect, for people to know.
    pub notes: Vec<Problem>,
    /// Jobs that ran to their end and are not run again by this plan; of those with a problem, as far
    /// as it was remembered.
    pub completed: Completed,
}

/// One object's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is changed.
    pub object: Object,
    /// How.
    pub action: Action,
    /// Why; never empty.
    pub reasons: Vec<Reason>,
    /// Indices, into [`Plan::changes`], of changes that must have succeeded before.
    pub after: Vec<usize>,
    /// The engine calls, in order.
    pub steps: Vec<Step>,
    /// What is done if they fail, so that what served before serves on.
    pub undo: Vec<Undo>,
}

/// The way back from a change that fails between two of its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// As long as no more than so many of the steps are done, what served still does, and nothing is
    /// to be undone.
    pub after: usize,
    /// Once so many of the steps are done there is no way back.
    pub before: usize,
    /// The engine calls, in order.
    pub steps: Vec<Step>,
}

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// An image, by reference.
    Image(String),
    /// A network, by its name on the engine.
    Network(String),
    /// A volume, by its name on the engine.
    Volume(String),
    /// A container, by its place in the stack.
    Container(Slot),
    /// A container that was made for a hook, by name.
    Hook(String),
}

impl Object {
    /// The service whose container it is.
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Container(slot) => Some(&slot.service),
            Self::Image(_) | Self::Network(_) | Self::Volume(_) | Self::Hook(_) => None,
        }
    }
}

/// How an object is changed, from the least to the most disruptive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Fetch an image.
    Pull,
    /// Make what is not there.
    Create,
    /// Take note of what a container holds that Compose made; it is left as it is.
    Adopt,
    /// Give the right name.
    Rename,
    /// Change limits or the restart policy while it runs.
    Update,
    /// Join and leave networks while it runs.
    Reconnect,
    /// Let a paused container go on.
    Unpause,
    /// Tell it of a new content by a signal.
    Signal,
    /// Start what does not run.
    Start,
    /// Stop it and start it again.
    Restart,
    /// Put a new one in its place.
    Replace,
    /// Take it away.
    Remove,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Pull,
        Self::Create,
        Self::Adopt,
        Self::Rename,
        Self::Update,
        Self::Reconnect,
        Self::Unpause,
        Self::Signal,
        Self::Start,
        Self::Restart,
        Self::Replace,
        Self::Remove,
    ];

    /// A word for plans, logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Rename => "rename",
            Self::Update => "update",
            Self::Reconnect => "reconnect",
            Self::Unpause => "unpause",
            Self::Signal => "signal",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Replace => "replace",
            Self::Remove => "remove",
        }
    }
}

/// A difference, which is why something changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The field in Compose's terms: `services.web.mem_limit`.
    pub field: String,
    /// What it should be, fit to be shown.
    pub desired: String,
    /// What it is, fit to be shown.
    pub actual: String,
    /// Where the desired value was written.
    pub place: Option<Place>,
}

/// A container that ended too soon after it was started, and is left as it is for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// Which.
    pub container: ContainerRef,
    /// How it is.
    pub reason: Reason,
}

/// Something about a stack that a person should know or must mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field concerned in Compose's terms.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
    /// Where it was written.
    pub place: Option<Place>,
}

impl Change {
    /// The names of the containers that are made, started or get their name by it.
    pub fn brings(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::CreateContainer(new) => Some(new.name.as_str()),
            Step::Start(container) | Step::Unpause(container) => Some(&container.name),
            Step::Rename { to, .. } => Some(to),
            _ => None,
        })
    }

    /// Takes out steps before the point of no return.
    fn drop_steps(&mut self, dropped: impl Fn(&Step) -> bool) {
        for undo in &mut self.undo {
            let gone = |up_to: usize| {
                let first = self.steps.iter().take(up_to);
                first.filter(|step| dropped(step)).count()
            };
            let (after, before) = (gone(undo.after), gone(undo.before));
            undo.after -= after;
            undo.before -= before;
        }
        self.steps.retain(|step| !dropped(step));
    }
}

impl Plan {
    /// A plan with nothing in it.
    pub fn empty(stack: StackName) -> Self {
        Self {
            stack,
            changes: Vec::new(),
            paced: Vec::new(),
            way_back: false,
            problems: Vec::new(),
            resting: Vec::new(),
            ignored: Vec::new(),
            notes: Vec::new(),
            completed: Completed::new(),
        }
    }

    /// The plan without the changes for which `dropped` holds. What would have come after one of
    /// them comes after what that one would have come after, and what is not required of them is not
    /// waited for.
    #[must_use]
    pub fn without(mut self, dropped: impl Fn(&Change) -> bool) -> Self {
        let mut instead: Vec<BTreeSet<usize>> = Vec::new();
        let mut kept = Vec::new();
        let mut is_kept = Vec::new();
        let dropped_ones = self.changes.iter().filter(|change| dropped(change));
        let missing: BTreeSet<String> =
            dropped_ones.flat_map(Change::brings).map(str::to_owned).collect();
        let in_vain = |step: &Step| match step {
            Step::Await { container, required: false, .. } => missing.contains(&container.name),
            _ => false,
        };
        for mut change in self.changes {
            let after = change.after.iter().filter_map(|&index| instead.get(index)).flatten();
            let after: BTreeSet<usize> = after.copied().collect();
            if dropped(&change) {
                instead.push(after);
                is_kept.push(false);
                continue;
            }
            instead.push(BTreeSet::from([kept.len()]));
            is_kept.push(true);
            change.after = after.into_iter().collect();
            change.drop_steps(in_vain);
            kept.push(change);
        }
        self.changes = kept;
        for paced in &mut self.paced {
            paced.changes.retain(|turn| is_kept[turn.change]);
            for turn in &mut paced.changes {
                turn.change = is_kept[..turn.change].iter().filter(|kept| **kept).count();
            }
        }
        self
    }

    /// Whether there is nothing to do and nothing in the way.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.problems.is_empty()
    }
}

/// One line a change, an indented line a reason: the text that the command line, the log and the
/// tests share.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{:<9} {}", change.action.word(), change.object)?;
            for reason in &change.reasons {
                writeln!(f, "    {reason}")?;
            }
        }
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        for resting in &self.resting {
            writeln!(f, "resting: {resting}")?;
        }
        for ignored in &self.ignored {
            writeln!(f, "ignored: {ignored}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action.word(), self.object)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(name) => write!(f, "image {name}"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::Volume(name) => write!(f, "volume {name}"),
            Self::Container(slot) => write!(f, "container {slot}"),
            Self::Hook(name) => write!(f, "hook container {name}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: want {}, is {}", self.field, self.desired, self.actual)
    }
}

impl fmt::Display for Resting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { field, actual, .. } = &self.reason;
        let name = &self.container.name;
        write!(f, "{field}: container {name} is {actual} soon after it was started")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.field, self.message)
    }
}
