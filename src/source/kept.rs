//! Commits that are still needed though the repository may have left them behind: those at which a stack
//! ran well. A reference each keeps them in the clone, and they are carried over when it is made anew.

use super::error::Fault;
use super::mirror::Mirror;
use crate::model::Revision;
use std::collections::BTreeSet;

pub(super) const KEPT: &str = "refs/bowline/kept/";

/// Keeps `revisions` and no others. Returns those that are not here.
pub(super) fn keep(
    mirror: &Mirror,
    revisions: &BTreeSet<Revision>,
) -> Result<BTreeSet<Revision>, Fault> {
    let mut missing = BTreeSet::new();
    let mut superfluous: BTreeSet<String> = mirror.names_of(KEPT)?.into_iter().collect();
    for revision in revisions {
        let name = format!("{KEPT}{revision}");
        if superfluous.remove(&name) {
            continue;
        }
        match mirror.commit_at(revision)? {
            Some(commit) => mirror.point(&name, commit)?,
            None => drop(missing.insert(revision.clone())),
        }
    }
    superfluous.iter().try_for_each(|name| mirror.unpoint(name))?;
    Ok(missing)
}
