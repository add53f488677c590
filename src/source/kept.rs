//! Commits that are still needed though the repository may have left them behind: those at which a stack
//! ran well. A reference each keeps them in the clone, and they are carried over when it is made anew.

use super::error::Fault;
use super::mirror::Mirror;
use super::modules::pins;
use crate::model::Revision;
use git2::Repository;
use std::collections::BTreeSet;
use std::path::Path;

const KEPT: &str = "refs/bowline/kept/";

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

/// Takes what the clone at `path` keeps into `mirror`, which replaces it. Losing it costs a way back and
/// no more, so nothing here is an error.
pub(super) fn carry_over(path: &Path, mirror: &Mirror) {
    let Ok(old) = Repository::open_bare(path) else { return };
    if let Err(error) = carry(&old, mirror) {
        tracing::warn!("not all former commits came into the new clone: {error}");
    }
}

fn carry(old: &Repository, mirror: &Mirror) -> Result<(), git2::Error> {
    let mut pack = old.packbuilder()?;
    let (mut kept, mut carried) = (Vec::new(), mirror.shallow());
    for reference in old.references_glob(&format!("{KEPT}*"))? {
        let reference = reference?;
        let (Ok(name), Some(id)) = (reference.name(), reference.target()) else { continue };
        if mirror.repository.find_commit(id).is_err() {
            pack.insert_commit(id)?;
            carried.push(id);
        }
        for pin in pins(old, id) {
            if mirror.repository.find_commit(pin).is_err() {
                pack.insert_commit(pin)?;
            }
        }
        kept.push((name.to_owned(), id));
    }
    if pack.object_count() > 0 {
        mirror.take_in(&mut pack, || true)?;
    }
    for (name, id) in kept {
        mirror.repository.reference(&name, id, true, "bowline")?;
    }
    // They come without their history. A clone that has all history is not to look like one without.
    if !mirror.shallow().is_empty() && mirror.set_shallow(&carried).is_err() {
        tracing::debug!("the list of commits without history is as it was");
    }
    Ok(())
}
