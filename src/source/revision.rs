//! The commit that a directory of the user's own stands at. Reads only.

use crate::model::Revision;
use git2::Repository;
use std::path::Path;

/// `HEAD` of the repository that `dir` lies in, if any. Changes that are not committed do not show.
pub fn revision_of(dir: &Path) -> Option<Revision> {
    let repository = Repository::discover(dir).ok()?;
    let commit = repository.head().ok()?.peel_to_commit().ok()?;
    Some(Revision(commit.id().to_string()))
}
