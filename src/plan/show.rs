//! Turns values into texts for people, in Compose's notation, and hides what may be secret.

use crate::model::{HIDDEN, Hidden, PLAIN_WORDS};
use std::time::Duration;

/// What stands for a value that differs only in what is hidden.
pub(super) const ANOTHER: &str = "another";

/// Parts of a name that make even a plain value a likely secret.
const SECRET_NAMES: [&str; 20] = [
    "pass", "pwd", "_pw", "pin", "otp", "secret", "token", "key", "cred", "auth", "private",
    "cert", "dsn", "code", "cookie", "salt", "sign", "session", "license", "seed",
];

/// Fields whose values people choose freely, where a secret may stand.
const FREE: [&str; 8] = [
    "environment",
    "labels",
    "annotations",
    "logging",
    "driver_opts",
    "ipam",
    "storage_opt",
    "sysctls",
];

/// Fields that Docker shows to everybody: images, names, ports and limits.
const SEEN: [&str; 17] = [
    "image",
    "container_name",
    "name",
    "state",
    "replicas",
    "ports",
    "expose",
    "restart",
    "cpus",
    "cpu_shares",
    "cpu_period",
    "cpu_quota",
    "cpuset",
    "mem_limit",
    "mem_reservation",
    "memswap_limit",
    "pids_limit",
];

/// A field's value as it may be shown. Of fields that hold free text only what is plainly no secret
/// is shown: a number, a version, a switch. Of commands it is the program.
pub(super) fn value(path: &str, text: Option<&str>) -> String {
    let Some(text) = text else { return "none".to_owned() };
    let mut parts = path.split('.');
    let kind = parts.next().unwrap_or_default();
    if ["command", "entrypoint"].contains(&path) || path == "healthcheck.test" {
        return program(text);
    }
    let is_free = FREE.contains(&kind)
        || [".driver_opts.", ".labels.", ".options."].iter().any(|part| path.contains(part));
    if is_free && path.contains('.') && !is_plain(path, text) { HIDDEN.into() } else { text.into() }
}

/// Both values of a field as they may be shown: where the one has something of what is hidden, the other
/// may be what that was before.
pub(super) fn discreetly(
    hidden: &Hidden,
    field: &str,
    desired: String,
    actual: String,
) -> (String, String) {
    let has = |text: &String| hidden.is_in(text);
    if is_seen(field) || !(has(&desired) || has(&actual)) {
        return (desired, actual);
    }
    match (desired.as_str(), actual.as_str()) {
        ("none", _) => (desired, HIDDEN.to_owned()),
        (_, "none") => (HIDDEN.to_owned(), actual),
        _ => (HIDDEN.to_owned(), ANOTHER.to_owned()),
    }
}

/// Whether Docker shows the field of a service to everybody, whatever stands in it.
pub(super) fn is_seen(field: &str) -> bool {
    let mut parts = field.split('.').skip(2);
    parts.next().is_some_and(|kind| SEEN.contains(&kind))
}

/// A field's path without what is hidden; what people named stays.
pub(super) fn field(hidden: &Hidden, field: String) -> String {
    let named = field.match_indices('.').nth(2).map_or(field.len(), |(at, _)| at + 1);
    if hidden.is_in(&field[named..]) {
        format!("{}{}", &field[..named], hidden.without(&field[named..]))
    } else {
        field
    }
}

/// The first word of a list, and how many follow.
fn program(text: &str) -> String {
    let words: Vec<String> = serde_json::from_str(text).unwrap_or_default();
    match words.split_first() {
        Some((program, [])) => format!("[{program:?}]"),
        Some((program, rest)) => format!("[{program:?}, and {} hidden]", rest.len()),
        None => HIDDEN.to_owned(),
    }
}

fn is_plain(path: &str, text: &str) -> bool {
    let name = path.split_once('.').map_or(path, |(_, name)| name).to_lowercase();
    let value = text.trim_matches('"').to_lowercase();
    let is_number = value.len() <= 12
        && value.starts_with(|c: char| c.is_ascii_digit() || c == 'v')
        && value.trim_start_matches('v').chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_known =
        PLAIN_WORDS.contains(&value.as_str()) || value == "(removed)" || value.is_empty();
    !suggests_secret(&name) && (is_number || is_known)
}

/// Whether what is named so is likely a secret.
pub fn suggests_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// A list as Compose's flow sequence: `["a", "b c"]`.
pub(super) fn list(items: &[String]) -> String {
    format!("{items:?}")
}

/// Bytes in the largest unit that divides them: `64m`, `1g`, `1000`.
pub(super) fn bytes(bytes: u64) -> String {
    let units = [("t", 40), ("g", 30), ("m", 20), ("k", 10)];
    units
        .iter()
        .find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift)
        .map_or_else(|| bytes.to_string(), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}

/// Memory and swap: `128m`, or `-1` for no bound.
pub(super) fn swap(swap: i64) -> String {
    u64::try_from(swap).map_or_else(|_| swap.to_string(), bytes)
}

/// Billionths of a CPU as CPUs: `0.5`.
pub(super) fn cpus(nano: u64) -> String {
    let (whole, part) = (nano / 1_000_000_000, nano % 1_000_000_000);
    let part = format!("{part:09}");
    let part = part.trim_end_matches('0');
    if part.is_empty() { whole.to_string() } else { format!("{whole}.{part}") }
}

/// A duration in Compose's notation: `1h30m`, `1m30s`, `500ms`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
        (u64::from(duration.subsec_micros() % 1000), "us"),
        (u64::from(duration.subsec_nanos() % 1000), "ns"),
    ];
    let text: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_durations_and_cpus_read_as_compose_writes_them() {
        assert_eq!(bytes(64 << 20), "64m");
        assert_eq!(bytes(1000), "1000");
        assert_eq!(bytes(0), "0");
        assert_eq!(cpus(500_000_000), "0.5");
        assert_eq!(cpus(2_000_000_000), "2");
        assert_eq!(duration(Duration::from_secs(5400)), "1h30m");
        assert_eq!(duration(Duration::from_millis(1500)), "1s500ms");
        assert_eq!(duration(Duration::ZERO), "0s");
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (path, text) in [
            ("environment.DB_PASSWORD", "\"1\""),
            ("environment.MYSQL_PW", "\"hunter2\""),
            ("environment.WHATEVER", "\"hunter2\""),
            ("environment.URL", "\"postgres://app:p&s$s@db/app\""),
            ("environment.HOOK", "\"https://hooks.example.org/T0/B0/x\""),
            ("labels.traefik.basicauth", "\"u:h\""),
            ("driver_opts.o", "username=u,password=hunter2"),
            ("networks.front.driver_opts.x", "hunter2"),
        ] {
            assert_eq!(value(path, Some(text)), HIDDEN, "{path}");
        }
        let shown = value("command", Some("[\"redis\", \"--requirepass\", \"hunter2\"]"));
        assert_eq!(shown, "[\"redis\", and 2 hidden]");
    }

    #[test]
    fn what_is_plainly_no_secret_is_shown() {
        for (path, text) in [
            ("environment.MODE", "\"fast\""),
            ("environment.VERSION", "\"1.25.3\""),
            ("mem_limit", "64m"),
            ("image", "app:2"),
            ("networks.key.aliases", "[\"web\"]"),
            ("driver", "overlay"),
        ] {
            assert_eq!(value(path, Some(text)), text);
        }
    }
}
