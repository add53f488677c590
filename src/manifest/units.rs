//! Sizes and durations as Compose writes them. It never reads a number without knowing its unit.

use std::time::Duration;

/// A size in bytes: `64m`, `1.5g`, `10 kb`; always in steps of 1024.
pub(crate) fn parse_bytes(text: &str) -> Result<i64, String> {
    let invalid = || format!("`{text}` is no size; write `64m`, `1.5g` or a number of bytes");
    let digits_end = text.rfind(|c: char| c.is_ascii_digit() || c == '.').ok_or_else(invalid)? + 1;
    let number = text[..digits_end].replace('_', "");
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let suffix = text[digits_end..].strip_prefix(' ').unwrap_or(&text[digits_end..]);
    let suffix = suffix.to_ascii_lowercase();
    let power = match suffix.strip_suffix("ib").or(suffix.strip_suffix('b')).unwrap_or(&suffix) {
        "" if suffix != "ib" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(invalid()),
    };
    let bytes = number * 1024_f64.powi(power);
    if !(0.0..9.2e18).contains(&bytes) {
        return Err(invalid());
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, and fractions are cut off")]
    Ok(bytes as i64)
}

/// A duration: `1h30m`, `1.5d`, `500ms`, `0`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid =
        || format!("`{text}` is no duration; write a number with a unit, like `90s` or `1h30m`");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos = 0_u128;
    while !rest.is_empty() {
        let number_end =
            rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit = unit_nanos(unit).ok_or_else(invalid)?;
        nanos += scale(number, unit).ok_or_else(invalid)?;
        rest = after;
    }
    let nanos = u64::try_from(nanos).ok().filter(|nanos| i64::try_from(*nanos).is_ok());
    nanos.map(Duration::from_nanos).ok_or_else(invalid)
}

/// A duration as Compose prints it, also one below zero.
pub(crate) fn normal_duration(text: &str) -> Result<String, String> {
    match text.strip_prefix('-') {
        Some(rest) if !rest.starts_with(['+', '-']) => {
            let printed = print_duration(parse_duration(rest)?);
            Ok(if printed == "0s" { printed } else { format!("-{printed}") })
        }
        _ => parse_duration(text).map(print_duration),
    }
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "w" => 604_800_000_000_000,
        _ => return None,
    })
}

/// The decimal `number` times `unit`, cut off to whole nanoseconds.
fn scale(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = fraction.get(..15).unwrap_or(fraction);
    let tenths: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let power = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(whole.checked_mul(unit)? + tenths * unit / power)
}

/// A duration as Compose prints it: `1h5m30.02s`.
pub(crate) fn print_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let with_fraction = |unit: u128, name: &str| {
        let fraction = format!("{:0width$}", nanos % unit, width = unit.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() || unit == 1 { "" } else { "." };
        let fraction = if unit == 1 { "" } else { fraction };
        format!("{}{dot}{fraction}{name}", nanos / unit)
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => with_fraction(1, "ns"),
        1_000..1_000_000 => with_fraction(1_000, "µs"),
        1_000_000..1_000_000_000 => with_fraction(1_000_000, "ms"),
        _ => {
            let seconds = duration.as_secs();
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = print_seconds(seconds % 60, duration.subsec_nanos());
            match (hours, minutes) {
                (0, 0) => rest,
                (0, _) => format!("{minutes}m{rest}"),
                _ => format!("{hours}h{minutes}m{rest}"),
            }
        }
    }
}

fn print_seconds(seconds: u64, nanos: u32) -> String {
    if nanos == 0 {
        return format!("{seconds}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{seconds}.{}s", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_in_steps_of_1024() {
        for (text, expected) in [
            ("2b", 2),
            ("1024kb", 1 << 20),
            ("300m", 300 << 20),
            ("1.5g", 3 << 29),
            ("1KiB", 1024),
            ("10 m", 10 << 20),
            ("1e3", 1000),
            ("1_000", 1000),
            ("0", 0),
        ] {
            assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "1Mi", "abc", "1e", "1eb", "-1", "1 mm"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_and_printed_as_compose_does() {
        for (text, expected) in [
            ("90s", "1m30s"),
            ("1h5m30s20ms", "1h5m30.02s"),
            ("500ms", "500ms"),
            ("10us", "10µs"),
            ("1500us", "1.5ms"),
            ("1d", "24h0m0s"),
            ("1.5d", "36h0m0s"),
            ("1m1h", "1h1m0s"),
            (".5s", "500ms"),
            ("0", "0s"),
            ("1.5s", "1.5s"),
        ] {
            assert_eq!(parse_duration(text).map(print_duration).as_deref(), Ok(expected), "{text}");
        }
        for text in ["10", "", "1 s", "1S", "1y", "abc", "-1s", "1h 5m", "."] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
