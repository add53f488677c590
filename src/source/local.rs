//! A repository on this machine, read by libgit2's own transport. Never writes to it.

use super::error::Fault;
use super::limits::Attempt;
use super::mirror::Mirror;
use super::select::{Offer, Wanted};
use git2::{AutotagOption, Direction, ErrorCode, FetchOptions, Oid, RemoteCallbacks, Repository};
use std::cell::Cell;
use std::path::Path;

/// Where the fetched tip is kept; the next fetch begins from it.
pub(super) const TIP: &str = "refs/bowline/tip";

/// What the repository at `path` offers.
pub(super) fn list(path: &Path) -> Result<Offer, Fault> {
    probe(path)?;
    let doing = "list the references";
    let failed = |error: git2::Error| Fault::git(doing, &error);
    let mut remote = git2::Remote::create_detached(address(path)?).map_err(failed)?;
    let connection = remote.connect_auth(Direction::Fetch, None, None).map_err(failed)?;
    let heads = connection.list().map_err(failed)?;
    let named = heads.iter().filter(|head| !head.name().ends_with("^{}"));
    Ok(Offer(named.map(|head| (head.name().to_owned(), head.oid())).collect()))
}

/// Fetches `wanted` into `into`, with its history, and returns what came: the reference may have
/// moved since it was listed.
pub(super) fn fetch(
    path: &Path,
    wanted: &Wanted,
    into: &Repository,
    attempt: &Attempt<'_>,
) -> Result<Oid, Fault> {
    let (limit, too_large) = (attempt.limits.bytes, Cell::new(false));
    let failed = |error: git2::Error| match attempt.check() {
        Err(fault) => fault,
        Ok(()) if too_large.get() => Fault::TooLarge { limit },
        Ok(()) => Fault::git("fetch", &error),
    };
    let refspecs = match &wanted.offered_as {
        Some(name) => vec![format!("+{name}:{TIP}")],
        None => vec![
            "+refs/heads/*:refs/bowline/heads/*".to_owned(),
            "+refs/tags/*:refs/bowline/tags/*".to_owned(),
        ],
    };
    let mut callbacks = RemoteCallbacks::new();
    let mut before = 0;
    callbacks.transfer_progress(|progress| {
        let bytes = progress.received_bytes() as u64;
        too_large.set(attempt.take(bytes.saturating_sub(before)).is_err());
        before = bytes;
        !too_large.get() && attempt.check().is_ok()
    });
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks).download_tags(AutotagOption::None).update_fetchhead(false);
    let mut remote = into.remote_anonymous(address(path)?).map_err(failed)?;
    remote.fetch(&refspecs, Some(&mut options), None).map_err(failed)?;
    attempt.check()?;
    match wanted.offered_as {
        Some(_) => into.refname_to_id(TIP).map_err(failed),
        None => Ok(wanted.id),
    }
}

/// The repository at `path`.
pub(super) fn open(path: &Path) -> Result<Repository, Fault> {
    probe(path)?;
    Repository::open(path).map_err(|error| Fault::git("open it", &error))
}

/// Copies the commit `id` with its files and without its history.
pub(super) fn copy(
    from: &Repository,
    id: Oid,
    into: &Mirror,
    attempt: &Attempt<'_>,
) -> Result<(), Fault> {
    let (limit, too_large) = (attempt.limits.bytes, Cell::new(false));
    let failed = |error: git2::Error| match attempt.check() {
        Err(fault) => fault,
        Ok(()) if too_large.get() => Fault::TooLarge { limit },
        Ok(()) => Fault::git(&format!("copy commit {id}"), &error),
    };
    let mut pack = from.packbuilder().map_err(failed)?;
    pack.insert_commit(id).map_err(failed)?;
    let is_wanted = |bytes: &[u8]| {
        too_large.set(attempt.take(bytes.len() as u64).is_err());
        !too_large.get() && attempt.check().is_ok()
    };
    into.take_in(&mut pack, is_wanted).map_err(failed)
}

fn address(path: &Path) -> Result<&str, Fault> {
    path.to_str().ok_or_else(|| Fault::Unsupported { what: "a path that is not UTF-8".into() })
}

/// Tells the reasons apart for which a repository cannot be opened.
pub(super) fn probe(path: &Path) -> Result<(), Fault> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Fault::NotFound),
        Err(error) => return Err(Fault::io(format!("read {}", path.display()), &error)),
        Ok(metadata) if !metadata.is_dir() => return Err(Fault::NotARepository),
        Ok(_) => {}
    }
    Repository::open(path).map(drop).map_err(|error| match error.code() {
        ErrorCode::NotFound => Fault::NotARepository,
        ErrorCode::Owner => Fault::NotOwned { path: path.display().to_string() },
        _ => Fault::git("open it", &error),
    })
}
