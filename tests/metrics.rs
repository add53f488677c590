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
use prometheus::{Prometheus, present};
use std::collections::BTreeMap;
use std::io::Write;
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
    for outcome in [Ok(Revision("aaaa".into())), Err("cannot be reached".into())] {
        let started = "2026-01-01T00:00:00Z".parse().unwrap();
        let took = Duration::from_millis(40);
        let source = source.clone();
        let verification = Some(outcome.is_ok().then(|| "commit signed".into()).ok_or(Unverified));
        metrics.observe_source(&SourceReport { source, started, took, outcome, verification });
    }
    metrics.engine_request("list_networks", true, Duration::from_millis(4));
    metrics.engine_event("die");
    metrics.event_stream_reconnected();
    metrics.queue_depth(2);
    metrics
}

fn lines<'a>(page: &'a str, start: &str) -> Vec<&'a str> {
    page.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn every_promised_family_is_on_the_page() {
    let page = full_page().render();
    for family in [
        "bowline_build_info",
        "bowline_stack_info",
        "bowline_stack_condition",
        "bowline_drift_fields",
        "bowline_drift_fields_total",
        "bowline_reconcile_total",
        "bowline_reconcile_duration_seconds",
        "bowline_last_success_timestamp_seconds",
        "bowline_actions_total",
        "bowline_rollouts_total",
        "bowline_rollout_phase",
        "bowline_rollbacks_total",
        "bowline_stack_held_back",
        "bowline_engine_requests_total",
        "bowline_engine_request_duration_seconds",
        "bowline_engine_events_total",
        "bowline_engine_event_stream_reconnects_total",
        "bowline_source_fetch_total",
        "bowline_source_fetch_duration_seconds",
        "bowline_source_verified",
        "bowline_queue_depth",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_start_time_seconds",
    ] {
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
    assert!(lines(&page, "bowline_source_fetch").is_empty(), "{page}");
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
