//! What reports make of the board, and how it reads.

use super::*;
use crate::model::{Commit, Place, SourceName};
use crate::plan::Problem;
use crate::status::fixtures::at;
use crate::status::{
    ConditionKind, DriftKind, HealthStatus, HeldBackStatus, SyncStatus, Unverified, Verdict,
    WindowStatus, Workload, essence, not_fetched, sources, table, wide_table,
};
use std::collections::BTreeSet;
use std::time::Duration;

const UP: Workload = Workload { desired: 2, up: 2, starting: 0, unhealthy: 0 };

fn report(result: PassResult, second: i64) -> Report {
    Report {
        source: Some(SourceName::new("main").unwrap()),
        revision: Some(Revision("0123456789abcdef0123456789abcdef01234567".into())),
        took: Duration::from_millis(1_500),
        result,
        workload: Some(UP),
        ..Report::begun(StackName::new("shop").unwrap(), at(second))
    }
}

fn noted(report: &Report) -> StackStatus {
    let mut board = Board::default();
    board.note(report);
    board.stack(&report.stack).cloned().unwrap()
}

fn verdicts(status: &StackStatus) -> Vec<(ConditionKind, Verdict)> {
    status.conditions.iter().map(|c| (c.kind, c.status)).collect()
}

#[test]
fn a_stack_that_is_as_desired_and_up_is_ready() {
    let status = noted(&report(PassResult::Unchanged, 0));
    assert_eq!((status.sync, status.health), (SyncStatus::Synced, HealthStatus::Healthy));
    assert_eq!(
        verdicts(&status),
        [
            (ConditionKind::Ready, Verdict::True),
            (ConditionKind::Reconciling, Verdict::False),
            (ConditionKind::Stalled, Verdict::False),
            (ConditionKind::Drifted, Verdict::False),
        ]
    );
    assert_eq!(status.applied_revision, status.revision);
}

#[test]
fn health_follows_the_containers() {
    let health = |workload| noted(&Report { workload, ..report(PassResult::Changed, 0) }).health;
    assert_eq!(health(Some(UP)), HealthStatus::Healthy);
    assert_eq!(health(Some(Workload { up: 1, starting: 1, ..UP })), HealthStatus::Progressing);
    assert_eq!(health(Some(Workload { up: 1, unhealthy: 1, ..UP })), HealthStatus::Degraded);
    assert_eq!(health(Some(Workload { up: 1, ..UP })), HealthStatus::Degraded);
    assert_eq!(health(Some(Workload::default())), HealthStatus::Healthy);
    assert_eq!(health(None), HealthStatus::Unknown);
}

#[test]
fn a_failure_before_the_comparison_leaves_sync_and_drift_unknown() {
    let status = noted(&Report { workload: None, ..report(PassResult::Failed, 0) });
    assert_eq!((status.sync, status.health), (SyncStatus::Unknown, HealthStatus::Unknown));
    assert_eq!(status.conditions.get(ConditionKind::Drifted).unwrap().status, Verdict::Unknown);
    assert_eq!(status.conditions.get(ConditionKind::Stalled).unwrap().status, Verdict::False);
}

#[test]
fn what_a_person_must_mend_stalls_the_stack_and_says_where() {
    let place = Place { file: "compose.yaml".into(), line: 4, column: 7 };
    let problem = Problem {
        field: "services.web.image".into(),
        message: "is not on this host".into(),
        place: Some(place),
    };
    let status = noted(&Report {
        problems: vec![problem],
        message: "1 problem".into(),
        ..report(PassResult::Failed, 0)
    });
    assert_eq!(status.sync, SyncStatus::OutOfSync);
    let stalled = status.conditions.get(ConditionKind::Stalled).unwrap();
    assert_eq!((stalled.status, stalled.message.as_str()), (Verdict::True, "1 problem"));
    assert_eq!(status.problems[0].place.as_deref(), Some("compose.yaml:4:7"));
}

#[test]
fn a_failure_keeps_the_last_success_and_its_revision() {
    let mut board = Board::default();
    board.note(&report(PassResult::Changed, 0));
    let broken = Revision("ffff".into());
    board.note(&Report { revision: Some(broken.clone()), ..report(PassResult::Invalid, 100) });
    let status = board.stacks().next().unwrap();
    assert_eq!(status.revision, Some(broken));
    assert_eq!(status.applied_revision.as_ref().unwrap().short(), "0123456789ab");
    assert_eq!(status.last_success.unwrap().as_millisecond(), at(0).as_millisecond() + 1_500);
    assert_eq!(status.conditions.get(ConditionKind::Stalled).unwrap().reason, "Invalid");
}

