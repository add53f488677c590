//! Checks a tree against rules that are data, and casts text to what a rule asks for. It never
//! knows a key by itself: those are in the schema.

use super::node::{Node, Value};
use super::notes::Notes;
use super::trail::Trail;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Rule {
    /// Anything at all.
    Any,
    /// A string.
    Str,
    /// A string that is read as a length of time later.
    Time,
    /// A string of a certain form.
    Like(&'static Pattern),
    /// A string or a number; left as written.
    Text,
    /// A string or an integer; left as written.
    WholeText,
    /// Text, a boolean or nothing.
    Scalar,
    /// A boolean, or a string that says one.
    Bool,
    /// A boolean and nothing else.
    Flag,
    /// A number or a string; what is behind the point is cut off.
    Int,
    /// The same, and not below zero.
    Count,
    /// An integer or a string.
    Whole,
    /// An integer from the first to the second, or a string.
    Between(i64, i64),
    Number,
    /// A number and nothing else; what is behind the point is cut off.
    Numeric,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static Rule),
    /// A list, none twice.
    Set(&'static Rule),
    /// A mapping with keys of the user's choice.
    Map(&'static Rule),
    /// The same where keys are names of Compose: letters, digits, `.`, `_`, `-`.
    Named(&'static Rule),
    /// A mapping with these keys and what begins with `x-`.
    Object(&'static [Field]),
    /// A mapping with these keys alone.
    Closed(&'static [Field]),
    /// A mapping with these keys and any others.
    Open(&'static [Field]),
    /// The rule or nothing at all.
    Nullable(&'static Rule),
    /// The first rule whose kind the value has.
    OneOf(&'static [Rule]),
}

/// A form that a string may have.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// What was expected, for messages.
    pub(crate) what: &'static str,
    pub(crate) fits: fn(&str) -> bool,
}

/// A key and what stands under it.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) presence: Presence,
}

/// Whether a key must be there.
#[derive(Debug)]
pub(crate) enum Presence {
    Optional(Rule),
    Required(Rule),
}

impl Field {
    pub(crate) fn rule(&self) -> &Rule {
        match &self.presence {
            Presence::Optional(rule) | Presence::Required(rule) => rule,
        }
    }
}

/// Checks `node` against `rule`; what is wrong is noted at its place.
pub(crate) fn check(node: &mut Node, rule: &Rule, path: &Trail<'_>, notes: &mut Notes) {
    match rule {
        Rule::Nullable(inner) => {
            if !node.is_null() {
                check(node, inner, path, notes);
            }
        }
        Rule::OneOf(rules) => match rules.iter().find(|rule| fits(node, rule)) {
            Some(rule) => check(node, rule, path, notes),
            None => refuse(node, rule, path, notes),
        },
        _ if !fits(node, rule) => refuse(node, rule, path, notes),
        Rule::List(item) => check_items(node, item, path, notes),
        Rule::Set(item) => {
            check_items(node, item, path, notes);
            check_unique(node, path, notes);
        }
        Rule::Map(inner) => {
            // One that was an item of a list has no place of its own, and is let pass.
            let empty = node.as_map().and_then(|map| map.get(""));
            if let Some(empty) = empty.filter(|empty| !empty.key.is_nowhere()) {
                notes.error(empty.place(), path, "a key must not be empty");
            }
            check_values(node, inner, path, notes);
        }
        Rule::Named(inner) => {
            check_names(node, path, notes);
            check_values(node, inner, path, notes);
        }
        Rule::Object(fields) | Rule::Closed(fields) | Rule::Open(fields) => {
            check_object(node, rule, fields, path, notes);
        }
        Rule::Choice(choices) => check_choice(node, choices, path, notes),
        Rule::Like(pattern) => {
            let text = node.as_str().unwrap_or_default();
            if !(pattern.fits)(text) {
                notes.error(node.mark, path, format!("`{text}` is not {}", pattern.what));
            }
        }
        Rule::Count => {
            cast(node, rule, path, notes);
            if node.as_int().is_some_and(|number| number < 0) {
                notes.error(node.mark, path, "must not be negative");
            }
        }
        Rule::Between(low, high) => {
            cast(node, rule, path, notes);
            let within = |number: i128| (i128::from(*low)..=i128::from(*high)).contains(&number);
            if node.as_int().is_some_and(|number| !within(number)) {
                notes.error(node.mark, path, format!("must be from {low} to {high}"));
            }
        }
        Rule::Bool | Rule::Int | Rule::Whole | Rule::Number | Rule::Numeric => {
            cast(node, rule, path, notes);
        }
        Rule::Any
        | Rule::Str
        | Rule::Time
        | Rule::Text
        | Rule::WholeText
        | Rule::Scalar
        | Rule::Flag => {}
    }
}

/// Whether the kind of `node` is the one that `rule` is for.
fn fits(node: &Node, rule: &Rule) -> bool {
    match (rule, &node.value) {
        (Rule::Nullable(inner), value) if *value != Value::Null => fits(node, inner),
        (Rule::OneOf(rules), _) => rules.iter().any(|rule| fits(node, rule)),
        (Rule::Any, _)
        | (Rule::Nullable(_), Value::Null)
        | (Rule::Str | Rule::Time | Rule::Choice(_) | Rule::Like(_), Value::Str(_))
        | (
            Rule::Text | Rule::Number | Rule::Int | Rule::Count,
            Value::Str(_) | Value::Int(_) | Value::Float(_),
        )
        | (Rule::WholeText | Rule::Whole | Rule::Between(..), Value::Str(_) | Value::Int(_))
        | (Rule::Numeric, Value::Int(_) | Value::Float(_))
        | (Rule::Bool, Value::Bool(_) | Value::Str(_))
        | (Rule::Flag, Value::Bool(_))
        | (Rule::List(_) | Rule::Set(_), Value::Seq(_))
        | (
            Rule::Map(_) | Rule::Named(_) | Rule::Object(_) | Rule::Closed(_) | Rule::Open(_),
            Value::Map(_),
        ) => true,
        // JSON knows no difference between 1 and 1.0.
        (Rule::WholeText | Rule::Whole | Rule::Between(..), Value::Float(number)) => {
            number.fract() == 0.0
        }
        (Rule::Scalar, value) => !matches!(value, Value::Seq(_) | Value::Map(_) | Value::Time(_)),
        _ => false,
    }
}

fn refuse(node: &Node, rule: &Rule, path: &Trail<'_>, notes: &mut Notes) {
    let message = format!("must be {}, not {}", describe(rule), node.kind());
    let seconds =
        node.text().filter(|_| matches!((rule, &node.value), (Rule::Time, Value::Int(_))));
    let help = seconds.map(|seconds| format!("a time has a unit; write for example `{seconds}s`"));
    notes.error_with_help(node.mark, path, message, help);
}

fn describe(rule: &Rule) -> String {
    match rule {
        Rule::Any => "anything".to_owned(),
        Rule::Str | Rule::Time | Rule::Choice(_) | Rule::Like(_) => "a string".to_owned(),
        Rule::Text => "a string or a number".to_owned(),
        Rule::WholeText => "a string or an integer".to_owned(),
        Rule::Scalar => "a string, a number, a boolean or null".to_owned(),
        Rule::Bool | Rule::Flag => "a boolean".to_owned(),
        Rule::Int | Rule::Count | Rule::Whole | Rule::Between(..) => "an integer".to_owned(),
        Rule::Number | Rule::Numeric => "a number".to_owned(),
        Rule::List(_) | Rule::Set(_) => "a list".to_owned(),
        Rule::Map(_) | Rule::Named(_) | Rule::Object(_) | Rule::Closed(_) | Rule::Open(_) => {
            "a mapping".to_owned()
        }
        Rule::Nullable(inner) => format!("{} or null", describe(inner)),
        Rule::OneOf(rules) => {
            let kinds: Vec<_> = rules.iter().map(describe).collect();
            kinds.join(" or ")
        }
    }
}

fn check_items(node: &mut Node, item: &Rule, path: &Trail<'_>, notes: &mut Notes) {
    if let Value::Seq(items) = &mut node.value {
        for (index, value) in items.iter_mut().enumerate() {
            check(value, item, &path.item(index), notes);
        }
    }
}

fn check_values(node: &mut Node, rule: &Rule, path: &Trail<'_>, notes: &mut Notes) {
    for (key, value) in node.as_map_mut().into_iter().flatten() {
        check(value, rule, &path.key(key), notes);
    }
}

fn check_names(node: &mut Node, path: &Trail<'_>, notes: &mut Notes) {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let Some(map) = node.as_map_mut() else { return };
    for (key, value) in &*map {
        if key.is_empty() || !key.chars().all(good) && !key.starts_with("x-") {
            let message = format!("`{key}` is no name: letters, digits, `.`, `_` and `-`");
            notes.error(value.place(), path, message);
        }
    }
}

fn check_unique(node: &Node, path: &Trail<'_>, notes: &mut Notes) {
    if node.items().len() < 2 {
        return;
    }
    let mut seen = BTreeSet::new();
    for item in node.items() {
        let mut text = String::new();
        fingerprint(item, &mut text);
        if !seen.insert(text) {
            let what = item.text().map_or("an item".to_owned(), |text| format!("`{text}`"));
            notes.error(item.mark, path, format!("{what} is listed twice"));
        }
    }
}

/// Equal for equal values, and only for those.
fn fingerprint(node: &Node, out: &mut String) {
    match &node.value {
        Value::Seq(items) => {
            out.push('[');
            for item in items {
                fingerprint(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            out.push('{');
            for (key, value) in sorted {
                let _ = write!(out, "{key:?}:");
                fingerprint(value, out);
            }
            out.push('}');
        }
        value => {
            let _ = write!(out, "{value:?};");
        }
    }
}

fn check_choice(node: &Node, choices: &[&str], path: &Trail<'_>, notes: &mut Notes) {
    let text = node.as_str().unwrap_or_default();
    if !choices.contains(&text) {
        let message = format!("`{text}` is none of: {}", choices.join(", "));
        notes.error_with_help(node.mark, path, message, suggestion(text, choices.iter().copied()));
    }
}

fn check_object(
    node: &mut Node,
    rule: &Rule,
    fields: &[Field],
    path: &Trail<'_>,
    notes: &mut Notes,
) {
    let place = node.place();
    let Some(map) = node.as_map_mut() else { return };
    for field in fields {
        if matches!(field.presence, Presence::Required(_)) && !map.contains_key(field.name) {
            notes.error(place, path, format!("needs `{}`", field.name));
        }
    }
    for (key, value) in map.iter_mut() {
        if let Some(field) = fields.iter().find(|field| field.name == key) {
            check(value, field.rule(), &path.key(key), notes);
            continue;
        }
        let is_free = match rule {
            Rule::Open(_) => true,
            Rule::Closed(_) => false,
            _ => key.starts_with("x-"),
        };
        if !is_free {
            let help = suggestion(key, fields.iter().map(|field| field.name));
            notes.error_with_help(value.place(), path, format!("unknown key `{key}`"), help);
        }
    }
}

/// What was probably meant by `written`.
pub(crate) fn suggestion<'a>(
    written: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<String> {
    if written.len() > 64 {
        return None;
    }
    known
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 5)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

fn cast(node: &mut Node, rule: &Rule, path: &Trail<'_>, notes: &mut Notes) {
    let value = match (rule, &node.value) {
        (
            Rule::Int | Rule::Count | Rule::Whole | Rule::Numeric | Rule::Between(..),
            Value::Float(number),
        ) => whole(*number),
        (Rule::Int | Rule::Count | Rule::Whole | Rule::Between(..), Value::Str(text)) => {
            text.parse::<i64>().ok().map(Value::int)
        }
        (Rule::Number, Value::Str(text)) => text.parse().ok().map(Value::Float),
        (Rule::Bool, Value::Str(text)) => cast_bool(text, node, path, notes),
        (_, value) => Some(value.clone()),
    };
    if let Some(value) = value {
        node.value = value;
    } else {
        let text = node.text().unwrap_or_default();
        notes.error(node.mark, path, format!("must be {}, not `{text}`", describe(rule)));
    }
}

fn whole(number: f64) -> Option<Value> {
    #[expect(clippy::cast_possible_truncation, reason = "cut off as Compose does")]
    (number.abs() < 9e15).then_some(Value::int(number as i128))
}

fn cast_bool(text: &str, node: &Node, path: &Trail<'_>, notes: &mut Notes) -> Option<Value> {
    let flag = match text.to_ascii_lowercase().as_str() {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        "y" | "yes" | "on" => true,
        "n" | "no" | "off" => false,
        _ => return None,
    };
    notes.warning(node.mark, path, format!("`{text}` is read as {flag}; write `{flag}`"));
    Some(Value::Bool(flag))
}

/// Whether `rule` has something at `keys`, where `*` is any key or index.
#[cfg(test)]
pub(crate) fn knows(rule: &Rule, keys: &[&str]) -> bool {
    let Some((key, rest)) = keys.split_first() else { return true };
    match rule {
        Rule::Nullable(inner) => knows(inner, keys),
        Rule::OneOf(rules) => rules.iter().any(|rule| knows(rule, keys)),
        Rule::List(inner) | Rule::Set(inner) | Rule::Map(inner) | Rule::Named(inner) => {
            *key == "*" && knows(inner, rest)
        }
        Rule::Object(fields) | Rule::Closed(fields) | Rule::Open(fields) => {
            fields.iter().any(|field| field.name == *key && knows(field.rule(), rest))
        }
        _ => false,
    }
}
