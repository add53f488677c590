//! Shows one commit's files in the checkout. Leaves alone what others put there, unless it stands
//! where a file of the commit belongs.

use super::error::Fault;
use super::home::{Home, settle};
use super::mirror::Mirror;
use super::place::{Fresh, place};
use git2::build::CheckoutBuilder;
use git2::{Delta, ErrorClass, FileMode, IndexEntry, IndexTime, ObjectType, Oid, Repository, Tree};
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Makes the checkout of `home` show `commit`. A switch that was interrupted is finished first: only
/// then does the list of our files tell which of them have to go.
pub(super) fn switch(mirror: &Mirror, home: &Home, commit: Oid) -> Result<(), Fault> {
    if let Some(begun) = interrupted(mirror).filter(|begun| *begun != commit)
        && let Err(fault) = show(mirror, home, begun)
    {
        // What cannot be shown must not keep what comes after it from being shown.
        tracing::debug!("a switch that did not end cannot be finished: {fault}");
    }
    show(mirror, home, commit)
}

/// What [`settled`] will give. Writes nothing.
pub(super) fn bound_for(mirror: &Mirror) -> Option<Oid> {
    interrupted(mirror).or_else(|| mirror.shown())
}

/// What the checkout shows; a switch that was interrupted is finished before, or taken back if it cannot be.
pub(super) fn settled(mirror: &Mirror, home: &Home) -> Result<Option<Oid>, Fault> {
    if let Some(begun) = interrupted(mirror)
        && let Err(fault) = show(mirror, home, begun)
    {
        let former = mirror.shown().ok_or(fault)?;
        show(mirror, home, former)?;
    }
    Ok(mirror.shown())
}

/// The commit of a switch that did not end.
fn interrupted(mirror: &Mirror) -> Option<Oid> {
    mirror.head().filter(|begun| mirror.shown() != Some(*begun))
}

fn show(mirror: &Mirror, home: &Home, commit: Oid) -> Result<(), Fault> {
    let root = &home.checkout();
    let failed = |error: git2::Error| Fault::git(&format!("write {}", root.display()), &error);
    fs::create_dir_all(root)
        .map_err(|error| Fault::io(format!("make {}", root.display()), &error))?;
    let repository = &mirror.repository;
    repository.set_workdir(root, false).map_err(failed)?;
    let tree = repository.find_commit(commit).and_then(|commit| commit.tree()).map_err(failed)?;
    if mirror.shown() != Some(commit) {
        check_names(repository, &tree)?;
    }
    mirror.free("HEAD");
    mirror.free("index");
    // With `HEAD` at the commit itself, only files that differ from it in content are written.
    if mirror.head() != Some(commit) {
        repository.set_head_detached(commit).map_err(failed)?;
    }
    let (departed, fresh) = differing(mirror, &tree).map_err(failed)?;
    for path in &departed {
        remove(root, path, &tree);
    }
    remove_links(repository, &tree, root);
    place(repository, &fresh, root, &home.half()).map_err(failed)?;
    let mut options = CheckoutBuilder::new();
    options.force().recreate_missing(true).disable_filters(true);
    repository.checkout_tree(tree.as_object(), Some(&mut options)).map_err(failed)?;
    let mut index = repository.index().map_err(failed)?;
    index.read_tree(&tree).and_then(|()| index.write()).map_err(failed)?;
    if mirror.shown() != Some(commit) {
        let list = repository.path().join("index");
        settle(&list).and_then(|()| settle(repository.path()))?;
    }
    mirror.set_shown(commit)
}

/// The same as [`settled`], where files of ours that do not hold what was written are written again, though
/// they look as they did: what a loss of power leaves of files that were new then.
pub(super) fn looked_over(mirror: &Mirror, home: &Home) -> Result<Option<Oid>, Fault> {
    let Some(shown) = settled(mirror, home)? else { return Ok(None) };
    let spoilt = forget_spoilt(mirror, &home.checkout());
    let spoilt =
        spoilt.map_err(|error| Fault::git("read the list of files in the checkout", &error))?;
    if spoilt > 0 {
        tracing::warn!(
            "files of the checkout are not as they were written: {spoilt}; writing them again"
        );
        if let Err(fault) = show(mirror, home, shown) {
            let still = forget_spoilt(mirror, &home.checkout());
            if still.map_or(true, |still| still > 0) {
                return Err(fault);
            }
            tracing::warn!("the checkout stays as it is: {fault}");
        }
    }
    Ok(Some(shown))
}

