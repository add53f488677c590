//! What an update looks like while it goes on, and how it ends.

use crate::model::Slot;
use crate::status::fixtures::{at, commit, shop, web};
use crate::status::{
    Board, ConditionKind, HeldBackStatus, PassResult, PausedStatus, Remembered, Report,
    RolloutPhase, RolloutReport, RolloutVerdict, SlotNotice, SlotPhase, StackStatus, SyncStatus,
    Verdict, detail, table,
};
use std::collections::BTreeSet;
use std::time::Duration;

fn report(result: PassResult, second: i64, rollouts: &[RolloutReport]) -> Report {
    Report {
        revision: Some(commit('b')),
        result,
        rollouts: rollouts.to_vec(),
        ..Report::begun(shop(), at(second))
    }
}

fn ended(verdict: RolloutVerdict) -> RolloutReport {
    RolloutReport { service: web(), verdict, updated: 1, failed: 1, why: None, cause: None }
}

fn held() -> HeldBackStatus {
    HeldBackStatus {
        revision: Some(commit('b')),
        reason: "web/2 is unhealthy\nits last output: no database".to_owned(),
        since: at(60),
        instead: Some(commit('a')),
        reached: false,
        services: BTreeSet::new(),
        by_hand: false,
    }
}

/// That the former definition was brought about since.
fn reached() -> HeldBackStatus {
    HeldBackStatus { reached: true, ..held() }
}

/// What holds the stack, as that is remembered.
fn known(board: &mut Board, held_back: Option<HeldBackStatus>, paused: Option<PausedStatus>) {
    let known = Remembered { held_back, paused, ..Remembered::default() };
    board.note_remembered(&shop(), known);
}

/// A board on which a pass is under way, with two slots that wait.
fn begun() -> Board {
    let mut board = Board::default();
    board.begin(&shop(), Some(&commit('b')), at(0));
    come(&mut board, 1, SlotPhase::Waiting, 0);
    come(&mut board, 2, SlotPhase::Waiting, 0);
    board
}

fn come(board: &mut Board, number: u32, phase: SlotPhase, second: i64) {
    let slot = Slot { service: web(), number };
    let why = (phase == SlotPhase::Failed).then_some("it ended\nwith code 1");
    board.note_slot(&shop(), &SlotNotice { slot: &slot, phase, why, is_update: true }, at(second));
}

fn stack(board: &Board) -> StackStatus {
    board.stack(&shop()).cloned().unwrap()
}

fn phase(board: &Board) -> Option<RolloutPhase> {
    stack(board).rollout.map(|rollout| rollout.phase)
}

fn rows(board: &Board) -> Vec<String> {
    stack(board).rollout.map(|rollout| rollout.rows()).unwrap_or_default()
}

#[test]
fn each_slot_shows_how_far_it_is_and_how_long_it_took_to_be_up() {
    let mut board = begun();
    come(&mut board, 1, SlotPhase::Draining, 1);
    come(&mut board, 1, SlotPhase::Creating, 2);
    come(&mut board, 1, SlotPhase::Starting, 3);
    assert_eq!(rows(&board), ["web/1: starting", "web/2: waiting"]);
    come(&mut board, 1, SlotPhase::Watching, 7);
    assert_eq!(rows(&board), ["web/1: up, being watched (1 of 2)", "web/2: waiting"]);
    assert_eq!(phase(&board), Some(RolloutPhase::Progressing));
    come(&mut board, 2, SlotPhase::Failed, 8);
    assert_eq!(phase(&board), Some(RolloutPhase::Watching));
    come(&mut board, 1, SlotPhase::Done, 12);
    assert_eq!(rows(&board), ["web/1: done", "web/2: failed: it ended with code 1"]);
    let slot = &stack(&board).rollout.unwrap().services[0].slots[0];
    assert_eq!((slot.took(), slot.since), (Some(Duration::from_secs(6)), at(12)));
}

#[test]
fn the_end_of_a_pass_says_how_the_update_ended() {
    use RolloutVerdict::{Completed, Continued, Paused, RollBack};
    let end = |result, rollouts: &[RolloutReport]| {
        let mut board = begun();
        come(&mut board, 1, SlotPhase::Watching, 1);
        board.note(&report(result, 2, rollouts));
        phase(&board).unwrap()
    };
    assert_eq!(end(PassResult::Changed, &[ended(Completed)]), RolloutPhase::Completed);
    assert_eq!(end(PassResult::Changed, &[ended(Continued)]), RolloutPhase::Failed);
    assert_eq!(end(PassResult::Paused, &[ended(Paused)]), RolloutPhase::Paused);
    assert_eq!(end(PassResult::Failed, &[ended(RollBack)]), RolloutPhase::RollingBack);
    assert_eq!(end(PassResult::RolledBack, &[ended(Completed)]), RolloutPhase::RolledBack);
    assert_eq!(end(PassResult::Failed, &[]), RolloutPhase::Failed);
    assert_eq!(end(PassResult::Changed, &[]), RolloutPhase::Completed);
}

