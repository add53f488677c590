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
use support::agent::Settings;
use support::packed::Image;
use support::prometheus::{Prometheus, present};
use support::repository::Git;
use support::site::{Site, until};
use support::stacks::Stacks;
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

/// What stands for the dashboard's variables.
fn filled(expr: &str, instance: &str, stack: &str) -> String {
    expr.replace("$instance", instance).replace("$stack", stack).replace("$__rate_interval", "1m")
}

/// What `query` gives: how many series that are not all `NaN`; `None` while Prometheus does not answer.
fn series(prometheus: &Prometheus, query: &str) -> Option<usize> {
    let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let answer = prometheus.ask(&format!("query?query={encoded}"))?;
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    let result = answer["data"]["result"].as_array().unwrap();
    Some(result.iter().filter(|series| series["value"][1] != "NaN").count())
}

/// Waits until each query has data, but for those of the panels in `empty`, which must have none.
async fn all_have_data(prometheus: &Prometheus, queries: &[(String, String)], empty: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    let mut left: Vec<_> =
        queries.iter().filter(|(panel, _)| !empty.contains(&panel.as_str())).collect();
    while !left.is_empty() {
        left.retain(|(_, query)| series(prometheus, query).is_none_or(|found| found == 0));
        assert!(Instant::now() < deadline, "no data for {left:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for (panel, query) in queries.iter().filter(|(panel, _)| empty.contains(&panel.as_str())) {
        assert_eq!(series(prometheus, query), Some(0), "{panel} has data, and should have none");
    }
}

/// The queries of the panels that `wanted` likes, for all hosts and stacks, and for these alone.
fn asked(instance: &str, stacks: &str, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let queries = queries().into_iter().filter(|query| wanted(&query.panel));
    queries
        .flat_map(|Query { panel, expr }| {
            [(".*", ".*"), (instance, stacks)]
                .map(|(instance, stack)| (panel.clone(), filled(&expr, instance, stack)))
        })
        .collect()
}

/// A request to an agent's page, whatever it answers.
fn post(url: &str) {
    let sent = ureq::post(url).config().http_status_as_error(false).build().send("{}");
    sent.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_and_every_rule_works_on_a_real_prometheus_and_a_real_agent() {
    if !present("prometheus") {
        return;
    }
    let mut site = Site::new("resync: 1s");
    site.source = ", webhook: { secret_file: hook }";
    let hook = site.dir.path().join("hook");
    fs::write(&hook, "a secret of enough letters\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // One that is updated well, one whose update is watched for long, and one that cannot begin.
    let slow = |image: &str| {
        site.image(image);
        let text = format!(
            "services: {{ app: {{ image: {image}, deploy: {{ update_config: {{ monitor: 1h }} }} }} }}\n"
        );
        site.git.write("slow/compose.yaml", &text);
    };
    slow("slow:1");
    site.write("shop", "shop:1");
    site.git.write("broken/compose.yaml", "services: { app: { image: 'nowhere:1' } }\n");
    site.git.push("Begin");
    let agent = site.start();
    site.runs("shop").await;
    site.runs("slow").await;
    agent.views.metrics.config_read(true, jiff::Timestamp::now());

    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let target = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let served = tokio::spawn(serve(listener, agent.views.shared.clone(), cancel.clone()));
    let prometheus = Prometheus::start_with_rules(&[target], &[&file(RULES)]);
    slow("slow:2");
    site.write("shop", "shop:2");
    site.git.push("Update");
    let phase = |stack: &str| Some(agent.stack(stack)?.rollout?.phase.word());
    until("slow to be watched", async || phase("slow") == Some("watching")).await;
    until("shop to be updated", async || phase("shop") == Some("completed")).await;
    let url = format!("http://{target}/v1/webhooks/infra");
    tokio::task::spawn_blocking(move || post(&url)).await.unwrap();

    let empty = [
        "Alerts that fire", // Nothing is wrong for long enough; promtool tests what fires when.
        "Calls",            // The simulated engine is not called; the test with Docker has these.
        "Calls that failed",
        "How long calls take",
        "Revisions that are signed as they should be", // Nothing is verified.
    ];
    let queries = asked(&target.to_string(), "shop|slow|broken", |_| true);
    all_have_data(&prometheus, &queries, &empty).await;

    let rules = prometheus.ask("rules").unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|it| it["rules"].as_array().unwrap()).collect();
    assert_eq!(rules.len(), alerts().len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    cancel.cancel();
    served.await.unwrap().unwrap();
    agent.end().await;
}

/// The panels whose series an agent on a simulated engine does not have.
#[tokio::test(flavor = "multi_thread")]
async fn the_panels_about_calls_have_data_of_an_agent_on_docker() {
    if support::engine().is_none() || !present("prometheus") {
        return;
    }
    let names = ["e2e-watched", "e2e-watched-broken"];
    let _stacks = Stacks::named(&names);
    let image = Image::of_busybox("e2e-watched-busybox:1");
    let service = |image: &str| {
        format!(
            "services: {{ one: {{ image: '{image}', command: [busybox, sleep, '3600'], stop_signal: SIGKILL }} }}\n"
        )
    };
    let git = Git::new();
    git.write("e2e-watched/compose.yaml", &service(&image.0));
    git.write("e2e-watched-broken/compose.yaml", &service("nowhere.invalid/none:1"));
    git.push("Begin");
    let settings = Settings::new("e2e-watched", &git.url(), "resync: 1s");
    let agent = support::agent::Agent::start(&settings);
    agent.until_stack("e2e-watched", |stack| stack["sync"] == "Synced");
    agent.until_stack("e2e-watched-broken", |stack| stack["last_pass"]["result"] == "failed");
    let prometheus = Prometheus::start_with_rules(&[settings.address.parse().unwrap()], &[]);
    let engine = ["Calls", "Calls that failed", "How long calls take", "Events", "Engines away"];
    let process = ["The engine answers", "Restarts", "Memory", "CPU", "Open files", "Versions"];
    let wanted = |panel: &str| engine.contains(&panel) || process.contains(&panel);
    let queries = asked(&settings.address, "e2e-.*", wanted);
    assert_eq!(queries.len(), 2 * (engine.len() + process.len()));
    all_have_data(&prometheus, &queries, &[]).await;
    assert!(agent.terminate().success());
}

/// A line of the page.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_end_and_an_engine_that_is_away_are_told() {
    let site = Site::new("");
    let agent = site.begin(&["shop"]).await;
    let told = |series: &str| value(&agent.views.metrics.render(), series);
    let exits = r#"bowline_container_exits_total{stack="shop"}"#;
    until("the pass to end", async || told(exits) == Some(0.0)).await;
    assert_eq!(told("bowline_engine_up"), Some(1.0));
    site.sim.crash("shop-app-1", 3);
    until("the exit to be told", async || told(exits) == Some(1.0)).await;
    until("all to be ready", async || told("bowline_ready") == Some(1.0)).await;

    site.sim.go_down();
    until("the engine to be away", async || told("bowline_engine_up") == Some(0.0)).await;
    site.sim.come_back();
    until("the engine to be back", async || told("bowline_engine_up") == Some(1.0)).await;
    agent.end().await;
}
