//! The page of metrics as Prometheus' own tools see it.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

#[path = "support/prometheus.rs"]
mod prometheus;

use bowline::http::{Liveness, Shared, listen, serve};
use bowline::metrics::Metrics;
use bowline::model::{Revision, ServiceName, Slot, SourceName, StackName};
use bowline::plan::{Action, Object};
use bowline::status::{
    ActionReport, Board, Cause, DriftKind, HeldBackStatus, PassResult, Report, RolloutReport,
    RolloutVerdict, SourceReport, Unverified, Workload,
};
use bowline::webhook::{Answer, Provider};
use prometheus::{Prometheus, present};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long Prometheus may take to start, scrape and answer.
const PATIENCE: Duration = Duration::from_secs(30);

fn report(stack: &str, result: PassResult, revision: &str) -> Report {
    Report {
        source: Some(SourceName::new("main").unwrap()),
        revision: Some(Revision(revision.into())),
        took: Duration::from_secs(2),
        result,
        drift: BTreeMap::from([(DriftKind::Container, 3)]),
        actions: vec![ActionReport {
            object: Object::Container(Slot {
                service: ServiceName::new("web").unwrap(),
                number: 1,
            }),
            action: Action::Replace,
            reasons: Vec::new(),
            error: None,
            took: Duration::from_secs(1),
        }],
        workload: Some(Workload { desired: 1, up: 1, starting: 0, unhealthy: 0 }),
        ..Report::begun(StackName::new(stack).unwrap(), "2026-01-01T00:00:00Z".parse().unwrap())
    }
}

fn note(metrics: &Metrics, report: &Report) {
    let mut board = Board::default();
    board.note(report);
    metrics.observe(report);
    metrics.set_status(board.stack(&report.stack).unwrap());
}

/// A page on which every family has series.
fn full_page() -> Metrics {
    let metrics = Metrics::new();
    note(&metrics, &report("shop", PassResult::Changed, "aaaa"));
    note(&metrics, &report("blog", PassResult::Failed, "aaaa"));
    let source = SourceName::new("main").unwrap();
    let mut board = Board::default();
    for outcome in [Ok(Revision("aaaa".into())), Err("cannot be reached".into())] {
        let started = "2026-01-01T00:00:00Z".parse().unwrap();
        let took = Duration::from_millis(40);
        let source = source.clone();
        let verification = Some(outcome.is_ok().then(|| "commit signed".into()).ok_or(Unverified));
        let next = Some("2026-01-01T00:01:00Z".parse().unwrap());
        let shown = None;
        let report = SourceReport { source, started, took, outcome, verification, shown, next };
        metrics.observe_source(&report);
        board.note_source(&report);
        metrics.set_source_status(board.sources().next().unwrap());
    }
    metrics.webhook(Some(Provider::Gitea), Answer::Accepted);
    metrics.webhook(None, Answer::Unauthorized);
    metrics.departed(1, 0);
    metrics.inventory_up(true);
    metrics.history_up(true);
    metrics.image_removed();
    metrics.engine_request("list_networks", true, Duration::from_millis(4));
    metrics.engine_event("die");
    metrics.event_stream_reconnected();
    metrics.queue_depth(2);
    metrics
}

fn lines<'a>(page: &'a str, start: &str) -> Vec<&'a str> {
    page.lines().filter(|line| line.starts_with(start)).collect()
}

/// Families with the names of their labels, as `docs/metrics.md` lists them.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `bowline_"));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    rows.map(|row| {
        let mut cells = row.split('|').skip(1);
        let names: Vec<String> = quoted(cells.next().unwrap());
        (names[0].clone(), quoted(cells.next().unwrap()).into_iter().collect())
    })
    .collect()
}

/// The same as they are on a page.
fn on_page(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE bowline_"));
    types
        .map(|line| {
            let name = format!("bowline_{}", line.split(' ').next().unwrap());
            let series = page.lines().find(|line| {
                let rest = line.strip_prefix(&name);
                rest.is_some_and(|rest| {
                    ['{', ' '].iter().any(|next| rest.starts_with(*next))
                        || rest.starts_with("_bucket{")
                })
            });
            let labels = series.and_then(|line| line.split(['{', '}']).nth(1)).unwrap_or_default();
            let labels = labels.split(',').filter_map(|label| label.split_once('='));
            let labels = labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le");
            (name.clone(), labels.collect())
        })
        .collect()
}

