//! Writes YAML that every reader takes for the same: texts are quoted, so none is taken for a number,
//! a switch or a date.

use serde_yaml::Value;
use std::fmt::Write;

/// The documents as one text.
pub(super) fn written(documents: &[Value]) -> String {
    let mut out = String::new();
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        match document {
            Value::Mapping(map) if map.is_empty() => out.push_str("{}\n"),
            _ => block(&mut out, document, 0),
        }
    }
    out
}

/// The lines of a mapping or list that is not empty.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                indent(out, depth);
                let _ = write!(out, "{}:", name(key.as_str().unwrap_or_default()));
                below(out, value, depth);
            }
        }
        Value::Sequence(items) => {
            for item in items {
                indent(out, depth);
                out.push('-');
                below(out, item, depth);
            }
        }
        _ => {}
    }
}

/// What stands behind a key or a dash: on the same line, or in lines of its own.
fn below(out: &mut String, value: &Value, depth: usize) {
    let text = match value {
        Value::Mapping(map) if map.is_empty() => "{}".to_owned(),
        Value::Sequence(items) if items.is_empty() => "[]".to_owned(),
        Value::Mapping(_) | Value::Sequence(_) => {
            out.push('\n');
            return block(out, value, depth + 1);
        }
        Value::Null | Value::Tagged(_) => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
    };
    let _ = writeln!(out, " {text}");
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// A key as it is where it can be nothing else.
fn name(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let begins = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let means = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_word = means.contains(&key.to_ascii_lowercase().as_str());
    if begins && key.chars().all(plain) && !is_word { key.to_owned() } else { quoted(key) }
}

/// In double quotes, with the escapes that YAML and JSON share.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
