//! Which definition of each stack was brought about in full. Pure: what differs later is drift, which
//! nobody asked for; what differs from another definition is a commit to be carried out.

use crate::manifest::DigestKey;
use crate::model::{ContentDigest, Stack, StackName};
use std::collections::BTreeMap;

/// The last definition of each stack that a pass brought about.
#[derive(Debug, Default)]
pub(crate) struct Applied(BTreeMap<StackName, ContentDigest>);

impl Applied {
    /// Whether `definition` is what was brought about last.
    pub(crate) fn is(&self, stack: &StackName, definition: &ContentDigest) -> bool {
        self.0.get(stack) == Some(definition)
    }

    /// Notes that a pass brought `definition` about.
    pub(crate) fn note(&mut self, stack: &StackName, definition: ContentDigest) {
        self.0.insert(stack.clone(), definition);
    }

    /// Forgets a stack that is gone.
    pub(crate) fn forget(&mut self, stack: &StackName) {
        self.0.remove(stack);
    }
}

/// What tells one definition of a stack from another: all of it but where it is written. Keyed, since
/// a variable may be a secret.
pub(crate) fn definition(stack: &Stack, key: &DigestKey) -> ContentDigest {
    let Stack { name, services, networks, volumes, policy, .. } = stack;
    key.digest(format!("{name} {services:?} {networks:?} {volumes:?} {policy:?}").as_bytes())
}
