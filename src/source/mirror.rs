//! The clone of one source: a bare repository of ours with what was fetched. Knows no network.

use super::error::Fault;
use super::home::{Home, remove, settle, settle_all, write};
use super::limits::Attempt;
use super::local::TIP;
use super::modules::whole;
use crate::model::Revision;
use git2::{
    ErrorCode, ObjectType, Oid, PackBuilder, Repository, RepositoryInitOptions, Tree, TreeWalkMode,
    TreeWalkResult,
};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// Files and directories of a commit, its submodules' among them. A commit of a kilobyte can name a billion.
const MAX_ENTRIES: usize = 1_000_000;
/// Directories in one another: libgit2 walks them by recursion.
const MAX_DEPTH: usize = 256;

/// The commit that the checkout shows in full, with what is laid over it. `HEAD` is the one that it was begun with: they
/// differ after an interrupted switch.
pub(super) const SHOWN: &str = "refs/bowline/shown";
/// The annotated tags that led to commits, by these: to the one that is shown, and to the one that is about to be.
pub(super) const TAGS: &str = "refs/bowline/tag-of/";
/// Which repository this is a clone of.
const ORIGIN: &str = "bowline-origin";
/// The setting by which libgit2 waits for the disk.
const SETTLES: &str = "core.fsyncObjectFiles";
/// How libgit2 names a pack that has not come in full.
const HALF_PACK: &str = "pack_git2_";

/// A clone.
pub(super) struct Mirror {
    pub(super) repository: Repository,
    /// Which repository it is a clone of.
    origin: String,
    /// Whether the files of submodules belong to those of a commit.
    submodules: bool,
}

/// What a server is told that is here.
pub(super) struct Known {
    /// A commit with all of its files.
    pub(super) tip: Option<Oid>,
    /// Commits without their history.
    pub(super) boundary: Vec<Oid>,
    /// Whether that is the clone's own list.
    pub(super) is_whole: bool,
}

impl Known {
    /// For a repository of which the clone holds some commits alone.
    pub(super) fn of_a_part(commit: Option<Oid>) -> Self {
        Self { tip: commit, boundary: commit.into_iter().collect(), is_whole: false }
    }
}

