//! Submodules: the commits of other repositories that a commit names, and its tree with theirs in their
//! places. All objects lie in the one clone, so that a tree with its submodules is a tree like any other.
//! Nothing is run, and no directory is named after what a repository says.

mod address;
mod bring;
mod gitmodules;

pub(super) use bring::Bring;

use super::error::Fault;
use git2::{FileMode, ObjectType, Oid, Repository, Tree};
use gitmodules::{Section, parse};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const FILE: &str = ".gitmodules";
/// The largest such file that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// How deep submodules of submodules are followed, and how many there may be in all.
const MAX_DEPTH: usize = 8;
const MAX: usize = 100;

/// A submodule that a tree has.
struct Module {
    name: String,
    /// Below the tree.
    path: String,
    url: Option<String>,
    /// The file and line that say so, from the top of the checkout.
    place: String,
    /// Its commit.
    pin: Oid,
}

impl Module {
    fn refused(&self, what: impl Into<String>) -> Fault {
        Fault::Modules { at: shown(&self.place, &self.name), what: what.into() }
    }
}

/// `tree` with the trees of its submodules in their places. Those whose commits are not here stay as they
/// are, and so do all where the file that names them cannot be used.
pub(super) fn whole<'r>(
    repository: &'r Repository,
    tree: Tree<'r>,
) -> Result<Tree<'r>, git2::Error> {
    graft(repository, tree, 0, &mut MAX.clone())
}

fn graft<'r>(
    repository: &'r Repository,
    mut tree: Tree<'r>,
    depth: usize,
    left: &mut usize,
) -> Result<Tree<'r>, git2::Error> {
    for module in modules(repository, &tree, Path::new("")).unwrap_or_default() {
        let Ok(commit) = repository.find_commit(module.pin) else { continue };
        if depth == MAX_DEPTH || *left == 0 {
            break;
        }
        *left -= 1;
        let inner = graft(repository, commit.tree()?, depth + 1, left)?;
        let names: Vec<&str> = module.path.split('/').collect();
        tree = repository.find_tree(put(repository, &tree, &names, inner.id())?)?;
    }
    Ok(tree)
}

/// `tree` with the tree `id` at a path that leads through trees.
fn put(
    repository: &Repository,
    tree: &Tree<'_>,
    path: &[&str],
    id: Oid,
) -> Result<Oid, git2::Error> {
    let Some((name, below)) = path.split_first() else { return Ok(id) };
    let inner = match tree.get_name(name).filter(|_| !below.is_empty()) {
        Some(entry) => put(repository, &repository.find_tree(entry.id())?, below, id)?,
        None => id,
    };
    let mut builder = repository.treebuilder(Some(tree))?;
    builder.insert(*name, inner, FileMode::Tree.into())?;
    builder.write()
}

/// The submodules of `tree`, which may be a [`whole`] one, whose files are not in it.
pub(super) fn absent(repository: &Repository, tree: &Tree<'_>) -> BTreeSet<PathBuf> {
    let absent = modules(repository, tree, Path::new("")).unwrap_or_default();
    absent.into_iter().map(|module| module.path.into()).collect()
}

/// The commits of the submodules of the commit `id` that are here, theirs among them.
pub(super) fn pins(repository: &Repository, id: Oid) -> BTreeSet<Oid> {
    let mut pins = BTreeSet::new();
    let mut due = vec![id];
    while let Some(id) = due.pop() {
        let Ok(tree) = repository.find_commit(id).and_then(|commit| commit.tree()) else {
            continue;
        };
        let found = modules(repository, &tree, Path::new("")).unwrap_or_default();
        let found = found.into_iter().map(|module| module.pin);
        let found = found.filter(|pin| repository.find_commit(*pin).is_ok());
        due.extend(found.filter(|pin| pins.len() < MAX && pins.insert(*pin)));
    }
    pins
}

