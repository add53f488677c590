//! One clone under the state directory, and the checkout beside it.

use super::error::SourceError;
use super::location::{Location, Reference};
use super::{local, remote};
use crate::model::{Revision, Sensitive, SourceName};
use git2::build::CheckoutBuilder;
use git2::{ErrorCode, Oid, Repository as Git, RepositoryInitOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The reference that names the commit checked out.
const CHECKED_OUT: &str = "refs/bowline/checked-out";
/// libgit2 never repacks: with more packs than this the clone is made afresh.
const MAX_PACKS: usize = 50;

/// A repository to follow.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name; the clone's directory.
    pub name: SourceName,
    /// Where it is.
    pub location: Location,
    /// What of it is followed.
    pub reference: Reference,
    /// The login, for remote ones.
    pub credentials: Option<Credentials>,
}

/// A login by name and password or token.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: Sensitive<String>,
}

/// The files of a repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit.
    pub revision: Revision,
    /// The directory, the same for every revision, so that bind mounts do not go stale.
    pub root: PathBuf,
    /// Whether the commit is another than at the last sync.
    pub moved: bool,
}

/// A clone and its checkout. Opening does nothing yet.
#[derive(Debug)]
pub struct Repository {
    spec: Spec,
    directory: PathBuf,
}

/// The commit to check out, as the other side has it now.
pub(super) struct Tip {
    /// The commit, or a tag of one.
    pub(super) id: Oid,
}

impl Repository {
    /// The clone of `spec` under `state_dir`.
    pub fn open(spec: Spec, state_dir: &Path) -> Self {
        let directory = state_dir.join(spec.name.as_str());
        Self { spec, directory }
    }

    /// Looks which commit the reference names now, fetches it if it is not here, and checks it out.
    /// Files that do not change are not touched. Blocks; `cancelled` ends it between two reads.
    pub fn sync(&mut self, cancelled: &AtomicBool) -> Result<Checkout, SourceError> {
        match self.try_sync(cancelled) {
            Err(SourceError::Corrupt { path, cause }) => {
                tracing::warn!(source = %self.spec.name, "{} is damaged ({cause}); cloning afresh", path.display());
                self.throw_away()?;
                self.try_sync(cancelled)
            }
            result => result,
        }
    }

    /// What an earlier sync checked out.
    pub fn last(&self) -> Result<Option<Checkout>, SourceError> {
        let Ok(git) = Git::open(self.git_dir()) else { return Ok(None) };
        Ok(checked_out(&git).map(|id| self.checkout_at(id, false)))
    }

    fn try_sync(&self, cancelled: &AtomicBool) -> Result<Checkout, SourceError> {
        let git = self.clone_dir()?;
        let tip = match &self.spec.location {
            Location::Local(path) => local::tip(path, &self.spec.reference)?,
            Location::Remote(_) => remote::tip(&self.spec)?,
        };
        if git.odb().and_then(|odb| odb.read_header(tip.id)).is_err() {
            match &self.spec.location {
                Location::Local(path) => local::fetch(&git, path, &self.spec.reference, cancelled)?,
                Location::Remote(_) => remote::fetch(&git, &self.spec, &tip, cancelled)?,
            }
        }
        if cancelled.load(Ordering::Relaxed) {
            return Err(SourceError::Cancelled { location: self.spec.location.to_string() });
        }
        let commit = self.commit(&git, tip.id)?;
        let moved = checked_out(&git) != Some(commit);
        if moved {
            self.check_out(&git, commit)?;
        }
        Ok(self.checkout_at(commit, moved))
    }

    fn commit(&self, git: &Git, id: Oid) -> Result<Oid, SourceError> {
        let object = git.find_object(id, None).map_err(|error| self.corrupt(&error))?;
        Ok(object.peel_to_commit().map_err(|error| self.corrupt(&error))?.id())
    }

    /// Notes the commit only when all files are there, so that a crash in between is repaired by
    /// the next sync.
    fn check_out(&self, git: &Git, commit: Oid) -> Result<(), SourceError> {
        let object = git.find_object(commit, None).map_err(|error| self.corrupt(&error))?;
        let mut how = CheckoutBuilder::new();
        how.force().remove_untracked(true).remove_ignored(true);
        git.checkout_tree(&object, Some(&mut how)).map_err(|error| match error.class() {
            git2::ErrorClass::Os | git2::ErrorClass::Filesystem => {
                SourceError::Io { path: self.root(), cause: error.message().to_owned() }
            }
            _ => self.corrupt(&error),
        })?;
        git.reference(CHECKED_OUT, commit, true, "checked out")
            .map_err(|error| self.corrupt(&error))?;
        Ok(())
    }

