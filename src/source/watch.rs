//! Sees at once that a repository on this machine moved. Only says so; looks at nothing.

use super::error::{Fault, SourceError};
use super::location::Location;
use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::Path;

/// A running watch; ends when it is dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// Calls `on_change` when a reference of a local repository may have changed, several times for one
/// push. `None` for remote repositories. A repository that is moved away and made again is not seen:
/// look at it by interval too.
pub fn watch(
    location: &Location,
    on_change: impl Fn() + Send + 'static,
) -> Result<Option<Watch>, SourceError> {
    let Location::Local(path) = location else { return Ok(None) };
    let watching = start(path, on_change);
    watching.map(Some).map_err(|fault| SourceError { at: location.to_string(), fault })
}

fn start(path: &Path, on_change: impl Fn() + Send + 'static) -> Result<Watch, Fault> {
    let failed = |error: &notify::Error| Fault::Io {
        doing: "watch the repository".into(),
        why: error.to_string(),
    };
    super::local::probe(path)?;
    let repository = git2::Repository::open(path).map_err(|error| Fault::git("open it", &error))?;
    let handler = move |event: notify::Result<Event>| {
        if event.as_ref().map_or(true, tells) {
            on_change();
        }
    };
    let mut watcher = notify::recommended_watcher(handler).map_err(|error| failed(&error))?;
    // A work tree of its own has its HEAD here and its references in the common directory.
    let (own, common) = (repository.path(), repository.commondir());
    let mut add = |dir: &Path, mode| watcher.watch(dir, mode).map_err(|error| failed(&error));
    add(&common.join("refs"), RecursiveMode::Recursive)?;
    add(common, RecursiveMode::NonRecursive)?;
    if own != common {
        add(own, RecursiveMode::NonRecursive)?;
    }
    Ok(Watch { _watcher: watcher })
}

/// Whether an event may be the move of a reference: not a look, and not only a lock.
fn tells(event: &Event) -> bool {
    let looks =
        matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)));
    !looks && (event.need_rescan() || event.paths.iter().any(|path| is_reference(path)))
}

/// `HEAD`, `packed-refs`, or anything below `refs`.
fn is_reference(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let lock = path.extension().is_some_and(|extension| extension == "lock");
    let below = path.components().any(|part| part.as_os_str() == "refs");
    !lock && (name == "HEAD" || name == "packed-refs" || below)
}
