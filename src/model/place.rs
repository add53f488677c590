//! Where in the user's files something stands.

use indexmap::IndexSet;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;

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

/// Where each field of a stack was written: a tree in one piece, since a stack of thousands of
/// services has hundreds of thousands of fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    files: Vec<String>,
    /// Every key once.
    keys: IndexSet<Box<str>, foldhash::fast::RandomState>,
    /// The one around all others is the first.
    fields: Vec<Field>,
}

/// A field that was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Field {
    /// The index of its key.
    key: u32,
    at: Option<Position>,
    /// The fields in it, in the order of their keys' indices.
    inner: Range<u32>,
}

/// One of the fields of [`Places`].
#[derive(Debug, Clone, Copy)]
pub struct FieldIndex(u32);

/// A position in one of several files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The file's index.
    pub file: u16,
    /// In characters, from 1.
    pub column: u16,
    /// From 1.
    pub line: NonZeroU32,
}

impl Default for Places {
    fn default() -> Self {
        Self { files: vec![], keys: IndexSet::default(), fields: vec![Field::default()] }
    }
}

impl Places {
    /// No places yet, in `files`.
    pub fn new(files: Vec<String>) -> Self {
        Self { files, ..Self::default() }
    }

    /// The field around all others.
    pub const TOP: FieldIndex = FieldIndex(0);

    /// Adds all fields in `around`: their keys, where they stand, and what the caller knows them by.
    /// Returns the latter with the fields' indices.
    pub fn add<T>(
        &mut self,
        around: FieldIndex,
        inner: Vec<(&str, Option<Position>, T)>,
    ) -> Vec<(FieldIndex, T)> {
        let mut inner: Vec<_> =
            inner.into_iter().map(|(key, at, known)| (self.key(key), at, known)).collect();
        inner.sort_unstable_by_key(|(key, ..)| *key);
        let first = index(self.fields.len());
        let fields = inner.iter().map(|&(key, at, _)| Field { key, at, inner: 0..0 });
        self.fields.extend(fields);
        self.fields[around.0 as usize].inner = first..index(self.fields.len());
        (first..).map(FieldIndex).zip(inner.into_iter().map(|(.., known)| known)).collect()
    }

    fn key(&mut self, key: &str) -> u32 {
        let known = self.keys.get_index_of(key);
        index(known.unwrap_or_else(|| self.keys.insert_full(key.into()).0))
    }

    /// The field in `around` that `path` begins with, and the rest of the path. Keys may have dots
    /// themselves, so the longest one that fits is meant.
    fn step<'a>(&self, around: &Field, path: &'a str) -> Option<(&Field, &'a str)> {
        let inner = &self.fields[around.inner.start as usize..around.inner.end as usize];
        let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        let mut fitting = ends.filter_map(|end| {
            let key = index(self.keys.get_index_of(&path[..end])?);
            let found = inner.binary_search_by_key(&key, |field| field.key).ok()?;
            Some((&inner[found], path.get(end + 1..).unwrap_or("")))
        });
        fitting.next_back()
    }

    /// Whether exactly `path` was written.
    pub fn has(&self, path: &str) -> bool {
        let (mut field, mut rest) = (&self.fields[0], path);
        while !rest.is_empty() {
            let Some((inner, after)) = self.step(field, rest) else { return false };
            (field, rest) = (inner, after);
        }
        field.at.is_some()
    }

    /// The place of `path`, or of the nearest field around it.
    pub fn of(&self, path: &str) -> Option<Place> {
        let (mut field, mut rest, mut nearest) = (&self.fields[0], path, None);
        while !rest.is_empty() {
            let Some((inner, after)) = self.step(field, rest) else { break };
            (field, rest) = (inner, after);
            nearest = field.at.or(nearest);
        }
        let Position { file, column, line } = nearest?;
        let file = self.files.get(usize::from(file))?.clone();
        Some(Place { file, line: line.get(), column: column.into() })
    }
}

/// A stack's files have fewer bytes than a `u32` counts.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn add<'a>(
        places: &mut Places,
        around: FieldIndex,
        inner: &[(&'a str, u32)],
    ) -> BTreeMap<&'a str, FieldIndex> {
        let at = |line| Some(Position { file: 0, column: 5, line: NonZeroU32::new(line)? });
        let fields = inner.iter().map(|&(key, line)| (key, at(line), key)).collect();
        places.add(around, fields).into_iter().map(|(field, key)| (key, field)).collect()
    }

    fn places() -> Places {
        let mut places = Places::new(vec!["compose.yaml".into()]);
        let top = add(&mut places, Places::TOP, &[("services", 0)]);
        let services = add(&mut places, top["services"], &[("web", 3)]);
        let web = add(&mut places, services["web"], &[("labels", 4), ("image", 9)]);
        add(&mut places, web["labels"], &[("com", 5), ("com.a", 6)]);
        places
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
