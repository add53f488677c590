//! One source: looks whether it moved, fetches, switches the checkout. Blocks.

use super::checkout::settled;
use super::error::{Fault, SourceError};
use super::laid::{commit_of, show};
use super::limits::{Attempt, Limits};
use super::mirror::{Home, Mirror};
use super::remote::Remote;
use super::select::{Offer, Wanted, select, unknown};
use super::spec::Spec;
use super::ssh::Ssh;
use crate::model::{Revision, SourceName};
use git2::Oid;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::Duration;

/// How often a clone that another process works on is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A source with its clone below the state directory.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) spec: Spec,
    pub(super) home: Home,
    limits: Limits,
    authorities: Option<PathBuf>,
    ssh: Ssh,
    /// The commit that the last sync or `last` gave.
    given: Option<Oid>,
}

/// The files of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit.
    pub revision: Revision,
    /// The directory with its files; the same for all commits.
    pub root: PathBuf,
    /// Whether it is another commit than before.
    pub moved: bool,
}

impl Repository {
    /// The source of `spec`, in a directory of its name in `state_dir`. Touches nothing yet.
    pub fn open(spec: Spec, state_dir: &Path) -> Self {
        let home = Home(state_dir.join(spec.name.as_str()));
        Self {
            spec,
            home,
            limits: Limits::default(),
            authorities: None,
            ssh: Ssh::default(),
            given: None,
        }
    }

    /// The name of the source.
    pub fn name(&self) -> &SourceName {
        &self.spec.name
    }

    /// With other bounds than the default ones.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Trusts the certificate authorities in a PEM file instead of the system's.
    #[must_use]
    pub fn with_authorities(self, pem: PathBuf) -> Self {
        Self { authorities: Some(pem), ..self }
    }

    /// Logs in over ssh so.
    #[must_use]
    pub fn with_ssh(self, ssh: Ssh) -> Self {
        Self { ssh, ..self }
    }

    /// Looks at the source, fetches what is new, and makes the checkout show it. Blocks for at most
    /// [`Limits::whole`] and some disk work; `cancelled` ends it early.
    ///
    /// An interrupted sync is finished by the next one, and a damaged clone is made anew. On an
    /// error the former checkout stays. What is laid over it goes on to be shown.
    pub fn sync(&mut self, cancelled: &AtomicBool) -> Result<Checkout, SourceError> {
        let synced = self.try_sync(&Attempt::begin(self.limits, cancelled));
        let (commit, before) = synced.map_err(|fault| self.error(fault))?;
        self.given = Some(commit);
        Ok(self.showing(commit, before != Some(commit)))
    }

    /// What an earlier sync left, so that an agent can go on while the source is away. What is laid over
    /// the checkout stays.
    pub fn last(&self) -> Result<Option<Checkout>, SourceError> {
        let shown = self.try_last().map_err(|fault| self.error(fault))?;
        Ok(shown.map(|commit| self.showing(commit, false)))
    }

    fn try_last(&self) -> Result<Option<Oid>, Fault> {
        if !self.home.0.exists() {
            return Ok(None);
        }
        let _hold = self.hold_now()?;
        let Some(mirror) = Mirror::open(&self.home, &self.origin())? else { return Ok(None) };
        Ok(settled(&mirror, &self.home)?.map(|shown| commit_of(&mirror, shown)))
    }

    /// The commit shown now, and the one before.
    fn try_sync(&self, attempt: &Attempt<'_>) -> Result<(Oid, Option<Oid>), Fault> {
        attempt.check()?;
        let _lock = self.lock(attempt)?;
        let mut remote = Remote::of(&self.spec, self.authorities.as_deref(), &self.ssh)?;
        let offer = remote.list(attempt)?;
        let wanted = select(&offer, &self.spec.reference)?;
        let work = Work { source: self, remote, offer, wanted, attempt };
        let (before, commit) = match Mirror::open(&self.home, &self.origin()) {
            Ok(None) => (None, work.anew()),
            Ok(Some(mirror)) => {
                let before = mirror.shown().map(|shown| commit_of(&mirror, shown));
                (before, work.onward(&mirror))
            }
            Err(fault) => (None, Err(fault)),
        };
        let commit = match commit {
            Err(Fault::Corrupt { why }) => {
                tracing::warn!(source = %self.spec.name, "cloning anew, the clone is damaged: {why}");
                work.anew()
            }
            other => other,
        };
        Ok((commit?, self.given.or(before)))
    }

