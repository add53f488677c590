//! Stacks that wait for others: collects what is known of those, and wakes who waits when that
//! changes. The decision is `stacks_in_order`'s.

use super::World;
use super::desired::{Want, Wish};
use super::stacks_in_order::{Leave, Standing, leave, lines};
use crate::manifest::Diagnostic;
use crate::model::{Stack, StackName};
use crate::plan::Problem;
use crate::status::{PassResult, Report, first_line};
use crate::store::StackRecord;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How the last pass over a stack left it.
#[derive(Debug, PartialEq)]
pub(super) struct Left {
    stack: Arc<Stack>,
    /// Whether that waited for its window, and what was begun before counted in its place.
    counted_another: bool,
    /// Why those that depend on it must wait.
    obstacle: Option<String>,
}

impl Left {
    /// Whether this tells something of a stack that is `wanted` so: of what was begun before only as long as
    /// the window is shut.
    fn counts(&self, wanted: &Stack, is_shut: bool) -> bool {
        self.stack.is_defined_as(wanted) && (is_shut || !self.counted_another)
    }
}

impl World {
    /// Whether a stack may begin to become as it is asked for.
    pub(super) fn leave(&self, stack: &Stack) -> Leave {
        if stack.policy.depends_on.is_empty() {
            return Leave::Begin;
        }
        let (circle, names) = {
            let desired = self.desired();
            (desired.circle(&stack.name), desired.names())
        };
        leave(stack, circle.as_deref(), |other| self.standing(other), &names)
    }

    fn standing(&self, other: &StackName) -> Standing {
        if !self.queue.takes(other) {
            return as_it_was_left(&self.inventory.stack(other));
        }
        let wish = self.desired().wish(other);
        let is_shut = wish.as_ref().is_some_and(|wish| self.is_shut(wish));
        let wanted = match wish.map(|wish| wish.want) {
            Some(Want::Run(stack)) => stack,
            Some(Want::Invalid { problem, .. }) => {
                let line = first_line(&problem);
                return Standing::NotReady(format!("its files are in error: {line}"));
            }
            Some(Want::Held(_) | Want::Gone(_)) | None => {
                return if self.knows_all_sources() { Standing::Unknown } else { Standing::Unread };
            }
        };
        let memory = self.memory();
        match memory.left.get(other).filter(|left| left.counts(&wanted, is_shut)) {
            None => Standing::Pending,
            Some(Left { obstacle: None, .. }) => Standing::Ready,
            Some(Left { obstacle: Some(why), .. }) => Standing::NotReady(why.clone()),
        }
    }

    /// Notes how a pass left a stack; those that depend on it are woken if that is another way than
    /// before. `counts` is what the pass worked on.
    pub(super) fn note_left(&self, name: &StackName, wish: &Wish, counts: &Wish, report: &Report) {
        let Want::Run(stack) = &wish.want else { return };
        let (stack, counted_another) = (Arc::clone(stack), counts.waits_for_newer());
        let left = Left { stack, counted_another, obstacle: report.obstacle() };
        let mut memory = self.memory();
        if memory.left.get(name) == Some(&left) {
            return;
        }
        memory.left.insert(name.clone(), left);
        drop(memory);
        let dependents = self.desired().dependents_of(name);
        self.wake(dependents);
    }

    /// What sources hold has changed, so all that depend on others are looked at.
    pub(super) fn wake_dependents(&self) {
        let dependents = self.desired().dependents();
        self.wake(dependents);
    }

    fn wake(&self, stacks: BTreeSet<StackName>) {
        for stack in stacks {
            self.queue.add_rate_limited(stack);
        }
    }
}

/// How a stack stands that this process makes no passes over, by what the last agent noted.
fn as_it_was_left(record: &StackRecord) -> Standing {
    match &record.applied {
        None => Standing::Pending,
        Some(applied) if applied.result.is_success() => Standing::Ready,
        Some(applied) => {
            Standing::NotReady(format!("its last pass ended as {}", applied.result.word()))
        }
    }
}

/// A pass over a stack that must not begin before its files are mended: what it has was kept.
pub(super) fn refused(mut report: Report, problems: &[Diagnostic]) -> Report {
    if report.result.is_success() || report.result == PassResult::Waiting {
        report.result = PassResult::Invalid;
        report.message.clear();
    }
    let told = lines(problems);
    let more =
        if report.message.is_empty() { String::new() } else { format!("\n{}", report.message) };
    report.message = told + &more;
    report.problems.extend(problems.iter().map(|problem| Problem {
        field: problem.field.clone(),
        message: problem.message.clone(),
        place: problem.place.clone(),
    }));
    report
}
