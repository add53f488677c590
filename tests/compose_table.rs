//! The tables of attributes in docs/compose.md, held against the schema, what cannot be run, and what
//! the forms of attributes are tested to need.

#![allow(clippy::unwrap_used)] // A test that cannot read the page fails.

#[allow(dead_code, unreachable_pub)] // Shared with the test of every attribute.
#[path = "attributes/table.rs"]
mod table;

use bowline::manifest::{Effect, attributes};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../docs/compose.md");
const NEEDS: &str = "needs API 1.";

/// Attributes with their state, in the order of the page.
fn rows() -> Vec<(&'static str, &'static str)> {
    let cells = |line: &'static str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let path = cells.next()?.strip_suffix('`')?;
        Some((path, cells.next()?))
    };
    let tables = PAGE.split("## Attributes").nth(1).unwrap().split("\n## ").next().unwrap();
    tables.lines().filter_map(cells).collect()
}

#[test]
fn every_attribute_is_in_a_table_exactly_once() {
    let rows = rows();
    let listed: BTreeSet<&str> = rows.iter().map(|(path, _)| *path).collect();
    let known: Vec<String> = attributes().into_keys().collect();
    let missing: Vec<_> = known.iter().filter(|path| !listed.contains(path.as_str())).collect();
    let unknown: Vec<_> =
        listed.iter().filter(|path| !known.iter().any(|one| one == **path)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "not listed {missing:?}, no such {unknown:?}"
    );
    assert_eq!(rows.len(), listed.len(), "one is listed twice");
}

#[test]
fn each_state_is_what_the_loader_makes_of_it() {
    let effects = attributes();
    for (path, state) in rows() {
        let right = match effects[path] {
            Effect::Works => state == "yes" || state.starts_with(NEEDS),
            Effect::Warns(_) => state == "warning",
            Effect::Fails(_) => state == "error",
        };
        assert!(right, "{path} is listed as {state}, and is {:?}", effects[path]);
    }
}

#[test]
fn each_version_that_is_needed_is_the_one_that_is_tested() {
    let mut tested: BTreeMap<String, u16> = BTreeMap::new();
    for form in table::forms().iter().filter(|form| form.needs > 0) {
        tested.insert(format!("services.*.{}", form.path), form.needs);
    }
    for resource in table::resources().iter().filter(|resource| resource.needs > 0) {
        tested.insert(format!("{}.*.{}", resource.kind, resource.path), resource.needs);
    }
    let listed: BTreeMap<String, u16> = rows()
        .into_iter()
        .filter_map(|(path, state)| {
            Some((path.to_owned(), state.strip_prefix(NEEDS)?.parse().unwrap()))
        })
        .collect();
    assert_eq!(listed, tested);
}

#[test]
fn each_attribute_of_a_container_that_works_is_tested() {
    // What leads to other containers or images rather than being part of one, names something, is run
    // around a container's life (tests/hooks.rs), or is for people alone.
    let elsewhere = [
        "depends_on",
        "post_start",
        "pre_start",
        "pre_stop",
        "extends",
        "image",
        "profiles",
        "pull_policy",
        "ports.*.app_protocol",
        "ports.*.name",
        "ports.*.mode",
        "deploy.mode",
        "deploy.update_config",
        "deploy.rollback_config",
        "networks.*.priority",
        "healthcheck.start_interval",
    ];
    let forms = table::forms();
    let is_tested = |path: &str| {
        let written = |form: &table::Form| {
            let last = path.rsplit('.').next().unwrap_or_default();
            let above = path.split('.').next().unwrap_or_default();
            let text = format!("{} {}", form.before, form.after);
            text.contains(&format!("{above}:")) && text.contains(&format!("{last}:"))
        };
        forms.iter().any(|form| form.path == path || written(form))
    };
    let untested: Vec<_> = rows()
        .into_iter()
        .filter(|(_, state)| *state == "yes" || state.starts_with(NEEDS))
        .filter_map(|(path, _)| path.strip_prefix("services.*."))
        .filter(|path| !elsewhere.iter().any(|one| path.starts_with(one)) && !is_tested(path))
        .collect();
    assert!(untested.is_empty(), "without a form in tests/attributes/table.rs: {untested:?}");
}