#[test]
fn a_pass_under_way_shows_without_hiding_the_former_result() {
    let mut board = Board::default();
    let ended = report(PassResult::Unchanged, 0);
    board.begin(&ended.stack, None, at(0));
    let first = board.stack(&ended.stack).unwrap();
    assert_eq!(first.conditions.get(ConditionKind::Ready).unwrap().status, Verdict::Unknown);
    board.note(&ended);
    board.begin(&ended.stack, None, at(50));
    let status = board.stack(&ended.stack).unwrap();
    assert_eq!(status.conditions.get(ConditionKind::Ready).unwrap().status, Verdict::True);
    let reconciling = status.conditions.get(ConditionKind::Reconciling).unwrap();
    assert_eq!((reconciling.status, reconciling.since), (Verdict::True, at(50)));
}

#[test]
fn a_removed_stack_is_known_no_more() {
    let mut board = Board::default();
    board.note(&report(PassResult::Changed, 0));
    board.note(&report(PassResult::Removed, 10));
    assert_eq!(board.snapshot(), Snapshot::default());
}

#[test]
fn a_fetch_that_fails_keeps_the_former_revision() {
    let source = SourceName::new("main").unwrap();
    let fetched = |second, outcome, verification| SourceReport {
        source: source.clone(),
        started: at(second),
        took: Duration::from_secs(1),
        outcome,
        verification,
        shown: None,
        next: Some(at(second + 60)),
    };
    let mut board = Board::default();
    let signed = Some(Ok("commit signed with a key".to_owned()));
    board.note_source(&fetched(0, Ok(Revision("abc".into())), signed));
    board.note_source(&fetched(60, Err("cannot reach git.example".into()), None));
    let status = board.sources().next().unwrap();
    assert_eq!(status.revision, Some(Revision("abc".into())));
    assert_eq!(status.last_success, Some(at(1)));
    assert_eq!(status.message, "cannot reach git.example");
    assert_eq!(status.verified.as_deref(), Some("commit signed with a key"));
    let ready = status.conditions.get(ConditionKind::Ready).unwrap();
    assert_eq!((ready.status, ready.since), (Verdict::False, at(61)));
    assert_eq!(ready.reason, "FetchFailed");
    board.note_source(&fetched(120, Err("not signed".into()), Some(Err(Unverified))));
    let ready = board.sources().next().unwrap().conditions.get(ConditionKind::Ready).unwrap();
    assert_eq!((ready.status, ready.reason.as_str()), (Verdict::False, "VerificationFailed"));
}

