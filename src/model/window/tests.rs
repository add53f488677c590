//! When windows are open, also where clocks are set, and what is no window.

use super::*;
use proptest::prelude::*;

const HOUR: u64 = 3600;

fn window(cron: &str, lasts: u64, zone: &str) -> Window {
    Window::new(cron, Duration::from_secs(lasts), Some(zone)).unwrap()
}

fn allow(windows: impl IntoIterator<Item = Window>) -> Windows {
    Windows { allow: windows.into_iter().collect(), deny: vec![] }
}

fn deny(windows: impl IntoIterator<Item = Window>) -> Windows {
    Windows { allow: vec![], deny: windows.into_iter().collect() }
}

/// `open` or `shut`, and until when.
fn at(levels: &[&Windows], now: &str) -> String {
    let passage = Passage::through(levels, now.parse().unwrap());
    let word = if matches!(passage, Passage::Open(_)) { "open" } else { "shut" };
    passage.turn().map_or_else(|| word.to_owned(), |turn| format!("{word} {turn}"))
}

#[track_caller]
fn table(levels: &[&Windows], rows: &[(&str, &str)]) {
    for (now, expected) in rows {
        assert_eq!(at(levels, now), *expected, "at {now}");
    }
}

#[test]
fn without_windows_all_is_open_for_ever() {
    table(&[&Windows::default(), &Windows::default()], &[("2026-11-22T12:00:00Z", "open")]);
    table(&[], &[("2026-11-22T12:00:00Z", "open")]);
}

#[test]
fn a_window_is_open_from_its_beginning_to_its_end_in_its_time_zone() {
    let night = allow([window("0 22 * * *", 2 * HOUR, "Europe/Berlin")]);
    table(
        &[&night],
        &[
            ("2026-11-22T20:59:59.9Z", "shut 2026-11-22 22:00 +01:00"),
            ("2026-11-22T21:00:00Z", "open 2026-11-23 00:00 +01:00"),
            ("2026-11-22T22:59:59Z", "open 2026-11-23 00:00 +01:00"),
            ("2026-11-22T23:00:00Z", "shut 2026-11-23 22:00 +01:00"),
        ],
    );
    // Over midnight and the end of the week.
    let weekend = allow([window("0 20 * * FRI", 60 * HOUR, "UTC")]);
    table(
        &[&weekend],
        &[
            ("2026-11-20T19:59:00Z", "shut 2026-11-20 20:00 +00:00"),
            ("2026-11-22T12:00:00Z", "open 2026-11-23 08:00 +00:00"),
            ("2026-11-23T08:00:00Z", "shut 2026-11-27 20:00 +00:00"),
        ],
    );
}

#[test]
fn deny_wins_over_allow_and_all_levels_must_be_open() {
    let night = allow([window("0 22 * * *", 4 * HOUR, "UTC")]);
    let backup = deny([window("0 23 * * *", HOUR, "UTC")]);
    let both = Windows { deny: backup.deny.clone(), ..night.clone() };
    for levels in [&[&both] as &[&Windows], &[&night, &backup], &[&backup, &night]] {
        table(
            levels,
            &[
                ("2026-11-22T12:00:00Z", "shut 2026-11-22 22:00 +00:00"),
                ("2026-11-22T22:30:00Z", "open 2026-11-22 23:00 +00:00"),
                ("2026-11-22T23:30:00Z", "shut 2026-11-23 00:00 +00:00"),
                ("2026-11-23T00:30:00Z", "open 2026-11-23 02:00 +00:00"),
            ],
        );
    }
    // Who denies alone leaves all else open.
    table(&[&backup], &[("2026-11-22T12:00:00Z", "open 2026-11-22 23:00 +00:00")]);
    // A narrower level narrows only.
    let wide = allow([window("0 20 * * *", 8 * HOUR, "UTC")]);
    table(&[&night, &wide], &[("2026-11-22T21:00:00Z", "shut 2026-11-22 22:00 +00:00")]);
}

#[test]
fn windows_that_overlap_are_one() {
    let overlapping = allow([
        window("0 1 * * *", 2 * HOUR, "UTC"),
        window("0 2 * * *", 2 * HOUR, "UTC"),
        // Nine in the morning in Tokyo is midnight in UTC.
        window("0 9 * * *", HOUR, "Asia/Tokyo"),
    ]);
    table(
        &[&overlapping],
        &[
            ("2026-11-22T23:00:00Z", "shut 2026-11-23 09:00 +09:00"),
            ("2026-11-23T00:10:00Z", "open 2026-11-23 04:00 +00:00"),
            ("2026-11-23T02:30:00Z", "open 2026-11-23 04:00 +00:00"),
            ("2026-11-23T04:00:00Z", "shut 2026-11-24 09:00 +09:00"),
        ],
    );
    // One that begins anew before it ends never ends.
    let always = allow([window("* * * * *", 120, "UTC")]);
    table(&[&always], &[("2026-11-22T23:00:00Z", "open")]);
    table(&[&deny(always.allow.clone())], &[("2026-11-22T23:00:00Z", "shut")]);
}

