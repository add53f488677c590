//! The files of a checkout under their paths there: as they lie on the disk, or as they were at another
//! commit. Reads only.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

/// Where that is read which lies at a path; by default it is read there.
#[derive(Debug, Default)]
pub(super) struct View(Option<Elsewhere>);

/// The files of a commit that the checkout does not show. What no commit knows of is taken from the
/// checkout all the same: a switch of it would leave it alone.
#[derive(Debug)]
struct Elsewhere {
    /// The checkout as it is named.
    named: PathBuf,
    /// The same without links.
    checkout: PathBuf,
    /// The directory with the commit's files, without links.
    files: PathBuf,
    /// The files and directories that the checkout shows and the commit does not have, relative.
    newer: BTreeSet<PathBuf>,
}

impl View {
    /// The files of a commit in the directory `files`, as if they were in `checkout`. `newer` is what
    /// the checkout shows and the commit does not have.
    pub(super) fn elsewhere(
        checkout: &Path,
        files: &Path,
        newer: BTreeSet<PathBuf>,
    ) -> io::Result<Self> {
        let named = checkout.to_owned();
        let (checkout, files) = (checkout.canonicalize()?, files.canonicalize()?);
        Ok(Self(Some(Elsewhere { named, checkout, files, newer })))
    }

    /// Where what lies at `path` is found.
    pub(super) fn at<'p>(&self, path: &'p Path) -> Cow<'p, Path> {
        let place = self.0.as_ref().and_then(|elsewhere| {
            let below = elsewhere.below(path)?;
            let there = elsewhere.files.join(below);
            let is_there = || fs::symlink_metadata(&there).is_ok();
            (elsewhere.newer.contains(below) || is_there()).then_some(there)
        });
        place.map_or(Cow::Borrowed(path), Cow::Owned)
    }

    /// `path` without links, in the checkout.
    pub(super) fn real(&self, path: &Path) -> io::Result<PathBuf> {
        let real = self.at(path).canonicalize()?;
        let below = self.0.as_ref().and_then(|elsewhere| {
            let below = real.strip_prefix(&elsewhere.files).ok()?;
            // Joined with nothing a path would end with a slash.
            Some(elsewhere.checkout.components().chain(below.components()).collect())
        });
        Ok(below.unwrap_or(real))
    }

    /// The names in a directory and what they stand for, in no order; a few more than `at_most` at most.
    pub(super) fn entries(
        &self,
        dir: &Path,
        at_most: usize,
    ) -> io::Result<Vec<(OsString, FileType)>> {
        let place = self.at(dir);
        let mut entries = list(&place, at_most)?;
        let Some(elsewhere) = self.0.as_ref().filter(|it| place.starts_with(&it.files)) else {
            return Ok(entries);
        };
        let below = place.strip_prefix(&elsewhere.files).unwrap_or(&place);
        let shown = elsewhere.checkout.join(below);
        // What is a directory here may be none there, or be gone.
        let beside = if shown.is_dir() { list(&shown, at_most)? } else { Vec::new() };
        let known: BTreeSet<&OsString> = entries.iter().map(|(name, _)| name).collect();
        let is_ours =
            |name: &OsString| known.contains(name) || elsewhere.newer.contains(&below.join(name));
        let others: Vec<_> = beside.into_iter().filter(|(name, _)| !is_ours(name)).collect();
        entries.extend(others);
        Ok(entries)
    }
}

impl Elsewhere {
    /// A path below the checkout, relative to it.
    fn below<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        let below = path.strip_prefix(&self.named).or_else(|_| path.strip_prefix(&self.checkout));
        below.ok()
    }
}

fn list(dir: &Path, at_most: usize) -> io::Result<Vec<(OsString, FileType)>> {
    let entries = fs::read_dir(dir)?.take(at_most + 1);
    entries
        .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A checkout that shows `both`, `new/a` and `mixed/new`, with `mixed/own` and `own` beside them, and
    /// the files `both`, `old` and `mixed/old` of a commit.
    fn scene() -> (tempfile::TempDir, PathBuf, View) {
        let home = tempfile::tempdir().unwrap();
        let (checkout, files) = (home.path().join("checkout"), home.path().join("files"));
        for path in ["both", "new/a", "mixed/new", "mixed/own", "own"] {
            write(&checkout.join(path), "now");
        }
        for path in ["both", "old", "mixed/old"] {
            write(&files.join(path), "then");
        }
        let newer = ["new", "new/a", "mixed/new"].map(PathBuf::from).into();
        let view = View::elsewhere(&checkout, &files, newer).unwrap();
        (home, checkout, view)
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(view: &View, dir: &Path) -> Vec<String> {
        let entries = view.entries(dir, 100).unwrap().into_iter();
        let mut names: Vec<_> = entries.map(|(name, _)| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_commit_is_seen_with_what_no_commit_knows_of() {
        let (_home, checkout, view) = scene();
        let text = |path: &str| fs::read_to_string(view.at(&checkout.join(path))).ok();
        for (path, then) in [
            ("both", Some("then")),
            ("old", Some("then")),
            ("mixed/old", Some("then")),
            ("new/a", None),
            ("mixed/new", None),
            ("own", Some("now")),
            ("mixed/own", Some("now")),
        ] {
            assert_eq!(text(path).as_deref(), then, "{path}");
        }
        assert_eq!(names(&view, &checkout), ["both", "mixed", "old", "own"]);
        assert_eq!(names(&view, &checkout.join("mixed")), ["old", "own"]);
    }

    #[test]
    fn links_of_the_commit_lead_to_its_files_and_paths_stay_those_of_the_checkout() {
        let (home, checkout, view) = scene();
        symlink("mixed", home.path().join("files/link")).unwrap();
        let real = view.real(&checkout.join("link/old")).unwrap();
        assert_eq!(real, checkout.canonicalize().unwrap().join("mixed/old"));
        assert_eq!(fs::read_to_string(view.at(&real)).unwrap(), "then");
        assert_eq!(view.real(&checkout).unwrap(), checkout.canonicalize().unwrap());
        assert!(view.real(&checkout.join("new/a")).is_err());
    }

    #[test]
    fn what_lies_elsewhere_is_read_where_it_lies() {
        let (home, _, view) = scene();
        let outside = home.path().join("outside");
        write(&outside, "x");
        assert_eq!(view.at(&outside), outside);
        assert_eq!(View::default().at(&outside), outside);
    }
}
