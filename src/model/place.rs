//! Where in the user's files something stands.

use std::fmt;

/// A field of a stack in Compose's terms, dotted: `services.web.mem_limit`.
pub type FieldPath = String;

/// A position in a file that the user wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the checkout where it lies in one.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Where each field of a stack was written. A tree with short entries, since a stack of thousands
/// of services has hundreds of thousands of fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    files: Vec<String>,
    top: Field,
}

/// A field that was written, and those in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// Where it stands, if it was written as such.
    pub at: Option<Position>,
    inner: Box<[(Box<str>, Field)]>,
}

/// A position in one of several files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The file's index.
    pub file: u16,
    /// In characters, from 1.
    pub column: u16,
    /// From 1.
    pub line: u32,
}

impl Field {
    /// The field at `at`, with the fields in it by their keys.
    pub fn new(at: Option<Position>, mut inner: Vec<(Box<str>, Field)>) -> Self {
        inner.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self { at, inner: inner.into() }
    }

    /// Whether it adds nothing to the field around it, which stands at `around`.
    pub fn adds_nothing_to(&self, around: Option<Position>) -> bool {
        self.inner.is_empty() && (self.at.is_none() || self.at == around)
    }

    /// The field that `path` begins with, and the rest of the path. Keys may have dots themselves,
    /// so the longest one that fits is meant.
    fn step<'a>(&self, path: &'a str) -> Option<(&Self, &'a str)> {
        let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        let mut fitting = ends.filter_map(|end| {
            let found = self.inner.binary_search_by(|(key, _)| (**key).cmp(&path[..end]));
            found.ok().map(|index| (&self.inner[index].1, path.get(end + 1..).unwrap_or("")))
        });
        fitting.next_back()
    }
}

impl Places {
    /// The places in `files` of everything in `top`.
    pub fn new(files: Vec<String>, top: Field) -> Self {
        Self { files, top }
    }

    /// Whether exactly `path` was written.
    pub fn has(&self, path: &str) -> bool {
        let (mut field, mut rest) = (&self.top, path);
        while !rest.is_empty() {
            let Some((inner, after)) = field.step(rest) else { return false };
            (field, rest) = (inner, after);
        }
        field.at.is_some()
    }

    /// The place of `path`, or of the nearest field around it.
    pub fn of(&self, path: &str) -> Option<Place> {
        let (mut field, mut rest, mut nearest) = (&self.top, path, None);
        while !rest.is_empty() {
            let Some((inner, after)) = field.step(rest) else { break };
            (field, rest) = (inner, after);
            nearest = field.at.or(nearest);
        }
        let Position { file, column, line } = nearest?;
        let file = self.files.get(usize::from(file))?.clone();
        Some(Place { file, line, column: column.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let at = |line| Some(Position { file: 0, column: 5, line });
        let field = |line, inner| Field::new(at(line), inner);
        let labels = vec![("com".into(), field(5, vec![])), ("com.a".into(), field(6, vec![]))];
        let web = vec![("labels".into(), field(4, labels)), ("image".into(), field(9, vec![]))];
        let services = vec![("web".into(), field(3, web))];
        let top = vec![("services".into(), Field::new(None, services))];
        Places::new(vec!["compose.yaml".into()], Field::new(None, top))
    }

    fn line(path: &str) -> Option<u32> {
        places().of(path).map(|place| place.line)
    }

    #[test]
    fn a_field_stands_where_it_was_written() {
        let place = Place { file: "compose.yaml".into(), line: 9, column: 5 };
        assert_eq!(places().of("services.web.image"), Some(place));
    }

    #[test]
    fn a_field_that_was_not_written_stands_where_the_field_around_it_stands() {
        assert_eq!(line("services.web.build.context"), Some(3));
        assert_eq!(line("services"), None);
        assert_eq!(line("networks.front"), None);
    }

    #[test]
    fn what_was_written_is_told_from_what_only_stands_in_it() {
        assert!(places().has("services.web.labels.com.a"));
        assert!(!places().has("services.web.labels.com.b"));
        assert!(!places().has("services.web.build"));
    }

    #[test]
    fn keys_may_have_dots() {
        assert_eq!(line("services.web.labels.com.a"), Some(6));
        assert_eq!(line("services.web.labels.com.b"), Some(5));
        assert_eq!(line("services.web.labels.com"), Some(5));
    }
}
