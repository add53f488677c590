//! Every rule of Swarm's updater: what happens, when, and what comes next.

use super::*;
use crate::model::{Order, Ratio};
use FailureAction::{Continue, Pause, Rollback};

fn pace(parallelism: usize, failure_action: FailureAction) -> Pace {
    Pace {
        parallelism,
        delay: Duration::ZERO,
        monitor: secs(5),
        max_failure_ratio: Ratio::default(),
        failure_action,
        order: Order::StopFirst,
        canary: None,
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many seconds after the beginning.
fn at(seconds: f64) -> Timestamp {
    later(Timestamp::UNIX_EPOCH, Duration::from_secs_f64(seconds))
}

fn at_second(second: u64) -> Timestamp {
    later(Timestamp::UNIX_EPOCH, secs(second))
}

/// What happens to a rollout, and what it says. Times are in seconds.
enum Play {
    /// These slots begin at this time, and then it waits until something happens, or until then.
    Begins(f64, &'static [usize], Option<f64>),
    Up(f64, usize),
    Fails(f64, usize),
    /// A failure that comes too late to count.
    FailsUncounted(f64, usize),
    Over(f64, Verdict),
}

use Play::{Begins, Fails, FailsUncounted, Over, Up};

fn play(pace: Pace, slots: usize, plays: &[Play]) -> Rollout {
    let mut rollout = Rollout::new(pace, &vec![true; slots], Earlier::default());
    go_on(&mut rollout, plays);
    rollout
}

fn go_on(rollout: &mut Rollout, plays: &[Play]) {
    for (index, play) in plays.iter().enumerate() {
        match *play {
            Begins(time, expected, until) => {
                let mut begun = Vec::new();
                let wait = loop {
                    match rollout.advance(at(time)) {
                        Next::Begin(slot) => begun.push(slot),
                        other => break other,
                    }
                };
                assert_eq!(begun, expected, "play {index}");
                // The end of a watch lies just after its last moment.
                let near = |wait: Timestamp| {
                    (wait.duration_since(at(0.0)).as_secs_f64() * 100.0).round() / 100.0
                };
                let Next::Wait(found) = wait else { panic!("play {index}: {wait:?}") };
                assert_eq!(found.map(near), until, "play {index}");
            }
            Up(time, slot) => rollout.up(slot, at(time)),
            Fails(time, slot) => assert!(rollout.failed(slot, at(time)), "play {index}"),
            FailsUncounted(time, slot) => assert!(!rollout.failed(slot, at(time)), "play {index}"),
            Over(time, verdict) => {
                assert_eq!(rollout.advance(at(time)), Next::Over(verdict), "play {index}");
            }
        }
    }
}

#[test]
fn one_slot_after_the_other_and_the_last_is_watched() {
    play(
        pace(1, Pause),
        2,
        &[
            Begins(0.0, &[0], None),
            Up(1.0, 0),
            Begins(1.0, &[1], None),
            Up(3.0, 1),
            Begins(3.0, &[], Some(8.0)),
            Begins(8.0, &[], Some(8.0)),
            Over(8.1, Verdict::Completed),
        ],
    );
}

#[test]
fn parallelism_bounds_how_many_change_at_once_and_zero_means_all() {
    play(
        pace(2, Pause),
        4,
        &[
            Begins(0.0, &[0, 1], None),
            Up(1.0, 1),
            Begins(1.0, &[2], None),
            Up(1.5, 0),
            Begins(1.5, &[3], None),
        ],
    );
    play(pace(0, Pause), 4, &[Begins(0.0, &[0, 1, 2, 3], None)]);
}

#[test]
fn a_slot_keeps_its_place_for_the_delay_after_it_is_up() {
    let delayed = Pace { delay: secs(3), ..pace(1, Pause) };
    play(
        delayed,
        2,
        &[
            Begins(0.0, &[0], None),
            Up(1.0, 0),
            Begins(1.0, &[], Some(4.0)),
            Begins(3.9, &[], Some(4.0)),
            Begins(4.0, &[1], None),
            Up(5.0, 1),
            Begins(5.0, &[], Some(10.0)),
            Over(10.1, Verdict::Completed),
        ],
    );
}

#[test]
fn a_delay_as_long_as_the_monitor_is_watched_a_second_longer() {
    let delayed = Pace { delay: secs(5), ..pace(1, Pause) };
    play(
        delayed,
        1,
        &[
            Begins(0.0, &[0], None),
            Up(1.0, 0),
            Begins(1.0, &[], Some(7.0)),
            Fails(7.0, 0),
            Over(7.0, Verdict::Paused),
        ],
    );
}

#[test]
fn a_failure_at_the_end_of_the_monitor_counts_and_one_just_after_does_not() {
    let up = || [Begins(0.0, &[0], None), Up(1.0, 0)];
    let mut rollout = play(pace(1, Rollback), 2, &up());
    go_on(&mut rollout, &[Begins(1.0, &[1], None), Fails(6.0, 0), Begins(6.0, &[], None)]);
    go_on(&mut rollout, &[Up(7.0, 1), Over(7.0, Verdict::RollBack)]);
    let mut rollout = play(pace(1, Rollback), 2, &up());
    go_on(&mut rollout, &[Begins(1.0, &[1], None), FailsUncounted(6.001, 0), Up(7.0, 1)]);
    go_on(&mut rollout, &[Begins(7.0, &[], Some(12.0)), Over(12.1, Verdict::Completed)]);
}

#[test]
fn the_end_of_a_watch_is_known_so_that_somebody_can_look_once_more() {
    let mut rollout = play(pace(1, Rollback), 1, &[Begins(0.0, &[0], None)]);
    assert_eq!(rollout.end_of_watch(0), None, "it is not up");
    go_on(&mut rollout, &[Up(1.0, 0), Begins(1.0, &[], Some(6.0))]);
    assert_eq!(rollout.end_of_watch(0), Some(at(6.0)));
    rollout.unsettle(0);
    assert_eq!(rollout.end_of_watch(0), None, "somebody looks");
    go_on(&mut rollout, &[Begins(9.0, &[], None), Fails(9.0, 0), Over(9.0, Verdict::RollBack)]);
    let up = [Begins(0.0, &[0], None), Up(1.0, 0)];
    assert_eq!(play(pace(1, Continue), 1, &up).end_of_watch(0), None, "nobody waits");
}

#[test]
fn a_slot_that_does_not_come_up_fails_however_long_it_took() {
    play(
        pace(1, Rollback),
        3,
        &[Begins(0.0, &[0], None), Fails(100.0, 0), Over(100.0, Verdict::RollBack)],
    );
}

#[test]
fn a_slot_fails_once() {
    let ratio = Pace { max_failure_ratio: Ratio::new(0.5).unwrap(), ..pace(2, Pause) };
    play(
        ratio,
        2,
        &[
            Begins(0.0, &[0, 1], None),
            Fails(1.0, 0),
            FailsUncounted(1.1, 0),
            Up(2.0, 1),
            Begins(2.0, &[], Some(7.0)),
            Over(7.1, Verdict::Completed),
        ],
    );
}

#[test]
fn only_strictly_more_failures_than_the_ratio_lead_to_the_action() {
    let half = || Pace { max_failure_ratio: Ratio::new(0.5).unwrap(), ..pace(4, Pause) };
    let two = || vec![Begins(0.0, &[0, 1, 2, 3], None), Fails(1.0, 0), Fails(1.0, 1)];
    let mut at_it = play(half(), 4, &two());
    go_on(&mut at_it, &[Up(2.0, 2), Up(2.0, 3), Over(7.1, Verdict::Completed)]);
    assert_eq!(at_it.progress(), Earlier { changed: 4, failed: 2 });
    assert!(!at_it.has_failed());
    let mut above = play(half(), 4, &two());
    go_on(&mut above, &[Fails(2.0, 2), Up(2.5, 3), Over(2.5, Verdict::Paused)]);
}

#[test]
fn what_is_under_way_when_it_fails_is_waited_for() {
    play(
        pace(2, Rollback),
        4,
        &[
            Begins(0.0, &[0, 1], None),
            Fails(1.0, 0),
            Begins(1.0, &[], None),
            Up(9.0, 1),
            Over(9.0, Verdict::RollBack),
        ],
    );
}

#[test]
fn where_failures_lead_to_nothing_all_slots_follow_and_nothing_is_watched() {
    let rollout = play(
        pace(1, Continue),
        2,
        &[
            Begins(0.0, &[0], None),
            Fails(1.0, 0),
            Begins(1.0, &[1], None),
            Up(2.0, 1),
            Over(2.0, Verdict::Completed),
        ],
    );
    assert!(rollout.has_failed());
}

#[test]
fn new_slots_need_no_place_and_are_watched_all_the_same() {
    let mut rollout =
        Rollout::new(pace(1, Rollback), &[true, true, false, false], Earlier::default());
    go_on(
        &mut rollout,
        &[
            Begins(0.0, &[2, 3, 0], None),
            Up(1.0, 0),
            Begins(1.0, &[1], None),
            Up(2.0, 2),
            Up(2.0, 1),
            Fails(3.0, 3),
            Over(3.0, Verdict::RollBack),
        ],
    );
}

#[test]
fn the_first_slots_hold_before_the_others_follow() {
    let canary = Pace { canary: Some((1, secs(60))), ..pace(2, Rollback) };
    play(
        canary.clone(),
        4,
        &[
            Begins(0.0, &[0], None),
            Up(1.0, 0),
            Begins(1.0, &[], Some(61.0)),
            Begins(61.0, &[1, 2], None),
            Up(62.0, 1),
            Begins(62.0, &[3], None),
            Up(63.0, 2),
            Up(63.0, 3),
            Begins(63.0, &[], Some(68.0)),
            Over(68.1, Verdict::Completed),
        ],
    );
    let lenient = Pace { max_failure_ratio: Ratio::new(1.0).unwrap(), ..canary };
    play(
        lenient,
        4,
        &[Begins(0.0, &[0], None), Up(1.0, 0), Fails(61.0, 0), Over(61.0, Verdict::RollBack)],
    );
}

#[test]
fn canaries_that_are_all_there_is_are_held_too() {
    let canary = Pace { canary: Some((3, secs(60))), ..pace(0, Rollback) };
    play(
        canary,
        2,
        &[
            Begins(0.0, &[0, 1], None),
            Up(1.0, 0),
            Up(2.0, 1),
            Begins(2.0, &[], Some(62.0)),
            Over(62.1, Verdict::Completed),
        ],
    );
}

#[test]
fn a_slot_of_which_others_have_still_to_say_whether_it_is_well_is_followed_by_none() {
    let canary = Pace { canary: Some((1, secs(60))), ..pace(2, Rollback) };
    let held = || {
        let mut rollout = play(canary.clone(), 2, &[Begins(0.0, &[0], None), Up(1.0, 0)]);
        rollout.unsettle(0);
        go_on(&mut rollout, &[Begins(1.0, &[], None), Begins(70.0, &[], None)]);
        assert!(rollout.is_watched(0, at(70.0)) && !rollout.has_held(0, at(70.0)));
        rollout
    };
    let mut well = held();
    well.settle(0);
    go_on(&mut well, &[Begins(70.0, &[1], None), FailsUncounted(70.0, 0)]);
    assert!(well.has_held(0, at(70.0)));
    let mut ill = held();
    go_on(&mut ill, &[Fails(70.0, 0), Over(70.0, Verdict::RollBack)]);
    let mut unknown = held();
    unknown.interrupt();
    go_on(&mut unknown, &[Over(70.0, Verdict::Interrupted)]);
    assert!(!unknown.has_held(0, at(70.0)), "the next pass is to hold it anew");
}

#[test]
fn the_last_word_on_a_slot_is_waited_for_where_it_is_the_last_one_too() {
    for action in [Rollback, Continue] {
        let canary = Pace { canary: Some((1, secs(60))), ..pace(1, action) };
        let mut rollout = play(canary, 1, &[Begins(0.0, &[0], None), Up(1.0, 0)]);
        rollout.unsettle(0);
        go_on(&mut rollout, &[Begins(70.0, &[], None)]);
        assert!(!rollout.has_held(0, at(70.0)));
        rollout.settle(0);
        go_on(&mut rollout, &[Over(70.0, Verdict::Completed)]);
    }
}

#[test]
fn a_rollout_that_goes_on_knows_what_failed_before() {
    let ratio = Pace { max_failure_ratio: Ratio::new(0.25).unwrap(), ..pace(1, Pause) };
    let earlier = Earlier { changed: 2, failed: 1 };
    let mut rollout = Rollout::new(ratio.clone(), &[true, true], earlier);
    go_on(&mut rollout, &[Begins(0.0, &[0], None), Fails(1.0, 0), Over(1.0, Verdict::Paused)]);
    assert_eq!(rollout.progress(), Earlier { changed: 3, failed: 2 });
    let over = Rollout::new(ratio, &[true], Earlier { changed: 3, failed: 2 });
    assert_eq!(over.cut(), Some(Verdict::Paused));
}

#[test]
fn what_a_former_pass_started_is_watched_to_its_end() {
    let mut rollout = Rollout::new(pace(1, Rollback), &[true], Earlier::default());
    let young = rollout.watch(at(8.0), at(10.0)).unwrap();
    assert_eq!(rollout.watch(at(0.0), at(10.0)), None);
    go_on(
        &mut rollout,
        &[Begins(10.0, &[0], None), Up(11.0, 0), Fails(12.0, young), Over(12.0, Verdict::RollBack)],
    );
}

#[test]
fn first_slots_that_were_changed_before_are_still_the_first_ones() {
    let canary = Pace { canary: Some((1, secs(60))), ..pace(1, Rollback) };
    let mut rollout = Rollout::new(canary.clone(), &[true, true], Earlier::default());
    let first = rollout.resume(Some(at(100.0)));
    go_on(
        &mut rollout,
        &[
            Begins(100.0, &[], Some(160.0)),
            Begins(160.0, &[0], None),
            Fails(160.0, first),
            Up(161.0, 0),
            Over(161.0, Verdict::RollBack),
        ],
    );
    let mut rollout = Rollout::new(canary, &[true, true], Earlier { changed: 1, failed: 0 });
    go_on(&mut rollout, &[Begins(0.0, &[0], None), Up(1.0, 0), Begins(1.0, &[1], None)]);
}

#[test]
fn an_interrupted_rollout_begins_nothing_more_and_blames_nobody() {
    let mut rollout = play(pace(1, Rollback), 3, &[Begins(0.0, &[0], None)]);
    rollout.interrupt();
    go_on(&mut rollout, &[Begins(0.0, &[], None), Up(1.0, 0), Over(1.0, Verdict::Interrupted)]);
    assert_eq!(rollout.progress(), Earlier { changed: 1, failed: 0 });
}

#[test]
fn what_a_rollout_needs_and_does_not_get_is_its_failure() {
    for (action, verdict) in
        [(Pause, Verdict::Paused), (Rollback, Verdict::RollBack), (Continue, Verdict::Interrupted)]
    {
        let mut rollout = play(pace(1, action), 2, &[Begins(0.0, &[0], None)]);
        rollout.drop(0);
        rollout.refuse();
        go_on(&mut rollout, &[Over(1.0, verdict)]);
    }
}

#[test]
fn nothing_to_do_is_over_at_once() {
    play(pace(1, Rollback), 0, &[Over(0.0, Verdict::Completed)]);
}

mod any_history {
    use super::*;
    use proptest::prelude::*;

    /// What a slot does once it is begun: it comes up after so long or not, and fails so long after.
    #[derive(Debug, Clone)]
    struct Fate {
        comes_up: Option<u8>,
        fails: Option<u8>,
    }

    fn fate() -> impl Strategy<Value = Fate> {
        let comes_up = prop_oneof![4 => (0u8..10).prop_map(Some), 1 => Just(None)];
        let fails = prop_oneof![3 => Just(None), 1 => (0u8..12).prop_map(Some)];
        (comes_up, fails).prop_map(|(comes_up, fails)| Fate { comes_up, fails })
    }

    fn any_pace() -> impl Strategy<Value = Pace> {
        let action = prop_oneof![Just(Pause), Just(Continue), Just(Rollback)];
        let canary = prop_oneof![Just(None), (1usize..3, 0u64..20).prop_map(Some)];
        (0usize..4, 0u64..7, 0u64..6, 0u32..=4, action, canary).prop_map(
            |(parallelism, delay, monitor, quarters, failure_action, canary)| Pace {
                parallelism,
                delay: secs(delay),
                monitor: secs(monitor),
                max_failure_ratio: Ratio::new(f64::from(quarters) / 4.0).unwrap(),
                failure_action,
                order: Order::StopFirst,
                canary: canary.map(|(slots, hold)| (slots, secs(hold))),
            },
        )
    }

    proptest! {
        /// It ends, within the sum of what it waits for; never changes more slots at once than it
        /// may; and ends as the number of failures that it saw says.
        #[test]
        fn it_ends_within_its_bounds(
            pace in any_pace(),
            fates in proptest::collection::vec(fate(), 0..6),
        ) {
            let mut rollout =
                Rollout::new(pace.clone(), &vec![true; fates.len()], Earlier::default());
            let mut events: Vec<(u64, usize, bool)> = Vec::new();
            let (mut now, mut under_way, mut counted) = (0u64, 0usize, 0usize);
            let mut begun = vec![false; fates.len()];
            let bound = 1000 + 200 * fates.len() as u64;
            let verdict = loop {
                prop_assert!(now < bound, "does not end");
                events.sort_unstable();
                while events.first().is_some_and(|(time, ..)| *time <= now) {
                    let (_, slot, is_up) = events.remove(0);
                    if is_up {
                        under_way -= 1;
                        rollout.up(slot, at_second(now));
                    } else {
                        under_way -= usize::from(rollout.is_changing(slot));
                        counted += usize::from(rollout.failed(slot, at_second(now)));
                    }
                }
                match rollout.advance(at_second(now)) {
                    Next::Begin(slot) => {
                        prop_assert!(!std::mem::replace(&mut begun[slot], true), "begun twice");
                        under_way += 1;
                        prop_assert!(pace.parallelism == 0 || under_way <= pace.parallelism);
                        let up_at = now + u64::from(fates[slot].comes_up.unwrap_or(3));
                        events.push((up_at, slot, fates[slot].comes_up.is_some()));
                        if let (Some(_), Some(after)) = (fates[slot].comes_up, fates[slot].fails) {
                            events.push((up_at + 1 + u64::from(after), slot, false));
                        }
                    }
                    Next::Wait(until) => {
                        let next_event = events.iter().map(|(time, ..)| *time).min();
                        prop_assert!(next_event.is_some() || until.is_some(), "waits for nothing");
                        now += 1;
                    }
                    Next::Over(verdict) => break verdict,
                }
            };
            let exceeded = pace.max_failure_ratio.is_exceeded_by(counted, fates.len());
            match verdict {
                Verdict::Completed => {
                    prop_assert!(begun.iter().all(|begun| *begun));
                    prop_assert!(!exceeded || pace.failure_action == Continue);
                }
                Verdict::Paused => prop_assert!(pace.failure_action == Pause && counted > 0),
                Verdict::RollBack => prop_assert!(pace.failure_action == Rollback && counted > 0),
                Verdict::Interrupted => prop_assert!(false, "nobody interrupted it"),
            }
        }
    }
}
