//! What is wrong with a manifest, and where. It never shows a sensitive value: lines shown come
//! from the manifest's own text.

use crate::model::{FieldPath, Place, Stack};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The manifest cannot be used.
    Error,
    /// The manifest can be used; what it says has no effect, or another than one might think.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The name by which it is switched off, if it can be.
    pub lint: Option<&'static str>,
    /// Where it was written; absent where nothing was written.
    pub place: Option<Place>,
    /// The field in Compose's terms, dotted; empty for a whole file.
    pub field: FieldPath,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The line at `place`.
    pub source: Option<String>,
    /// Whether it is for a reason beside the files that may pass by itself.
    pub may_pass: bool,
}

impl Diagnostic {
    /// A problem with `field` of `stack`, where that was written, without what is hidden.
    pub fn of(
        stack: &Stack,
        severity: Severity,
        field: impl Into<FieldPath>,
        message: &str,
    ) -> Self {
        let (field, message) = (field.into(), stack.hidden.without(message));
        let place = stack.places.of(&field);
        let (help, source, may_pass) = (None, None, false);
        Self { severity, lint: None, place, field, message, help, source, may_pass }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lint {
            Some(lint) => write!(f, "{}[{lint}]: ", self.severity)?,
            None => write!(f, "{}: ", self.severity)?,
        }
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

/// All that is wrong, in the order found. One line each when displayed.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Whether any is for a reason that may pass by itself.
    pub fn may_pass(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.may_pass)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl Diagnostics {
    /// Whether something makes the manifest unusable.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// For a terminal, in the manner of rustc: the line, a mark under it, what to do. Whole lines;
    /// nothing where nothing is wrong.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let blocks: Vec<_> = self.0.iter().map(|one| render_one(one, &renderer) + "\n").collect();
        blocks.join("\n")
    }
}

fn render_one(diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = if diagnostic.field.is_empty() {
        diagnostic.message.clone()
    } else {
        format!("{}: {}", diagnostic.field, diagnostic.message)
    };
    let mut title = level.primary_title(title);
    if let Some(lint) = diagnostic.lint {
        title = title.id(lint);
    }
    let mut group = title.elements(Vec::<annotate_snippets::Element>::new());
    if let (Some(place), Some(line)) = (&diagnostic.place, &diagnostic.source) {
        group = group.element(
            Snippet::source(line.as_str())
                .line_start(place.line as usize)
                .path(place.file.as_str())
                .annotation(AnnotationKind::Primary.span(span_of(line, place.column as usize))),
        );
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let text = renderer.render(&[group]);
    match (&diagnostic.place, &diagnostic.source) {
        (Some(place), None) => format!("{text}\n --> {place}"),
        _ => text,
    }
}

/// The bytes of the word that begins at `column` of `line`.
fn span_of(line: &str, column: usize) -> std::ops::Range<usize> {
    let start = line
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(line.trim_end().len(), |(index, _)| index);
    let word = line[start..].find([' ', ':', ',', '\t', ']', '}']).unwrap_or(line.len() - start);
    start..(start + word.max(1)).min(line.len().max(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic() -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            lint: None,
            place: Some(Place { file: "compose.yaml".into(), line: 3, column: 5 }),
            field: "services.web".into(),
            message: "unknown key `imgae`".into(),
            help: Some("did you mean `image`?".into()),
            source: Some("    imgae: x".into()),
            may_pass: false,
        }
    }

    #[test]
    fn one_line_says_what_where_and_what_to_do() {
        assert_eq!(
            Diagnostics(vec![diagnostic()]).to_string(),
            "error: compose.yaml:3:5: services.web: unknown key `imgae`; did you mean `image`?"
        );
    }

    #[test]
    fn rendered_it_shows_the_line_with_a_mark_under_the_word() {
        let text = Diagnostics(vec![diagnostic()]).render(false);
        for part in ["compose.yaml:3:5", "    imgae: x", "^^^^^", "help", "did you mean"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
