//! The alert rules and the dashboard that are shipped: what they ask for is there, the rules fire when they
//! should and at no other time, and every query of the dashboard has data once a real Prometheus
//! has scraped a real agent.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::http::{listen, serve};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::prometheus::{Prometheus, present};
use support::site::{Site, until};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long it may take until Prometheus has enough samples for every query.
const PATIENCE: Duration = Duration::from_secs(90);

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap()
}

const RULES: &str = "charts/monitoring/rules/bowline.yaml";
const DASHBOARD: &str = "charts/monitoring/dashboards/bowline.json";
const RULES_TEST: &str = "tests/monitoring/rules_test.yaml";

fn alerts() -> Vec<serde_yaml::Value> {
    let rules: serde_yaml::Value = serde_yaml::from_str(&text(RULES)).unwrap();
    let groups = rules["groups"].as_sequence().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_sequence().unwrap().clone()).collect()
}

fn word<'a>(value: &'a serde_yaml::Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value:?}"))
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn promtool_finds_nothing_wrong_in_the_rules_and_they_fire_when_they_should() {
    if !present("promtool") {
        return;
    }
    promtool(&["check", "rules", "--lint-fatal", file(RULES).to_str().unwrap()]);
    promtool(&["test", "rules", file(RULES_TEST).to_str().unwrap()]);
}

#[test]
fn every_alert_says_what_to_run_is_documented_and_is_tested_to_fire() {
    let (docs, tests) = (text("docs/metrics.md"), text(RULES_TEST));
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = word(&alert, "alert");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let severity = word(&alert["labels"], "severity");
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let notes = &alert["annotations"];
        assert!(word(notes, "summary").contains("$labels.instance"), "{name}: which host?");
        let description = word(notes, "description");
        assert!(description.contains('`'), "{name} names no command: {description}");
        let runbook = format!("docs/metrics.md#{}", name.to_lowercase());
        assert_eq!(word(notes, "runbook"), runbook);
        let told = docs.split(&format!("### {name}\n\n")).nth(1);
        let told = told.unwrap_or_else(|| panic!("docs/metrics.md has no `### {name}`"));
        assert!(told.starts_with(severity), "{name} is {severity}; docs/metrics.md: {told:.40}");
        let fires = tests.contains(&format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\""))
            || tests.contains(&format!("- alertname: {name}\n"));
        assert!(fires, "no test has {name} fire");
    }
    let documented: BTreeSet<_> =
        docs.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    assert_eq!(documented, names);
}

/// The metrics that docs/metrics.md lists, with the words of their row. tests/metrics.rs holds the
/// page against it.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let docs = text("docs/metrics.md");
    let rows = docs.lines().filter(|line| line.starts_with("| `bowline_"));
    let mut known: BTreeMap<String, BTreeSet<String>> = rows
        .map(|row| {
            let mut words = row.split('`').skip(1).step_by(2).map(str::to_owned);
            (words.next().unwrap(), words.collect())
        })
        .collect();
    let results = known["bowline_reconcile_total"].clone();
    known.get_mut("bowline_last_reconcile_result").unwrap().extend(results);
    known
}

/// Each metric of ours that `query` names, with what stands in braces behind it.
fn named(query: &str) -> Vec<(String, String)> {
    let starts = query.match_indices("bowline_").map(|(start, _)| start);
    starts
        .map(|start| {
            let rest = &query[start..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
            let braces = rest.strip_prefix('{').and_then(|rest| rest.split('}').next());
            (name.to_owned(), braces.unwrap_or_default().to_owned())
        })
        .collect()
}

/// A misspelt metric, label or word makes a query that is silent for ever.
#[test]
fn what_rules_and_dashboard_ask_for_is_on_the_page() {
    let known = documented();
    let rules = alerts().into_iter().map(|alert| word(&alert, "expr").to_owned());
    let mut looked_at = 0;
    for query in rules.chain(queries().into_iter().map(|query| query.expr)) {
        for (name, braces) in named(&query) {
            let family = name.strip_suffix("_bucket").unwrap_or(&name);
            let words = known.get(family);
            let words = words.unwrap_or_else(|| panic!("there is no {family}: {query}"));
            for matcher in braces.split(", ").filter(|matcher| !matcher.is_empty()) {
                let (label, values) = matcher.split_once('=').unwrap();
                let label = label.trim_end_matches('!');
                assert!(
                    label == "instance" || words.contains(label),
                    "{family} has no label {label}: {query}"
                );
                for value in values.trim_matches(['~', '"']).split('|') {
                    let is_known = value.starts_with('$') || words.contains(value);
                    assert!(is_known, "{label} of {family} is never {value}: {query}");
                    looked_at += 1;
                }
            }
        }
    }
    assert!(looked_at > 80, "{looked_at}");
}

/// A query of the dashboard.
struct Query {
    panel: String,
    expr: String,
}

fn dashboard() -> Value {
    serde_json::from_str(&text(DASHBOARD)).unwrap()
}

fn panels(dashboard: &Value) -> &[Value] {
    dashboard["panels"].as_array().unwrap()
}

fn queries() -> Vec<Query> {
    let dashboard = dashboard();
    let of_panel = |panel: &Value| -> Vec<Query> {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let exprs = targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned());
        exprs.map(|expr| Query { panel: title.clone(), expr }).collect()
    };
    panels(&dashboard).iter().flat_map(of_panel).collect()
}

#[test]
fn the_dashboard_is_one_that_grafana_takes_for_one_host_and_for_many() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "bowline");
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    assert!(dashboard.get("id").is_none(), "an id of one Grafana is none of another");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "instance", "stack"]);
    for variable in &variables[1..] {
        assert_eq!((&variable["multi"], &variable["includeAll"]), (&true.into(), &true.into()));
        assert_eq!(variable["datasource"]["uid"], "${datasource}");
    }
    let (mut ids, mut cells, mut rows) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is there twice");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title} is beyond the edge");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(cells.insert((x, y)), "{title} lies over another panel");
            }
        }
        if panel["type"] == "row" {
            rows.push(title.to_owned());
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        let mut letters = BTreeSet::new();
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            assert!(letters.insert(target["refId"].as_str().unwrap()), "{title}");
            let expr = target["expr"].as_str().unwrap();
            // What is counted stands beside what is not of a stack, or a stack is chosen in vain.
            let narrowed = expr.contains("$instance");
            assert!(narrowed, "{title} is of all hosts, whichever are chosen: {expr}");
            for (name, braces) in named(expr) {
                let is_of_stack = documented()[name.trim_end_matches("_bucket")].contains("stack");
                assert!(!is_of_stack || braces.contains("$stack"), "{title}: {expr}");
            }
        }
    }
    assert_eq!(rows, ["Overview", "Stacks", "Rollouts", "Sources", "Engine", "Agent"]);
}