    fn checkout_at(&self, commit: Oid, moved: bool) -> Checkout {
        Checkout { revision: Revision(commit.to_string()), root: self.root(), moved }
    }

    fn clone_dir(&self) -> Result<Git, SourceError> {
        if self.packs() > MAX_PACKS {
            tracing::info!(source = %self.spec.name, "more than {MAX_PACKS} packs; cloning afresh");
            self.throw_away_clone()?;
        }
        match Git::open(self.git_dir()) {
            Ok(git) => Ok(git),
            Err(error) if error.code() == ErrorCode::NotFound => self.init(),
            Err(error) => Err(self.corrupt(&error)),
        }
    }

    fn init(&self) -> Result<Git, SourceError> {
        std::fs::create_dir_all(self.root()).map_err(|cause| self.io(self.root(), &cause))?;
        let mut options = RepositoryInitOptions::new();
        options
            .no_dotgit_dir(true)
            .mkpath(true)
            .workdir_path(&self.root())
            .external_template(false);
        Git::init_opts(self.git_dir(), &options).map_err(|error| SourceError::Io {
            path: self.git_dir(),
            cause: error.message().to_owned(),
        })
    }

    fn packs(&self) -> usize {
        let entries = std::fs::read_dir(self.git_dir().join("objects/pack"));
        let is_pack = |path: PathBuf| path.extension().is_some_and(|extension| extension == "pack");
        entries.map_or(0, |entries| entries.flatten().filter(|entry| is_pack(entry.path())).count())
    }

    /// The clone alone: the checkout stays, since containers may have its files mounted.
    fn throw_away_clone(&self) -> Result<(), SourceError> {
        match std::fs::remove_dir_all(self.git_dir()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(self.io(self.git_dir(), &error))
            }
            _ => Ok(()),
        }
    }

    fn throw_away(&self) -> Result<(), SourceError> {
        self.throw_away_clone()
    }

    fn git_dir(&self) -> PathBuf {
        self.directory.join("git")
    }

    fn root(&self) -> PathBuf {
        self.directory.join("checkout")
    }

    fn corrupt(&self, error: &git2::Error) -> SourceError {
        SourceError::Corrupt { path: self.git_dir(), cause: error.message().to_owned() }
    }

    fn io(&self, path: PathBuf, error: &std::io::Error) -> SourceError {
        SourceError::Io { path, cause: error.to_string() }
    }
}

fn checked_out(git: &Git) -> Option<Oid> {
    git.refname_to_id(CHECKED_OUT).ok()
}

/// The commit of the repository that a directory lies in, if it lies in one.
pub fn revision_of(directory: &Path) -> Option<Revision> {
    let git = Git::discover(directory).ok()?;
    let commit = git.head().ok()?.peel_to_commit().ok()?;
    Some(Revision(commit.id().to_string()))
}

/// Chooses the reference to follow among those of the other side, as name and id; `head` is the
/// name that its HEAD stands for.
pub(super) fn choose<'a>(
    wanted: &Reference,
    head: Option<&str>,
    known: &'a [(String, Oid)],
) -> Option<&'a (String, Oid)> {
    let named = |name: &str| known.iter().find(|(known, _)| known == name);
    let branch = |name: &str| named(&format!("refs/heads/{name}"));
    let tag = |name: &str| named(&format!("refs/tags/{name}"));
    match wanted {
        Reference::Head => head.and_then(named).or_else(|| named("HEAD")),
        Reference::Branch(name) => branch(name),
        Reference::Tag(name) => tag(name),
        Reference::Any(name) => branch(name).or_else(|| tag(name)).or_else(|| named(name)),
        Reference::Commit(_) => None,
    }
}

/// Branches and tags for a message.
pub(super) fn names(known: &[(String, Oid)]) -> String {
    const SHOWN: usize = 8;
    let short = |name: &str| {
        let branch = name.strip_prefix("refs/heads/").map(|name| format!("branch {name}"));
        branch.or_else(|| name.strip_prefix("refs/tags/").map(|name| format!("tag {name}")))
    };
    let names: Vec<String> = known
        .iter()
        .filter(|(name, _)| !name.ends_with("^{}"))
        .filter_map(|(name, _)| short(name))
        .take(SHOWN)
        .collect();
    if names.is_empty() { "no branch and no tag".to_owned() } else { names.join(", ") }
}
