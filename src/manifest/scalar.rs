//! What a plain YAML scalar means to Compose, which reads YAML 1.1 numbers but 1.2 booleans. It
//! never sees quotes: a quoted scalar is text.

use super::node::Value;

/// The value of an unquoted scalar.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return Value::str(text);
    }
    if is_timestamp(text) {
        return Value::Time(text.into());
    }
    let plain = text.replace('_', "");
    if let Some(number) = parse_integer(&plain) {
        return Value::int(number);
    }
    match parse_float(&plain) {
        Some(number) => Value::Float(number),
        None => Value::str(text),
    }
}

/// An integer in base 10, or in the base that its prefix names (`0x`, `0o`, `0b`, `0`).
fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some(two) if two.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    let number = if negative { -number } else { number };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number).then_some(number)
}

fn parse_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let well_formed = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && digits.bytes().any(|b| b.is_ascii_digit())
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !well_formed {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

fn is_timestamp(text: &str) -> bool {
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let within = |part: &str, highest: u8| {
        part.len() <= 2 && part.parse::<u8>().is_ok_and(|n| (1..=highest).contains(&n))
    };
    year.len() == 4
        && year.bytes().all(|b| b.is_ascii_digit())
        && within(month, 12)
        && within(day, 31)
        && (rest.is_empty() || rest[1..].starts_with(|c: char| c.is_ascii_digit()))
}

/// A float in its shortest digits, with an exponent below -4 and from 6 on.
pub(crate) fn print_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return if number == 0.0 { "0".to_owned() } else { format!("{number}") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use crate::manifest::node::{Mark, Node};

    fn printed(text: &str) -> Option<String> {
        Node::new(super::resolve(text), Mark::default()).text()
    }

    #[test]
    fn numbers_are_read_as_yaml_1_1_and_printed_as_compose_prints_them() {
        for (text, expected) in [
            ("010", "8"),
            ("0o10", "8"),
            ("08", "8"),
            ("0x1F", "31"),
            ("0b101", "5"),
            ("1_000", "1000"),
            ("1e3", "1000"),
            ("1.50", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+5", "5"),
            ("-010", "-8"),
            ("-0", "0"),
            ("1234567.0", "1.234567e+06"),
            ("0.00001", "1e-05"),
            ("1e20", "1e+20"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "1.8446744073709552e+19"),
            ("1e400", "1e400"),
            (".inf", "+Inf"),
            ("12:30:45", "12:30:45"),
            ("yes", "yes"),
            ("0.1.2", "0.1.2"),
            ("-", "-"),
        ] {
            assert_eq!(printed(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(printed("~"), None);
    }

    #[test]
    fn a_date_is_a_timestamp_and_a_version_is_not() {
        use crate::manifest::node::Value;
        assert!(matches!(super::resolve("2020-1-1"), Value::Time(_)));
        assert!(matches!(super::resolve("2020-01-01T00:00:00Z"), Value::Time(_)));
        assert!(matches!(super::resolve("2020-13-01"), Value::Str(_)));
    }
}