#[test]
fn a_pass_that_finds_nothing_to_do_says_nothing_of_updates_and_keeps_what_was_said() {
    let mut board = Board::default();
    board.note(&report(PassResult::Unchanged, 0, &[]));
    assert_eq!(phase(&board), None);
    board.note(&report(PassResult::Paused, 10, &[]));
    board.note(&report(PassResult::Paused, 20, &[]));
    assert_eq!(stack(&board).rollout.unwrap().since, at(10));
    board.note(&report(PassResult::Failed, 30, &[]));
    assert_eq!(phase(&board), Some(RolloutPhase::Paused));
    board.note(&report(PassResult::Unchanged, 40, &[]));
    assert_eq!(phase(&board), Some(RolloutPhase::Completed));
}

#[test]
fn the_way_back_is_rolling_back_until_it_has_come_to_its_end() {
    let mut board = begun();
    let failed = Report { held_back: Some(held()), ..report(PassResult::Failed, 60, &[]) };
    board.note(&Report { rollouts: vec![ended(RolloutVerdict::RollBack)], ..failed });
    board.begin(&shop(), None, at(61));
    assert_eq!((phase(&board), rows(&board).len()), (Some(RolloutPhase::RollingBack), 0));
    come(&mut board, 1, SlotPhase::Watching, 62);
    assert_eq!(phase(&board), Some(RolloutPhase::RollingBack));
    let back = report(PassResult::RolledBack, 61, &[ended(RolloutVerdict::Completed)]);
    board.note(&Report { held_back: Some(reached()), ..back });
    assert_eq!(phase(&board), Some(RolloutPhase::RolledBack));
    assert_eq!(rows(&board), ["web/1: done"]);
}

#[test]
fn an_update_that_was_interrupted_is_told_anew_by_the_next_pass() {
    let mut board = begun();
    come(&mut board, 1, SlotPhase::Starting, 1);
    board.begin(&shop(), Some(&commit('c')), at(2));
    assert_eq!(rows(&board), [""; 0]);
    come(&mut board, 2, SlotPhase::Waiting, 3);
    assert_eq!(rows(&board), ["web/2: waiting"]);
}

