//! Collects what is wrong while a manifest is read, bounded. It decides nothing about it.

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::node::Mark;
use crate::chart::Flaw;
use crate::model::{Hidden, Place};
use std::collections::BTreeSet;
use std::fmt::Display;

/// At most so many errors and so many warnings are kept.
const MAX_NOTES: usize = 50;

/// The longest line, in bytes, that is shown.
const MAX_LINE: usize = 1000;
/// The longest message or field, in bytes, that is shown whole.
const MAX_TEXT: usize = 1000;

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
    errors: Vec<(Mark, Diagnostic)>,
    warnings: Vec<(Mark, Diagnostic)>,
    lints: Vec<(Mark, Diagnostic)>,
    excused: BTreeSet<Mark>,
    /// What no message shows.
    pub(crate) hidden: Hidden,
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

    /// The text of the file of that index.
    pub(crate) fn text(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |file| &file.text)
    }

    /// Nothing is wrong with what stands at these places: it still holds names of variables.
    pub(crate) fn excuse(&mut self, marks: BTreeSet<Mark>) {
        self.excused.extend(marks);
    }

    pub(crate) fn error(&mut self, mark: Mark, field: impl Display, message: impl Into<String>) {
        self.error_with_help(mark, field, message, None);
    }

    pub(crate) fn error_with_help(
        &mut self,
        mark: Mark,
        field: impl Display,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        if self.takes_error(mark) {
            let note = self.note(Severity::Error, mark, field, &message.into(), help);
            self.add_error(mark, note);
        }
    }

    /// What is wrong with a template.
    pub(crate) fn flaw(&mut self, mark: Mark, flaw: Flaw) {
        if self.takes_error(mark) {
            let note = self.note(Severity::Error, mark, "", &flaw.message, flaw.help);
            self.add_error(mark, Diagnostic { may_pass: flaw.may_pass, ..note });
        }
    }

    /// An error of which the line is not shown, since it may hold a secret.
    pub(crate) fn error_without_line(
        &mut self,
        mark: Mark,
        field: impl Display,
        message: &str,
        help: &str,
    ) {
        if self.takes_error(mark) {
            let help = Some(help.to_owned());
            let note = self.note(Severity::Error, mark, field, message, help);
            self.add_error(mark, Diagnostic { source: None, ..note });
        }
    }

    fn takes_error(&self, mark: Mark) -> bool {
        self.errors.len() < MAX_NOTES && !self.excused.contains(&mark)
    }

    fn add_error(&mut self, mark: Mark, note: Diagnostic) {
        let note = (mark, note);
        if !self.errors.contains(&note) {
            self.errors.push(note);
        }
    }

    pub(crate) fn warning(&mut self, mark: Mark, field: impl Display, message: impl Into<String>) {
        self.warn(None, mark, field, &message.into());
    }

    /// A warning that can be switched off by the name of a lint.
    pub(crate) fn named_warning(
        &mut self,
        lint: &'static str,
        mark: Mark,
        field: impl Display,
        message: impl Into<String>,
    ) {
        self.warn(Some(lint), mark, field, &message.into());
    }

    fn warn(&mut self, lint: Option<&'static str>, mark: Mark, field: impl Display, message: &str) {
        if self.warnings.len() < MAX_NOTES {
            let mut note = self.note(Severity::Warning, mark, field, message, None);
            note.lint = lint;
            let note = (mark, note);
            if !self.warnings.contains(&note) {
                self.warnings.push(note);
            }
        }
    }

    /// Advice, and what to do about it.
    pub(crate) fn lint(
        &mut self,
        lint: &'static str,
        mark: Mark,
        field: impl Display,
        message: impl Into<String>,
        help: &str,
    ) {
        if self.lints.len() < MAX_NOTES {
            let help = Some(help.to_owned());
            let mut note = self.note(Severity::Warning, mark, field, &message.into(), help);
            note.lint = Some(lint);
            let note = (mark, note);
            if !self.lints.contains(&note) {
                self.lints.push(note);
            }
        }
    }

    /// Drops the lints `names` about `field` and what is in it; about everything where it is empty.
    pub(crate) fn drop_lints(&mut self, field: &str, names: &BTreeSet<String>) {
        if names.is_empty() {
            return;
        }
        let stays = |(_, note): &(Mark, Diagnostic)| {
            let inner = note.field.strip_prefix(field);
            let concerned = field.is_empty()
                || inner.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            !(concerned && note.lint.is_some_and(|lint| names.contains(lint)))
        };
        self.warnings.retain(stays);
        self.lints.retain(stays);
    }

    /// The lints found; they are not among the warnings.
    pub(crate) fn take_lints(&mut self) -> Diagnostics {
        let mut lints = std::mem::take(&mut self.lints);
        lints.sort_by_key(|(mark, _)| *mark);
        Diagnostics(lints.into_iter().map(|(_, note)| note).collect())
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// How many errors there are; what is found later makes it more.
    pub(crate) fn errors(&self) -> usize {
        self.errors.len()
    }

    /// Errors first, then warnings, each in the order of their places.
    pub(crate) fn into_diagnostics(mut self) -> Diagnostics {
        self.errors.sort_by_key(|(mark, _)| *mark);
        self.warnings.sort_by_key(|(mark, _)| *mark);
        Diagnostics(self.errors.into_iter().chain(self.warnings).map(|(_, note)| note).collect())
    }

    /// Where `mark` is, if it is anywhere.
    pub(crate) fn place(&self, mark: Mark) -> Option<Place> {
        let file = self.files.get(mark.file()).filter(|_| mark.line() > 0)?;
        Some(Place { file: file.name.clone(), line: mark.line(), column: mark.column() })
    }

    fn note(
        &self,
        severity: Severity,
        mark: Mark,
        field: impl Display,
        message: &str,
        help: Option<String>,
    ) -> Diagnostic {
        let place = self.place(mark);
        let source = place.as_ref().and_then(|place| {
            let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
            let line = self.files[mark.file()].text.lines().nth(line)?;
            (line.len() <= MAX_LINE).then(|| line.to_owned())
        });
        let fit = |text: &str| shortened(&self.hidden.without(text));
        let (field, message) = (fit(&field.to_string()), fit(message));
        let help = help.map(|help| self.hidden.without(&help));
        Diagnostic { severity, lint: None, place, field, message, help, source, may_pass: false }
    }
}

/// `text` with its middle left out where it is too long to be read.
fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (head, tail) = (boundary(MAX_TEXT / 2), boundary(text.len() - MAX_TEXT / 2));
    format!("{} ... {}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_too_much_to_read_is_cut() {
        let mut notes = Notes::default();
        let file = notes.add_file("f".to_owned(), "x".repeat(1 << 20));
        let long = "ü".repeat(1 << 20);
        for number in 0..200 {
            let mark = Mark::new(file, 1, 1);
            notes.error(mark, "", format!("{number}{long}"));
        }
        let told = notes.into_diagnostics().0;
        assert_eq!(told.len(), MAX_NOTES);
        assert!(told[0].message.len() < 2 * MAX_TEXT && told[0].source.is_none());
    }
}
