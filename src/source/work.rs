//! One sync of a source whose repository was asked what it offers: fetches into the clone that is there, or
//! into a new one, and shows what may be shown.

use super::carry::carry_over;
use super::error::Fault;
use super::laid::{commit_of, show, try_out};
use super::limits::Attempt;
use super::location::Reference;
use super::mirror::Mirror;
use super::modules::Bring;
use super::remote::Remote;
use super::repository::{Fetched, Passed, Repository};
use super::select::{Offer, Wanted, unknown};
use super::verify::Verified;
use git2::Oid;

/// All that fetching and switching need.
pub(super) struct Work<'a> {
    pub(super) source: &'a Repository,
    pub(super) remote: Remote<'a>,
    pub(super) offer: Offer,
    pub(super) wanted: Wanted,
    pub(super) attempt: &'a Attempt<'a>,
}

impl Work<'_> {
    /// Of a range of versions the tag that was chosen must be signed as itself.
    fn verify(&self, mirror: &Mirror, fetched: Fetched) -> Result<Option<Verified>, Fault> {
        let followed = &self.source.spec.reference;
        let tag =
            self.wanted.offered_as.as_deref().and_then(|name| name.strip_prefix("refs/tags/"));
        match (followed, tag) {
            (Reference::Semver(_), Some(tag)) => {
                self.source.verify(mirror, fetched, &Reference::Tag(tag.to_owned()))
            }
            _ => self.source.verify(mirror, fetched, followed),
        }
    }

    /// With the clone that is there. One that holds too many packs by now is made anew afterwards.
    pub(super) fn onward(&self, mirror: &Mirror) -> Result<Passed, Fault> {
        let fetched = match mirror.commit(self.wanted.id)? {
            Some(commit) => Fetched { object: self.wanted.id, commit },
            None => self.fetch(mirror)?,
        };
        let (verified, submodules) = self.judge(mirror, fetched, None)?;
        let hold = self.source.hold(self.attempt)?;
        let moves = self.check(mirror, fetched.commit)?;
        let passed = self.show(mirror, fetched, verified)?;
        drop(hold);
        // Only then: one that cannot be made would be tried at each sync. Each submodule comes in a pack.
        if moves && mirror.packs() > self.source.limits.packs + submodules {
            return Ok(self.tidied(mirror).unwrap_or(passed));
        }
        Ok(passed)
    }

    /// With a new clone in place of `mirror`, which does as well.
    fn tidied(&self, mirror: &Mirror) -> Option<Passed> {
        let source = &self.source.spec.name;
        tracing::info!(source = %source, "cloning anew, the clone has many packs");
        let warn = |fault: &Fault| {
            tracing::warn!(source = %source, "keeping the clone with many packs until the source moves: {fault}");
        };
        self.anew(Some(mirror)).inspect_err(warn).ok()
    }

    /// With a first clone, which stays whether or not its revision is shown.
    pub(super) fn first(&self) -> Result<Passed, Fault> {
        let accept = |_: &Mirror, fetched| Ok((fetched, self.source.hold(self.attempt)?));
        let (mirror, (fetched, hold)) = self.cloned(accept)?;
        drop(hold);
        let (verified, _) = self.judge(&mirror, fetched, None)?;
        let _hold = self.source.hold(self.attempt)?;
        self.check(&mirror, fetched.commit)?;
        self.show(&mirror, fetched, verified)
    }

    /// With a new clone in place of another, which stays unless the new one's revision can be shown. What is
    /// shown now, and what is kept, is taken over. What the submodules need is taken from `old` as far as it is
    /// there.
    pub(super) fn anew(&self, old: Option<&Mirror>) -> Result<Passed, Fault> {
        let accept = |mirror: &Mirror, fetched: Fetched| {
            let (verified, _) = self.judge(mirror, fetched, old)?;
            let hold = self.source.hold(self.attempt)?;
            carry_over(&self.source.home, mirror);
            self.check(mirror, fetched.commit)?;
            Ok((fetched, verified, hold))
        };
        let (mirror, (fetched, verified, _hold)) = self.cloned(accept)?;
        self.show(&mirror, fetched, verified)
    }

    /// By whom a revision is signed, and how many submodules it has, which are all here then. Of what nobody
    /// signed who is known no submodule is asked for.
    fn judge(
        &self,
        mirror: &Mirror,
        fetched: Fetched,
        old: Option<&Mirror>,
    ) -> Result<(Option<Verified>, usize), Fault> {
        let Repository { spec, way, ssh, .. } = self.source;
        let verified = self.verify(mirror, fetched)?;
        if !spec.submodules {
            return Ok((verified, 0));
        }
        let bring = Bring { spec, way, ssh, attempt: self.attempt, old, into: mirror };
        Ok((verified, bring.all(fetched.commit)?))
    }

    /// A new clone, if `accept` takes what it holds, and then the hold.
    fn cloned<T>(
        &self,
        accept: impl FnOnce(&Mirror, Fetched) -> Result<T, Fault>,
    ) -> Result<(Mirror, T), Fault> {
        let Repository { home, spec, .. } = self.source;
        self.attempt.recount();
        let fill = |mirror: &Mirror| accept(mirror, self.fetch(mirror)?);
        Mirror::anew(home, &self.source.origin(), spec.submodules, fill)
    }

    fn fetch(&self, mirror: &Mirror) -> Result<Fetched, Fault> {
        mirror.sweep();
        let object = self.remote.fetch(&self.wanted, &mirror.known(), mirror, self.attempt)?;
        mirror.settle()?;
        match mirror.commit(object)? {
            Some(commit) => mirror.set_tip(commit).map(|()| Fetched { object, commit }),
            None if self.wanted.offered_as.is_none() => {
                Err(unknown(&self.offer, &self.source.spec.reference))
            }
            None => {
                Err(Fault::Corrupt { why: format!("{object} did not come with what was fetched") })
            }
        }
    }

    /// That `commit` can be shown. Whether it is another one than is shown now.
    fn check(&self, mirror: &Mirror, commit: Oid) -> Result<bool, Fault> {
        self.attempt.check()?;
        let shown = mirror.shown().map(|shown| commit_of(&mirror.repository, shown));
        if shown == Some(commit) {
            return Ok(false);
        }
        mirror.check_size(commit, self.attempt)?;
        try_out(mirror, &self.source.home, commit)?;
        Ok(true)
    }

    /// Shows what was checked.
    fn show(
        &self,
        mirror: &Mirror,
        fetched: Fetched,
        verified: Option<Verified>,
    ) -> Result<Passed, Fault> {
        let Fetched { object, commit } = fetched;
        if mirror.head() != Some(commit) {
            // Packs of submodules, too.
            mirror.settle()?;
        }
        if object != commit && mirror.tag_of(commit) != Some(object) {
            mirror.set_tag(commit, object)?;
        }
        show(mirror, &self.source.home, commit)?;
        mirror.forget_other_tags(commit)?;
        Ok(Passed { commit, verified })
    }
}
