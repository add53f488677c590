//! Turns values into texts for people, in Compose's notation, and hides what may be secret.

use std::time::Duration;

/// Parts of a variable's name that make its value a likely secret.
const SECRET_NAMES: [&str; 16] = [
    "pass", "pwd", "secret", "token", "key", "cred", "auth", "private", "cert", "dsn", "conn",
    "cookie", "salt", "sign", "session", "license",
];

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";

/// A field's value as it may be shown. Values of variables, labels, options and commands are hidden
/// when their name or form says that they may be secret.
pub(super) fn value(path: &str, text: Option<&str>) -> String {
    match text {
        None => "none".to_owned(),
        Some(text) if is_secret(path, text) => HIDDEN.to_owned(),
        Some(text) => text.to_owned(),
    }
}

fn is_secret(path: &str, text: &str) -> bool {
    let Some((kind, name)) = path.split_once('.') else {
        let may_hold_words = ["command", "entrypoint"].contains(&path);
        return may_hold_words && holds_credentials(text);
    };
    let name = name.to_lowercase();
    let is_map = ["environment", "labels", "logging"].contains(&kind);
    let named = is_map && SECRET_NAMES.iter().any(|part| name.contains(part));
    let holds_text = is_map || path == "healthcheck.test";
    named || (holds_text && holds_credentials(text))
}

/// Whether a text looks as if it held a password: a URL with a user's password, a private key, or
/// an option or assignment whose name says so.
fn holds_credentials(text: &str) -> bool {
    let lower = text.to_lowercase();
    let url = lower.split("://").skip(1).any(|rest| {
        rest.split(['/', ' ', '"']).next().is_some_and(|authority| authority.contains('@'))
            || rest.contains('@')
    });
    url || lower.contains("-----begin")
        || ["password", "passwd", "secret", "token", "apikey", "api-key", "api_key"]
            .iter()
            .any(|word| lower.contains(word))
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
            ("environment.DB_PASSWORD", "\"x\""),
            ("environment.URL", "\"postgres://app:p&s$s@db/app\""),
            ("environment.ODD", "\"postgres://app:p/s@db/app\""),
            ("labels.traefik.basicauth", "\"u:h\""),
            ("command", "[\"run\", \"--password=x\"]"),
            ("environment.PEM", "\"-----BEGIN PRIVATE KEY-----\""),
        ] {
            assert_eq!(value(path, Some(text)), HIDDEN, "{path}");
        }
        for (path, text) in [
            ("environment.MODE", "\"fast\""),
            ("mem_limit", "64m"),
            ("environment.HOME_PAGE", "\"https://example.org/a\""),
            ("command", "[\"serve\", \"--port=80\"]"),
            ("networks.key.aliases", "[\"web\"]"),
        ] {
            assert_eq!(value(path, Some(text)), text);
        }
    }
}
