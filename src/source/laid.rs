//! Files that the checkout shows as they were at a former commit, while all else in it is of the newest:
//! what the containers of a stack mount that went back. The checkout then shows a commit of ours, which
//! leaves the clone never; every sync shows it again, so that nothing flickers. So it is where a commit has
//! submodules, whose files are in its tree then.

use super::checkout::{check_names, switch};
use super::error::Fault;
use super::home::{Home, write};
use super::mirror::Mirror;
use crate::model::{Revision, StackName};
use git2::{ErrorCode, FileMode, ObjectType, Oid, Repository, Signature, Time, Tree};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The commits of ours, by id: any other commit came from the repository.
pub(super) const OURS: &str = "refs/bowline/laid/";

/// What is laid, by the stack that needs it. Where two lay one path, the later by name prevails, and of those
/// of one stack the later.
pub type Laid = BTreeMap<StackName, Vec<Layer>>;

/// Files and directories as they were at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The commit.
    pub revision: Revision,
    /// Relative to the checkout; a directory stands for all in it. What the commit does not have is not
    /// shown either.
    pub paths: BTreeSet<PathBuf>,
}

/// What is laid over the checkout at `home`. What cannot be read counts as nothing: it is told to us
/// again.
pub(super) fn laid(home: &Home) -> Laid {
    /// A note of an earlier form has one layer a stack.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Noted {
        All(Vec<Layer>),
        One(Layer),
    }
    let text = fs::read(home.laid()).unwrap_or_default();
    let noted: BTreeMap<StackName, Noted> = serde_json::from_slice(&text).unwrap_or_default();
    let layers = |noted| match noted {
        Noted::All(layers) => layers,
        Noted::One(layer) => vec![layer],
    };
    noted.into_iter().map(|(stack, noted)| (stack, layers(noted))).collect()
}

/// Notes what is laid; the next switch shows it.
pub(super) fn note(home: &Home, laid: &Laid) -> Result<(), Fault> {
    let path = home.laid();
    let failed = |error: &io::Error| Fault::io(format!("write {}", path.display()), error);
    if laid.is_empty() {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&error)),
            _ => Ok(()),
        };
    }
    let text = serde_json::to_vec(laid).map_err(|error| failed(&error.into()))?;
    write(&path, &text)
}

/// Makes the checkout show `commit` with what is laid over it.
pub(super) fn show(mirror: &Mirror, home: &Home, commit: Oid) -> Result<(), Fault> {
    let shown = compose(mirror, commit, &laid(home))?;
    switch(mirror, home, shown)?;
    forget_others(mirror, shown)
}

/// The commit of the repository that the checkout shows with `shown`.
pub(super) fn commit_of(repository: &Repository, shown: Oid) -> Oid {
    // One that a loss of power took is there by its name.
    let named = repository.refname_to_id(&format!("{OURS}{shown}"));
    let is_ours = named.map_or_else(|error| error.code() != ErrorCode::NotFound, |_| true);
    let base = || repository.find_commit(shown)?.parent_id(0);
    if is_ours { base().unwrap_or(shown) } else { shown }
}

/// Whether the checkout could show `commit` with what is laid over it, as far as that can be told without
/// writing there.
pub(super) fn try_out(mirror: &Mirror, home: &Home, commit: Oid) -> Result<(), Fault> {
    check_names(&mirror.repository, &composed(mirror, commit, &laid(home))?)
}

/// `commit` itself, or one of ours on top of it. The same input gives the same commit.
fn compose(mirror: &Mirror, commit: Oid, laid: &Laid) -> Result<Oid, Fault> {
    let failed = |error: git2::Error| Fault::git("lay former files over a commit", &error);
    let repository = &mirror.repository;
    let tree = composed(mirror, commit, laid)?;
    let base = repository.find_commit(commit).map_err(failed)?;
    if tree.id() == base.tree_id() {
        return Ok(commit);
    }
    let nobody = Signature::new("bowline", "bowline", &Time::new(0, 0)).map_err(failed)?;
    let ours = repository.commit(None, &nobody, &nobody, "Laid over", &tree, &[&base]);
    let ours = ours.map_err(failed)?;
    mirror.point(&format!("{OURS}{ours}"), ours)?;
    Ok(ours)
}

