//! What a source holds of other commits than the one that it is at: their files, to be read or to be
//! shown in the checkout in place of the newest ones. Never asks the repository itself. Blocks.

use super::checkout::{settled, write_out};
use super::error::{Fault, SourceError};
use super::files::Files;
use super::kept;
use super::laid::{Laid, commit_of, laid, note, show};
use super::mirror::Mirror;
use super::modules::absent;
use super::repository::Repository;
use super::view::View;
use crate::model::Revision;
use git2::{Delta, Tree};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Repository {
    /// What the commit `revision` holds; the clone must have it.
    pub fn files_of(&mut self, revision: &Revision) -> Result<Files<'_>, SourceError> {
        self.try_files_of(revision).map_err(|fault| self.error(fault))
    }

    /// Keeps these commits in the clone whatever becomes of the repository, and no others of former
    /// calls. Returns those that are not there.
    pub fn keep(
        &mut self,
        revisions: &BTreeSet<Revision>,
    ) -> Result<BTreeSet<Revision>, SourceError> {
        let kept = || {
            let _hold = self.hold_now()?;
            match self.mirror()? {
                Some(mirror) => kept::keep(&mirror, revisions),
                None => Ok(revisions.clone()),
            }
        };
        kept().map_err(|fault| self.error(fault))
    }

    /// Changes which files the checkout shows as they were at a former commit. It shows them so until
    /// they are told otherwise, after each sync and after a crash; a commit that is not in the clone
    /// lays nothing.
    pub fn lay(&mut self, change: impl FnOnce(&mut Laid)) -> Result<(), SourceError> {
        let lay = || {
            let _hold = self.hold_now()?;
            let mut layers = laid(&self.home);
            change(&mut layers);
            note(&self.home, &layers)?;
            let Some(mirror) = self.mirror()? else { return Ok(()) };
            match settled(&mirror, &self.home)? {
                Some(shown) => show(&mirror, &self.home, commit_of(&mirror.repository, shown)),
                None => Ok(()),
            }
        };
        lay().map_err(|fault| self.error(fault))
    }

    /// What is laid.
    pub fn laid(&self) -> Laid {
        laid(&self.home)
    }

    fn try_files_of(&self, revision: &Revision) -> Result<Files<'_>, Fault> {
        let hold = self.hold_now()?;
        let gone = || Fault::Gone { revision: revision.to_string() };
        let mirror = self.mirror()?.ok_or_else(gone)?;
        let shown = settled(&mirror, &self.home)?;
        let commit = mirror.commit_at(revision)?.ok_or_else(gone)?;
        let failed = |error: git2::Error| Fault::git("read a former commit", &error);
        let tree_of = |id| mirror.repository.find_commit(id).and_then(|commit| commit.tree());
        let tree = mirror.files_of(commit).map_err(failed)?;
        let absent = absent(&mirror.repository, &tree);
        let files = |view| Files {
            revision: Revision(commit.to_string()),
            roots: [self.root()],
            view,
            absent,
            may_pass: Cell::default(),
            spec: &self.spec,
            home: &self.home,
            _hold: hold,
        };
        let shown = shown.map(tree_of).transpose().map_err(failed)?;
        if shown.as_ref().is_some_and(|shown| shown.id() == tree.id()) {
            return Ok(files(View::default()));
        }
        let newer = newer(&mirror, &tree, shown.as_ref()).map_err(failed)?;
        self.written_out(&mirror, &tree, newer).map(files)
    }

    /// The files of `tree` beside the checkout.
    fn written_out(
        &self,
        mirror: &Mirror,
        tree: &Tree<'_>,
        newer: BTreeSet<PathBuf>,
    ) -> Result<View, Fault> {
        let into = self.home.files();
        let failed = |error: &io::Error| Fault::io(format!("write {}", into.display()), error);
        match fs::remove_dir_all(&into) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
        fs::create_dir(&into).map_err(|error| failed(&error))?;
        write_out(mirror, tree, &into)?;
        View::elsewhere(&self.root(), &into, newer).map_err(|error| failed(&error))
    }
}

/// The files and directories that `shown` has and `tree` does not.
fn newer(
    mirror: &Mirror,
    tree: &Tree<'_>,
    shown: Option<&Tree<'_>>,
) -> Result<BTreeSet<PathBuf>, git2::Error> {
    let diff = mirror.repository.diff_tree_to_tree(Some(tree), shown, None)?;
    let mut newer = BTreeSet::new();
    for delta in diff.deltas().filter(|delta| delta.status() == Delta::Added) {
        let Some(path) = delta.new_file().path_bytes() else { continue };
        let path = Path::new(OsStr::from_bytes(path));
        let parents = path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        newer.extend(parents.filter(|parent| tree.get_path(parent).is_err()).map(Path::to_owned));
        newer.insert(path.to_owned());
    }
    Ok(newer)
}
