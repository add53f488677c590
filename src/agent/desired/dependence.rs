//! Which stacks depend on which, in what the sources ask for and among those that left them.

use super::{Desired, Want};
use crate::manifest::stacks;
use crate::model::StackName;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// For how long a stack that is taken away waits for those that depend on it to go first.
pub(crate) const REMOVAL_PATIENCE: SignedDuration = SignedDuration::from_mins(5);

impl Desired {
    /// The circle of dependencies that a stack is in.
    pub(crate) fn circle(&self, name: &StackName) -> Option<Vec<StackName>> {
        stacks::circle(name, |of| self.dependencies(of))
    }

    /// The stacks that depend on others.
    pub(crate) fn dependents(&self) -> BTreeSet<StackName> {
        let depends = |name: &StackName| !self.dependencies(name).is_empty();
        self.items.keys().filter(|name| depends(name)).cloned().collect()
    }

    /// The stacks that depend on `name`.
    pub(crate) fn dependents_of(&self, name: &StackName) -> BTreeSet<StackName> {
        let depends = |other: &StackName| self.dependencies(other).contains(name);
        self.items.keys().filter(|other| depends(other)).cloned().collect()
    }

    /// A stack that is taken away as well, depends on `name`, and so goes first. None is waited for
    /// longer than [`REMOVAL_PATIENCE`], and in a circle nobody is first.
    pub(crate) fn goes_before(&self, name: &StackName, now: Timestamp) -> Option<StackName> {
        let (_, removal) = self.gone.get(name)?;
        if now.duration_since(removal.since) >= REMOVAL_PATIENCE {
            return None;
        }
        let depended = |other: &StackName| self.former_dependencies(other);
        let circle = stacks::circle(name, depended).unwrap_or_default();
        let mut others = self.gone.keys().filter(|other| *other != name);
        others.find(|other| depended(other).contains(name) && !circle.contains(other)).cloned()
    }

    /// What a stack depends on that is asked for.
    fn dependencies(&self, name: &StackName) -> BTreeSet<StackName> {
        match self.wish(name).map(|wish| wish.want) {
            Some(Want::Run(stack) | Want::Invalid { last_good: Some(stack), .. }) => {
                stack.policy.depends_on.clone()
            }
            Some(Want::Invalid { last_good: None, .. } | Want::Held(_) | Want::Gone(_)) | None => {
                BTreeSet::new()
            }
        }
    }

    /// What a stack that is taken away depended on.
    fn former_dependencies(&self, name: &StackName) -> BTreeSet<StackName> {
        let origin = self.origins.get(name).filter(|_| self.gone.contains_key(name));
        origin.map(|origin| origin.depends_on.clone()).unwrap_or_default()
    }
}
