//! Variables in text: `$NAME`, `${NAME}` and the forms with a default, an alternative or a demand
//! (specification, "Interpolation"). It never reads an environment of its own.

mod names;

pub(crate) use names::variables;

use super::node::{Mark, Node, Text, Value};
use super::notes::Notes;
use super::trail::Trail;
use std::collections::BTreeSet;

/// Looks a variable up.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How deep defaults may be nested in one another.
const MAX_DEPTH: usize = 50;
/// The longest text, in bytes, that variables may make.
const MAX_FILLED: usize = 1 << 20;
/// The most bytes that variables may make in one file, all together.
const MAX_FILLED_TOTAL: usize = 64 << 20;

/// Why a text cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubstituteError {
    /// `${NAME:?message}` without a value.
    #[error("required variable {name} is missing a value{}{message}", if message.is_empty() { "" } else { ": " })]
    Missing { name: String, message: String },
    /// Neither a variable nor an escaped dollar.
    #[error("invalid interpolation format")]
    Invalid,
    /// A text that would grow beyond measure.
    #[error("variables make more than {MAX_FILLED} bytes of it")]
    TooLong,
}

/// Fills in every text of `node`; what cannot be filled in is noted at its place.
pub(crate) fn interpolate(node: &mut Node, lookup: Lookup<'_>, notes: &mut Notes) {
    let mut total = 0_usize;
    let mut failed = BTreeSet::new();
    each_text(node, &Trail::Start(""), &mut |text, mark, path| {
        let mut unset = Vec::new();
        let filled = if total > MAX_FILLED_TOTAL {
            Err(SubstituteError::TooLong)
        } else {
            substitute(text, lookup, &mut unset)
        };
        match filled {
            Ok(filled) => {
                total += filled.len();
                *text = filled.into();
            }
            Err(error) => {
                let help = matches!(error, SubstituteError::Invalid)
                    .then(|| "a dollar sign that is meant as such is written `$$`".to_owned());
                notes.error_with_help(mark, path, error.to_string(), help);
                failed.insert(mark);
            }
        }
        for name in unset {
            let message = format!("the variable `{name}` is not set; a blank string is put in");
            notes.warning(mark, path, message);
        }
    });
    notes.excuse(failed);
}

/// The places of texts that name variables.
pub(crate) fn templates(node: &mut Node) -> BTreeSet<Mark> {
    let mut found = BTreeSet::new();
    each_text(node, &Trail::Start(""), &mut |_, mark, _| {
        found.insert(mark);
    });
    found
}

/// Shows `visit` every text of `node` with a dollar sign, its place and its path.
fn each_text(
    node: &mut Node,
    path: &Trail<'_>,
    visit: &mut dyn FnMut(&mut Text, Mark, &Trail<'_>),
) {
    let mark = node.mark;
    match &mut node.value {
        Value::Str(text) if text.as_bytes().contains(&b'$') => visit(text, mark, path),
        Value::Seq(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                each_text(item, &path.item(index), visit);
            }
        }
        Value::Map(map) => {
            for (key, value) in map {
                each_text(value, &path.key(key), visit);
            }
        }
        _ => {}
    }
}

/// `text` with its variables filled in; names without value or default are added to `unset`.
pub(crate) fn substitute(
    text: &str,
    lookup: Lookup<'_>,
    unset: &mut Vec<String>,
) -> Result<String, SubstituteError> {
    fill(text, lookup, unset, 0)
}

