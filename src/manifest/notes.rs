//! Collects what is wrong while a manifest is read, bounded. It decides nothing about it.

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::node::Mark;
use crate::model::Place;

/// At most so many errors and so many warnings are kept.
const MAX_NOTES: usize = 50;

/// A file that was read.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// As shown.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The files read and what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    files: Vec<SourceFile>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Notes {
    /// Registers a file; marks name it by the index returned.
    pub(crate) fn add_file(&mut self, name: String, text: String) -> usize {
        self.files.push(SourceFile { name, text });
        self.files.len() - 1
    }

    /// The names of the files, by index.
    pub(crate) fn file_names(&self) -> Vec<String> {
        self.files.iter().map(|file| file.name.clone()).collect()
    }

    pub(crate) fn error(&mut self, mark: Mark, field: &str, message: impl Into<String>) {
        self.error_with_help(mark, field, message, None);
    }

    pub(crate) fn error_with_help(
        &mut self,
        mark: Mark,
        field: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let note = self.note(Severity::Error, mark, field, message.into(), help);
        if self.errors.len() < MAX_NOTES && !self.errors.contains(&note) {
            self.errors.push(note);
        }
    }

    pub(crate) fn warning(&mut self, mark: Mark, field: &str, message: impl Into<String>) {
        let note = self.note(Severity::Warning, mark, field, message.into(), None);
        if self.warnings.len() < MAX_NOTES && !self.warnings.contains(&note) {
            self.warnings.push(note);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Errors first, then warnings.
    pub(crate) fn into_diagnostics(self) -> Diagnostics {
        Diagnostics(self.errors.into_iter().chain(self.warnings).collect())
    }

    /// Where `mark` is, if it is anywhere.
    pub(crate) fn place(&self, mark: Mark) -> Option<Place> {
        let file = self.files.get(mark.file).filter(|_| mark.line > 0)?;
        Some(Place { file: file.name.clone(), line: mark.line, column: mark.column })
    }

    fn note(
        &self,
        severity: Severity,
        mark: Mark,
        field: &str,
        message: String,
        help: Option<String>,
    ) -> Diagnostic {
        let place = self.place(mark);
        let source = place.as_ref().and_then(|place| {
            let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
            self.files[mark.file].text.lines().nth(line).map(str::to_owned)
        });
        Diagnostic { severity, place, field: field.to_owned(), message, help, source }
    }
}
