//! Cron expressions of five fields, or of six with seconds before them, and what is wrong with one that is
//! none.

use chrono::DateTime;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// What stands in an expression, in its order, and what each may be beside `*`.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0-59"),
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31, or L for the last"),
    ("month", "1-12 or JAN-DEC"),
    ("weekday", "0-7 or SUN-SAT"),
];

/// Reads an expression of five fields. The error says what is wrong in which of them.
pub fn cron_of_minutes(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    match text.split_whitespace().count() {
        5 => read(parser, text, &FIELDS[1..]),
        count => Err(format!("it has {}, not 5", fields(count))),
    }
}

/// Reads an expression of five or six fields, or a nickname such as `@daily`. The error is as of
/// [`cron_of_minutes`].
pub fn cron_of_seconds(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build();
    match text.split_whitespace().count() {
        5 => read(parser, &format!("0 {text}"), &FIELDS),
        6 => read(parser, text, &FIELDS),
        1 if text.starts_with('@') => read(parser, text, &[]),
        count => Err(format!("it has {}, not 5 or 6", fields(count))),
    }
}

fn fields(count: usize) -> String {
    if count == 1 { "1 field".to_owned() } else { format!("{count} fields") }
}

fn read(parser: CronParser, text: &str, fields: &[(&str, &str)]) -> Result<Cron, String> {
    let cron = parser.parse(text).map_err(|error| {
        // It does not say which field it means, so each is tried alone.
        let is_wrong = |(index, written): &(usize, &str)| {
            let mut alone = vec!["*"; fields.len()];
            if let Some(place) = alone.get_mut(*index) {
                *place = written;
            }
            parser.parse(&alone.join(" ")).is_err()
        };
        let wrong = text.split_whitespace().enumerate().find(is_wrong);
        match wrong.and_then(|(index, written)| Some((written, fields.get(index)?))) {
            Some((written, (name, range))) => {
                format!(
                    "`{written}` is no {name} ({range}; `*`, a list, a range or a step such as `*/5`)"
                )
            }
            None => error.to_string(),
        }
    })?;
    // From a fixed time: whether it ever comes due does not hang on the day it is asked.
    match cron.find_next_occurrence(&DateTime::UNIX_EPOCH, true) {
        Ok(_) => Ok(cron),
        Err(_) => Err("it never comes due".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_is_wrong_is_named_with_what_may_stand_there() {
        for (text, why) in [
            ("61 * * * *", "`61` is no minute (0-59;"),
            ("0 24 * * *", "`24` is no hour (0-23;"),
            ("0 22 0 * *", "`0` is no day of the month (1-31, or L for the last;"),
            ("0 22 * FOO *", "`FOO` is no month (1-12 or JAN-DEC;"),
            ("0 22 * * XYZ", "`XYZ` is no weekday (0-7 or SUN-SAT;"),
            ("*/0 * * * *", "`*/0` is no minute (0-59;"),
            ("0 0 31 2 *", "it never comes due"),
        ] {
            for error in [cron_of_minutes(text), cron_of_seconds(text)] {
                let error = error.unwrap_err();
                assert!(error.starts_with(why), "{text}: {error}");
            }
        }
        let seconds = |text| cron_of_seconds(text).unwrap_err();
        assert!(seconds("60 * * * * *").starts_with("`60` is no second (0-59;"));
        assert_eq!(seconds("often"), "it has 1 field, not 5 or 6");
        assert_eq!(cron_of_minutes("0 0 22 * * *").unwrap_err(), "it has 6 fields, not 5");
        assert!(seconds("@often").len() > 1);
        assert_eq!(cron_of_seconds("@daily").unwrap().as_str(), "0 0 0 * * *");
        assert_eq!(cron_of_seconds("*/5 * * * *").unwrap().as_str(), "0 */5 * * * *");
    }
}
