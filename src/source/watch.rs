//! Tells at once when a repository on this host changes.

use super::error::SourceError;
use super::location::Location;
use git2::Repository as Git;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// Calls `on_change` whenever a reference of a local repository may have changed: at least once
/// after each commit or push, possibly more often. `None` for remote repositories.
pub fn watch(
    location: &Location,
    on_change: impl Fn() + Send + 'static,
) -> Result<Option<Watch>, SourceError> {
    let Location::Local(path) = location else { return Ok(None) };
    let failed = |cause: String| SourceError::Unreachable { location: location.to_string(), cause };
    let git = Git::open(path).map_err(|error| failed(error.message().to_owned()))?;
    let heard = move |event: notify::Result<Event>| {
        // An error may hide a change, so it counts as one.
        if event.as_ref().map_or(true, concerns_references) {
            on_change();
        }
    };
    let mut watcher =
        notify::recommended_watcher(heard).map_err(|error| failed(error.to_string()))?;
    for (directory, mode) in watched_directories(git.path()) {
        watcher.watch(&directory, mode).map_err(|error| failed(error.to_string()))?;
    }
    Ok(Some(Watch { _watcher: watcher }))
}

/// Branches and tags are files below `refs`, or lines in `packed-refs`; HEAD is beside it.
fn watched_directories(git_dir: &Path) -> [(PathBuf, RecursiveMode); 2] {
    [
        (git_dir.join("refs"), RecursiveMode::Recursive),
        (git_dir.to_owned(), RecursiveMode::NonRecursive),
    ]
}

fn concerns_references(event: &Event) -> bool {
    let reads = matches!(event.kind, EventKind::Access(_));
    let is_lock = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "lock");
    let in_refs = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "refs");
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name == "HEAD" || name == "packed-refs")
    };
    !reads && event.paths.iter().any(|path| !is_lock(path) && (in_refs(path) || named(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_commit_is_heard() {
        let root = tempfile::tempdir().unwrap();
        let git = Git::init(root.path()).unwrap();
        let (told, heard) = mpsc::channel();
        let location = Location::Local(root.path().to_owned());
        let watch = watch(&location, move || told.send(()).unwrap_or_default()).unwrap();
        assert!(watch.is_some());
        let tree = git.find_tree(git.index().unwrap().write_tree().unwrap()).unwrap();
        let who = git2::Signature::now("a", "a@example.org").unwrap();
        git.commit(Some("HEAD"), &who, &who, "one", &tree, &[]).unwrap();
        heard.recv_timeout(Duration::from_secs(5)).expect("the commit is heard");
    }

    #[test]
    fn a_remote_repository_is_not_watched() {
        let location = "https://example.org/r.git".parse().unwrap();
        assert!(watch(&location, || ()).unwrap().is_none());
    }
}
