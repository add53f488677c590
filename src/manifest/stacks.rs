//! How several stacks fit together: the order in which they come, and what is wrong about what they
//! depend on. It never looks into a stack.

use super::shape::suggestion;
use super::{Diagnostic, Severity};
use crate::model::{Stack, StackName};
use std::collections::{BTreeMap, BTreeSet};

/// The field that names the stacks that one depends on.
const FIELD: &str = "x-bowline.depends_on";

/// The shortest way over dependencies from a stack back to itself, which it begins and ends with.
pub fn circle(
    of: &StackName,
    depends_on: impl Fn(&StackName) -> BTreeSet<StackName>,
) -> Option<Vec<StackName>> {
    // Each stack that is reached, with the one that it was reached from.
    let mut reached: BTreeMap<StackName, StackName> = BTreeMap::new();
    let mut front = vec![of.clone()];
    while !front.is_empty() {
        let mut next = Vec::new();
        for dependent in front {
            for dependency in depends_on(&dependent) {
                if dependency == *of {
                    return Some(way(of, &dependent, &reached));
                }
                if !reached.contains_key(&dependency) {
                    reached.insert(dependency.clone(), dependent.clone());
                    next.push(dependency);
                }
            }
        }
        front = next;
    }
    None
}

/// From `of` to `last` and back to `of`.
fn way(
    of: &StackName,
    last: &StackName,
    reached: &BTreeMap<StackName, StackName>,
) -> Vec<StackName> {
    let mut way = vec![of.clone()];
    let mut at = Some(last).filter(|last| *last != of);
    while let Some(name) = at {
        way.push(name.clone());
        at = reached.get(name).filter(|before| *before != of);
    }
    way.push(of.clone());
    way.reverse();
    way
}

/// The indices of stacks, each given with what it depends on if that is known, in an order in which
/// each comes after those; else as they are given. Those that no such order has, in circles or behind
/// one, come last.
pub fn in_order(stacks: &[Option<(&StackName, &BTreeSet<StackName>)>]) -> Vec<usize> {
    let known = || stacks.iter().enumerate().filter_map(|(at, stack)| Some((at, (*stack)?)));
    let index: BTreeMap<&StackName, usize> = known().map(|(at, (name, _))| (name, at)).collect();
    let mut left = vec![0; stacks.len()];
    let mut dependents = vec![Vec::new(); stacks.len()];
    for (at, (_, depends_on)) in known() {
        for other in depends_on.iter().filter_map(|other| index.get(other)) {
            left[at] += 1;
            dependents[*other].push(at);
        }
    }
    let mut free: BTreeSet<usize> = (0..stacks.len()).filter(|at| left[*at] == 0).collect();
    let mut ordered = Vec::new();
    while let Some(at) = free.pop_first() {
        ordered.push(at);
        for dependent in &dependents[at] {
            left[*dependent] -= 1;
            if left[*dependent] == 0 {
                free.insert(*dependent);
            }
        }
    }
    ordered.extend((0..stacks.len()).filter(|at| left[*at] > 0));
    ordered
}

/// What is wrong with a stack that depends on itself by way of `circle`.
pub fn in_a_circle(stack: &Stack, circle: &[StackName]) -> Diagnostic {
    let names: Vec<&str> = circle.iter().map(StackName::as_str).collect();
    let message = format!("stacks depend on each other in a circle: {}", names.join(" -> "));
    let help = "take one of these dependencies out".to_owned();
    complaint(Severity::Error, stack, &circle[1], message, Some(help))
}

/// What is wrong with a stack that depends on one that is nowhere among `known`; `place` says what
/// these are.
pub fn unknown<'a>(
    severity: Severity,
    stack: &Stack,
    dependency: &StackName,
    place: &str,
    known: impl Iterator<Item = &'a StackName>,
) -> Diagnostic {
    let others = known.filter(|name| **name != stack.name).map(StackName::as_str);
    let help = suggestion(dependency.as_str(), others);
    let message = format!("{place} has a stack named `{dependency}`");
    complaint(severity, stack, dependency, message, help)
}

fn complaint(
    severity: Severity,
    stack: &Stack,
    dependency: &StackName,
    message: String,
    help: Option<String>,
) -> Diagnostic {
    Diagnostic {
        severity,
        lint: None,
        place: stack.places.of(&format!("{FIELD}.{dependency}")),
        field: FIELD.to_owned(),
        message,
        help,
        source: None,
        may_pass: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> StackName {
        StackName::new(text).unwrap()
    }

    /// `a: b c; b: c`.
    fn graph(text: &str) -> Vec<(StackName, BTreeSet<StackName>)> {
        let stack = |text: &str| {
            let (stack, others) = text.split_once(':').unwrap();
            (name(stack.trim()), others.split_whitespace().map(name).collect())
        };
        text.split(';').map(stack).collect()
    }

    #[test]
    fn a_circle_is_told_from_each_stack_in_it_and_from_no_other() {
        for (text, of, expected) in [
            ("a: b; b: a", "a", Some("a -> b -> a")),
            ("a: b; b: a", "b", Some("b -> a -> b")),
            ("a: a", "a", Some("a -> a")),
            ("a: b; b: c; c: a", "b", Some("b -> c -> a -> b")),
            // The short way round.
            ("a: b c; b: c; c: a", "a", Some("a -> c -> a")),
            // Behind a circle, and before one.
            ("a: b; b: a; c: a", "c", None),
            ("a: b c; b: a; c:", "c", None),
            ("a: gone", "a", None),
            ("a: b c; b: d; c: d; d:", "a", None),
        ] {
            let graph: BTreeMap<_, _> = graph(text).into_iter().collect();
            let found = circle(&name(of), |of| graph.get(of).cloned().unwrap_or_default());
            let found =
                found.map(|way| way.iter().map(StackName::as_str).collect::<Vec<_>>().join(" -> "));
            assert_eq!(found.as_deref(), expected, "{text}, from {of}");
        }
    }

    #[test]
    fn each_stack_comes_after_those_that_it_depends_on_and_else_as_given() {
        for (text, expected) in [
            ("a:; b:; c:", "a b c"),
            ("web: db; db:; more:", "db web more"),
            ("a: d; b:; c: b; d: c", "b c d a"),
            ("c: a b; a: b; b:", "b a c"),
            ("a: elsewhere; b:", "a b"),
            // Circles and what is behind them come last.
            ("a: b; b: a; c: a; d:", "d a b c"),
        ] {
            let graph = graph(text);
            let stacks: Vec<_> = graph.iter().map(|(name, others)| Some((name, others))).collect();
            let names: Vec<_> =
                in_order(&stacks).into_iter().map(|at| graph[at].0.as_str()).collect();
            assert_eq!(names.join(" "), expected, "{text}");
        }
    }
}