impl Mirror {
    /// The clone, if there is one. It may be of a repository that was followed before. For who has the lock or
    /// the hold, since a swap that did not end is taken back.
    pub(super) fn open(home: &Home, submodules: bool) -> Result<Option<Self>, Fault> {
        let path = home.clone();
        let read = || fs::read(path.join(ORIGIN));
        let written = read().or_else(|error| if home.put_back() { read() } else { Err(error) });
        let origin = match written {
            Ok(origin) => String::from_utf8_lossy(&origin).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::io(format!("read {}", path.display()), &error)),
        };
        let repository = Repository::open_bare(&path)
            .map_err(|error| Fault::Corrupt { why: error.message().to_owned() })?;
        let mirror = Self { repository, origin, submodules };
        if let Err(fault) = mirror.settles_what_it_writes() {
            // What is there can be read all the same.
            tracing::debug!("{fault}");
        }
        mirror.mend_list();
        Ok(Some(mirror))
    }

    /// Has libgit2 write each reference and each single object so that it outlasts a loss of power. Packs are
    /// left to [`Mirror::settle`].
    fn settles_what_it_writes(&self) -> Result<(), Fault> {
        let set = || {
            let mut config = self.repository.config()?;
            let is_set = config.get_bool(SETTLES).unwrap_or(false);
            if is_set { Ok(()) } else { config.set_bool(SETTLES, true) }
        };
        set().map_err(|error: git2::Error| Fault::git("write the clone's settings", &error))
    }

    /// Has the packs that came outlast a loss of power: before anything refers to what they hold.
    pub(super) fn settle(&self) -> Result<(), Fault> {
        let objects = self.repository.path().join("objects");
        let packs = objects.join("pack");
        if packs.exists() {
            settle_all(&packs)?;
        }
        settle(&objects)
    }

    /// Where a loss of power took the list of our files in the checkout, they are those of what is shown.
    fn mend_list(&self) {
        let path = self.repository.path().join("index");
        if git2::Index::open(&path).is_ok_and(|index| !index.is_empty()) {
            return;
        }
        let _ = fs::remove_file(&path);
        let mend = |shown| {
            let tree = self.repository.find_commit(shown)?.tree()?;
            let mut index = self.repository.index()?;
            index.read_tree(&tree).and_then(|()| index.write())
        };
        if let Some(Err(error)) = self.shown().map(mend) {
            let error: git2::Error = error;
            tracing::debug!("the list of files in the checkout is lost: {error}");
        }
    }

    /// Whether it is a clone of `origin`.
    pub(super) fn is_of(&self, origin: &str) -> bool {
        self.origin == origin
    }

    /// A new clone, filled by `fill`, in place of what was there. Until it is complete, what was
    /// there stays; so it does where `fill` fails. The hold is to be taken by then.
    pub(super) fn anew<T>(
        home: &Home,
        origin: &str,
        submodules: bool,
        fill: impl FnOnce(&Self) -> Result<T, Fault>,
    ) -> Result<(Self, T), Fault> {
        let begun = home.begun();
        remove(&begun)?;
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false);
        let repository = Repository::init_opts(&begun, &options)
            .map_err(|error| Fault::git(&format!("make {}", begun.display()), &error))?;
        let mirror = Self { repository, origin: origin.to_owned(), submodules };
        mirror.settles_what_it_writes()?;
        let filled = match fill(&mirror) {
            Ok(filled) => filled,
            Err(fault) => {
                drop(mirror);
                // What came may be large; the next attempt would remove it, too.
                let _ = remove(&begun);
                return Err(fault);
            }
        };
        write(&begun.join(ORIGIN), origin.as_bytes())?;
        home.keep_index()?;
        mirror.settle()?;
        drop(mirror);
        home.swap()?;
        let mirror = Self::open(home, submodules)?
            .ok_or_else(|| Fault::Corrupt { why: "the new clone is gone".into() })?;
        Ok((mirror, filled))
    }

    /// The commit that `id` is or, as an annotated tag, leads to; `None` unless it is here.
    pub(super) fn commit(&self, id: Oid) -> Result<Option<Oid>, Fault> {
        let object = match self.repository.find_object(id, None) {
            Ok(object) => object,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(Fault::git("read a commit", &error)),
        };
        let Ok(commit) = object.peel_to_commit() else {
            return Err(Fault::Unsupported { what: format!("{id}, which is not a commit,") });
        };
        commit.tree().map_err(|error| Fault::git("read a commit's tree", &error))?;
        Ok(Some(commit.id()))
    }

    /// The commit of `revision`; `None` unless it is here.
    pub(super) fn commit_at(&self, revision: &Revision) -> Result<Option<Oid>, Fault> {
        // What is no id names no commit.
        Oid::from_str(&revision.0).map_or(Ok(None), |id| self.commit(id))
    }

    /// The files of a commit, with those of its submodules where they belong to them.
    pub(super) fn files_of(&self, commit: Oid) -> Result<Tree<'_>, git2::Error> {
        let tree = self.repository.find_commit(commit)?.tree()?;
        if self.submodules { whole(&self.repository, tree) } else { Ok(tree) }
    }

    /// What the repository's server is told.
    pub(super) fn known(&self) -> Known {
        Known { tip: self.tip(), boundary: self.shallow(), is_whole: true }
    }

    /// The commit that was fetched last, from which the next fetch can begin.
    pub(super) fn tip(&self) -> Option<Oid> {
        self.repository.find_reference(TIP).ok()?.peel_to_commit().ok().map(|commit| commit.id())
    }

    pub(super) fn set_tip(&self, id: Oid) -> Result<(), Fault> {
        self.point(TIP, id)
    }

    /// The commit that the checkout shows in full; it may be one of ours.
    pub(super) fn shown(&self) -> Option<Oid> {
        self.repository.refname_to_id(SHOWN).ok()
    }

    pub(super) fn set_shown(&self, id: Oid) -> Result<(), Fault> {
        self.point(SHOWN, id)
    }

    /// The annotated tag that led to `commit`, if one did when it was followed last.
    pub(super) fn tag_of(&self, commit: Oid) -> Option<Oid> {
        let tag = self.repository.refname_to_id(&format!("{TAGS}{commit}")).ok()?;
        self.commit(tag).is_ok_and(|led_to| led_to == Some(commit)).then_some(tag)
    }

    pub(super) fn set_tag(&self, commit: Oid, id: Oid) -> Result<(), Fault> {
        self.point(&format!("{TAGS}{commit}"), id)
    }

    /// Forgets the tags that led to other commits.
    pub(super) fn forget_other_tags(&self, commit: Oid) -> Result<(), Fault> {
        let kept = format!("{TAGS}{commit}");
        let mut others = self.names_of(TAGS)?.into_iter().filter(|name| *name != kept);
        others.try_for_each(|name| self.unpoint(&name))
    }

    /// The commit that the last switch of the checkout began with.
    pub(super) fn head(&self) -> Option<Oid> {
        self.repository.refname_to_id("HEAD").ok()
    }

    /// How many packs there are.
    pub(super) fn packs(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.repository.path().join("objects/pack")) else {
            return 0;
        };
        let is_pack = |path: PathBuf| path.extension().is_some_and(|extension| extension == "pack");
        entries.flatten().filter(|entry| is_pack(entry.path())).count()
    }

    /// Removes what libgit2 left of a crash while it wrote `file`, of which it would say for good that somebody
    /// else writes it. For who has the lock or the hold that keeps others from writing it.
    pub(super) fn free(&self, file: &str) {
        let _ = fs::remove_file(self.repository.path().join(format!("{file}.lock")));
    }

    /// Removes what fetches left that were cut off by a crash.
    pub(super) fn sweep(&self) {
        self.free(TIP);
        let packs = fs::read_dir(self.repository.path().join("objects/pack"));
        for entry in packs.into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(HALF_PACK) {
                // It costs space, no more; the next fetch tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// That the files of `commit`, and of its submodules, are not more than is accepted, however small they came.
    pub(super) fn check_size(&self, commit: Oid, attempt: &Attempt<'_>) -> Result<(), Fault> {
        let limit = attempt.limits.bytes;
        let failed = |error: git2::Error| Fault::git("read the sizes of files", &error);
        let tree = self.files_of(commit).map_err(failed)?;
        let odb = self.repository.odb().map_err(failed)?;
        let (mut left, mut entries, mut fault) = (limit, 0, None);
        let walked = tree.walk(TreeWalkMode::PreOrder, |root, entry| {
            entries += 1;
            if entries > MAX_ENTRIES || root.bytes().filter(|byte| *byte == b'/').count() > MAX_DEPTH {
                let what = format!(
                    "a commit of more than {MAX_ENTRIES} files, or deeper than {MAX_DEPTH} directories,"
                );
                fault = Some(Fault::Unsupported { what });
                return TreeWalkResult::Abort;
            }
            let size = match entry.kind() {
                Some(ObjectType::Blob) => odb.read_header(entry.id()).map(|(size, _)| size as u64),
                _ => Ok(0),
            };
            let counted = size.map_err(failed).and_then(|size| {
                left = left.checked_sub(size).ok_or(Fault::TooLarge { limit })?;
                attempt.check()
            });
            fault = counted.err();
            if fault.is_some() { TreeWalkResult::Abort } else { TreeWalkResult::Ok }
        });
        fault.map_or(Ok(()), Err)?;
        walked.map_err(failed)
    }

    /// The commits whose parents are missing on purpose.
    pub(super) fn shallow(&self) -> Vec<Oid> {
        let text = fs::read_to_string(self.repository.path().join("shallow")).unwrap_or_default();
        text.lines().filter_map(|line| Oid::from_str(line).ok()).collect()
    }

    pub(super) fn set_shallow(&self, ids: &[Oid]) -> Result<(), Fault> {
        let lines: Vec<_> = ids.iter().map(|id| format!("{id}\n")).collect();
        let path = self.repository.path();
        write(&path.join("shallow"), lines.concat().as_bytes())
    }

    /// Stores what `pack` holds, unless `is_wanted` says no to a part of it.
    pub(super) fn take_in(
        &self,
        pack: &mut PackBuilder<'_>,
        is_wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<(), git2::Error> {
        let odb = self.repository.odb()?;
        let mut into = odb.packwriter()?;
        pack.foreach(|bytes| is_wanted(bytes) && into.write_all(bytes).is_ok())?;
        into.commit().map(drop)
    }

    /// The references whose names begin so.
    pub(super) fn names_of(&self, start: &str) -> Result<Vec<String>, Fault> {
        let failed = |error: git2::Error| Fault::git(&format!("list {start}*"), &error);
        let mut found = self.repository.references_glob(&format!("{start}*")).map_err(failed)?;
        let names = found.names().map(|name| name.map(str::to_owned).map_err(failed));
        names.collect()
    }

    pub(super) fn point(&self, name: &str, id: Oid) -> Result<(), Fault> {
        if self.repository.refname_to_id(name).is_ok_and(|known| known == id) {
            return Ok(());
        }
        self.free(name);
        let written = self.repository.reference(name, id, true, "bowline");
        written.map(drop).map_err(|error| Fault::git(&format!("write {name}"), &error))
    }

    pub(super) fn unpoint(&self, name: &str) -> Result<(), Fault> {
        let failed = |error: git2::Error| Fault::git(&format!("remove {name}"), &error);
        self.free(name);
        self.repository.find_reference(name).and_then(|mut it| it.delete()).map_err(failed)
    }
}
