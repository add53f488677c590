//! A mapping in the order written. Most have few keys, which are looked for one after the other;
//! from [`MANY`] on there is an index.

use super::{Node, Text};
use indexmap::IndexMap;
use std::{slice, vec};

/// From so many keys on they are found by an index.
const MANY: usize = 24;

type Entry = (Text, Node);
type Index = IndexMap<Text, usize, foldhash::fast::RandomState>;

/// A mapping, in the order written. In a box, since most values are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map(Box<Inner>);

#[derive(Debug, Clone, Default)]
struct Inner {
    entries: Vec<Entry>,
    /// The traits of the keys that are or were there.
    traits: u64,
    /// Where each key stands, if there are many.
    index: Option<Box<Index>>,
}

impl Map {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.position(key).map(|at| &self.0.entries[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.position(key).map(|at| &mut self.0.entries[at].1)
    }

    /// Puts `node` under `key`, where a node that it had stood, or else at the end. Returns the
    /// former.
    pub(crate) fn insert(&mut self, key: impl Into<Text>, node: Node) -> Option<Node> {
        let key = key.into();
        if let Some(former) = self.get_mut(&key) {
            return Some(std::mem::replace(former, node));
        }
        self.push(key, node);
        None
    }

    /// What stands under `key`; `node` if nothing did.
    pub(crate) fn or_insert(&mut self, key: impl Into<Text>, node: Node) -> &mut Node {
        let key = key.into();
        let at = self.position(&key).unwrap_or_else(|| self.push(key, node));
        &mut self.0.entries[at].1
    }

    /// Takes out what stands under `key`; the others keep their order.
    pub(crate) fn shift_remove(&mut self, key: &str) -> Option<Node> {
        let at = self.position(key)?;
        let (key, node) = self.0.entries.remove(at);
        if let Some(index) = &mut self.0.index {
            index.swap_remove(&key);
            index.values_mut().filter(|place| **place > at).for_each(|place| *place -= 1);
        }
        Some(node)
    }

    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&Text, &mut Node) -> bool) {
        let before = self.len();
        self.0.entries.retain_mut(|(key, node)| stays(key, node));
        if self.len() < before {
            self.0.index = None;
            self.index_if_many();
        }
    }

    pub(crate) fn iter(&self) -> Iter<'_> {
        self.into_iter()
    }

    pub(crate) fn iter_mut(&mut self) -> IterMut<'_> {
        self.into_iter()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Text> {
        self.0.entries.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Node> {
        self.0.entries.iter().map(|(_, node)| node)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.0.entries.iter_mut().map(|(_, node)| node)
    }

    /// Gives back the room that no entry takes.
    pub(crate) fn shrink(&mut self) {
        self.0.entries.shrink_to_fit();
    }

    fn position(&self, key: &str) -> Option<usize> {
        let traits = traits_of(key);
        if self.0.traits & traits != traits {
            return None;
        }
        match &self.0.index {
            Some(index) => index.get(key).copied(),
            None => self.0.entries.iter().position(|(one, _)| one == key),
        }
    }

    /// Adds a key that is not there. Returns its place.
    fn push(&mut self, key: Text, node: Node) -> usize {
        let Inner { entries, traits, index } = &mut *self.0;
        if entries.len() == entries.capacity() {
            // A vector would double, and there are more small mappings than anything else.
            entries.reserve_exact(1 + entries.len() / 4);
        }
        *traits |= traits_of(&key);
        if let Some(index) = index {
            index.insert(key.clone(), entries.len());
        }
        entries.push((key, node));
        self.index_if_many();
        self.len() - 1
    }

    fn index_if_many(&mut self) {
        let Inner { entries, index, .. } = &mut *self.0;
        if index.is_none() && entries.len() >= MANY {
            let places = entries.iter().enumerate().map(|(at, (key, _))| (key.clone(), at));
            *index = Some(Box::new(places.collect()));
        }
    }
}

/// One or two bits of 64, by which most keys that a mapping has not are told at once: nearly all
/// that are asked for are such.
fn traits_of(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().map_or(0, usize::from);
    let bit = |number: usize| 1 << (number % 64);
    bit(bytes.len() + 3 * byte(0)) | bit(7 * byte(bytes.len().wrapping_sub(2)) + byte(1))
}

/// Equal with the same entries, in whatever order.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, node)| other.get(key) == Some(node))
    }
}

impl Extend<Entry> for Map {
    fn extend<I: IntoIterator<Item = Entry>>(&mut self, entries: I) {
        for (key, node) in entries {
            self.insert(key, node);
        }
    }
}

impl<K: Into<Text>> FromIterator<(K, Node)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Node)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let mut map = Self::new();
        map.0.entries.reserve_exact(entries.size_hint().0);
        map.extend(entries.map(|(key, node)| (key.into(), node)));
        map
    }
}

impl IntoIterator for Map {
    type Item = Entry;
    type IntoIter = vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.entries.into_iter()
    }
}

type Iter<'a> = std::iter::Map<slice::Iter<'a, Entry>, fn(&'a Entry) -> (&'a Text, &'a Node)>;

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a Text, &'a Node);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.entries.iter().map(|(key, node)| (key, node))
    }
}

type IterMut<'a> =
    std::iter::Map<slice::IterMut<'a, Entry>, fn(&'a mut Entry) -> (&'a Text, &'a mut Node)>;

impl<'a> IntoIterator for &'a mut Map {
    type Item = (&'a Text, &'a mut Node);
    type IntoIter = IterMut<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.entries.iter_mut().map(|(key, node)| (&*key, node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::node::Mark;

    fn node(number: u32) -> Node {
        Node::str(number.to_string(), Mark::default())
    }

    #[test]
    fn few_keys_and_many_are_found_where_they_were_written() {
        for count in [3, 100] {
            let mut map: Map = (0..count).map(|n| (format!("k{n}"), node(n))).collect();
            assert_eq!(map.insert("k1", node(7)), Some(node(1)));
            assert_eq!(map.insert("new", node(8)), None);
            assert_eq!(map.or_insert("k2", node(9)), &node(2));
            assert_eq!(map.shift_remove("k0"), Some(node(0)));
            map.retain(|key, _| key != "k2");
            assert_eq!(map.get("k0"), None);
            assert_eq!(map.get("k1"), Some(&node(7)));
            assert!(map.keys().enumerate().all(|(at, key)| map.position(key) == Some(at)));
            assert_eq!(map.keys().last().map(Text::as_str), Some("new"));
        }
    }

    #[test]
    fn mappings_are_equal_in_any_order() {
        let map = |keys: [&str; 2]| Map::from_iter(keys.map(|key| (key, node(1))));
        assert_eq!(map(["a", "b"]), map(["b", "a"]));
        assert_ne!(map(["a", "b"]), map(["a", "c"]));
    }
}
