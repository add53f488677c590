//! What a check found.

use super::person::is_root;
use serde::Serialize;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was checked, in a word or two.
    pub(super) check: &'static str,
    /// What was looked at: a file, an address, a name.
    pub(super) looked_at: String,
    /// How it is.
    pub(super) verdict: Verdict,
    /// What was found, in one line.
    pub(super) message: String,
    /// What to do, as a command where there is one; absent where all is well.
    pub(super) fix: Option<String>,
}

/// How what was looked at is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Ok,
    Warning,
    Error,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // Texts are made where they are told.
impl Finding {
    pub(super) fn ok(
        check: &'static str,
        looked_at: impl ToString,
        message: impl ToString,
    ) -> Self {
        Self::new(check, &looked_at, Verdict::Ok, &message, None)
    }

    pub(super) fn warning(
        check: &'static str,
        looked_at: impl ToString,
        message: impl ToString,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(check, &looked_at, Verdict::Warning, &message, Some(fix.into()))
    }

    pub(super) fn error(
        check: &'static str,
        looked_at: impl ToString,
        message: impl ToString,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(check, &looked_at, Verdict::Error, &message, Some(fix.into()))
    }

    fn new(
        check: &'static str,
        looked_at: &dyn ToString,
        verdict: Verdict,
        message: &dyn ToString,
        fix: Option<String>,
    ) -> Self {
        let looked_at = one_line(&looked_at.to_string());
        let fix = fix.map(|fix| if is_root() { as_root(&fix) } else { fix });
        Self { check, looked_at, verdict, message: one_line(&message.to_string()), fix }
    }
}

/// Where root looks there may be no sudo.
fn as_root(fix: &str) -> String {
    fix.replace("sudoedit ", "${EDITOR:-vi} ").replace("sudo ", "")
}

/// What others say may have more lines, or be meant for terminals.
fn one_line(text: &str) -> String {
    let line = text.trim_end().replace('\n', "; ");
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How many of a thing in full words of size: `1.5 GiB`.
pub(super) fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // For people.
    let (mut amount, mut units) = (bytes as f64, ["B", "KiB", "MiB", "GiB", "TiB"].iter());
    let mut unit = units.next();
    while amount >= 1024.0
        && let Some(next) = units.next()
    {
        (amount, unit) = (amount / 1024.0, Some(next));
    }
    format!("{amount:.1} {}", unit.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_whatever_was_said() {
        let found = Finding::error("docker", "a\tb", "one\ntwo\u{1b}[31m\n", "x");
        assert_eq!((found.looked_at.as_str(), found.message.as_str()), ("a b", "one; two [31m"));
    }

    #[test]
    fn root_needs_no_sudo() {
        assert_eq!(as_root("sudoedit a && sudo b | sudo tee c"), "${EDITOR:-vi} a && b | tee c");
    }

    #[test]
    fn sizes_are_told_in_their_largest_unit() {
        assert_eq!(size(0), "0.0 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(3 << 30), "3.0 GiB");
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
    }
}
