//! Checks a tree against rules that are data, and casts text to what a rule asks for. It never
//! knows a key by itself: those are in the schema.

use super::node::{Map, Node, Value};
use super::notes::Notes;
use std::collections::BTreeSet;

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Rule {
    /// A string.
    Str,
    /// A string that looks like a number too.
    Text,
    /// Text, a boolean or nothing.
    Scalar,
    Bool,
    Int,
    Number,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static Rule),
    /// A list, none twice.
    Set(&'static Rule),
    /// A mapping with keys of the user's choice.
    Map(&'static Rule),
    /// A mapping with these keys.
    Object(&'static [Field]),
    /// The rule or nothing at all.
    Nullable(&'static Rule),
    /// The first rule whose kind the value has.
    OneOf(&'static [Rule]),
}

/// A key and what stands under it.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) presence: Presence,
}

/// What Bowline makes of a key.
#[derive(Debug)]
pub(crate) enum Presence {
    Optional(Rule),
    Required(Rule),
    /// Known to Compose, not to Bowline.
    Unsupported,
}

/// Checks `node` against `rule`; what is wrong is noted at its place.
pub(crate) fn check(node: &mut Node, rule: &Rule, path: &str, notes: &mut Notes) {
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
            for (key, value) in node.as_map_mut().into_iter().flatten() {
                check(value, inner, &format!("{path}.{key}"), notes);
            }
        }
        Rule::Object(fields) => check_object(node, fields, path, notes),
        Rule::Choice(choices) => check_choice(node, choices, path, notes),
        Rule::Bool | Rule::Int | Rule::Number => cast(node, rule, path, notes),
        Rule::Str | Rule::Text | Rule::Scalar => {}
    }
}

/// Whether the kind of `node` is the one that `rule` is for.
fn fits(node: &Node, rule: &Rule) -> bool {
    match (rule, &node.value) {
        (Rule::Nullable(inner), value) if *value != Value::Null => fits(node, inner),
        (Rule::OneOf(rules), _) => rules.iter().any(|rule| fits(node, rule)),
        (Rule::Nullable(_), Value::Null)
        | (Rule::Str | Rule::Choice(_), Value::Str(_))
        | (
            Rule::Text | Rule::Number | Rule::Int,
            Value::Str(_) | Value::Int(_) | Value::Float(_),
        )
        | (Rule::Bool, Value::Bool(_) | Value::Str(_))
        | (Rule::List(_) | Rule::Set(_), Value::Seq(_))
        | (Rule::Map(_) | Rule::Object(_), Value::Map(_)) => true,
        (Rule::Scalar, value) => !matches!(value, Value::Seq(_) | Value::Map(_) | Value::Time(_)),
        _ => false,
    }
}

fn refuse(node: &Node, rule: &Rule, path: &str, notes: &mut Notes) {
    let message = format!("must be {}, not {}", describe(rule), node.kind());
    notes.error(node.mark, path, message);
}

fn describe(rule: &Rule) -> String {
    match rule {
        Rule::Str | Rule::Choice(_) => "a string".to_owned(),
        Rule::Text => "a string or a number".to_owned(),
        Rule::Scalar => "a string, a number, a boolean or null".to_owned(),
        Rule::Bool => "a boolean".to_owned(),
        Rule::Int => "an integer".to_owned(),
        Rule::Number => "a number".to_owned(),
        Rule::List(_) | Rule::Set(_) => "a list".to_owned(),
        Rule::Map(_) | Rule::Object(_) => "a mapping".to_owned(),
        Rule::Nullable(inner) => format!("{} or null", describe(inner)),
        Rule::OneOf(rules) => {
            let kinds: Vec<_> = rules.iter().map(describe).collect();
            kinds.join(" or ")
        }
    }
}

fn check_items(node: &mut Node, item: &Rule, path: &str, notes: &mut Notes) {
    if let Value::Seq(items) = &mut node.value {
        for (index, value) in items.iter_mut().enumerate() {
            check(value, item, &format!("{path}.{index}"), notes);
        }
    }
}

fn check_unique(node: &Node, path: &str, notes: &mut Notes) {
    let mut seen = BTreeSet::new();
    for text in node.items().iter().filter_map(|item| Some((item.mark, item.as_str()?))) {
        if !seen.insert(text.1) {
            notes.error(text.0, path, format!("`{}` is listed twice", text.1));
        }
    }
}

fn check_choice(node: &Node, choices: &[&str], path: &str, notes: &mut Notes) {
    let text = node.as_str().unwrap_or_default();
    if !choices.contains(&text) {
        let message = format!("`{text}` is none of: {}", choices.join(", "));
        notes.error_with_help(node.mark, path, message, suggestion(text, choices.iter().copied()));
    }
}

fn check_object(node: &mut Node, fields: &[Field], path: &str, notes: &mut Notes) {
    let place = node.place();
    let Some(map) = node.as_map_mut() else { return };
    for field in fields {
        if matches!(field.presence, Presence::Required(_)) && !map.contains_key(field.name) {
            notes.error(place, path, format!("needs `{}`", field.name));
        }
    }
    for (key, value) in map.iter_mut().filter(|(key, _)| !key.starts_with("x-")) {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match fields.iter().find(|field| field.name == key).map(|field| &field.presence) {
            Some(Presence::Optional(rule) | Presence::Required(rule)) => {
                check(value, rule, &inner, notes);
            }
            Some(Presence::Unsupported) => notes.error(
                value.place(),
                path,
                format!("`{key}` is not supported yet; take it out"),
            ),
            None => {
                let help = suggestion(key, fields.iter().map(|field| field.name));
                notes.error_with_help(value.place(), path, format!("unknown key `{key}`"), help);
            }
        }
    }
    drop_extensions(map);
}

fn drop_extensions(map: &mut Map) {
    map.retain(|key, _| !key.starts_with("x-"));
}

/// What was probably meant by `written`.
pub(crate) fn suggestion<'a>(
    written: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<String> {
    known
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 5)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

fn cast(node: &mut Node, rule: &Rule, path: &str, notes: &mut Notes) {
    let value = match (rule, &node.value) {
        (Rule::Int, Value::Float(number)) => whole(*number),
        (Rule::Int, Value::Str(text)) => text.parse().ok().map(Value::Int),
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
    (number.abs() < 9e15).then_some(Value::Int(number as i128))
}

fn cast_bool(text: &str, node: &Node, path: &str, notes: &mut Notes) -> Option<Value> {
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