    /// One process at a time syncs, which waits for the server.
    fn lock(&self, attempt: &Attempt<'_>) -> Result<File, Fault> {
        self.take(&self.home.lock(), attempt)
    }

    /// One process at a time reads or writes the checkout, or changes what the clone refers to. It waits
    /// for nobody, so it is soon over; it comes after the lock.
    fn hold(&self, attempt: &Attempt<'_>) -> Result<File, Fault> {
        self.take(&self.home.hold(), attempt)
    }

    /// The same for who cannot be cancelled.
    pub(super) fn hold_now(&self) -> Result<File, Fault> {
        self.hold(&Attempt::begin(self.limits, &AtomicBool::new(false)))
    }

    fn take(&self, lock: &Path, attempt: &Attempt<'_>) -> Result<File, Fault> {
        let failed = |error: &std::io::Error| {
            Fault::io(format!("write the clone in {}", self.home.0.display()), error)
        };
        fs::create_dir_all(&self.home.0).map_err(|error| failed(&error))?;
        let file = File::create(lock).map_err(|error| failed(&error))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(failed(&error)),
            }
            attempt.check()?;
        }
    }

    pub(super) fn origin(&self) -> String {
        self.spec.location.to_string()
    }

    fn showing(&self, commit: Oid, moved: bool) -> Checkout {
        Checkout { revision: Revision(commit.to_string()), root: self.root(), moved }
    }

    /// The directory of the checkout.
    pub fn root(&self) -> PathBuf {
        let root = self.home.checkout();
        std::path::absolute(&root).unwrap_or(root)
    }

    pub(super) fn error(&self, fault: Fault) -> SourceError {
        let Spec { name, location, .. } = &self.spec;
        SourceError { at: format!("source {name} ({location})"), fault }
    }
}

/// All that fetching and switching need.
struct Work<'a> {
    source: &'a Repository,
    remote: Remote<'a>,
    offer: Offer,
    wanted: Wanted,
    attempt: &'a Attempt<'a>,
}

impl Work<'_> {
    /// With the clone that is there, unless it holds too many packs by now.
    fn onward(&self, mirror: &Mirror) -> Result<Oid, Fault> {
        if mirror.packs() > self.source.limits.packs {
            tracing::info!(source = %self.source.spec.name, "cloning anew, the clone has many packs");
            return self.anew();
        }
        let commit = match mirror.commit(self.wanted.id)? {
            Some(commit) => commit,
            None => self.fetch(mirror)?,
        };
        let _hold = self.source.hold(self.attempt)?;
        self.show(mirror, commit)
    }

    /// With a new clone.
    fn anew(&self) -> Result<Oid, Fault> {
        let home = &self.source.home;
        let fetch = |mirror: &Mirror| Ok((self.fetch(mirror)?, self.source.hold(self.attempt)?));
        let (mirror, (commit, _hold)) = Mirror::anew(home, &self.source.origin(), fetch)?;
        self.show(&mirror, commit)
    }

    fn fetch(&self, mirror: &Mirror) -> Result<Oid, Fault> {
        let id = self.remote.fetch(&self.wanted, mirror, self.attempt)?;
        match mirror.commit(id)? {
            Some(commit) => mirror.set_tip(commit).map(|()| commit),
            None if self.wanted.offered_as.is_none() => {
                Err(unknown(&self.offer, &self.source.spec.reference))
            }
            None => Err(Fault::Corrupt { why: format!("{id} did not come with what was fetched") }),
        }
    }

    fn show(&self, mirror: &Mirror, commit: Oid) -> Result<Oid, Fault> {
        self.attempt.check()?;
        show(mirror, &self.source.home, commit)?;
        Ok(commit)
    }
}
