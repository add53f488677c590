//! The values of a stack that nothing shows. It finds them again as text, also in the ways in which
//! programs write them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What stands in place of one.
pub const HIDDEN: &str = "(hidden)";
/// Shorter ones are parts of ordinary words: they count where they are all that there is, or quoted.
const MIN_CHARS: usize = 4;
/// Words that are no secrets whatever they stand for, in small letters.
pub(crate) const PLAIN_WORDS: [&str; 23] = [
    "true",
    "false",
    "null",
    "yes",
    "no",
    "on",
    "off",
    "none",
    "auto",
    "trace",
    "debug",
    "info",
    "warn",
    "warning",
    "error",
    "production",
    "staging",
    "development",
    "test",
    "fast",
    "slow",
    "front",
    "back",
];
/// A line of a longer text is searched for by itself from so many characters on.
const MIN_LINE_CHARS: usize = 8;
/// The most values that one stack's encrypted files may have: all are kept in several ways of writing.
const MAX_VALUES: usize = 1000;
/// So many lines of one text are searched for.
const MAX_LINES: usize = 1000;
/// The longest text, in bytes, that is searched for as a whole, and in other ways of writing.
const MAX_WHOLE: usize = 64 << 10;
/// What stands for itself in a URL.
const IN_URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Values that are not shown. Copies share them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(Arc<Texts>);

#[derive(Clone, Default, PartialEq, Eq)]
struct Texts {
    /// How many values were added.
    values: usize,
    /// Those that are found within other words, by how they begin: so a text is gone through once, however
    /// many there are.
    long: BTreeMap<[u8; MIN_CHARS], BTreeSet<String>>,
    short: BTreeSet<String>,
}

impl Texts {
    fn put(&mut self, text: &str) -> bool {
        if text.is_empty() || PLAIN_WORDS.contains(&text.to_lowercase().as_str()) {
            return false;
        }
        match head(text) {
            Some(head) => self.long.entry(head).or_default().insert(text.to_owned()),
            None => self.short.insert(text.to_owned()),
        }
    }

    /// Those that `text` has in it; the longest first, since one may hold another.
    fn found_in(&self, text: &str) -> BTreeSet<(Reverse<usize>, &str)> {
        let bytes = text.as_bytes();
        let begun = bytes.windows(MIN_CHARS).enumerate().filter_map(|(at, head)| {
            let known = self.long.get(head)?;
            Some(known.iter().filter(move |known| bytes[at..].starts_with(known.as_bytes())))
        });
        let short = self.short.iter().filter(|known| text.contains(known.as_str()));
        let found = begun.flatten().chain(short);
        found.map(|known| (Reverse(known.len()), known.as_str())).collect()
    }
}

/// How a text begins that is not short.
fn head(text: &str) -> Option<[u8; MIN_CHARS]> {
    text.as_bytes().first_chunk().copied().filter(|_| is_long(text))
}

impl Hidden {
    /// Adds a value of an encrypted file; the error says that there are too many.
    pub fn add(&mut self, value: &str) -> Result<(), String> {
        self.put(value);
        if self.0.values > MAX_VALUES {
            return Err(format!("one stack's encrypted files may have {MAX_VALUES} variables"));
        }
        Ok(())
    }

    /// Adds a value, its lines where it has several, and how it looks in a URL, in quotes and in base64.
    pub fn put(&mut self, value: &str) {
        let value = value.trim();
        let texts = Arc::make_mut(&mut self.0);
        if value.len() <= MAX_WHOLE && texts.put(value) {
            texts.values += 1;
            if is_long(value) {
                for form in forms(value) {
                    texts.put(&form);
                }
            }
        }
        if value.contains('\n') {
            let lines = value.lines().map(str::trim);
            for line in lines.filter(|it| it.chars().count() >= MIN_LINE_CHARS).take(MAX_LINES) {
                texts.put(line);
            }
        }
    }

