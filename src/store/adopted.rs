//! Which stacks have taken over a Compose project, because the file of a source says so or because
//! somebody did it by hand.

use super::Notes;
use crate::model::{Query, SourceName, StackName};
use std::io;
use std::path::Path;

/// What is noted of a stack that was taken over by hand; no source is called that.
const BY_HAND: &str = "by hand";

/// A note for each of these stacks, which names the source.
#[derive(Debug, Clone)]
pub struct Adopted(Notes);

impl Adopted {
    /// The notes of a state directory.
    pub fn of(state_dir: &Path) -> Self {
        Self(Notes::of(state_dir, "adopted"))
    }

    /// Whether `stack` did so by hand or as one of `source`; without a source, as one of any.
    pub fn has(&self, stack: &StackName, source: Option<&SourceName>) -> bool {
        let noted = self.0.read(stack.as_str());
        noted.is_some_and(|by| by == BY_HAND || source.is_none_or(|source| source.as_str() == by))
    }

    /// Notes that `stack` did so as one of `source`; without a source, by hand.
    pub fn note(&self, stack: &StackName, source: Option<&SourceName>) -> io::Result<()> {
        self.0.write(stack.as_str(), source.map_or(BY_HAND, SourceName::as_str))
    }

    /// Forgets that `stack` did so.
    pub fn forget(&self, stack: &StackName) {
        self.0.forget(stack.as_str());
    }

    /// What removing `stack` of `source` needs to know: all that is its own, what Compose made among
    /// it if it was taken over.
    pub fn owned_by(&self, stack: &StackName, source: Option<&SourceName>) -> Query {
        let adopt = self.has(stack, source);
        Query { adopt, ..Query::owned_by(stack.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_of_another_source_inherits_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let adopted = Adopted::of(dir.path());
        let (a, b) = (SourceName::new("a").unwrap(), SourceName::new("b").unwrap());
        let (shop, till) = (StackName::new("shop").unwrap(), StackName::new("till").unwrap());
        adopted.note(&shop, Some(&a)).unwrap();
        adopted.note(&till, None).unwrap();
        let has = |stack, source| adopted.has(stack, source);
        assert!(has(&shop, Some(&a)) && has(&shop, None) && !has(&shop, Some(&b)));
        assert!(has(&till, Some(&a)) && has(&till, None) && has(&till, Some(&b)));
        adopted.forget(&shop);
        assert!(!adopted.owned_by(&shop, None).adopt && adopted.owned_by(&till, None).adopt);
    }
}