/// The files of `commit` with what is laid over them.
fn composed<'m>(mirror: &'m Mirror, commit: Oid, laid: &Laid) -> Result<Tree<'m>, Fault> {
    let failed = |error: git2::Error| Fault::git("lay former files over a commit", &error);
    let repository = &mirror.repository;
    let mut tree = mirror.files_of(commit).map_err(failed)?;
    let layers = laid.iter().flat_map(|(stack, layers)| layers.iter().map(move |it| (stack, it)));
    for (stack, layer) in layers {
        let Some(former) = mirror.commit_at(&layer.revision)? else {
            let revision = layer.revision.short();
            tracing::debug!(stack = %stack, revision, "not laying the files of a commit that is gone");
            continue;
        };
        let former = mirror.files_of(former).map_err(failed)?;
        for path in layer.paths.iter().filter_map(|path| names(path)) {
            let grafted = graft(repository, Some(&tree), Some(&former), &path).map_err(failed)?;
            tree = match grafted {
                Some(id) => repository.find_tree(id),
                None => empty(repository),
            }
            .map_err(failed)?;
        }
    }
    Ok(tree)
}

/// The names in a relative path; `None` where it leads elsewhere.
fn names(path: &Path) -> Option<Vec<&OsStr>> {
    let name = |component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    };
    path.components().map(name).collect()
}

/// `base` with what `former` has at `path` in place of its own. `None`: nothing is left.
fn graft(
    repository: &Repository,
    base: Option<&Tree<'_>>,
    former: Option<&Tree<'_>>,
    path: &[&OsStr],
) -> Result<Option<Oid>, git2::Error> {
    let Some((name, below)) = path.split_first() else { return Ok(former.map(Tree::id)) };
    let name = name.as_bytes();
    let there = former.and_then(|tree| tree.get_name_bytes(name));
    let is_link = |mode: i32| mode == i32::from(FileMode::Link);
    let entry = match &there {
        // A link on the way leads to what is mounted.
        Some(entry) if below.is_empty() || is_link(entry.filemode()) => {
            Some((entry.id(), entry.filemode()))
        }
        _ if below.is_empty() => None,
        _ => {
            let of_base = base.and_then(|tree| subtree(repository, tree, name));
            let of_former = former.and_then(|tree| subtree(repository, tree, name));
            if of_base.is_none() && of_former.is_none() {
                return Ok(base.map(Tree::id));
            }
            let grafted = graft(repository, of_base.as_ref(), of_former.as_ref(), below)?;
            grafted.map(|id| (id, FileMode::Tree.into()))
        }
    };
    let mut builder = repository.treebuilder(base)?;
    match entry {
        Some((id, mode)) => drop(builder.insert(name, id, mode)?),
        None if builder.get(OsStr::from_bytes(name))?.is_some() => builder.remove(name)?,
        None => {}
    }
    if builder.is_empty() { Ok(None) } else { builder.write().map(Some) }
}

fn subtree<'r>(repository: &'r Repository, tree: &Tree<'_>, name: &[u8]) -> Option<Tree<'r>> {
    let entry = tree.get_name_bytes(name).filter(|it| it.kind() == Some(ObjectType::Tree))?;
    repository.find_tree(entry.id()).ok()
}

fn empty(repository: &Repository) -> Result<Tree<'_>, git2::Error> {
    repository.find_tree(repository.treebuilder(None)?.write()?)
}

/// Forgets the commits of ours that are not shown any more.
fn forget_others(mirror: &Mirror, shown: Oid) -> Result<(), Fault> {
    let kept = format!("{OURS}{shown}");
    for name in mirror.names_of(OURS)? {
        if name != kept {
            mirror.unpoint(&name)?;
        }
    }
    Ok(())
}