    /// Takes `name` out, which everybody sees: who names a user or a database like the stack hides nothing.
    pub fn spare(&mut self, name: &str) {
        let texts = Arc::make_mut(&mut self.0);
        texts.short.remove(name);
        if let Some(known) = head(name).and_then(|head| texts.long.get_mut(&head)) {
            known.remove(name);
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        let texts = Arc::make_mut(&mut self.0);
        texts.values += other.0.values;
        texts.short.extend(other.0.short.iter().cloned());
        for (head, known) in &other.0.long {
            texts.long.entry(*head).or_default().extend(known.iter().cloned());
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.long.is_empty() && self.0.short.is_empty()
    }

    /// Whether `text` has one in it.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.found_in(text).iter().any(|(_, value)| {
            is_long(value)
                || text.trim() == *value
                || quoted(value).iter().any(|(quoted, _)| text.contains(quoted))
        })
    }

    /// `text` without them; a short one is taken out where it is quoted, or all that there is.
    pub fn without(&self, text: &str) -> String {
        self.0.found_in(text).into_iter().fold(text.to_owned(), |text, (_, value)| {
            if !text.contains(value) {
                text
            } else if is_long(value) {
                text.replace(value, HIDDEN)
            } else if text.trim() == value {
                HIDDEN.to_owned()
            } else {
                let quoted = quoted(value).into_iter();
                quoted.fold(text, |text, (quoted, instead)| text.replace(&quoted, &instead))
            }
        })
    }

    /// `model` without them.
    pub fn hide(&self, model: &mut Json) {
        match model {
            Json::String(text) if self.is_in(text) => *text = self.without(text),
            Json::Number(number) if self.is_in(&number.to_string()) => *model = HIDDEN.into(),
            Json::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Json::Object(map) => map.values_mut().for_each(|value| self.hide(value)),
            _ => {}
        }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hidden({})", self.0.values)
    }
}

fn is_long(value: &str) -> bool {
    value.chars().count() >= MIN_CHARS
}

/// How a short value is quoted, and what is shown instead.
fn quoted(value: &str) -> [(String, String); 2] {
    [(format!("`{value}`"), format!("`{HIDDEN}`")), (format!("{value:?}"), format!("{HIDDEN:?}"))]
}

/// How else programs write a value.
fn forms(value: &str) -> [String; 6] {
    let json = serde_json::to_string(value).unwrap_or_default();
    let inner = json.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or_default();
    [
        value.escape_debug().to_string(),
        inner.to_owned(),
        utf8_percent_encode(value, IN_URL).to_string(),
        value.replace('\'', "'\\''"),
        STANDARD_NO_PAD.encode(value),
        URL_SAFE_NO_PAD.encode(value),
    ]
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
            ("[\"80\", \"8080\"]", "[\"(hidden)\", \"8080\"]"),
        ] {
            assert_eq!(hidden.without(text), expected);
        }
        assert!(hidden.is_in("80") && !hidden.is_in("8080") && hidden.is_in("x hunter2"));
    }

    #[test]
    fn plain_words_and_names_are_shown() {
        let mut hidden = hidden(&["true", "Production", "shop", "shopkeeper"]);
        hidden.spare("shop");
        let text = "shop-web-1: want `true` or false in production, not (hidden)";
        assert_eq!(hidden.without(&text.replace("(hidden)", "shopkeeper")), text);
    }

    #[test]
    fn a_model_is_shown_without_them() {
        let mut model = json!({ "a": ["x-hunter2"], "b": { "c": 80, "d": 8080, "e": true } });
        hidden(&["hunter2", "80"]).hide(&mut model);
        let expected =
            json!({ "a": ["x-(hidden)"], "b": { "c": "(hidden)", "d": 8080, "e": true } });
        assert_eq!(model, expected);
    }

    #[test]
    fn a_value_is_known_again_as_programs_write_it() {
        let value = "it's p&ss \"wörd\"";
        let hidden = hidden(&[value]);
        for written in [
            format!("{value:?}"),
            serde_json::to_string(value).unwrap(),
            format!("p={}&x=1", utf8_percent_encode(value, IN_URL)),
            r#"sh -c 'it'\''s p&ss "wörd"'"#.to_owned(),
            base64::engine::general_purpose::STANDARD.encode(value),
            base64::engine::general_purpose::URL_SAFE.encode(value),
        ] {
            let told = hidden.without(&written);
            assert!(told.contains(HIDDEN) && !told.contains("ss"), "{written}: {told}");
        }
    }

    #[test]
    fn of_a_text_of_several_lines_each_long_one_is_hidden() {
        let hidden = hidden(&["-----BEGIN KEY-----\n  MIIEabcdef\nab\n"]);
        assert_eq!(hidden.without("cannot read MIIEabcdef: ab"), "cannot read (hidden): ab");
        assert_eq!(hidden.without("-----BEGIN KEY-----\n  MIIEabcdef\nab"), "(hidden)");
    }
}
