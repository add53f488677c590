//! How templates are rendered: what they may use, and within which bounds. Strict, so that a name
//! that nobody gave is an error.

use super::{ENTRY, MAX_STEPS, Templates};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How deep templates and macros may lie in one another.
const MAX_DEPTH: usize = 100;
/// What is said of a value that is null.
pub(super) const NO_VALUE: &str = "has no value";

/// What the templates put out, at most `limit` bytes; and the names of those that they asked for and
/// that are not known.
pub(super) fn run(
    templates: &Templates,
    context: &Json,
    limit: usize,
) -> (Result<String, Error>, BTreeSet<String>) {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let environment = environment(templates, &asked, limit);
    let mut out = Bounded { bytes: Vec::new(), limit };
    let rendered = environment
        .get_template(ENTRY)
        .and_then(|entry| entry.render_captured_to(Serde(context), &mut out).map(drop));
    let text = String::from_utf8(out.bytes).map_err(|_| Error::from(ErrorKind::WriteFailure));
    let asked = std::mem::take(&mut *asked.lock().unwrap_or_else(PoisonError::into_inner));
    (rendered.and(text), asked)
}

fn environment(
    templates: &Templates,
    asked: &Arc<Mutex<BTreeSet<String>>>,
    limit: usize,
) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_recursion_limit(MAX_DEPTH);
    // Errors tell the place and the expression.
    environment.set_debug(true);
    let put = AtomicUsize::new(0);
    environment.set_formatter(move |out, _, value| {
        let text = text_of(value, limit)?;
        // What goes into a variable does not come to the writer, so it is counted here as well.
        if put.fetch_add(text.len(), Ordering::Relaxed) + text.len() > limit {
            return Err(Error::from(ErrorKind::WriteFailure));
        }
        Ok(out.write_str(&text)?)
    });
    environment.add_filter("quote", move |value: &Value| quote(value, limit));
    // A line that holds nothing but a block leaves nothing behind.
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("these are the usual delimiters"));
    let (known, asked) = (templates.clone(), Arc::clone(asked));
    environment.set_loader(move |name| {
        let text = known.get(name).cloned();
        if text.is_none() {
            asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        }
        Ok(text.flatten())
    });
    environment
}

/// What a value is put out as: texts as they are, lists and mappings as JSON, which is YAML on one
/// line. The library's own `True` is Python's.
fn text_of(value: &Value, limit: usize) -> Result<String, Error> {
    match value.kind() {
        ValueKind::None => Err(no_value()),
        ValueKind::Bool | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            json_of(value, limit)
        }
        _ => Ok(value.to_string()),
    }
}

/// The filter: a text in double quotes, with the escapes that YAML and JSON share.
fn quote(value: &Value, limit: usize) -> Result<String, Error> {
    if value.is_none() { Err(no_value()) } else { json_of(value, limit) }
}

fn no_value() -> Error {
    Error::new(ErrorKind::InvalidOperation, NO_VALUE)
}

/// Bounded on the way: lists in lists may say the same thing again and again.
fn json_of(value: &Value, limit: usize) -> Result<String, Error> {
    let mut out = Bounded { bytes: Vec::new(), limit };
    serde_json::to_writer(&mut out, value).map_err(|error| {
        if error.is_io() {
            return Error::from(ErrorKind::WriteFailure);
        }
        Error::new(ErrorKind::BadSerialization, error.to_string())
    })?;
    String::from_utf8(out.bytes).map_err(|_| Error::from(ErrorKind::WriteFailure))
}

/// Takes up to so many bytes.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > self.limit {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