#[test]
fn the_page_has_the_families_and_labels_that_are_documented_and_no_others() {
    let page = full_page().render();
    assert_eq!(on_page(&page), documented());
    for family in
        ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds"]
    {
        assert!(page.contains(&format!("# TYPE {family} ")), "{family} is missing from\n{page}");
    }
    for line in [
        r#"bowline_drift_fields{kind="container",stack="shop"} 0"#,
        r#"bowline_drift_fields{kind="container",stack="blog"} 3"#,
        r#"bowline_drift_fields_total{kind="container",stack="shop"} 3"#,
        r#"bowline_reconcile_total{result="failed",stack="blog"} 1"#,
        r#"bowline_reconcile_duration_seconds_bucket{stack="shop",le="1800"} 1"#,
        r#"bowline_actions_total{action="replace",stack="shop"} 1"#,
        r#"bowline_last_success_timestamp_seconds{stack="shop"} 1767225602"#,
        r#"bowline_stack_condition{stack="shop",status="True",type="Ready"} 1"#,
        r#"bowline_stack_condition{stack="blog",status="True",type="Ready"} 0"#,
        r#"bowline_source_fetch_total{result="error",source="main"} 1"#,
        r#"bowline_source_verified{source="main"} 0"#,
        r#"bowline_source_info{revision="aaaa",source="main"} 1"#,
        r#"bowline_source_consecutive_failures{source="main"} 1"#,
        r#"bowline_source_last_success_timestamp_seconds{source="main"} 1767225600.04"#,
        r#"bowline_source_next_fetch_timestamp_seconds{source="main"} 1767225660"#,
        r#"bowline_stack_waits_for_window{stack="shop"} 0"#,
        r#"bowline_webhook_requests_total{provider="gitea",result="accepted"} 1"#,
        r#"bowline_webhook_requests_total{provider="other",result="unauthorized"} 1"#,
        r#"bowline_engine_requests_total{operation="list_networks",result="success"} 1"#,
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line} is missing from\n{page}");
    }
    assert_eq!(lines(&page, "bowline_last_success_timestamp_seconds{").len(), 1);
}