#[test]
fn the_table_and_the_detail_say_what_runs_what_is_wanted_and_why() {
    let mut board = Board::default();
    board.note(&Report { revision: Some(commit('a')), ..report(PassResult::Changed, 0, &[]) });
    board.begin(&shop(), Some(&commit('b')), at(50));
    come(&mut board, 1, SlotPhase::Watching, 52);
    come(&mut board, 2, SlotPhase::Starting, 53);
    let line = |board: &Board| {
        table(&[stack(board)], at(180)).to_string().lines().nth(1).unwrap().to_owned()
    };
    let told = line(&board);
    assert!(told.contains("aaaaaaaaaaaa -> bbbbbbbbbbbb"), "{told}");
    assert!(told.ends_with("progressing: web 1 of 2"), "{told}");

    come(&mut board, 2, SlotPhase::Failed, 60);
    let back = report(PassResult::RolledBack, 61, &[]);
    board.note(&Report { held_back: Some(reached()), message: "why".into(), ..back });
    let told = line(&board);
    assert!(told.ends_with("held back for 2m: web/2 is unhealthy…; why"), "{told}");
    insta::assert_snapshot!(detail(&stack(&board), at(180)), @r"
    shop: OutOfSync, Unknown, aaaaaaaaaaaa -> bbbbbbbbbbbb
    bbbbbbbbbbbb is held back for 2m; aaaaaaaaaaaa runs instead
      web/2 is unhealthy
      its last output: no database
      until git asks for something else, or `bowline retry shop`
    update: rolled_back for 1m
      web/1: done
      web/2: failed: it ended with code 1
    last pass:
      why
    ");

    let paused = PausedStatus {
        reason: "paused by hand".to_owned(),
        since: at(120),
        services: BTreeSet::new(),
        by_hand: true,
    };
    known(&mut board, None, Some(paused));
    let told = line(&board);
    assert!(told.ends_with("paused for 1m: paused by hand (bowline resume shop)"), "{told}");
}

fn paused() -> PausedStatus {
    PausedStatus {
        reason: "web: too many of its containers failed".to_owned(),
        since: at(2),
        services: BTreeSet::new(),
        by_hand: false,
    }
}

#[test]
fn what_rests_is_paused_also_while_its_containers_are_repaired() {
    let mut board = begun();
    let rests = |second, result, rollouts: &[RolloutReport]| Report {
        paused: Some(paused()),
        ..report(result, second, rollouts)
    };
    come(&mut board, 1, SlotPhase::Failed, 1);
    board.note(&rests(2, PassResult::Paused, &[ended(RolloutVerdict::Paused)]));
    let told = rows(&board);
    for (second, result) in [(10, PassResult::Crashing), (20, PassResult::Failed)] {
        board.begin(&shop(), Some(&commit('b')), at(second));
        board.note_change(&shop(), at(second));
        for phase in [SlotPhase::Waiting, SlotPhase::Starting, SlotPhase::Watching] {
            come(&mut board, 2, phase, second);
        }
        assert_eq!(self::phase(&board), Some(RolloutPhase::Paused));
        board.note(&rests(second, result, &[ended(RolloutVerdict::Failed)]));
        let rollout = stack(&board).rollout.unwrap();
        assert_eq!((rollout.phase, rollout.since), (RolloutPhase::Paused, at(2)));
        assert_eq!(rows(&board), told);
    }
    board.note(&report(PassResult::Unchanged, 30, &[]));
    assert_eq!(phase(&board), Some(RolloutPhase::Completed));
}

#[test]
fn while_a_pass_changes_something_the_stack_is_progressing_and_not_synced() {
    let mut board = Board::default();
    let shown = |board: &Board| {
        let stack = stack(board);
        let ready = stack.conditions.get(ConditionKind::Ready).unwrap().clone();
        let reconciling = stack.conditions.get(ConditionKind::Reconciling).unwrap().clone();
        let line = table(std::slice::from_ref(&stack), at(60))
            .to_string()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned();
        ((stack.sync, ready.status), (reconciling.status, reconciling.reason), line)
    };
    let end = |board: &mut Board, result, digit, second| {
        board.note(&Report { revision: Some(commit(digit)), ..report(result, second, &[]) });
    };
    end(&mut board, PassResult::Changed, 'a', 0);
    board.begin(&shop(), Some(&commit('b')), at(10));
    assert_eq!(shown(&board).0.0, SyncStatus::Synced, "it only looks");
    board.note_change(&shop(), at(11));
    let changes = (SyncStatus::OutOfSync, Verdict::False);
    let progressing = (Verdict::True, "Progressing".to_owned());
    let (state, reason, line) = shown(&board);
    assert_eq!((state, reason), (changes, progressing.clone()));
    assert!(line.ends_with("rolling out bbbbbbbbbbbb"), "{line}");
    let told = detail(&stack(&board), at(60));
    assert!(told.contains("\nrolling out bbbbbbbbbbbb for 50s\n"), "{told}");
    end(&mut board, PassResult::Changed, 'b', 12);
    let (state, reason, _) = shown(&board);
    assert_eq!(state.0, SyncStatus::Synced);
    assert_eq!(reason, (Verdict::False, "PassEnded".to_owned()));

    board.begin(&shop(), Some(&commit('b')), at(20));
    board.note_change(&shop(), at(21));
    assert!(shown(&board).2.ends_with("restoring bbbbbbbbbbbb"), "{}", shown(&board).2);
    known(&mut board, Some(held()), None);
    board.note_change(&shop(), at(22));
    let told = shown(&board).2;
    assert!(told.contains("  rolling back to aaaaaaaaaaaa; held back for "), "{told}");
    known(&mut board, None, Some(paused()));
    board.note_change(&shop(), at(23));
    let (state, reason, line) = shown(&board);
    assert_eq!((state, reason), (changes, progressing));
    assert!(line.contains("  repairing what runs; paused for 58s: web: "), "{line}");
}

#[test]
fn the_json_of_an_update_reads_back() {
    let mut board = begun();
    come(&mut board, 2, SlotPhase::Failed, 8);
    board.note(&Report { held_back: Some(held()), ..report(PassResult::RolledBack, 61, &[]) });
    let text = serde_json::to_string_pretty(&stack(&board)).unwrap();
    for words in [r#""phase": "rolled_back""#, r#""phase": "waiting""#, r#""why": "it ended"#] {
        assert!(text.contains(words), "no {words} in {text}");
    }
    assert_eq!(serde_json::from_str::<StackStatus>(&text).unwrap(), stack(&board));
}
