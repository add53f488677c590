//! What the files hold that a repository mounts into containers. A container that may write to a
//! mount owns what is there; one that can only read it is configured by it, so its content counts.

use super::view::View;
use crate::manifest::DigestKey;
use crate::model::{ContentDigest, Mount, MountSource, ServiceName, Stack};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, FileType};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The most files and directories that one mount may hold to be followed.
const MAX_ENTRIES: usize = 2_000;
/// The most bytes that one mount may hold to be followed.
const MAX_BYTES: u64 = 64 << 20;
/// The deepest nesting that is followed.
const MAX_DEPTH: usize = 32;

/// Notes in the services of `stack` what the files below `roots` hold that are mounted read-only.
/// Without roots it is the stack's own directory. Returns what cannot be followed, by field.
pub fn digest_mounted(
    stack: &mut Stack,
    roots: &[PathBuf],
    key: &DigestKey,
) -> Vec<(String, String)> {
    digest_in(&View::default(), stack, roots, key).into_iter().map(Unfollowed::told).collect()
}

/// The same of what `view` shows.
pub(super) fn digest_in(
    view: &View,
    stack: &mut Stack,
    roots: &[PathBuf],
    key: &DigestKey,
) -> Vec<Unfollowed> {
    let own = [PathBuf::from(&stack.working_dir)];
    let following = Following::of(view, stack, if roots.is_empty() { &own } else { roots });
    let mut complaints = Vec::new();
    for (name, service) in &mut stack.services {
        let spec = &mut service.container;
        for (target, mount) in &mut spec.mounts {
            let delivered = ["configs", "secrets"].map(|kind| format!("{kind}.{target}"));
            if delivered.iter().any(|field| spec.contents.contains_key(field)) {
                continue;
            }
            let Some(path) = following.path(mount) else { continue };
            let MountSource::Bind(bind) = &mut mount.source else { continue };
            bind.is_file = view.at(&path).is_file();
            match digest(view, &path, key) {
                Ok(digest) => {
                    drop(spec.contents.insert(format!("volumes.{target}.content"), digest));
                }
                Err(error) => complaints.push(Unfollowed {
                    field: format!("services.{name}.volumes"),
                    path: bind.path.clone(),
                    error,
                }),
            }
        }
    }
    complaints
}

/// What is mounted and cannot be read in full.
pub(super) struct Unfollowed {
    pub(super) field: String,
    /// Where it is, as it is named.
    pub(super) path: String,
    pub(super) error: io::Error,
}

impl Unfollowed {
    /// The field, and what becomes of it.
    pub(super) fn told(self) -> (String, String) {
        let Self { field, path, error } = self;
        (field, format!("changes in {path} are not followed: {error}"))
    }
}

/// The paths below `roots` that the services for which `of` holds can only read, configs and secrets
/// among them: as they are written and, where links lead elsewhere, as they really are.
pub(super) fn mounted_in(
    view: &View,
    stack: &Stack,
    roots: &[PathBuf],
    of: impl Fn(&ServiceName) -> bool,
) -> BTreeSet<PathBuf> {
    let following = Following::of(view, stack, roots);
    let services = stack.services.iter().filter(|(name, _)| of(name));
    let mounts = services.flat_map(|(_, service)| service.container.mounts.values());
    let paths = mounts.filter_map(|mount| match &mount.source {
        MountSource::Bind(bind) => Some([following.path(mount)?, PathBuf::from(&bind.path)]),
        _ => None,
    });
    paths.flatten().collect()
}

/// Which mounts of a stack are followed.
struct Following<'a> {
    view: &'a View,
    roots: Vec<PathBuf>,
    written: Vec<PathBuf>,
}

impl<'a> Following<'a> {
    fn of(view: &'a View, stack: &Stack, roots: &[PathBuf]) -> Self {
        let roots = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
        Self { view, roots, written: written(view, stack) }
    }

    /// Where a mount really lies, if it is followed.
    fn path(&self, mount: &Mount) -> Option<PathBuf> {
        let MountSource::Bind(bind) = &mount.source else { return None };
        if !mount.read_only {
            return None;
        }
        // What is not there is for the engine to complain of.
        let path = self.view.real(Path::new(&bind.path)).ok()?;
        let is_ours = self.roots.iter().any(|root| path.starts_with(root));
        (is_ours && !self.written.iter().any(|to| overlap(to, &path))).then_some(path)
    }
}

