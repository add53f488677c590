//! The values of encrypted files, which no message and no output shows. It finds them again as text.

use serde_json::Value as Json;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What stands in place of one.
const SHOWN: &str = "(hidden)";
/// Shorter ones are parts of ordinary words: they count where they are all that there is.
const MIN_CHARS: usize = 4;

/// The most values that one stack's encrypted files may have: each text is searched for each of them.
const MAX_VALUES: usize = 1000;

/// Values that are not shown.
#[derive(Default)]
pub(crate) struct Hidden {
    /// The longest first, since one may hold another.
    values: BTreeSet<(Reverse<usize>, String)>,
}

impl Hidden {
    /// Adds one; the error says that there are too many.
    pub(crate) fn add(&mut self, value: &str) -> Result<(), String> {
        if !value.is_empty() {
            self.values.insert((Reverse(value.len()), value.to_owned()));
        }
        if self.values.len() > MAX_VALUES {
            return Err(format!("one stack's encrypted files may have {MAX_VALUES} variables"));
        }
        Ok(())
    }

    fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(_, value)| value.as_str())
    }

    /// Whether `text` has one in it.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.values().any(|value| text == value || (is_long(value) && text.contains(value)))
    }

    /// `text` without them; a short one is taken out where it is quoted.
    pub(crate) fn without(&self, text: &str) -> String {
        self.values().fold(text.to_owned(), |text, value| {
            if is_long(value) {
                // A message may quote it, with escapes.
                let escaped = value.escape_debug().to_string();
                text.replace(value, SHOWN).replace(&escaped, SHOWN)
            } else if text == value {
                SHOWN.to_owned()
            } else {
                text.replace(&format!("`{value}`"), &format!("`{SHOWN}`"))
                    .replace(&format!("{value:?}"), &format!("{SHOWN:?}"))
            }
        })
    }

    /// `model` without them.
    pub(crate) fn hide(&self, model: &mut Json) {
        match model {
            Json::String(text) if self.is_in(text) => *text = self.without(text),
            Json::Number(number) if self.is_in(&number.to_string()) => *model = SHOWN.into(),
            Json::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Json::Object(map) => map.values_mut().for_each(|value| self.hide(value)),
            _ => {}
        }
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hidden({})", self.values.len())
    }
}

fn is_long(value: &str) -> bool {
    value.chars().count() >= MIN_CHARS
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hidden(values: &[&str]) -> Hidden {
        let mut hidden = Hidden::default();
        for value in values {
            hidden.add(value).unwrap();
        }
        hidden
    }

    #[test]
    fn a_value_is_taken_out_wherever_it_stands() {
        let hidden = hidden(&["hunter2", "hunter2-long", "a\"b\nc", "80", ""]);
        for (text, expected) in [
            ("postgres://u:hunter2@db", "postgres://u:(hidden)@db"),
            ("`hunter2-long` is no port", "`(hidden)` is no port"),
            ("\"a\\\"b\\nc\" is none", "\"(hidden)\" is none"),
            ("`80` is no size", "`(hidden)` is no size"),
            ("line 180", "line 180"),
            ("80", "(hidden)"),
        ] {
            assert_eq!(hidden.without(text), expected);
        }
        assert!(hidden.is_in("80") && !hidden.is_in("8080") && hidden.is_in("x hunter2"));
    }

    #[test]
    fn a_model_is_shown_without_them() {
        let mut model = json!({ "a": ["x-hunter2"], "b": { "c": 80, "d": 8080, "e": true } });
        hidden(&["hunter2", "80"]).hide(&mut model);
        let expected =
            json!({ "a": ["x-(hidden)"], "b": { "c": "(hidden)", "d": 8080, "e": true } });
        assert_eq!(model, expected);
    }
}
