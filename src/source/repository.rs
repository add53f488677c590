//! One source: looks whether it moved, fetches, switches the checkout. Blocks.

use super::checkout::{bound_for, looked_over};
use super::error::{Fault, SourceError};
use super::home::Home;
use super::http::{Proxy, Way};
use super::laid::commit_of;
use super::limits::{Attempt, Limits};
use super::location::Reference;
use super::mirror::Mirror;
use super::remote::Remote;
use super::select::select;
use super::spec::Spec;
use super::ssh::Ssh;
use super::verify::{Verified, Verify};
use super::work::Work;
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
    pub(super) limits: Limits,
    pub(super) way: Way,
    pub(super) ssh: Ssh,
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
    /// By whom it is signed; `None`: nobody asked.
    pub verified: Option<Verified>,
}

/// A commit that came, or was there.
#[derive(Clone, Copy)]
pub(super) struct Fetched {
    /// What is followed: the commit, or an annotated tag that leads to it.
    pub(super) object: Oid,
    pub(super) commit: Oid,
}

/// A commit that may be shown.
pub(super) struct Passed {
    pub(super) commit: Oid,
    pub(super) verified: Option<Verified>,
}

impl Repository {
    /// The source of `spec`, in a directory of its name in `state_dir`. Touches nothing yet.
    pub fn open(spec: Spec, state_dir: &Path) -> Self {
        let place = state_dir.join(spec.name.as_str());
        // libgit2 takes a relative path for one in a clone.
        let home = Home(std::path::absolute(&place).unwrap_or(place));
        Self {
            spec,
            home,
            limits: Limits::default(),
            way: Way::default(),
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
        Self { way: Way { authorities: Some(pem), ..self.way }, ..self }
    }

    /// Goes through `proxy` instead of what the environment says.
    #[must_use]
    pub fn with_proxy(self, proxy: Proxy) -> Self {
        Self { way: Way { proxy, ..self.way }, ..self }
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
    /// error the former checkout stays, also where the new revision is not signed as it should be. What is
    /// laid over it goes on to be shown.
    pub fn sync(&mut self, cancelled: &AtomicBool) -> Result<Checkout, SourceError> {
        let synced = self.try_sync(&Attempt::begin(self.limits, cancelled));
        let (passed, before) = synced.map_err(|fault| self.error(fault))?;
        self.given = Some(passed.commit);
        let moved = before != Some(passed.commit);
        Ok(self.showing(passed, moved))
    }

    /// Looks whether the source can be reached and has what is followed, as [`Repository::sync`] begins. Blocks
    /// for at most [`Limits::whole`]; changes nothing. What was found is the commit, or a tag that leads to it.
    pub fn probe(&self, cancelled: &AtomicBool) -> Result<Revision, SourceError> {
        let look = || {
            let attempt = Attempt::begin(self.limits, cancelled);
            attempt.check()?;
            let offer = Remote::of(&self.spec, &self.way, &self.ssh)?.list(&attempt)?;
            Ok(Revision(select(&offer, &self.spec.reference)?.id.to_string()))
        };
        look().map_err(|fault| self.error(fault))
    }

    /// What an earlier sync left, also from another url, so that an agent can go on while the source is away. What is laid over
    /// the checkout stays. It is verified like what is fetched.
    pub fn last(&self) -> Result<Option<Checkout>, SourceError> {
        let shown = self.try_last().map_err(|fault| self.error(fault))?;
        Ok(shown.map(|passed| self.showing(passed, false)))
    }

    fn try_last(&self) -> Result<Option<Passed>, Fault> {
        if !self.home.0.exists() {
            return Ok(None);
        }
        let _hold = self.hold_now()?;
        let Some(mirror) = self.mirror()? else { return Ok(None) };
        let Some(commit) = bound_for(&mirror).map(|shown| commit_of(&mirror.repository, shown))
        else {
            return Ok(None);
        };
        if mirror.commit(commit)?.is_none() {
            return Err(Fault::Corrupt { why: format!("{commit}, which is shown, is not there") });
        }
        let judge = |commit| {
            let object = mirror.tag_of(commit).unwrap_or(commit);
            self.verify(&mirror, Fetched { object, commit }, &self.spec.reference)
        };
        let verified = judge(commit)?;
        match looked_over(&mirror, &self.home)?.map(|shown| commit_of(&mirror.repository, shown)) {
            // The switch to it could not be ended.
            Some(former) if former != commit => {
                Ok(Some(Passed { commit: former, verified: judge(former)? }))
            }
            _ => Ok(Some(Passed { commit, verified })),
        }
    }

    /// By whom it is signed, where that is asked; `reference` led to it.
    pub(super) fn verify(
        &self,
        mirror: &Mirror,
        fetched: Fetched,
        reference: &Reference,
    ) -> Result<Option<Verified>, Fault> {
        let Fetched { object, commit } = fetched;
        let verify = self.spec.verify.as_ref();
        let judge = |verify: &Verify| verify.judge(&mirror.repository, reference, object, commit);
        verify.map(judge).transpose()
    }

    /// The commit shown now, and the one before.
    fn try_sync(&self, attempt: &Attempt<'_>) -> Result<(Passed, Option<Oid>), Fault> {
        attempt.check()?;
        let _lock = self.lock(attempt)?;
        self.home.tidy();
        let mut remote = Remote::of(&self.spec, &self.way, &self.ssh)?;
        let offer = remote.list(attempt)?;
        let wanted = select(&offer, &self.spec.reference)?;
        let work = Work { source: self, remote, offer, wanted, attempt };
        let (before, passed) = match self.mirror() {
            Ok(None) => (None, work.first()),
            Ok(Some(mirror)) => {
                let before = mirror.shown().map(|shown| commit_of(&mirror.repository, shown));
                let is_ours = mirror.is_of(&self.origin());
                (before, if is_ours { work.onward(&mirror) } else { work.anew(Some(&mirror)) })
            }
            Err(fault) => (None, Err(fault)),
        };
        let passed = match passed {
            Err(Fault::Corrupt { why }) => {
                tracing::warn!(source = %self.spec.name, "cloning anew, the clone is damaged: {why}");
                work.anew(None)
            }
            other => other,
        };
        Ok((passed?, self.given.or(before)))
    }

    /// The clone, if there is one; after a change of the url that of the former one, until something of the
    /// new one can be shown.
    pub(super) fn mirror(&self) -> Result<Option<Mirror>, Fault> {
        Mirror::open(&self.home, self.spec.submodules)
    }

    /// One process at a time syncs, which waits for the server.
    fn lock(&self, attempt: &Attempt<'_>) -> Result<File, Fault> {
        self.take(&self.home.lock(), attempt)
    }

    /// One process at a time reads or writes the checkout, or changes what the clone refers to. It waits
    /// for nobody, so it is soon over; it comes after the lock.
    pub(super) fn hold(&self, attempt: &Attempt<'_>) -> Result<File, Fault> {
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

    fn showing(&self, passed: Passed, moved: bool) -> Checkout {
        let Passed { commit, verified } = passed;
        Checkout { revision: Revision(commit.to_string()), root: self.root(), moved, verified }
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
