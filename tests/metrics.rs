//! The page of metrics as Prometheus' own tools see it.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

#[path = "support/prometheus.rs"]
mod prometheus;

use bowline::http::{Liveness, Shared, listen, serve};
use bowline::metrics::Metrics;
use bowline::model::{Revision, ServiceName, Slot, SourceName, StackName};
use bowline::plan::{Action, Object};
use bowline::status::{
    ActionReport, Board, Cause, Departure, DriftKind, HeldBackStatus, PassResult, PausedStatus,
    Report, RolloutReport, RolloutVerdict, SlotNotice, SlotPhase, SourceReport, Unverified,
    Workload,
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

/// A slot of `shop` came to `phase`.
fn note_slot(metrics: &Metrics, board: &mut Board, phase: SlotPhase, at: &str) {
    let stack = StackName::new("shop").unwrap();
    let slot = Slot { service: ServiceName::new("web").unwrap(), number: 1 };
    let notice = SlotNotice { slot: &slot, phase, why: None, is_update: true };
    board.note_slot(&stack, &notice, at.parse().unwrap());
    metrics.set_status(board.stack(&stack).unwrap());
}

/// A page on which every family has series.
fn full_page() -> Metrics {
    let metrics = Metrics::new();
    let mut board = Board::default();
    note_slot(&metrics, &mut board, SlotPhase::Starting, "2026-01-01T00:00:00Z");
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
    let stack = StackName::new("shop").unwrap();
    metrics.container_exited(&stack);
    metrics.ready();
    metrics.config_read(true, "2026-01-01T00:00:00Z".parse().unwrap());
    metrics.engine_up(true);
    metrics.passes_running(1);
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

/// What a family is: its type and the names of its labels, but for the bounds of buckets.
type Kind = (String, BTreeSet<String>);

/// The rows of `docs/metrics.md`: a family, its type, its labels, what it tells.
fn rows() -> Vec<[String; 4]> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `bowline_"));
    rows.map(|row| {
        let row = row.trim().trim_start_matches('|').trim_end_matches('|');
        let cells: Vec<_> = row.splitn(4, '|').map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{cells:?} are not four cells"))
    })
    .collect()
}

fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Families as `docs/metrics.md` lists them.
fn documented() -> BTreeMap<String, Kind> {
    let rows = rows().into_iter().map(|[name, kind, labels, tells]| {
        assert!(!tells.is_empty(), "{name} is not explained");
        (quoted(&name).next().unwrap(), (kind, quoted(&labels).collect()))
    });
    rows.collect()
}

/// The labels of each series of a family.
fn series<'a>(page: &'a str, name: &'a str) -> impl Iterator<Item = Vec<(String, String)>> + 'a {
    let labels = page.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let rest = rest.strip_prefix("_bucket").unwrap_or(rest);
        rest.starts_with(['{', ' ']).then(|| rest.split(['{', '}']).nth(1).unwrap_or_default())
    });
    labels.map(|labels| {
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        let labels = labels.filter(|(label, _)| *label != "le");
        labels
            .map(|(label, value)| (label.to_owned(), value.trim_matches('"').to_owned()))
            .collect()
    })
}

/// Families as they are on a page. Each has a sentence of help.
fn on_page(page: &str) -> BTreeMap<String, Kind> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE bowline_"));
    types
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let name = format!("bowline_{name}");
            let start = format!("# HELP {name} ");
            let help = page.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default();
            let is_sentence = help.ends_with('.') || help.ends_with("unix time.");
            assert!(is_sentence && help.len() > 10, "the help of {name} is `{help}`");
            let labels = series(page, &name).next().unwrap_or_default();
            let labels = labels.into_iter().map(|(label, _)| label).collect();
            (name, (kind.to_owned(), labels))
        })
        .collect()
}

/// Labels whose values are words that the agent chooses, and that a reader has to know.
const WORDS: [&str; 10] = [
    "action",
    "health_status",
    "kind",
    "phase",
    "provider",
    "reason",
    "result",
    "state",
    "status",
    "sync_status",
];

#[test]
fn every_word_that_a_label_may_be_is_documented() {
    let page = full_page().render();
    let mut seen = 0;
    let rows = rows();
    let tells = |name: &str| rows.iter().find(|row| quoted(&row[0]).any(|it| it == name));
    for (name, _) in documented() {
        // Of the engine's own words there are many.
        if name.starts_with("bowline_engine_") {
            continue;
        }
        let mut text = tells(&name).unwrap()[3].clone();
        if text.contains("as of `bowline_reconcile_total`") {
            text = tells("bowline_reconcile_total").unwrap()[3].clone();
        }
        let words: BTreeSet<_> = quoted(&text).collect();
        for (label, value) in series(&page, &name).flatten() {
            if WORDS.contains(&label.as_str()) || label == "type" {
                assert!(words.contains(&value), "{name}: `{value}` of {label} is not documented");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "only {seen} words were looked at");
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
        r#"bowline_last_reconcile_timestamp_seconds{stack="blog"} 1767225602"#,
        r#"bowline_last_reconcile_result{result="changed",stack="shop"} 1"#,
        r#"bowline_last_reconcile_result{result="changed",stack="blog"} 0"#,
        r#"bowline_last_reconcile_result{result="failed",stack="blog"} 1"#,
        r#"bowline_container_exits_total{stack="shop"} 1"#,
        r#"bowline_container_exits_total{stack="blog"} 0"#,
        "bowline_config_last_reload_successful 1",
        "bowline_config_last_reload_success_timestamp_seconds 1767225600",
        "bowline_ready 1",
        "bowline_engine_up 1",
        "bowline_passes_running 1",
        r#"bowline_stack_condition{stack="shop",status="True",type="Ready"} 1"#,
        r#"bowline_stack_condition{stack="blog",status="True",type="Ready"} 0"#,
        r#"bowline_source_fetch_total{result="error",source="main"} 1"#,
        r#"bowline_source_verified{source="main"} 0"#,
        r#"bowline_source_info{revision="aaaa",source="main"} 1"#,
        r#"bowline_source_consecutive_failures{source="main"} 1"#,
        r#"bowline_source_last_success_timestamp_seconds{source="main"} 1767225600.04"#,
        r#"bowline_source_next_fetch_timestamp_seconds{source="main"} 1767225660"#,
        r#"bowline_stack_waits_for_window{stack="shop"} 0"#,
        r#"bowline_stack_suspended{stack="shop"} 0"#,
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
            reached: false,
            services: BTreeSet::new(),
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

fn has(metrics: &Metrics, lines: &[&str]) {
    let page = metrics.render();
    for line in lines {
        assert!(page.lines().any(|shown| shown == *line), "{line} is missing from\n{page}");
    }
}

#[test]
fn containers_are_counted_by_how_they_are_and_by_nothing_while_that_is_not_known() {
    let metrics = Metrics::new();
    let workload = Some(Workload { desired: 7, up: 3, starting: 1, unhealthy: 1 });
    note(&metrics, &Report { workload, ..report("shop", PassResult::Failed, "aaaa") });
    has(
        &metrics,
        &[
            r#"bowline_stack_containers{stack="shop",state="up"} 3"#,
            r#"bowline_stack_containers{stack="shop",state="starting"} 1"#,
            r#"bowline_stack_containers{stack="shop",state="unhealthy"} 1"#,
            r#"bowline_stack_containers{stack="shop",state="down"} 2"#,
        ],
    );
    note(&metrics, &Report { workload: None, ..report("shop", PassResult::Failed, "aaaa") });
    assert!(lines(&metrics.render(), "bowline_stack_containers{").is_empty());
}

#[test]
fn an_update_has_a_beginning_and_a_last_step_and_a_new_one_has_its_own() {
    let (metrics, mut board) = (Metrics::new(), Board::default());
    note_slot(&metrics, &mut board, SlotPhase::Waiting, "2026-01-01T00:00:00Z");
    note_slot(&metrics, &mut board, SlotPhase::Starting, "2026-01-01T00:00:10Z");
    let began = r#"bowline_rollout_started_timestamp_seconds{stack="shop"} 1767225600"#;
    has(
        &metrics,
        &[
            began,
            r#"bowline_rollout_last_progress_timestamp_seconds{stack="shop"} 1767225610"#,
            r#"bowline_rollout_slots{phase="starting",stack="shop"} 1"#,
            r#"bowline_rollout_slots{phase="waiting",stack="shop"} 0"#,
        ],
    );
    note_slot(&metrics, &mut board, SlotPhase::Watching, "2026-01-01T00:00:20Z");
    has(&metrics, &[began]);
    let ended = Report {
        started: "2026-01-01T00:00:00Z".parse().unwrap(),
        took: Duration::from_secs(30),
        ..report("shop", PassResult::Changed, "aaaa")
    };
    board.note(&ended);
    metrics.set_status(board.stack(&ended.stack).unwrap());
    has(&metrics, &[began, r#"bowline_rollout_phase{phase="completed",stack="shop"} 1"#]);
    note_slot(&metrics, &mut board, SlotPhase::Waiting, "2026-01-01T01:00:00Z");
    has(
        &metrics,
        &[
            r#"bowline_rollout_started_timestamp_seconds{stack="shop"} 1767229200"#,
            r#"bowline_rollout_last_progress_timestamp_seconds{stack="shop"} 1767229200"#,
        ],
    );
}

#[test]
fn a_pause_is_told_by_who_is_the_reason() {
    let metrics = Metrics::new();
    for (by_hand, asked, rests) in [(true, 1, 0), (false, 0, 1)] {
        let since = "2026-01-01T00:00:00Z".parse().unwrap();
        let services = BTreeSet::new();
        let paused = Some(PausedStatus { reason: "why".into(), since, services, by_hand });
        note(&metrics, &Report { paused, ..report("shop", PassResult::Paused, "aaaa") });
        has(
            &metrics,
            &[
                &format!(r#"bowline_stack_paused{{reason="by_hand",stack="shop"}} {asked}"#),
                &format!(r#"bowline_stack_paused{{reason="failed",stack="shop"}} {rests}"#),
            ],
        );
    }
}

#[test]
fn a_stack_that_left_its_source_is_told_until_it_is_back() {
    let metrics = Metrics::new();
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    let kept = Departure { since, held: Some("why".into()) };
    let goes = Departure { since, held: None };
    for (departure, held, removing) in [(Some(kept), 1, 0), (Some(goes), 0, 1), (None, 0, 0)] {
        note(&metrics, &Report { departure, ..report("shop", PassResult::Invalid, "aaaa") });
        has(
            &metrics,
            &[
                &format!(r#"bowline_stack_departed{{stack="shop",state="held"}} {held}"#),
                &format!(r#"bowline_stack_departed{{stack="shop",state="removing"}} {removing}"#),
            ],
        );
    }
}

#[test]
fn the_engine_is_up_while_what_no_object_can_be_at_fault_for_succeeds() {
    let metrics = Metrics::new();
    has(&metrics, &["bowline_engine_up 0"]);
    metrics.engine_request("list_containers", true, Duration::ZERO);
    metrics.engine_request("start", false, Duration::ZERO);
    metrics.engine_request("inspect_image", false, Duration::ZERO);
    has(&metrics, &["bowline_engine_up 1"]);
    metrics.engine_request("list_containers", false, Duration::ZERO);
    has(&metrics, &["bowline_engine_up 0"]);
}

#[test]
fn a_configuration_in_error_leaves_the_time_of_the_one_in_use() {
    let metrics = Metrics::new();
    metrics.config_read(true, "2026-01-01T00:00:00Z".parse().unwrap());
    metrics.config_read(false, "2026-01-01T01:00:00Z".parse().unwrap());
    has(
        &metrics,
        &[
            "bowline_config_last_reload_successful 0",
            "bowline_config_last_reload_success_timestamp_seconds 1767225600",
        ],
    );
}

#[test]
fn a_stack_has_no_more_series_than_documented() {
    let (few, many) = (Metrics::new(), Metrics::new());
    let count =
        |metrics: &Metrics| metrics.render().lines().filter(|line| !line.starts_with('#')).count();
    for metrics in [&few, &many] {
        note_slot(metrics, &mut Board::default(), SlotPhase::Starting, "2026-01-01T00:00:00Z");
        note(metrics, &report("shop", PassResult::Changed, "aaaa"));
    }
    let before = count(&few);
    many.observe(&report("shop", PassResult::Removed, "aaaa"));
    let series = before - count(&many);
    let told =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    assert!(told.contains(&format!("A stack has {series} series")), "it has {series}");
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
