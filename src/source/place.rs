//! Puts the files of a commit that changed in their places, each at once: who reads one meanwhile finds
//! the former or the new content, whole. Everything else is left to git's own checkout, which looks over
//! it afterwards.

use git2::{DiffFile, ErrorClass, ErrorCode, FileMode, IndexEntry, IndexTime, Oid, Repository};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// A file of a commit.
pub(super) struct Fresh {
    /// Below the checkout.
    path: PathBuf,
    id: Oid,
    mode: FileMode,
}

impl Fresh {
    /// What a difference tells of it; `None` for links, and for what shall not be written.
    pub(super) fn of(file: &DiffFile<'_>) -> Option<Self> {
        let path = PathBuf::from(OsStr::from_bytes(file.path_bytes()?));
        let is_file = matches!(file.mode(), FileMode::Blob | FileMode::BlobExecutable);
        (is_file && is_plain(&path)).then(|| Self { path, id: file.id(), mode: file.mode() })
    }

    fn permissions(&self) -> u32 {
        if self.mode == FileMode::BlobExecutable { 0o755 } else { 0o644 }
    }
}

/// Puts `fresh` files below `root`; `half` is where each is written first.
pub(super) fn place(
    repository: &Repository,
    fresh: &[Fresh],
    root: &Path,
    half: &Path,
) -> Result<(), git2::Error> {
    let mut index = repository.index()?;
    for file in fresh {
        let path = root.join(&file.path);
        if !has_room(root, &path) {
            continue;
        }
        let blob = repository.find_blob(file.id)?;
        // Where there is no room for it, the checkout would cut off the file that is there.
        write(blob.content(), file.permissions(), half, &path).map_err(|error| {
            let _ = fs::remove_file(half);
            git2::Error::new(ErrorCode::GenericError, ErrorClass::Os, error.to_string())
        })?;
        // What fails here fails in the checkout, which says why.
        if fs::rename(half, &path).is_ok()
            && let Ok(entry) = entry(file, &path)
        {
            index.add(&entry)?;
        }
    }
    if fresh.is_empty() { Ok(()) } else { index.write() }
}

/// Whether it leads below, and not to what git keeps of a repository; the others git refuses.
fn is_plain(below: &Path) -> bool {
    below.components().all(|component| match component {
        Component::Normal(name) => !name.eq_ignore_ascii_case(".git"),
        _ => false,
    })
}

/// Whether `path` is a file, or can become one without anything else making way. Does not follow links.
fn has_room(root: &Path, path: &Path) -> bool {
    let mut parents = path.ancestors().skip(1).take_while(|parent| *parent != root);
    let is_directory = |dir: &Path| fs::symlink_metadata(dir).is_ok_and(|found| found.is_dir());
    let is_free = match fs::symlink_metadata(path) {
        Ok(found) => found.is_file(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    is_free && parents.all(is_directory)
}

/// Writes the file `half` that is to become the one at `path`.
fn write(content: &[u8], mode: u32, half: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(half)?;
    file.write_all(content)?;
    // A container may mount what is there, and be started before we are.
    if fs::symlink_metadata(path).is_ok() {
        file.sync_data()?;
    }
    Ok(())
}

/// What the index holds of a file, so that it need not be read again as long as nobody touches it. Of
/// large numbers it keeps the lower bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn entry(file: &Fresh, path: &Path) -> io::Result<IndexEntry> {
    let found = fs::symlink_metadata(path)?;
    Ok(IndexEntry {
        ctime: IndexTime::new(found.ctime() as i32, found.ctime_nsec() as u32),
        mtime: IndexTime::new(found.mtime() as i32, found.mtime_nsec() as u32),
        dev: found.dev() as u32,
        ino: found.ino() as u32,
        mode: file.mode.into(),
        uid: found.uid(),
        gid: found.gid(),
        file_size: found.size() as u32,
        id: file.id,
        flags: 0,
        flags_extended: 0,
        path: file.path.as_os_str().as_bytes().to_vec(),
    })
}