/// The paths that containers of the stack may write to.
fn written(view: &View, stack: &Stack) -> Vec<PathBuf> {
    let mounts = stack.services.values().flat_map(|service| service.container.mounts.values());
    let written = mounts.filter(|mount| !mount.read_only).filter_map(|mount| match &mount.source {
        MountSource::Bind(bind) => view.real(Path::new(&bind.path)).ok(),
        _ => None,
    });
    written.collect()
}

/// Whether one lies in the other.
fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn digest(view: &View, path: &Path, key: &DigestKey) -> io::Result<ContentDigest> {
    let mut tree = Tree { view, hasher: Sha256::new(), entries: 0, bytes: 0 };
    tree.add(path, 0)?;
    Ok(key.digest(&tree.hasher.finalize()))
}

/// Files that are being read, in the order of their names.
struct Tree<'a> {
    view: &'a View,
    hasher: Sha256,
    entries: usize,
    bytes: u64,
}

impl Tree<'_> {
    /// Takes in what is at `path`. Links are not followed: they are what they point to.
    fn add(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES || depth > MAX_DEPTH {
            return Err(io::Error::other(format!(
                "more than {MAX_ENTRIES} files, or nested deeper than {MAX_DEPTH}"
            )));
        }
        let place = self.view.at(path);
        let found = fs::symlink_metadata(&place)?;
        let mode = found.permissions().mode() & 0o7777;
        self.hasher.update([kind(found.file_type())]);
        self.hasher.update(mode.to_be_bytes());
        if found.is_symlink() {
            self.text(fs::read_link(&place)?.as_os_str().as_bytes());
        } else if found.is_dir() {
            for name in self.names(path)? {
                self.text(name.as_bytes());
                self.add(&path.join(name), depth + 1)?;
            }
            self.hasher.update([0]);
        } else if found.is_file() {
            self.bytes += found.len();
            if self.bytes > MAX_BYTES {
                return Err(io::Error::other(format!("more than {MAX_BYTES} bytes")));
            }
            self.hasher.update(found.len().to_be_bytes());
            io::copy(&mut File::open(&place)?, &mut self.hasher)?;
        }
        Ok(())
    }

    /// The names in a directory, sorted.
    fn names(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let entries = self.view.entries(path, MAX_ENTRIES)?.into_iter();
        let mut names: Vec<_> = entries.map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    }

    fn text(&mut self, bytes: &[u8]) {
        self.hasher.update((bytes.len() as u64).to_be_bytes());
        self.hasher.update(bytes);
    }
}

fn kind(found: FileType) -> u8 {
    match (found.is_dir(), found.is_file(), found.is_symlink()) {
        (true, ..) => 1,
        (_, true, _) => 2,
        (_, _, true) => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DigestKey {
        DigestKey::new([7; 32])
    }

    #[test]
    fn a_tree_is_known_by_its_names_modes_and_contents() {
        let home = tempfile::tempdir().unwrap();
        let (a, b) = (home.path().join("a"), home.path().join("b"));
        let of = |path: &Path| digest(&View::default(), path, &key()).unwrap();
        let make = |root: &Path| {
            fs::create_dir_all(root.join("conf.d")).unwrap();
            fs::write(root.join("main"), "1").unwrap();
            fs::write(root.join("conf.d/more"), "2").unwrap();
        };
        make(&a);
        make(&b);
        assert_eq!(of(&a), of(&b));
        fs::write(b.join("conf.d/more"), "3").unwrap();
        assert_ne!(of(&a), of(&b));
        make(&b);
        fs::rename(b.join("conf.d/more"), b.join("conf.d/other")).unwrap();
        assert_ne!(of(&a), of(&b));
        fs::rename(b.join("conf.d/other"), b.join("conf.d/more")).unwrap();
        assert_eq!(of(&a), of(&b));
        fs::set_permissions(b.join("main"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(of(&a), of(&b));
    }

    #[test]
    fn what_is_too_large_is_not_followed_and_said_to_be_so() {
        let home = tempfile::tempdir().unwrap();
        File::create(home.path().join("huge")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(
            digest(&View::default(), home.path(), &key())
                .unwrap_err()
                .to_string()
                .contains("bytes")
        );
        let many = tempfile::tempdir().unwrap();
        (0..=MAX_ENTRIES).for_each(|n| fs::write(many.path().join(n.to_string()), "").unwrap());
        assert!(
            digest(&View::default(), many.path(), &key())
                .unwrap_err()
                .to_string()
                .contains("files")
        );
    }
}
