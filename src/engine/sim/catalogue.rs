//! Objects by id that are found by what they are called, claim and hold as well, in a time that
//! does not grow with their number. Whatever changes an object goes through [`Catalogue::change`],
//! so what it is found by is never stale.

use crate::model::labels;
use std::collections::{BTreeMap, BTreeSet};

/// What an object is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Its name.
    Name(String),
    /// A stack or Compose project that its labels name, rightly or not.
    Claim(String),
    /// A host port that it holds.
    HostPort(u16),
    /// A network that it is on, by the name asked for or by id.
    Network(String),
}

impl Key {
    /// What an object with these labels claims to belong to.
    pub(super) fn claims(labels: &BTreeMap<String, String>) -> impl Iterator<Item = Self> {
        let claims = [labels::STACK, labels::PROJECT].into_iter().filter_map(|key| labels.get(key));
        claims.cloned().map(Self::Claim)
    }
}

/// What is kept in a catalogue.
pub(super) trait Entry {
    /// All that it is found by now.
    fn keys(&self) -> BTreeSet<Key>;
}

/// All objects of one kind.
pub(super) struct Catalogue<T> {
    by_id: BTreeMap<String, Box<T>>,
    ids: BTreeMap<Key, BTreeSet<String>>,
}

impl<T> Default for Catalogue<T> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), ids: BTreeMap::new() }
    }
}

impl<T: Entry> Catalogue<T> {
    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.by_id.get(id).map(|found| &**found)
    }

    /// All of them, by id.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.by_id.values().map(|found| &**found)
    }

    /// Those that have `key`, by id.
    pub(super) fn having<'a>(&'a self, key: &Key) -> impl Iterator<Item = &'a T> + use<'a, T> {
        self.ids.get(key).into_iter().flatten().map(|id| &*self.by_id[id])
    }

    /// The first whose id begins with `start`.
    pub(super) fn beginning_with(&self, start: &str) -> Option<&T> {
        let (id, found) = self.by_id.range(start.to_owned()..).next()?;
        id.starts_with(start).then_some(found)
    }

    pub(super) fn insert(&mut self, id: String, new: T) {
        self.remove(&id);
        for key in new.keys() {
            self.ids.entry(key).or_default().insert(id.clone());
        }
        self.by_id.insert(id, Box::new(new));
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        let old = self.by_id.remove(id)?;
        for key in old.keys() {
            self.drop_key(&key, id);
        }
        Some(*old)
    }

    /// Changes the object `id`, if it is there; gives what `change` gives.
    pub(super) fn change<R>(&mut self, id: &str, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let object = self.by_id.get_mut(id)?;
        let before = object.keys();
        let result = change(object);
        let after = object.keys();
        for key in before.difference(&after) {
            self.drop_key(key, id);
        }
        for key in after.difference(&before) {
            self.ids.entry(key.clone()).or_default().insert(id.to_owned());
        }
        Some(result)
    }

    fn drop_key(&mut self, key: &Key, id: &str) {
        let Some(ids) = self.ids.get_mut(key) else { return };
        ids.remove(id);
        if ids.is_empty() {
            self.ids.remove(key);
        }
    }
}

impl<T: Entry> std::ops::Index<&str> for Catalogue<T> {
    type Output = T;

    fn index(&self, id: &str) -> &T {
        &self.by_id[id]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str);

    impl Entry for Named {
        fn keys(&self) -> BTreeSet<Key> {
            [Key::Name(self.0.to_owned())].into()
        }
    }

    fn called<'a>(all: &'a Catalogue<Named>, name: &str) -> Vec<&'a str> {
        all.having(&Key::Name(name.to_owned())).map(|found| found.0).collect()
    }

    #[test]
    fn what_changes_is_found_by_what_it_is_now() {
        let mut all = Catalogue::default();
        all.insert("1".to_owned(), Named("old"));
        all.change("1", |named| named.0 = "new");
        assert!(called(&all, "old").is_empty());
        assert_eq!(called(&all, "new"), ["new"]);
    }

    #[test]
    fn what_is_gone_is_not_found() {
        let mut all = Catalogue::default();
        all.insert("1".to_owned(), Named("one"));
        all.insert("2".to_owned(), Named("one"));
        all.remove("1");
        assert_eq!(called(&all, "one").len(), 1);
        all.remove("2");
        assert!(called(&all, "one").is_empty() && all.ids.is_empty());
    }
}
