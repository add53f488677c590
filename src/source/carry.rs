//! What a new clone takes over from the one that it replaces: the commit that the checkout shows, so that
//! there is something to go on from whatever becomes of the newer one, and the commits that are kept.

use super::home::Home;
use super::kept::KEPT;
use super::laid::{OURS, commit_of};
use super::mirror::{Mirror, SHOWN, TAGS};
use super::modules::pins;
use git2::{Oid, PackBuilder, Repository};

/// Takes over into `mirror` what the clone at `home` holds that is needed. Losing it costs a way back and no
/// more, so nothing here is an error.
pub(super) fn carry_over(home: &Home, mirror: &Mirror) {
    let Ok(old) = Repository::open_bare(home.clone()) else { return };
    if let Err(error) = carry(&old, mirror) {
        tracing::warn!("not all former commits came into the new clone: {error}");
    }
}

fn carry(old: &Repository, mirror: &Mirror) -> Result<(), git2::Error> {
    let mut load = Load { old, mirror, pack: old.packbuilder()?, boundary: mirror.shallow() };
    let mut carried = Vec::new();
    for name in names(old)? {
        let Ok(id) = old.refname_to_id(&name) else { continue };
        match load.add(id) {
            Ok(()) => carried.push((name, id)),
            Err(error) => tracing::warn!("{name} did not come into the new clone: {error}"),
        }
    }
    let Load { mut pack, boundary, .. } = load;
    if pack.object_count() > 0 {
        mirror.take_in(&mut pack, |_| true)?;
    }
    for (name, id) in carried {
        if name == "HEAD" {
            mirror.repository.set_head_detached(id)?;
        } else {
            mirror.repository.reference(&name, id, true, "bowline")?;
        }
    }
    // They come without their history. A clone that has all history is not to look like one without.
    if !mirror.shallow().is_empty() && mirror.set_shallow(&boundary).is_err() {
        tracing::debug!("the list of commits without history is as it was");
    }
    Ok(())
}

/// The references that are taken over. `HEAD` differs from what is shown after an interrupted switch, which
/// is to be finished.
fn names(old: &Repository) -> Result<Vec<String>, git2::Error> {
    let mut names = vec![SHOWN.to_owned(), "HEAD".to_owned()];
    for start in [KEPT, OURS, TAGS] {
        for reference in old.references_glob(&format!("{start}*"))? {
            names.extend(reference?.name().map(str::to_owned));
        }
    }
    Ok(names)
}

/// What is carried from one clone to another.
struct Load<'a> {
    old: &'a Repository,
    mirror: &'a Mirror,
    pack: PackBuilder<'a>,
    /// The commits without their history that the new clone will have.
    boundary: Vec<Oid>,
}

impl Load<'_> {
    /// The commit or annotated tag `id`, as far as the new clone does not have it.
    fn add(&mut self, id: Oid) -> Result<(), git2::Error> {
        let mut id = id;
        while let Ok(tag) = self.old.find_tag(id) {
            self.pack.insert_object(id, None)?;
            id = tag.target_id();
        }
        let base = commit_of(self.old, id);
        if base != id {
            // One of ours has its parent with it.
            self.pack.insert_commit(id)?;
        }
        if self.commit(base)? && !self.boundary.contains(&base) {
            self.boundary.push(base);
        }
        pins(self.old, base).into_iter().try_for_each(|pin| self.commit(pin).map(drop))
    }

    /// One commit without its history. Whether it was not there.
    fn commit(&mut self, id: Oid) -> Result<bool, git2::Error> {
        let is_missing = self.mirror.repository.find_commit(id).is_err();
        if is_missing {
            self.pack.insert_commit(id)?;
        }
        Ok(is_missing)
    }
}