/// The submodules of `tree`, which lies at `below` in the checkout. What the file names and the tree does
/// not have is left out.
fn modules(repository: &Repository, tree: &Tree<'_>, below: &Path) -> Result<Vec<Module>, Fault> {
    let file = below.join(FILE);
    let Some(text) = read(repository, tree, &file)? else { return Ok(Vec::new()) };
    let sections = parse(&text).map_err(|broken| Fault::Modules {
        at: format!("{}:{}", file.display(), broken.line),
        what: broken.what,
    })?;
    let mut found: Vec<Module> = Vec::new();
    for section in sections {
        let place = format!("{}:{}", file.display(), section.line);
        let at = shown(&place, &section.name);
        let no = |what: &str| Err(Fault::Modules { at: at.clone(), what: what.to_owned() });
        if let Some(what) = flaw(&section) {
            return no(what);
        }
        // As git has it: without a path it stands for nothing, and `none` asks to leave it alone.
        let Some(path) = section.path.filter(|_| section.update.as_deref() != Some("none")) else {
            continue;
        };
        if leads_through_a_link(repository, tree, &path) {
            return no("its path leads through a link; write where it really is");
        }
        if found.iter().any(|other| other.path == path) {
            return no("its path is another submodule's, too; keep one");
        }
        let entry = tree.get_path(Path::new(&path)).ok();
        let pin = entry.filter(|entry| entry.kind() == Some(ObjectType::Commit));
        if let Some(pin) = pin.map(|entry| entry.id()) {
            found.push(Module { name: section.name, path, url: section.url, place, pin });
        }
    }
    Ok(found)
}

/// What the file in `tree` says, if it has one.
fn read(repository: &Repository, tree: &Tree<'_>, file: &Path) -> Result<Option<String>, Fault> {
    let broken = |what: &str| Fault::Modules { at: file.display().to_string(), what: what.into() };
    let failed = |error: git2::Error| Fault::git("read .gitmodules", &error);
    let Some(entry) = tree.get_name(FILE) else { return Ok(None) };
    let kinds = [FileMode::Blob, FileMode::BlobExecutable];
    if !kinds.into_iter().any(|kind| entry.filemode() == i32::from(kind)) {
        return Err(broken("this is no file; put a file there"));
    }
    let odb = repository.odb().map_err(failed)?;
    let (size, _) = odb.read_header(entry.id()).map_err(failed)?;
    if size > MAX_BYTES {
        return Err(broken("it has more than 1 MiB, and no more is read"));
    }
    let blob = repository.find_blob(entry.id()).map_err(failed)?;
    match String::from_utf8(blob.content().to_vec()) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(broken("it is no text in UTF-8")),
    }
}

/// What in a section's name or path nobody writes who means well.
fn flaw(section: &Section) -> Option<&'static str> {
    let Section { name, path, .. } = section;
    if name.is_empty() || name.split(['/', '\\']).any(|part| part == "..") {
        return Some("its name is empty or holds `..`; give it another");
    }
    let path = path.as_deref()?;
    if path.starts_with('-') || path.chars().any(char::is_control) {
        return Some("its path begins with `-`, like an option, or holds characters of control");
    }
    let parts = || path.split('/');
    if parts().any(|part| part.eq_ignore_ascii_case(".git")) {
        return Some("its path leads into `.git`; give it another");
    }
    let leaves = parts().any(|part| matches!(part, "" | "." | ".."));
    leaves.then_some(
        "its path leaves the repository; write it from the repository's top, without `..`",
    )
}

fn leads_through_a_link(repository: &Repository, tree: &Tree<'_>, path: &str) -> bool {
    let mut tree = tree.clone();
    for part in path.split('/') {
        let Some(entry) = tree.get_name(part).map(|entry| entry.to_owned()) else { return false };
        if entry.filemode() == i32::from(FileMode::Link) {
            return true;
        }
        let Ok(next) = repository.find_tree(entry.id()) else { return false };
        tree = next;
    }
    false
}

/// A submodule as errors name it.
fn shown(place: &str, name: &str) -> String {
    let name: String = name.escape_debug().take(100).collect();
    format!("{place}: submodule `{name}`")
}
