//! How a stack is treated, beside what it is made of.

use super::StackName;
use std::collections::BTreeSet;

/// What a stack's `x-bowline` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of differences that no commit asked for.
    pub drift: DriftPolicy,
    /// What becomes of a commit that fails.
    pub rollback: RollbackPolicy,
    /// Whether containers of a Compose project of the same name are taken over.
    pub adopt: bool,
    /// Fields whose differences are shown, but neither repaired nor counted.
    pub ignore: Vec<FieldPattern>,
    /// The stacks that must be ready before a new definition of this one is begun.
    pub depends_on: BTreeSet<StackName>,
}

impl Policy {
    /// Whether differences in `field`, a full path, are left alone.
    pub fn ignores(&self, field: &str) -> bool {
        self.ignore.iter().any(|pattern| pattern.matches(field))
    }
}

/// What becomes of a difference that no commit asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It is repaired.
    #[default]
    Repair,
    /// It is shown and counted, and nothing is changed until git asks for something else.
    Report,
}

/// What becomes of a commit whose containers fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RollbackPolicy {
    /// The whole stack goes back to its last good revision.
    #[default]
    Auto,
    /// Nothing goes back by itself, unless a service's own `failure_action` says so.
    Off,
}

/// What becomes of a container when the content of a config, a secret or a mounted file that it can
/// only read changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OnContentChange {
    /// Another one takes its place.
    #[default]
    Replace,
    /// It gets the new content and is restarted.
    Restart,
    /// It gets the new content and this signal (`SIGHUP`).
    Signal(String),
}

/// A field with all below it: a path such as `services.web.labels`, where `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPattern(String);

impl FieldPattern {
    /// Takes a full path.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// Whether `field` is what the pattern names, or stands below it.
    pub fn matches(&self, field: &str) -> bool {
        matches(&self.0, field)
    }
}

fn matches(pattern: &str, field: &str) -> bool {
    let Some((first, after)) = pattern.split_once('*') else {
        // The field ends there or goes on below.
        let rest = field.strip_prefix(pattern);
        return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    };
    let Some(rest) = field.strip_prefix(first) else { return false };
    let mut starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    after.is_empty() || starts.any(|at| matches(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_path_with_all_below_it() {
        let cases = [
            ("services.web.mem_limit", "services.web.mem_limit", true),
            ("services.web.labels", "services.web.labels.a.b", true),
            ("services.web.mem", "services.web.mem_limit", false),
            ("services.*.mem_limit", "services.web.mem_limit", true),
            ("services.web.labels.traefik.*", "services.web.labels.traefik.enable", true),
            ("services.web.labels.traefik.*", "services.web.labels.other", false),
            ("services.web.networks.*.aliases", "services.web.networks.front.aliases", true),
            ("services.web.networks.*.aliases", "services.web.networks.front.ipv4_address", false),
            ("services.web.mem_limit", "services.web", false),
            ("services.web.labels.*.rule", "services.web.labels.traefik.rules.x.rule", true),
        ];
        for (pattern, field, expected) in cases {
            assert_eq!(FieldPattern::new(pattern).matches(field), expected, "{pattern} {field}");
        }
    }
}