#[test]
fn a_beginning_that_clocks_skip_comes_as_much_later() {
    // On 2026-03-29 clocks go from 02:00 +01:00 to 03:00 +02:00.
    let skipped = allow([window("30 2 * * *", HOUR, "Europe/Berlin")]);
    table(
        &[&skipped],
        &[
            ("2026-03-28T12:00:00Z", "shut 2026-03-29 03:30 +02:00"),
            ("2026-03-29T00:59:00Z", "shut 2026-03-29 03:30 +02:00"),
            ("2026-03-29T01:29:00Z", "shut 2026-03-29 03:30 +02:00"),
            ("2026-03-29T01:30:00Z", "open 2026-03-29 04:30 +02:00"),
            ("2026-03-29T02:30:00Z", "shut 2026-03-30 02:30 +02:00"),
        ],
    );
    // A window over the change lasts as long as any other.
    let over = allow([window("0 1 * * *", 3 * HOUR, "Europe/Berlin")]);
    table(&[&over], &[("2026-03-29T00:30:00Z", "open 2026-03-29 05:00 +02:00")]);
}

#[test]
fn a_beginning_that_comes_twice_counts_the_first_time() {
    // On 2026-10-25 clocks go from 03:00 +02:00 to 02:00 +01:00.
    let twice = allow([window("30 2 * * *", HOUR / 2, "Europe/Berlin")]);
    table(
        &[&twice],
        &[
            ("2026-10-25T00:29:00Z", "shut 2026-10-25 02:30 +02:00"),
            ("2026-10-25T00:30:00Z", "open 2026-10-25 02:00 +01:00"),
            ("2026-10-25T01:00:00Z", "shut 2026-10-26 02:30 +01:00"),
            ("2026-10-25T01:40:00Z", "shut 2026-10-26 02:30 +01:00"),
        ],
    );
    // It is still open when clocks show again what they showed before it began.
    let long = allow([window("50 2 * * *", HOUR, "Europe/Berlin")]);
    table(&[&long], &[("2026-10-25T01:10:00Z", "open 2026-10-25 02:50 +01:00")]);
    let over = allow([window("0 1 * * *", 3 * HOUR, "America/New_York")]);
    table(&[&over], &[("2026-11-01T06:30:00Z", "open 2026-11-01 03:00 -05:00")]);
}

#[test]
fn days_that_are_rare_are_found() {
    let leap = allow([window("0 0 29 2 *", 24 * HOUR, "UTC")]);
    table(&[&leap], &[("2026-11-22T00:00:00Z", "shut 2028-02-29 00:00 +00:00")]);
    let last = allow([window("0 0 L * *", HOUR, "UTC")]);
    table(&[&last], &[("2027-02-10T00:00:00Z", "shut 2027-02-28 00:00 +00:00")]);
}

#[test]
fn what_is_no_window_is_told_with_what_to_write() {
    let wrong = |cron: &str, lasts: u64, zone: &str| {
        Window::new(cron, Duration::from_secs(lasts), Some(zone)).unwrap_err().to_string()
    };
    for (cron, why) in [
        ("often", "`often` is no schedule: it has 1 field, not 5; write minute"),
        ("0 0 22 * * *", "`0 0 22 * * *` is no schedule: it has 6 fields, not 5; write minute"),
        ("@daily", "`@daily` is no schedule: it has 1 field,"),
        ("0 0 31 2 *", "`0 0 31 2 *` is no schedule: it never comes due"),
        ("61 * * * *", "`61 * * * *` is no schedule: `61` is no minute (0-59; "),
        ("0 22 * * XYZ", "`0 22 * * XYZ` is no schedule: `XYZ` is no weekday"),
    ] {
        assert!(wrong(cron, HOUR, "UTC").starts_with(why), "{}", wrong(cron, HOUR, "UTC"));
    }
    for lasts in [0, 59, 367 * 24 * HOUR] {
        assert_eq!(wrong("0 22 * * *", lasts, "UTC"), "must be from 1m up to 366 days");
    }
    assert_eq!(
        wrong("0 22 * * *", HOUR, "Europe/Berln"),
        "`Europe/Berln` is no time zone; did you mean `Europe/Berlin`?"
    );
    assert_eq!(
        wrong("0 22 * * *", HOUR, "Middle Earth/Shire"),
        "`Middle Earth/Shire` is no time zone; write a name of the IANA database, such as `Europe/Berlin`"
    );
}

proptest! {
    /// What is foreseen comes true: until then nothing turns, and there it does.
    #[test]
    fn a_turn_is_where_open_and_shut_change(
        minute in 0..60u32, hour in 0..24u32, lasts in 1..400u64, from in 0..525_600i64,
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
        denies in any::<bool>(),
    ) {
        let one = window(&format!("{minute} {hour} * * *"), lasts * 60, zone);
        let windows = if denies { deny([one]) } else { allow([one]) };
        let now = Timestamp::from_second(1_767_225_600 + from * 60).unwrap();
        let is_open = |at: Timestamp| matches!(Passage::through(&[&windows], at), Passage::Open(_));
        let passage = Passage::through(&[&windows], now);
        let turn = passage.turn().unwrap().at;
        prop_assert!(turn > now && turn.duration_since(now).as_hours() <= 26);
        let mut at = now;
        while at < turn {
            prop_assert_eq!(is_open(at), is_open(now), "at {}", at);
            at += jiff::SignedDuration::from_mins(1);
        }
        prop_assert_ne!(is_open(turn), is_open(now), "at {}", turn);
    }
}
