//! Settings that are not where they are read: under a key that is nearly ours, or at the wrong place.

use super::{KEY, OF_A_SERVICE, OF_THE_STACK};
use crate::manifest::node::{Node, Text};
use crate::manifest::notes::Notes;
use crate::manifest::shape::{Field, suggestion};

/// Keys of extensions are anybody's, so one that was to be ours is only warned of.
pub(super) fn warn_of_near_misses<'n>(
    entries: impl Iterator<Item = (&'n Text, &'n Node)>,
    path: &str,
    notes: &mut Notes,
) {
    for (key, value) in entries {
        let is_near =
            key.starts_with("x-") && key != KEY && suggestion(key, [KEY].into_iter()).is_some();
        if is_near {
            let message = format!("has no effect; did you mean `{KEY}`?");
            notes.warning(value.place(), format_args!("{path}{key}"), message);
        }
    }
}

/// Where `key` may stand, if it is one of ours.
pub(super) fn other_place(key: &str) -> Option<String> {
    let has = |fields: &[Field]| fields.iter().any(|field| field.name == key);
    if has(OF_THE_STACK) {
        return Some(format!("`{key}` goes into the `{KEY}` at the top"));
    }
    has(OF_A_SERVICE).then(|| format!("`{key}` goes into the `{KEY}` of a service"))
}