#[test]
fn sources_are_listed_with_their_commit_or_with_why_they_fail() {
    let mut board = Board::default();
    let report = SourceReport {
        source: SourceName::new("infra").unwrap(),
        started: at(0),
        took: Duration::from_secs(1),
        outcome: Ok(Revision("0123456789abcdef".into())),
        verification: Some(Ok("commit signed with a key".to_owned())),
        shown: Some((
            Revision("0123456789abcdef".into()),
            Commit::new(b"Anna", b"Bump web to 1.5\n\nMore."),
        )),
        next: Some(at(63)),
    };
    board.note_source(&report);
    insta::assert_snapshot!(sources(&board.snapshot().sources, at(13)).to_string(), @r"
    SOURCE  REVISION      READY  FETCHED  NEXT  MESSAGE
    infra   0123456789ab  True   12s      50s   Bump web to 1.5 (Anna), commit signed with a key
    ");
    let outcome = Err("cannot reach git.example:\n no \u{1b}[31mroute".to_owned());
    for started in [at(60), at(120)] {
        let next = Some(at(400));
        let (verification, shown, outcome) = (None, None, outcome.clone());
        board.note_source(&SourceReport {
            started,
            outcome,
            verification,
            shown,
            next,
            ..report.clone()
        });
    }
    assert_eq!(board.sources().next().unwrap().failures, 2);
    insta::assert_snapshot!(sources(&board.snapshot().sources, at(130)).to_string(), @r"
    SOURCE  REVISION      READY  FETCHED  NEXT  MESSAGE
    infra   0123456789ab  False  2m       4m    failed 2 times: cannot reach git.example:;  no  [31mroute
    ");
    let told = not_fetched(&board.snapshot().sources[0], at(130)).unwrap();
    let expected =
        "source infra is not fetched for 1m, last fetched 2m ago: failed 2 times: cannot reach";
    assert!(told.starts_with(expected), "{told}");
    board.note_source(&report);
    assert_eq!(board.sources().next().unwrap().failures, 0);
    // After a restart nothing was fetched yet, but what was fetched before is there.
    let mut board = Board::default();
    let (outcome, next) = (Err("away".to_owned()), None);
    board.note_source(&SourceReport { outcome, next, verification: None, ..report });
    insta::assert_snapshot!(sources(&board.snapshot().sources, at(13)).to_string(), @r"
    SOURCE  REVISION      READY  FETCHED  NEXT  MESSAGE
    infra   0123456789ab  False  -        -     away
    ");
}

#[test]
fn the_json_form_is_stable_and_reads_back() {
    let mut board = Board::default();
    board.note(&Report {
        drift: BTreeMap::from([(DriftKind::Container, 3), (DriftKind::Image, 0)]),
        ..report(PassResult::Changed, 0)
    });
    let text = serde_json::to_string_pretty(&board.snapshot()).unwrap();
    insta::assert_snapshot!(text);
    assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), board.snapshot());
}

#[test]
fn the_table_is_aligned_and_a_stack_takes_one_line() {
    let mut board = Board::default();
    board.note(&Report {
        drift: BTreeMap::from([(DriftKind::Container, 2)]),
        ..report(PassResult::Changed, 0)
    });
    board.note(&Report {
        stack: StackName::new("a-much-longer-name").unwrap(),
        source: None,
        revision: None,
        message: "cannot create\u{1b}container web/1:\nport 80 is taken".into(),
        drift: BTreeMap::from([(DriftKind::Container, 1)]),
        workload: Some(Workload { up: 0, ..UP }),
        ..report(PassResult::Failed, 30)
    });
    insta::assert_snapshot!(table(&board.snapshot().stacks, at(200)).to_string(), @r"
    STACK               SOURCE  REVISION      SYNC       HEALTH    DRIFT       AGE  MESSAGE
    a-much-longer-name  -       -             OutOfSync  Degraded  1           2m   cannot create container web/1:…
    shop                main    0123456789ab  Synced     Healthy   2 repaired  3m
    ");
}

#[test]
fn the_wide_table_has_what_holds_a_stack_and_the_whole_message() {
    let mut board = Board::default();
    let held_back = HeldBackStatus {
        revision: Some(Revision("ffff".into())),
        reason: "web/1 ended\nexit code 3".into(),
        since: at(80),
        instead: None,
        reached: true,
        services: BTreeSet::new(),
        by_hand: false,
    };
    let window = WindowStatus { opens: Some(at(200 + 7_200)), instead: None };
    let (held_back, window) = (Some(held_back), Some(window));
    board.note(&Report { held_back, window, ..report(PassResult::RolledBack, 100) });
    let next = Some(at(258));
    let source = SourceName::new("main").unwrap();
    let outcome = Ok(Revision("ffff".into()));
    board.note_source(&SourceReport {
        source,
        started: at(190),
        took: Duration::from_secs(1),
        outcome,
        verification: None,
        shown: None,
        next,
    });
    let Snapshot { stacks, sources, .. } = board.snapshot();
    insta::assert_snapshot!(wide_table(&stacks, &sources, at(200)).to_string(), @r"
    STACK  SOURCE  REVISION      SYNC       HEALTH   READY  DRIFT  AGE  PASS         CHANGED  NEXT  HOLD                        MESSAGE
    shop   main    0123456789ab  OutOfSync  Healthy  2/2    0      1m   rolled_back  -        58s   window in 2h, held back 2m  held back for 2m: web/1 ended; exit code 3
    ");
}

#[test]
fn time_alone_is_no_change_of_a_stack() {
    let first = noted(&report(PassResult::Changed, 0));
    let later = noted(&report(PassResult::Unchanged, 500));
    assert_eq!(essence(&first), essence(&later));
    let ill = Workload { up: 1, ..UP };
    let ill = noted(&Report { workload: Some(ill), ..report(PassResult::Unchanged, 500) });
    assert_ne!(essence(&first), essence(&ill));
}