fn fill(
    text: &str,
    lookup: Lookup<'_>,
    unset: &mut Vec<String>,
    depth: usize,
) -> Result<String, SubstituteError> {
    let invalid = || SubstituteError::Invalid;
    if depth > MAX_DEPTH {
        return Err(invalid());
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some(body) = rest.strip_prefix('{') {
            let inner = braced(body).ok_or_else(invalid)?;
            let name = name_at_start(inner);
            let form = Form::parse(&inner[name.len()..]).ok_or_else(invalid)?;
            filled.push_str(&form.evaluate(name, lookup, unset, depth)?);
            if filled.len() > MAX_FILLED {
                return Err(SubstituteError::TooLong);
            }
            rest = &body[inner.len() + 1..];
        } else {
            let name = name_at_start(rest);
            if name.is_empty() {
                filled.push('$');
            } else {
                filled.push_str(&Form::Plain.evaluate(name, lookup, unset, depth)?);
                if filled.len() > MAX_FILLED {
                    return Err(SubstituteError::TooLong);
                }
                rest = &rest[name.len()..];
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn name_at_start(text: &str) -> &str {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// What stands within the braces at the start of `body`, which follows `${`: a name alone, or a
/// name, an operator and a text. The text ends at the brace that closes the one before `body`; where
/// there is none, at the last one of the line, since that is what Compose's pattern matches.
fn braced(body: &str) -> Option<&str> {
    let name = name_at_start(body);
    let after = &body[name.len()..];
    if name.is_empty() || after.starts_with('}') {
        return (!name.is_empty()).then_some(name);
    }
    let operator = after.strip_prefix(':').unwrap_or(after);
    if !operator.starts_with(['-', '?', '+']) {
        return None;
    }
    let end = closing_brace(body).or_else(|| body.lines().next()?.rfind('}'))?;
    Some(&body[..end])
}

/// The index of the brace that closes the one before `body`, on the same line. What follows an
/// opening brace is passed over, as Compose does.
fn closing_brace(body: &str) -> Option<usize> {
    let mut depth = 1_usize;
    let mut bytes = body.bytes().enumerate().skip(1);
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'\n' => return None,
            b'{' => {
                depth += 1;
                if bytes.next().is_some_and(|(_, byte)| byte == b'\n') {
                    return None;
                }
            }
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}

/// What follows the name within braces. A colon makes an empty value count as none.
enum Form<'a> {
    Plain,
    Default { text: &'a str, empty_counts: bool },
    Demand { message: &'a str, empty_counts: bool },
    Alternative { text: &'a str, empty_counts: bool },
}

impl<'a> Form<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Plain);
        }
        let (operator, empty_counts) = match text.strip_prefix(':') {
            Some(rest) => (rest, false),
            None => (text, true),
        };
        let text = operator.get(1..)?;
        match operator.as_bytes()[0] {
            b'-' => Some(Self::Default { text, empty_counts }),
            b'?' => Some(Self::Demand { message: text, empty_counts }),
            b'+' => Some(Self::Alternative { text, empty_counts }),
            _ => None,
        }
    }

    fn evaluate(
        &self,
        name: &str,
        lookup: Lookup<'_>,
        unset: &mut Vec<String>,
        depth: usize,
    ) -> Result<String, SubstituteError> {
        let value = lookup(name);
        let counts =
            |empty_counts: bool| value.clone().filter(|value| empty_counts || !value.is_empty());
        match *self {
            Self::Plain => Ok(value.unwrap_or_else(|| {
                unset.push(name.to_owned());
                String::new()
            })),
            Self::Default { text, empty_counts } => match counts(empty_counts) {
                Some(value) => Ok(value),
                None => fill(text, lookup, unset, depth + 1),
            },
            Self::Demand { message, empty_counts } => match counts(empty_counts) {
                Some(value) => Ok(value),
                None => Err(SubstituteError::Missing {
                    name: name.to_owned(),
                    message: fill(message, lookup, unset, depth + 1)?,
                }),
            },
            Self::Alternative { text, empty_counts } => match counts(empty_counts) {
                Some(_) => fill(text, lookup, unset, depth + 1),
                None => Ok(String::new()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "FOO" => Some("foo".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        }
    }

    fn filled(text: &str) -> Result<String, String> {
        substitute(text, &lookup, &mut vec![]).map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_gives_what_the_specification_says() {
        for (text, expected) in [
            ("$FOO", "foo"),
            ("${FOO}", "foo"),
            ("$$FOO", "$FOO"),
            ("$$$FOO", "$foo"),
            ("${E:-d}", "d"),
            ("${E-d}", ""),
            ("${U-d}", "d"),
            ("${FOO:+alt}", "alt"),
            ("${E:+alt}", ""),
            ("${E+alt}", "alt"),
            ("${U+alt}", ""),
            ("${E?err}", ""),
            ("${U:-${V:-deep}}", "deep"),
            ("${U:-a${FOO}b}", "afoob"),
            ("${U:-{\"a\":1}}", "{\"a\":1}"),
            ("${U:-}}", "}"),
            ("${U:-p{}q} z", "p{}q z"),
            ("${U:-{} z", "{ z"),
            ("${U:-a} ${FOO}", "a foo"),
            ("${U:-a?b}", "a?b"),
            ("${U-a:-b}", "a:-b"),
            ("${U:-$$x}", "$x"),
            ("$", "$"),
            ("$1 $(cmd) $?", "$1 $(cmd) $?"),
            ("$FOO.x", "foo.x"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_demand_without_a_value_says_its_message() {
        let message = "required variable U is missing a value: err";
        assert_eq!(filled("${U:?err}").unwrap_err(), message);
        assert_eq!(filled("${U?}").unwrap_err(), "required variable U is missing a value");
        assert!(filled("${E:?err}").is_err());
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for text in [
            "${1}",
            "${}",
            "${FOO",
            "${FOO bar}",
            "${FOO!x}",
            "${FOO/x/y}",
            "${FOO:}",
            "${U:-a\nb}",
            "${U:-{}} ${FOO:-x}",
        ] {
            assert!(filled(text).unwrap_err().starts_with("invalid"), "{text}");
        }
        assert!(filled(&format!("{}{}", "${U:-".repeat(99), "}".repeat(99))).is_err());
    }

    #[test]
    fn what_grows_beyond_measure_is_refused() {
        let long = |_: &str| Some("x".repeat(1 << 10));
        let text = "$A".repeat(1 << 11);
        let filled = substitute(&text, &long, &mut vec![]);
        assert_eq!(filled, Err(SubstituteError::TooLong));
        let text = "${E:-x}".repeat(1 << 16);
        assert_eq!(substitute(&text, &lookup, &mut vec![]).unwrap().len(), 1 << 16);
    }

    #[test]
    fn unset_names_are_told() {
        let mut unset = vec![];
        substitute("$a ${b} ${c:-}", &lookup, &mut unset).unwrap();
        assert_eq!(unset, ["a", "b"]);
    }
}
