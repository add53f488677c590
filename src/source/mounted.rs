//! What the files hold that a repository mounts into containers. A container that may write to a
//! mount owns what is there; one that can only read it is configured by it, so its content counts.

use crate::manifest::DigestKey;
use crate::model::{ContentDigest, MountSource, Stack};
use sha2::{Digest, Sha256};
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
    let own = [PathBuf::from(&stack.working_dir)];
    let roots = if roots.is_empty() { &own } else { roots };
    let roots: Vec<PathBuf> = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    let written = written(stack);
    let mut complaints = Vec::new();
    for (name, service) in &mut stack.services {
        let spec = &mut service.container;
        for (target, mount) in &mut spec.mounts {
            let MountSource::Bind(bind) = &mut mount.source else { continue };
            let delivered = ["configs", "secrets"].map(|kind| format!("{kind}.{target}"));
            let is_known = delivered.iter().any(|field| spec.contents.contains_key(field));
            if !mount.read_only || is_known {
                continue;
            }
            // What is not there is for the engine to complain of.
            let Ok(path) = Path::new(&bind.path).canonicalize() else { continue };
            let is_written = || written.iter().any(|to| overlap(to, &path));
            if !roots.iter().any(|root| path.starts_with(root)) || is_written() {
                continue;
            }
            bind.is_file = path.is_file();
            match digest(&path, key) {
                Ok(digest) => {
                    drop(spec.contents.insert(format!("volumes.{target}.content"), digest));
                }
                Err(error) => complaints.push((
                    format!("services.{name}.volumes"),
                    format!("changes in {} are not followed: {error}", bind.path),
                )),
            }
        }
    }
    complaints
}

/// The paths that containers of the stack may write to.
fn written(stack: &Stack) -> Vec<PathBuf> {
    let mounts = stack.services.values().flat_map(|service| service.container.mounts.values());
    let written = mounts.filter(|mount| !mount.read_only).filter_map(|mount| match &mount.source {
        MountSource::Bind(bind) => Path::new(&bind.path).canonicalize().ok(),
        _ => None,
    });
    written.collect()
}

/// Whether one lies in the other.
fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn digest(path: &Path, key: &DigestKey) -> io::Result<ContentDigest> {
    let mut tree = Tree { hasher: Sha256::new(), entries: 0, bytes: 0 };
    tree.add(path, 0)?;
    Ok(key.digest(&tree.hasher.finalize()))
}

/// Files that are being read, in the order of their names.
struct Tree {
    hasher: Sha256,
    entries: usize,
    bytes: u64,
}

impl Tree {
    /// Takes in what is at `path`. Links are not followed: they are what they point to.
    fn add(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES || depth > MAX_DEPTH {
            return Err(io::Error::other(format!(
                "more than {MAX_ENTRIES} files, or nested deeper than {MAX_DEPTH}"
            )));
        }
        let found = fs::symlink_metadata(path)?;
        let mode = found.permissions().mode() & 0o7777;
        self.hasher.update([kind(found.file_type())]);
        self.hasher.update(mode.to_be_bytes());
        if found.is_symlink() {
            self.text(fs::read_link(path)?.as_os_str().as_bytes());
        } else if found.is_dir() {
            for name in names(path)? {
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
            io::copy(&mut File::open(path)?, &mut self.hasher)?;
        }
        Ok(())
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

/// The names in a directory, sorted.
fn names(path: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(path)?
        .take(MAX_ENTRIES + 1)
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
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
        let of = |path: &Path| digest(path, &key()).unwrap();
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
        assert!(digest(home.path(), &key()).unwrap_err().to_string().contains("bytes"));
        let many = tempfile::tempdir().unwrap();
        (0..=MAX_ENTRIES).for_each(|n| fs::write(many.path().join(n.to_string()), "").unwrap());
        assert!(digest(many.path(), &key()).unwrap_err().to_string().contains("files"));
    }
}
