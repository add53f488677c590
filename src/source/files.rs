//! The files of one commit, under the paths that they have in the checkout. Reads only.

use super::discover::{Discovery, Found, discover_in, look};
use super::home::Home;
use super::mounted::{Unfollowed, digest_in, mounted_in};
use super::read::{may_pass, read_in};
use super::spec::Spec;
use super::view::View;
use crate::manifest::DigestKey;
use crate::model::{MountSource, Revision, ServiceName, Stack};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What is wrong, by field.
type Complaints = Vec<(String, String)>;

/// What one commit holds, with what lies in the checkout and belongs to no commit. Nobody changes the
/// checkout while this lives, so it is to be short; a fetch may go on meanwhile.
#[derive(Debug)]
pub struct Files<'a> {
    pub(super) revision: Revision,
    /// The checkout.
    pub(super) roots: [PathBuf; 1],
    pub(super) view: View,
    /// The submodules whose files are not here.
    pub(super) absent: BTreeSet<PathBuf>,
    /// See [`Files::may_pass`].
    pub(super) may_pass: Cell<bool>,
    pub(super) spec: &'a Spec,
    pub(super) home: &'a Home,
    pub(super) _hold: File,
}

impl Files<'_> {
    /// The commit.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The directory of the checkout; what it holds may be of another commit.
    pub fn root(&self) -> &Path {
        &self.roots[0]
    }

    /// Whether there is a directory at `path`; one that lies elsewhere, by way of links, is none.
    pub fn is_dir(&self, path: &Path) -> bool {
        let lies_within =
            |real: PathBuf| self.root().canonicalize().is_ok_and(|root| real.starts_with(root));
        self.view.at(path).is_dir() && self.view.real(path).is_ok_and(lies_within)
    }

    /// [`discover`](super::discover) below `root`.
    pub fn discover(&self, root: &Path, names: &[&str]) -> Discovery {
        discover_in(&self.view, root, names)
    }

    /// What is discovered in `dir` itself.
    pub fn look(&self, dir: &Path, names: &[&str]) -> Option<Found> {
        look(&self.view, self.root(), dir, names)
    }

    /// The bytes of a file of the checkout; one that lies elsewhere, also by way of links, is not read.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read_in(&self.view, &self.roots, path).map_err(|error| {
            self.may_pass.set(self.may_pass.get() || may_pass(&error));
            let absent = self.absent_at(path).filter(|_| error.kind() == ErrorKind::NotFound);
            absent.map_or(error, io::Error::other)
        })
    }

    /// Whether something could not be read for a reason that may pass by itself, so that it is worth another look.
    pub fn may_pass(&self) -> bool {
        self.may_pass.get()
    }

    /// Notes that something else kept a stack from being read, for a reason that may pass.
    pub fn note_may_pass(&self) {
        self.may_pass.set(true);
    }

    /// What the services of `stack` mount from submodules whose files are not here, by field.
    pub fn absent_mounts(&self, stack: &Stack) -> Vec<(String, String)> {
        let mut absent = Vec::new();
        for (name, service) in &stack.services {
            for mount in service.container.mounts.values() {
                let MountSource::Bind(bind) = &mount.source else { continue };
                let why = self.absent_at(Path::new(&bind.path));
                let message = why.map(|why| format!("cannot mount {}: {why}", bind.path));
                absent.extend(message.map(|it| (format!("services.{name}.volumes"), it)));
            }
        }
        absent
    }

    /// Why what lies at `path` is not here, if that is in such a submodule.
    fn absent_at(&self, path: &Path) -> Option<String> {
        let below = path.strip_prefix(self.root()).ok()?;
        let module = self.absent.iter().find(|module| below.starts_with(module))?.display();
        Some(if self.spec.submodules {
            format!("it lies in the submodule `{module}`, whose commit is not here")
        } else {
            format!(
                "it lies in the submodule `{module}`, and those of this source are not fetched; set \
                 `submodules: true` there"
            )
        })
    }

    /// [`digest_mounted`](super::digest_mounted) within the checkout. What cannot be read for a reason that may pass
    /// is an error, by field: it did not change.
    pub fn digest_mounted(
        &self,
        stack: &mut Stack,
        key: &DigestKey,
    ) -> Result<Complaints, Complaints> {
        let unfollowed = digest_in(&self.view, stack, &self.roots, key).into_iter();
        let (unread, others): (Vec<_>, Vec<_>) = unfollowed.partition(|it| may_pass(&it.error));
        if unread.is_empty() {
            return Ok(others.into_iter().map(Unfollowed::told).collect());
        }
        self.may_pass.set(true);
        let told =
            |Unfollowed { field, path, error }| (field, format!("cannot read {path}: {error}"));
        Err(unread.into_iter().map(told).collect())
    }

    /// What the services for which `of` holds mount from the checkout and can only read, configs and
    /// secrets among it; relative to the checkout.
    pub fn mounted(&self, stack: &Stack, of: impl Fn(&ServiceName) -> bool) -> BTreeSet<PathBuf> {
        let real = self.root().canonicalize();
        let real = real.as_deref().unwrap_or(self.root());
        let mounted = mounted_in(&self.view, stack, &self.roots, of).into_iter();
        let below = |path: PathBuf| {
            let below = path.strip_prefix(self.root()).or_else(|_| path.strip_prefix(real));
            below.ok().map(Path::to_owned)
        };
        mounted.filter_map(below).collect()
    }
}

impl Drop for Files<'_> {
    fn drop(&mut self) {
        // What is left is removed by the next one.
        let _ = fs::remove_dir_all(self.home.files());
    }
}
