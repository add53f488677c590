//! Finds the directories that hold a compose file, or the file of a stack that is made of a chart. Looks at names only; reads no file.

use super::view::View;
use crate::chart::{CHART_FILE, TEMPLATES};
use crate::manifest::STACK_FILE;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// How deep below the root stacks are looked for.
const MAX_DEPTH: usize = 16;
/// How many directories are looked into.
const MAX_DIRECTORIES: usize = 10_000;
/// How many names are looked at, in all directories.
const MAX_ENTRIES: usize = 200_000;

/// What was found below a directory, sorted by directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// The directories with a compose file.
    pub stacks: Vec<Found>,
    /// Why there may be more stacks than were found.
    pub problems: Vec<Trouble>,
    /// Whether that is for a directory that could not be read, which may pass by itself.
    pub is_unread: bool,
    /// What was found more than once; the first is taken.
    pub warnings: Vec<Trouble>,
}

/// A directory with a compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The directory.
    pub dir: PathBuf,
    /// The compose file, and its override if there is one.
    pub files: Vec<PathBuf>,
}

/// Something about a directory or file that its owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Where.
    pub path: PathBuf,
    /// What, and what to do.
    pub what: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

/// Every directory at or below `root` that holds a file of one of `names`, the earlier name first,
/// with the file of the same name and `.override` before its extension. Hidden directories, links to
/// directories and the templates of charts are passed over; a link to a file counts if it stays below
/// `root`.
pub fn discover(root: &Path, names: &[&str]) -> Discovery {
    discover_in(&View::default(), root, names)
}

/// The same of what `view` shows.
pub(super) fn discover_in(view: &View, root: &Path, names: &[&str]) -> Discovery {
    let mut search = Search { view, root, names, found: Discovery::default(), entries: 0 };
    let mut due = vec![(root.to_owned(), 0)];
    let mut looked_into = 0;
    while let Some((dir, depth)) = due.pop() {
        looked_into += 1;
        if looked_into > MAX_DIRECTORIES || search.entries > MAX_ENTRIES {
            search
                .problem(&dir, "the search ends here: too many files; set `path` to a part of it");
            break;
        }
        let below = search.look_into(&dir);
        if depth == MAX_DEPTH && !below.is_empty() {
            search
                .problem(&dir, &format!("directories more than {MAX_DEPTH} deep are passed over"));
            continue;
        }
        due.extend(below.into_iter().rev().map(|dir| (dir, depth + 1)));
    }
    let mut found = search.found;
    found.stacks.sort_by(|a, b| a.dir.cmp(&b.dir));
    found
}

/// What `dir` itself holds, below `root`.
pub(super) fn look(view: &View, root: &Path, dir: &Path, names: &[&str]) -> Option<Found> {
    let mut search = Search { view, root, names, found: Discovery::default(), entries: 0 };
    search.look_into(dir);
    search.found.stacks.pop()
}

struct Search<'a> {
    view: &'a View,
    root: &'a Path,
    names: &'a [&'a str],
    found: Discovery,
    entries: usize,
}

impl Search<'_> {
    /// Takes in the stack in `dir`, if there is one; the directories below, sorted.
    fn look_into(&mut self, dir: &Path) -> Vec<PathBuf> {
        let listed = match list(self.view, dir, MAX_ENTRIES.saturating_sub(self.entries)) {
            Ok(listed) => listed,
            Err(error) => {
                self.problem(dir, &format!("cannot read the directory: {error}"));
                self.found.is_unread = true;
                return Vec::new();
            }
        };
        self.entries += listed.count;
        let names = self.names;
        let compose = names.iter().filter(|name| **name != STACK_FILE);
        let overrides: Vec<String> = compose.map(|name| override_of(name)).collect();
        let files = self.first(dir, &listed.files, names.iter().copied());
        if let Some(file) = files {
            let beside = self.first(dir, &listed.files, overrides.iter().map(String::as_str));
            let files = std::iter::once(file).chain(beside).collect();
            self.found.stacks.push(Found { dir: dir.to_owned(), files });
        }
        let is_chart = listed.files.contains(CHART_FILE);
        let below = listed.dirs.into_iter().filter(|name| !(is_chart && *name == *TEMPLATES));
        below.map(|name| dir.join(name)).collect()
    }

    /// The first of `names` that is there.
    fn first<'n>(
        &mut self,
        dir: &Path,
        files: &BTreeSet<String>,
        names: impl Iterator<Item = &'n str>,
    ) -> Option<PathBuf> {
        let mut there = names.filter(|name| files.contains(*name));
        let path = dir.join(there.next()?);
        let others: Vec<_> = there.collect();
        if !others.is_empty() {
            let what = format!("is taken; remove {}, which is not read", others.join(", "));
            tracing::warn!("{}: {what}", path.display());
            self.found.warnings.push(Trouble { path: path.clone(), what });
        }
        if self.leads_out(&path) {
            self.problem(&path, "is a link that leads out of the repository; put a file there");
            return None;
        }
        Some(path)
    }

    fn leads_out(&self, path: &Path) -> bool {
        if !self.view.at(path).is_symlink() {
            return false;
        }
        match (self.view.real(path), self.root.canonicalize()) {
            (Ok(path), Ok(root)) => !path.starts_with(root),
            _ => true,
        }
    }

    fn problem(&mut self, path: &Path, what: &str) {
        self.found.problems.push(Trouble { path: path.to_owned(), what: what.to_owned() });
    }
}

/// The names in a directory, sorted.
#[derive(Default)]
struct Listed {
    dirs: BTreeSet<std::ffi::OsString>,
    files: BTreeSet<String>,
    count: usize,
}

fn list(view: &View, dir: &Path, at_most: usize) -> io::Result<Listed> {
    let mut listed = Listed::default();
    for (name, kind) in view.entries(dir, at_most)? {
        listed.count += 1;
        if kind.is_dir() {
            let hidden = name.as_encoded_bytes().starts_with(b".");
            if !hidden {
                listed.dirs.insert(name);
            }
        } else if let Ok(name) = name.into_string() {
            listed.files.insert(name);
        }
    }
    Ok(listed)
}

/// `compose.yaml` to `compose.override.yaml`.
fn override_of(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}.override.{extension}"),
        None => format!("{name}.override"),
    }
}
