//! Every attribute of Compose, by walking the schema. It knows no attribute by itself.

use super::diagnostic::Severity;
use super::schema;
use super::shape::Rule;
use super::support::{GAPS, Gap, TOLD_ELSEWHERE};
use std::collections::BTreeMap;

/// What becomes of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It has its effect, on an engine that knows it.
    Works,
    /// It has none; a warning says why.
    Warns(&'static str),
    /// It is refused; the error says why.
    Fails(&'static str),
}

/// All attributes by their path: keys joined with dots, `*` for any key or index. What is below one
/// that has no effect or is refused goes with it and is not listed.
pub fn attributes() -> BTreeMap<String, Effect> {
    let mut found = BTreeMap::new();
    walk(&schema::FILE, "", &mut found);
    found
}

fn walk(rule: &Rule, path: &str, found: &mut BTreeMap<String, Effect>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match rule {
        Rule::Nullable(inner) => walk(inner, path, found),
        Rule::OneOf(rules) => rules.iter().for_each(|rule| walk(rule, path, found)),
        Rule::List(inner) | Rule::Set(inner) | Rule::Map(inner) | Rule::Named(inner) => {
            walk(inner, &below("*"), found);
        }
        Rule::Object(fields) | Rule::Closed(fields) | Rule::Open(fields) => {
            for field in *fields {
                let path = below(field.name);
                let effect = effect(&path);
                if effect == Effect::Works {
                    walk(field.rule(), &path, found);
                }
                found.insert(path, effect);
            }
        }
        _ => {}
    }
}

/// What becomes of the attribute at `path`.
pub(super) fn effect(path: &str) -> Effect {
    let covers = |gap: &&Gap| gap.path == path && gap.value.is_none();
    match GAPS.iter().chain(TOLD_ELSEWHERE).find(covers) {
        None => Effect::Works,
        Some(gap) if gap.severity == Severity::Warning => Effect::Warns(gap.why),
        Some(gap) => Effect::Fails(gap.why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_at_any_depth_and_none_below_one_that_is_refused() {
        let all = attributes();
        assert_eq!(all["services.*.healthcheck.test"], Effect::Works);
        assert_eq!(all["services.*.volumes.*.bind.selinux"], Effect::Works);
        assert!(matches!(all["services.*.build"], Effect::Fails(_)));
        assert!(matches!(all["services.*.attach"], Effect::Warns(_)));
        assert!(all.keys().all(|path| !path.starts_with("services.*.build.")));
        assert_eq!(all["services.*.pull_policy"], Effect::Works);
    }
}