/// Has the list of our files say nothing of how those look that do not hold what they should. How many.
fn forget_spoilt(mirror: &Mirror, root: &Path) -> Result<usize, git2::Error> {
    mirror.free("index");
    let mut index = mirror.repository.index()?;
    index.read(true)?;
    let is_file =
        |entry: &IndexEntry| entry.mode & 0o170_000 == u32::from(FileMode::Blob) & 0o170_000;
    let is_spoilt = |entry: &IndexEntry| {
        let path = root.join(OsStr::from_bytes(&entry.path));
        let holds = || Oid::hash_file(ObjectType::Blob, &path).is_ok_and(|id| id == entry.id);
        match fs::symlink_metadata(&path) {
            // Git can name what no disk takes.
            Err(error) if error.kind() == ErrorKind::InvalidFilename => false,
            found => !found.is_ok_and(|found| found.is_file()) || !holds(),
        }
    };
    let spoilt: Vec<_> = index.iter().filter(|it| is_file(it) && is_spoilt(it)).collect();
    for entry in &spoilt {
        let (mtime, file_size) = (IndexTime::new(0, 0), 0);
        let path = entry.path.clone();
        index.add(&IndexEntry { mtime, file_size, path, ..*entry })?;
    }
    if spoilt.is_empty() { Ok(0) } else { index.write().map(|()| spoilt.len()) }
}

/// That no name in `tree` is one that no checkout takes. What this reads into the list of our files is to be
/// read anew.
pub(super) fn check_names(repository: &Repository, tree: &Tree<'_>) -> Result<(), Fault> {
    let read = repository.index().and_then(|mut index| index.read_tree(tree));
    read.map_err(|error| match error.class() {
        // The clone is well; it is the commit that no checkout takes.
        ErrorClass::Index => Fault::Unsupported { what: format!("an {}", error.message()) },
        _ => Fault::git("read the names of a commit's files", &error),
    })
}

/// Writes the files of `tree` into the empty directory `into`, and nothing else.
pub(super) fn write_out(mirror: &Mirror, tree: &Tree<'_>, into: &Path) -> Result<(), Fault> {
    let mut options = CheckoutBuilder::new();
    options.force().recreate_missing(true).disable_filters(true);
    options.update_index(false).target_dir(into);
    let written = mirror.repository.checkout_tree(tree.as_object(), Some(&mut options));
    written.map_err(|error| Fault::git(&format!("write {}", into.display()), &error))
}

/// The files that we wrote and that `tree` does not have, and those that it has otherwise.
fn differing(mirror: &Mirror, tree: &Tree<'_>) -> Result<(Vec<PathBuf>, Vec<Fresh>), git2::Error> {
    let repository = &mirror.repository;
    let mut index = repository.index()?;
    index.read(true)?;
    let diff = repository.diff_tree_to_index(Some(tree), Some(&index), None)?;
    let (mut departed, mut fresh) = (Vec::new(), Vec::new());
    for delta in diff.deltas() {
        let path = |bytes| PathBuf::from(OsStr::from_bytes(bytes));
        match delta.status() {
            Delta::Added => departed.extend(delta.new_file().path_bytes().map(path)),
            Delta::Deleted | Delta::Modified => fresh.extend(Fresh::of(&delta.old_file())),
            _ => {}
        }
    }
    Ok((departed, fresh))
}

/// Removes the links that stand where `tree` has files or directories: git's checkout would write through
/// them. A container that may write to a part of the checkout can have put them there.
fn remove_links(repository: &Repository, tree: &Tree<'_>, dir: &Path) {
    for found in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(kind) = found.file_type() else { continue };
        let Some(entry) = tree.get_name_bytes(found.file_name().as_bytes()) else { continue };
        if kind.is_symlink() && entry.filemode() != i32::from(FileMode::Link) {
            // What cannot be removed fails the checkout, which says why.
            let _ = fs::remove_file(found.path());
        } else if kind.is_dir()
            && let Ok(below) = repository.find_tree(entry.id())
        {
            remove_links(repository, &below, &found.path());
        }
    }
}

/// Removes a file, and the directories that are empty without it and not in `tree`: one that stays may
/// be mounted, and made anew it would be another one. Does not follow links: a directory that became
/// one leads out of the checkout.
fn remove(root: &Path, path: &Path, tree: &Tree<'_>) {
    let is_directory = |dir: &Path| fs::symlink_metadata(dir).is_ok_and(|found| found.is_dir());
    let parents: Vec<_> =
        path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()).collect();
    if !parents.iter().all(|parent| is_directory(&root.join(parent))) {
        return;
    }
    // What cannot be removed is somebody else's by now; what stands in the way fails the checkout.
    if fs::remove_file(root.join(path)).is_ok() {
        let is_kept = |dir: &Path| {
            tree.get_path(dir).is_ok_and(|entry| entry.kind() == Some(ObjectType::Tree))
        };
        let gone = parents.iter().take_while(|parent| !is_kept(parent));
        let _ = gone.map(|parent| fs::remove_dir(root.join(parent))).find(Result::is_err);
    }
}
