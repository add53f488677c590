//! A mapping in the order written. In a box, since most values are none, and with a quick hash, since
//! most maps are small.

use super::Node;
use indexmap::{IndexMap, map};
use std::ops::{Deref, DerefMut};

type Inner = IndexMap<String, Node, foldhash::fast::RandomState>;

/// A mapping, in the order written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Map(Box<Inner>);

impl Map {
    pub(crate) fn new() -> Self {
        Self::default()
    }
}

impl Deref for Map {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl DerefMut for Map {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.0
    }
}

impl IntoIterator for Map {
    type Item = (String, Node);
    type IntoIter = map::IntoIter<String, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a String, &'a Node);
    type IntoIter = map::Iter<'a, String, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a mut Map {
    type Item = (&'a String, &'a mut Node);
    type IntoIter = map::IterMut<'a, String, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

impl FromIterator<(String, Node)> for Map {
    fn from_iter<I: IntoIterator<Item = (String, Node)>>(items: I) -> Self {
        Self(Box::new(items.into_iter().collect()))
    }
}

impl<const N: usize> From<[(String, Node); N]> for Map {
    fn from(items: [(String, Node); N]) -> Self {
        items.into_iter().collect()
    }
}
