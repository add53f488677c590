//! What is wrong with a template, in plain words, and where.

use super::engine::NO_VALUE;
use super::{ENTRY, MAX_OUTPUT, MAX_STEPS, Templates};
use minijinja::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{template}:{line}:{column}: {message}")]
pub struct Flaw {
    /// Its name.
    pub template: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether it is for a reason beside the templates that may pass by itself.
    pub may_pass: bool,
}

impl Flaw {
    /// One of the templates as a whole.
    pub fn of_all(message: impl Into<String>, help: Option<&str>) -> Self {
        let (template, message) = (ENTRY.to_owned(), message.into());
        let help = help.map(str::to_owned);
        Self { template, line: 1, column: 1, message, help, may_pass: false }
    }
}

/// `error` as a flaw of the template where it began.
pub(super) fn of(error: &Error, templates: &Templates) -> Flaw {
    let error = innermost(error);
    let template = error.name().unwrap_or(ENTRY).to_owned();
    let source = templates.get(&template).and_then(Option::as_deref).unwrap_or_default();
    let mut range = error.range().filter(|range| source.get(range.clone()).is_some());
    if error.detail() == Some(NO_VALUE) {
        range = range.map(|range| what_is_filtered(source, range));
    }
    let (line, column) = match &range {
        Some(range) => position(source, range.start),
        None => (error.line().unwrap_or(1), 1),
    };
    let expression = range.map(|range| source[range].trim()).unwrap_or_default();
    let (message, help) = told(error, expression);
    Flaw { template, line, column, message, help: help.map(str::to_owned), may_pass: false }
}

/// The error that others were made of: those tell only by which way it was come to.
fn innermost(error: &Error) -> &Error {
    let mut inner = error;
    while let Some(source) = std::error::Error::source(inner).and_then(|it| it.downcast_ref()) {
        inner = source;
    }
    inner
}

/// Where that stands which goes into the filter at `range`; `range` itself if there is no filter.
fn what_is_filtered(source: &str, range: Range<usize>) -> Range<usize> {
    let Some(before) = source[..range.start].trim_end().strip_suffix('|') else { return range };
    let end = before.trim_end().len();
    let start = before[..end].rfind([' ', '{', '(', ',', '\n']).map_or(0, |at| at + 1);
    start..end
}

/// The line and the column of a byte.
fn position(source: &str, at: usize) -> (usize, usize) {
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn told(error: &Error, expression: &str) -> (String, Option<&'static str>) {
    let detail = error.detail().unwrap_or_default();
    match error.kind() {
        ErrorKind::OutOfFuel => (
            format!("the templates take more than {MAX_STEPS} steps"),
            Some("look for a loop in a loop, or a macro that calls itself"),
        ),
        ErrorKind::WriteFailure => {
            (format!("the templates put out more than {MAX_OUTPUT} bytes"), None)
        }
        ErrorKind::UndefinedError if detail.is_empty() => {
            (format!("`{expression}` is undefined"), Some(GIVE_IT))
        }
        ErrorKind::UndefinedError => (detail.to_owned(), Some(GIVE_IT)),
        ErrorKind::InvalidOperation if detail == NO_VALUE => {
            (format!("`{expression}` {NO_VALUE}"), Some("give it one in the stack"))
        }
        ErrorKind::InvalidOperation if detail == "recursion limit exceeded" => (
            "templates include each other in a circle, or macros call each other too deeply".into(),
            None,
        ),
        ErrorKind::InvalidOperation => (detail.to_owned(), None),
        ErrorKind::TemplateNotFound => {
            (detail.to_owned(), Some("templates lie in the chart's `templates/`"))
        }
        kind if detail.is_empty() => (kind.to_string(), None),
        kind => match detail.strip_suffix(" is unknown") {
            // `filter nope is unknown`
            Some(named) => {
                (format!("{kind} `{}`", named.rsplit(' ').next().unwrap_or(named)), None)
            }
            None => (format!("{kind}: {detail}"), None),
        },
    }
}

const GIVE_IT: &str = "each value that a template uses stands in the chart's values.yaml";
