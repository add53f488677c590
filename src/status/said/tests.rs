//! What is said of a stack that is held in more than one way, while something newer comes, and in the middle
//! of passes.

use crate::model::{Slot, SourceName};
use crate::status::fixtures::{at, commit, shop, web};
use crate::status::{
    Board, ConditionKind, DriftKind, HealthStatus, HeldBackStatus, PassResult, PausedStatus,
    Remembered, Report, RolloutPhase, RolloutReport, RolloutVerdict, SlotNotice, SlotPhase,
    StackStatus, Towards, Verdict, WindowStatus, Workload, detail, table, wide_table,
};
use std::collections::BTreeSet;

fn report(result: PassResult, digit: char, second: i64) -> Report {
    let revision = Some(commit(digit));
    Report { revision, result, ..Report::begun(shop(), at(second)) }
}

/// That commit b is held back for a.
fn held(reached: bool) -> HeldBackStatus {
    HeldBackStatus {
        revision: Some(commit('b')),
        reason: "web: container shop-web-1.next is unhealthy".to_owned(),
        since: at(60),
        instead: Some(commit('a')),
        reached,
        services: BTreeSet::new(),
        by_hand: false,
    }
}

fn paused() -> PausedStatus {
    PausedStatus {
        reason: "web: container shop-web-1.next is exited (1), but should be up\nits last output: no disk".to_owned(),
        since: at(90),
        services: [web()].into(),
        by_hand: false,
    }
}

/// On which commit a runs.
fn board() -> Board {
    let mut board = Board::default();
    board.note(&report(PassResult::Changed, 'a', 0));
    board
}

fn stack(board: &Board) -> StackStatus {
    board.stack(&shop()).cloned().unwrap()
}

/// The row from REVISION on.
fn row(board: &Board) -> String {
    let text = table(&[stack(board)], at(120)).to_string();
    text.lines().nth(1).unwrap().replacen("shop   -       ", "", 1)
}

fn message(board: &Board) -> String {
    table(&[stack(board)], at(120)).rows[0].last().unwrap().clone()
}

fn condition(board: &Board, kind: ConditionKind) -> (Verdict, String) {
    let condition = stack(board).conditions.get(kind).cloned().unwrap();
    (condition.status, condition.reason)
}

fn slot(board: &mut Board, phase: SlotPhase, second: i64) {
    let slot = Slot { service: web(), number: 1 };
    let notice = SlotNotice { slot: &slot, phase, why: None, is_update: true };
    board.note_slot(&shop(), &notice, at(second));
}

