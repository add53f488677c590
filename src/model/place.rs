//! Where in the user's files something stands.

use std::collections::BTreeMap;
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

/// Where each field of a stack was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<FieldPath, Place>);

impl Places {
    /// Notes where `path` stands.
    pub fn insert(&mut self, path: FieldPath, place: Place) {
        self.0.insert(path, place);
    }

    /// Whether exactly `path` was written.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The place of `path`, or of the nearest field around it.
    pub fn of(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return Some(place);
            }
            path = &path[..path.rfind('.')?];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_was_not_written_stands_where_the_field_around_it_stands() {
        let place = Place { file: "compose.yaml".into(), line: 3, column: 5 };
        let mut places = Places::default();
        places.insert("services.web".into(), place.clone());
        assert_eq!(places.of("services.web.labels.a"), Some(&place));
        assert_eq!(places.of("networks.front"), None);
    }
}
