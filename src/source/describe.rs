//! What the commit of a checkout says of itself. Reads the clone only.

use super::repository::Repository;
use crate::model::{Commit, Revision};

impl Repository {
    /// Who made a commit that the clone has, and what for. It is only shown, so that it cannot be read is
    /// no error.
    pub fn describe(&self, revision: &Revision) -> Option<Commit> {
        let mirror = self.mirror().ok()??;
        let id = mirror.commit_at(revision).ok()??;
        let commit = mirror.repository.find_commit(id).ok()?;
        Some(Commit::new(commit.author().name_bytes(), commit.message_bytes()))
    }
}