#[test]
fn a_stack_has_one_info_series_whatever_changes() {
    let metrics = full_page();
    note(&metrics, &report("shop", PassResult::Failed, "bbbb"));
    let page = metrics.render();
    let shop: Vec<_> = lines(&page, "bowline_stack_info{")
        .into_iter()
        .filter(|line| line.contains(r#"stack="shop""#))
        .collect();
    assert_eq!(shop.len(), 1, "{shop:?}");
    assert!(shop[0].contains(r#"revision="bbbb""#) && shop[0].contains("OutOfSync"), "{shop:?}");
}

#[test]
fn updates_are_counted_once_by_how_they_ended_and_the_way_back_is_no_further_one() {
    let metrics = full_page();
    let ended = |verdict, cause: Option<Cause>| {
        let why = cause.map(|_| "why".to_owned());
        let service = ServiceName::new("web").unwrap();
        RolloutReport { service, verdict, updated: 1, failed: 0, why, cause }
    };
    let noted = |result, held: bool, rollout| {
        let held_back = held.then(|| HeldBackStatus {
            revision: None,
            reason: "why".into(),
            since: "2026-01-01T00:00:00Z".parse().unwrap(),
            instead: None,
            by_hand: false,
        });
        let rollouts = vec![rollout];
        note(&metrics, &Report { rollouts, held_back, ..report("shop", result, "bbbb") });
        metrics.render()
    };
    let has = |page: &str, line: &str| {
        assert!(page.lines().any(|shown| shown == line), "{line} is missing from\n{page}");
    };
    let page = noted(PassResult::Changed, false, ended(RolloutVerdict::Completed, None));
    has(&page, r#"bowline_rollouts_total{result="completed",stack="shop"} 1"#);
    has(&page, r#"bowline_rollouts_total{result="rolled_back",stack="shop"} 0"#);
    has(&page, r#"bowline_rollout_phase{phase="completed",stack="shop"} 1"#);
    has(&page, r#"bowline_rollbacks_total{reason="unhealthy",stack="shop"} 0"#);
    has(&page, r#"bowline_stack_held_back{stack="shop"} 0"#);

    let unhealthy = Some(Cause::Unhealthy);
    let page = noted(PassResult::Failed, true, ended(RolloutVerdict::RollBack, unhealthy));
    has(&page, r#"bowline_rollout_phase{phase="rolling_back",stack="shop"} 1"#);
    let page = noted(PassResult::RolledBack, true, ended(RolloutVerdict::Completed, None));
    has(&page, r#"bowline_rollouts_total{result="completed",stack="shop"} 1"#);
    has(&page, r#"bowline_rollouts_total{result="rolled_back",stack="shop"} 1"#);
    has(&page, r#"bowline_rollbacks_total{reason="unhealthy",stack="shop"} 1"#);
    has(&page, r#"bowline_rollout_phase{phase="rolled_back",stack="shop"} 1"#);
    has(&page, r#"bowline_rollout_phase{phase="completed",stack="shop"} 0"#);
    has(&page, r#"bowline_stack_held_back{stack="shop"} 1"#);

    let page = noted(PassResult::Paused, true, ended(RolloutVerdict::Paused, Some(Cause::Exited)));
    has(&page, r#"bowline_rollouts_total{result="failed",stack="shop"} 1"#);
    has(&page, r#"bowline_rollouts_total{result="paused",stack="shop"} 0"#);
    metrics.rolled_back_by_hand(&StackName::new("shop").unwrap());
    has(&metrics.render(), r#"bowline_rollbacks_total{reason="by_hand",stack="shop"} 1"#);
}

#[test]
fn the_series_of_a_removed_stack_and_source_go_away_and_others_stay() {
    let metrics = full_page();
    metrics.observe(&report("shop", PassResult::Removed, "aaaa"));
    metrics.forget(&StackName::new("never-seen").unwrap());
    metrics.forget_source(&SourceName::new("main").unwrap());
    let page = metrics.render();
    assert!(!page.contains(r#""shop""#), "{page}");
    assert!(lines(&page, "bowline_source_").is_empty(), "{page}");
    assert!(page.contains(r#"bowline_reconcile_total{result="failed",stack="blog"} 1"#), "{page}");
}

#[test]
fn words_from_outside_make_no_series_of_their_own() {
    let metrics = Metrics::new();
    for n in 0..100 {
        metrics.engine_event(&format!("surprise{n}"));
        metrics.engine_event(&format!("health_status: {n}"));
        metrics.engine_request(&format!("call{n}"), false, Duration::ZERO);
    }
    let page = metrics.render();
    assert_eq!(
        lines(&page, "bowline_engine_events_total{"),
        [
            r#"bowline_engine_events_total{action="health_status"} 100"#,
            r#"bowline_engine_events_total{action="other"} 100"#
        ]
    );
    assert_eq!(
        lines(&page, "bowline_engine_requests_total{"),
        [r#"bowline_engine_requests_total{operation="other",result="error"} 100"#]
    );
}

#[test]
fn promtool_finds_nothing_to_say_about_a_full_page() {
    if !present("promtool") {
        return;
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(full_page().render().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_scrapes_and_answers_with_our_value() {
    if !present("prometheus") {
        return;
    }
    let metrics = full_page();
    let shared = Arc::new(Shared::new(Liveness::new(PATIENCE), move || metrics.render()));
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let target = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let served = tokio::spawn(serve(listener, shared, cancel.clone()));

    let prometheus = Prometheus::start(&[target]);
    let query = r#"bowline_drift_fields_total{stack="shop",kind="container"}"#;
    let asked = tokio::time::timeout(PATIENCE, prometheus.value(query)).await;
    assert_eq!(asked.expect("Prometheus answers in time"), "3");

    cancel.cancel();
    served.await.unwrap().unwrap();
}