#[test]
fn a_way_back_that_rests_says_so_first_and_does_not_claim_that_it_arrived() {
    let mut board = board();
    board.note(&Report {
        held_back: Some(held(false)),
        paused: Some(paused()),
        message: "bbbbbbbbbbbb is held back, since web: container shop-web-1.next is unhealthy; \
                  aaaaaaaaaaaa is to run in its place\nthe update rests"
            .to_owned(),
        ..report(PassResult::Paused, 'b', 90)
    });
    insta::assert_snapshot!(row(&board), @"aaaaaaaaaaaa -> bbbbbbbbbbbb  OutOfSync  Unknown  0      30s  paused for 30s: web: container shop-web-1.nex… (bowline resume or rollback shop)");
    insta::assert_snapshot!(detail(&stack(&board), at(120)), @r"
    shop: OutOfSync, Unknown, aaaaaaaaaaaa -> bbbbbbbbbbbb
    paused for 30s: no container of web is exchanged
      web: container shop-web-1.next is exited (1), but should be up
      its last output: no disk
      until git asks for something else, or `bowline resume shop`; `bowline rollback shop` goes back
    bbbbbbbbbbbb is held back for 1m; aaaaaaaaaaaa is to run instead
      web: container shop-web-1.next is unhealthy
      until git asks for something else, or `bowline retry shop`
    last pass:
      bbbbbbbbbbbb is held back, since web: container shop-web-1.next is unhealthy; aaaaaaaaaaaa is to run in its place
      the update rests
    ");
    let wide = wide_table(&[stack(&board)], &[], at(120)).rows.remove(0).pop().unwrap();
    for words in ["exited (1)", "no disk", "held back for 1m: web", "the update rests"] {
        assert!(wide.contains(words), "no `{words}` in {wide}");
    }
}

#[test]
fn a_partial_pause_or_way_back_names_its_services() {
    let mut board = board();
    let services = BTreeSet::from([web()]);
    let held_back = Some(HeldBackStatus { services, ..held(true) });
    let known = Remembered { held_back, paused: Some(paused()), ..Remembered::default() };
    board.note_remembered(&shop(), known);
    let told = detail(&stack(&board), at(120));
    for words in [
        "bbbbbbbbbbbb is held back in web for 1m; aaaaaaaaaaaa runs instead\n",
        "paused for 30s: no container of web is exchanged\n",
    ] {
        assert!(told.contains(words), "no `{words}` in\n{told}");
    }
}

#[test]
fn a_newer_commit_that_waits_or_is_in_error_comes_before_what_is_held_back() {
    let mut board = board();
    let known = || Some(held(true));
    let opens = Some(at(120 + 7_200));
    board.note(&Report {
        held_back: known(),
        window: Some(WindowStatus { opens, instead: Some(commit('a')) }),
        waiting: Some(commit('c')),
        message: "waiting for its window, opens 22:00\nbbbbbbbbbbbb is held back, since web: \
                  container shop-web-1.next is unhealthy; aaaaaaaaaaaa runs in its place"
            .to_owned(),
        ..report(PassResult::RolledBack, 'b', 100)
    });
    insta::assert_snapshot!(row(&board), @"aaaaaaaaaaaa -> cccccccccccc  OutOfSync  Unknown  0      20s  waiting for its window, opens 22:00; held back for 1m: web: container shop-web-…");
    assert_eq!(condition(&board, ConditionKind::Ready), (Verdict::False, "Waiting".to_owned()));
    assert_eq!(condition(&board, ConditionKind::Stalled).0, Verdict::False);
    let told = detail(&stack(&board), at(120));
    let waits = "cccccccccccc waits for its window, which opens in 2h; until then aaaaaaaaaaaa is kept\n  \
                 `bowline retry shop` begins it now\nbbbbbbbbbbbb is held back for 1m; aaaaaaaaaaaa runs instead\n";
    assert!(told.contains(waits), "{told}");

    let reason = format!("{}\nerror", held(true).reason);
    board.note(&Report {
        held_back: Some(HeldBackStatus { reason, ..held(true) }),
        message: "error: compose.yaml:3:1: services: unknown key".to_owned(),
        ..report(PassResult::Invalid, 'c', 110)
    });
    assert_eq!(
        message(&board),
        "error: compose.yaml:3:1: services: unknown key; held back for 1m: web: containe…"
    );
}

#[test]
fn what_was_said_of_an_older_commit_is_not_said_while_a_newer_one_is_looked_at() {
    let mut board = board();
    let told = "bbbbbbbbbbbb is held back, since web: container shop-web-1.next is unhealthy";
    let back = report(PassResult::RolledBack, 'b', 60);
    board.note(&Report { held_back: Some(held(true)), message: told.to_owned(), ..back });
    board.begin(&shop(), Some(&commit('b')), at(70));
    assert!(message(&board).starts_with("held back for 1m: web"), "{}", message(&board));

    board.begin(&shop(), Some(&commit('c')), at(100));
    board.note_remembered(&shop(), Remembered::default());
    assert_eq!(message(&board), "looking at cccccccccccc");
    board.note_pull(&shop(), "web:3");
    assert_eq!(message(&board), "pulling image web:3 for cccccccccccc");
    board.note_change(&shop(), at(110));
    assert_eq!(message(&board), "rolling out cccccccccccc");
    let told = detail(&stack(&board), at(120));
    assert!(told.contains("\nrolling out cccccccccccc for 20s\n"), "{told}");
    assert!(!told.contains("held back"), "{told}");
}

#[test]
fn the_time_of_an_update_begins_with_its_own_commit() {
    let mut board = board();
    board.begin(&shop(), Some(&commit('b')), at(10));
    slot(&mut board, SlotPhase::Starting, 11);
    // The pass ends in silence, as c has overtaken it.
    board.begin(&shop(), Some(&commit('c')), at(100));
    slot(&mut board, SlotPhase::Starting, 101);
    let told = detail(&stack(&board), at(105));
    for words in ["\nrolling out cccccccccccc for 5s\n", "\nupdate: progressing for 4s\n"] {
        assert!(told.contains(words), "no `{words}` in\n{told}");
    }
    assert_eq!(stack(&board).rollout.unwrap().began, at(101));
}

#[test]
fn a_way_back_or_forward_in_the_middle_is_told_as_such() {
    let mut board = board();
    board.begin(&shop(), Some(&commit('b')), at(10));
    slot(&mut board, SlotPhase::Starting, 11);
    // Somebody says `bowline rollback`, which ends the pass in silence.
    board.begin(&shop(), Some(&commit('b')), at(60));
    let held_back = Some(held(false));
    board.note_remembered(&shop(), Remembered { held_back, ..Remembered::default() });
    slot(&mut board, SlotPhase::Starting, 61);
    let rollout = stack(&board).rollout.unwrap();
    assert_eq!((rollout.phase, rollout.since), (RolloutPhase::RollingBack, at(61)));
    assert!(message(&board).starts_with("rolling_back: web 0 of 1; held back"), "{}", row(&board));
    // A mended commit overtakes the way back.
    board.begin(&shop(), Some(&commit('c')), at(70));
    board.note_remembered(&shop(), Remembered::default());
    slot(&mut board, SlotPhase::Starting, 71);
    assert_eq!(stack(&board).rollout.unwrap().phase, RolloutPhase::Progressing);
    assert_eq!(message(&board), "progressing: web 0 of 1");
}

#[test]
fn the_way_back_from_a_failure_belongs_to_the_update_that_failed() {
    let mut board = board();
    board.begin(&shop(), Some(&commit('b')), at(10));
    slot(&mut board, SlotPhase::Failed, 11);
    let (service, verdict) = (web(), RolloutVerdict::RollBack);
    let ended = RolloutReport { service, verdict, updated: 0, failed: 1, why: None, cause: None };
    let failed = report(PassResult::Failed, 'b', 12);
    board.note(&Report { held_back: Some(held(false)), rollouts: vec![ended], ..failed });
    board.begin(&shop(), Some(&commit('b')), at(13));
    slot(&mut board, SlotPhase::Starting, 14);
    let rollout = stack(&board).rollout.unwrap();
    assert_eq!((rollout.phase, rollout.began), (RolloutPhase::RollingBack, at(11)));
}

#[test]
fn a_repair_is_not_told_as_an_update_to_a_commit_that_is_not_begun() {
    let mut board = board();
    board.begin(&shop(), Some(&commit('c')), at(10));
    board.note_towards(&shop(), Towards::Commit(Some(commit('a'))));
    board.note_change(&shop(), at(11));
    assert_eq!(message(&board), "restoring aaaaaaaaaaaa");
    board.begin(&shop(), Some(&commit('c')), at(20));
    board.note_towards(&shop(), Towards::Commit(None));
    board.note_change(&shop(), at(21));
    assert_eq!(message(&board), "rolling out what was begun last");
    board.begin(&shop(), None, at(30));
    board.note_towards(&shop(), Towards::Nothing);
    board.note_change(&shop(), at(31));
    assert_eq!(message(&board), "removing it");
}

#[test]
fn what_runs_is_what_was_gone_back_to_also_for_the_next_process() {
    let mut board = board();
    board.note(&report(PassResult::Changed, 'b', 10));
    let back = |reached| Report {
        held_back: Some(held(reached)),
        ..report(PassResult::RolledBack, 'b', 20)
    };
    board.note(&Report { result: PassResult::Failed, ..back(false) });
    assert_eq!(stack(&board).applied_revision, Some(commit('b')), "it is on its way");
    board.note(&back(true));
    assert_eq!(stack(&board).applied_revision, Some(commit('a')));

    let mut board = Board::default();
    board.begin(&shop(), Some(&commit('b')), at(30));
    let runs = Some(commit('a'));
    board.note_remembered(&shop(), Remembered { runs, ..Remembered::default() });
    assert!(row(&board).starts_with("aaaaaaaaaaaa -> bbbbbbbbbbbb"), "{}", row(&board));
    assert_eq!(message(&board), "looking at bbbbbbbbbbbb");
    let source = Some(SourceName::new("infra").unwrap());
    board.note_remembered(&shop(), Remembered { source: source.clone(), ..Remembered::default() });
    assert_eq!(stack(&board).source, source, "known before the first pass tells it");
}

#[test]
fn drifted_says_what_did_and_what_was_repaired_is_told_as_such() {
    let with = |result, fields| Report {
        drift: [(DriftKind::Container, fields)].into(),
        held_back: Some(held(true)),
        ..report(result, 'b', 10)
    };
    let cell = |board: &Board| table(&[stack(board)], at(120)).rows[0][5].clone();
    for (result, fields, drifted, told) in [
        (PassResult::RolledBack, 0, Verdict::False, "0"),
        (PassResult::RolledBack, 2, Verdict::False, "2 repaired"),
        (PassResult::Changed, 2, Verdict::False, "2 repaired"),
        (PassResult::Paused, 2, Verdict::True, "2"),
        (PassResult::Paused, 0, Verdict::False, "0"),
        (PassResult::Drifted, 1, Verdict::True, "1"),
    ] {
        let mut board = board();
        board.note(&with(result, fields));
        let (verdict, _) = condition(&board, ConditionKind::Drifted);
        assert_eq!((verdict, cell(&board).as_str()), (drifted, told), "{result:?} {fields}");
    }
}

#[test]
fn counts_are_those_of_now_while_a_pass_changes_something() {
    let mut board = board();
    let counts = |up| Workload { desired: 2, up, starting: 2 - up, unhealthy: 0 };
    let ended = report(PassResult::Unchanged, 'a', 5);
    board.note(&Report { workload: Some(counts(2)), ..ended });
    board.begin(&shop(), Some(&commit('b')), at(10));
    board.note_change(&shop(), at(11));
    assert!(board.is_changing(&shop()));
    assert_eq!(stack(&board).health, HealthStatus::Progressing);
    board.note_workload(&shop(), counts(1));
    assert_eq!(wide_table(&[stack(&board)], &[], at(120)).rows[0][5], "1/2");
    board.note(&Report { workload: Some(counts(2)), ..report(PassResult::Changed, 'b', 12) });
    assert_eq!(stack(&board).health, HealthStatus::Healthy);
    assert!(!board.is_changing(&shop()));
}
