//! Repositories on this host, read by libgit2.

use super::error::SourceError;
use super::location::Reference;
use super::repository::{Tip, choose, names};
use git2::{ErrorCode, FetchOptions, ObjectType, Oid, RemoteCallbacks, Repository as Git};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Looks up what `reference` names.
pub(super) fn tip(path: &Path, reference: &Reference) -> Result<Tip, SourceError> {
    let git = open(path)?;
    let known = references(&git, path)?;
    let head = git.find_reference("HEAD").ok();
    let head = head.and_then(|head| head.symbolic_target().ok().flatten().map(str::to_owned));
    if known.is_empty() {
        return Err(SourceError::Empty { location: path.display().to_string() });
    }
    let found = choose(reference, head.as_deref(), &known).map(|(_, id)| *id);
    let found = found.or_else(|| match reference {
        Reference::Commit(text) | Reference::Any(text) => commit(&git, text),
        // A detached HEAD names a commit and no branch.
        Reference::Head => git.head().ok().and_then(|head| head.target()),
        Reference::Branch(_) | Reference::Tag(_) => None,
    });
    found.map(|id| Tip { id }).ok_or_else(|| SourceError::UnknownReference {
        location: path.display().to_string(),
        wanted: reference.to_string(),
        known: names(&known),
    })
}

/// Fetches all branches and tags into the clone.
pub(super) fn fetch(
    clone: &Git,
    path: &Path,
    reference: &Reference,
    cancelled: &AtomicBool,
) -> Result<(), SourceError> {
    let location = path.display().to_string();
    let failed = |error: &git2::Error| {
        if cancelled.load(Ordering::Relaxed) {
            SourceError::Cancelled { location: location.clone() }
        } else {
            SourceError::Unreachable {
                location: location.clone(),
                cause: error.message().to_owned(),
            }
        }
    };
    let mut callbacks = RemoteCallbacks::new();
    callbacks.transfer_progress(|_| !cancelled.load(Ordering::Relaxed));
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks).download_tags(git2::AutotagOption::None);
    let url = path.to_string_lossy();
    let mut remote = clone.remote_anonymous(&url).map_err(|error| failed(&error))?;
    let mut wanted = vec!["+refs/heads/*:refs/bowline/heads/*", "+refs/tags/*:refs/bowline/tags/*"];
    if *reference == Reference::Head {
        wanted.push("+HEAD:refs/bowline/head");
    }
    remote.fetch(&wanted, Some(&mut options), None).map_err(|error| failed(&error))
}

fn open(path: &Path) -> Result<Git, SourceError> {
    let location = path.display().to_string();
    Git::open(path).map_err(|error| match error.code() {
        ErrorCode::NotFound if path.exists() => {
            SourceError::NotGit { location, cause: "the directory holds no repository".to_owned() }
        }
        ErrorCode::NotFound => {
            SourceError::NotFound { location, cause: "no such directory".to_owned() }
        }
        // Owned by another user: git's own protection against foreign hooks and settings.
        ErrorCode::Owner => SourceError::NotFound {
            location,
            cause: "it belongs to another user, and git does not trust it".to_owned(),
        },
        _ => SourceError::NotGit { location, cause: error.message().to_owned() },
    })
}

fn references(git: &Git, path: &Path) -> Result<Vec<(String, Oid)>, SourceError> {
    let broken = |error: git2::Error| SourceError::NotGit {
        location: path.display().to_string(),
        cause: error.message().to_owned(),
    };
    let references = git.references().map_err(broken)?;
    let mut known: Vec<(String, Oid)> = references
        .flatten()
        .filter_map(|reference| {
            let id = reference.resolve().ok()?.target()?;
            Some((reference.name().ok()?.to_owned(), id))
        })
        .collect();
    known.sort();
    Ok(known)
}

fn commit(git: &Git, text: &str) -> Option<Oid> {
    let is_hex = text.len() >= 7 && text.chars().all(|c| c.is_ascii_hexdigit());
    let object = git.revparse_single(text).ok().filter(|_| is_hex)?;
    (object.kind() == Some(ObjectType::Commit)).then(|| object.id())
}
