//! What becomes of the files: they follow the commits, and nothing else is touched.

use super::upstream::{Upstream, follow, git, sync, write};
use bowline::source::{Location, Reference};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| format!("({error})"))
}

/// A file that is held open, so that its inode cannot be given to another.
struct Held {
    file: File,
    path: PathBuf,
    touched: (i64, i64),
}

impl Held {
    fn open(path: PathBuf) -> Self {
        let file = File::open(&path).unwrap();
        let touched = Self::times(&file);
        Self { file, path, touched }
    }

    fn times(file: &File) -> (i64, i64) {
        let metadata = file.metadata().unwrap();
        (metadata.ctime(), metadata.ctime_nsec())
    }

    /// Whether the same file is still there, neither replaced nor written.
    fn is_untouched(&self) -> bool {
        let there = fs::metadata(&self.path).unwrap().ino();
        there == self.file.metadata().unwrap().ino() && Self::times(&self.file) == self.touched
    }
}

/// Names and sizes of all that the clone stores.
fn objects(upstream: &Upstream) -> Vec<(String, u64)> {
    let listed = Command::new("find")
        .arg(upstream.state().join("s/git/objects"))
        .args(["-type", "f", "-printf", "%p %s\n"])
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let mut objects: Vec<_> =
        lines.map(|(path, size)| (path.to_owned(), size.parse().unwrap())).collect();
    objects.sort();
    assert!(!objects.is_empty());
    objects
}

#[test]
fn a_commit_is_shown_and_the_next_one_replaces_it() {
    let upstream = Upstream::with(&[("web/compose.yaml", "one"), ("old", "x")]);
    let mut source = upstream.follow(Reference::Head);
    let first = sync(&mut source).unwrap();
    assert_eq!((first.revision.0, first.moved), (upstream.head(), true));
    assert_eq!(first.root, upstream.shown("").components().as_path());
    assert_eq!(read(&upstream.shown("web/compose.yaml")), "one");
    assert!(!sync(&mut source).unwrap().moved);

    fs::remove_file(upstream.path().join("old")).unwrap();
    let second = upstream.commit(&[("web/compose.yaml", "two"), ("new/deep/file", "y")]);
    let checkout = sync(&mut source).unwrap();
    assert_eq!((checkout.revision.0, checkout.moved), (second, true));
    assert_eq!(checkout.root, first.root);
    assert_eq!(read(&upstream.shown("web/compose.yaml")), "two");
    assert_eq!(read(&upstream.shown("new/deep/file")), "y");
    assert!(!upstream.shown("old").exists());
}

#[test]
fn a_bare_repository_and_a_file_url_do_as_well() {
    let upstream = Upstream::with(&[("a", "one")]);
    let bare = upstream.directory.path().join("bare.git");
    upstream.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let location: Location = format!("file://{}", bare.display()).parse().unwrap();
    let checkout = sync(&mut follow(location, Reference::Head, &upstream.state())).unwrap();
    assert_eq!(checkout.revision.0, upstream.head());
    assert_eq!(read(&upstream.shown("a")), "one");
}

#[test]
fn files_that_do_not_change_are_neither_replaced_nor_written() {
    let upstream = Upstream::with(&[("same", "same"), ("changes", "one")]);
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    let same = Held::open(upstream.shown("same"));
    upstream.commit(&[("changes", "two")]);
    assert!(sync(&mut source).unwrap().moved);
    assert_eq!(read(&upstream.shown("changes")), "two");
    assert!(same.is_untouched());
}

#[test]
fn a_directory_that_stays_is_the_one_that_is_mounted_though_all_in_it_changes() {
    use std::os::unix::fs::MetadataExt;
    let upstream = Upstream::with(&[("conf/d/one", "1")]);
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    let inode = |path: &str| std::fs::metadata(upstream.shown(path)).unwrap().ino();
    let before = (inode("conf"), inode("conf/d"));
    upstream.git(&["mv", "conf/d/one", "conf/d/two"]);
    upstream.commit(&[("other", "x")]);
    sync(&mut source).unwrap();
    assert!(upstream.shown("conf/d/two").exists() && !upstream.shown("conf/d/one").exists());
    assert_eq!((inode("conf"), inode("conf/d")), before);
    upstream.git(&["rm", "-r", "--quiet", "conf/d"]);
    upstream.commit(&[("conf/d", "a file now")]);
    sync(&mut source).unwrap();
    assert_eq!(read(&upstream.shown("conf/d")), "a file now");
}

#[test]
fn files_that_a_container_wrote_beside_ours_stay() {
    let upstream = Upstream::with(&[("db/compose.yaml", "one"), ("db/.gitignore", "data/\n")]);
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    write(&upstream.shown("db/data/table"), "precious");
    write(&upstream.shown("db/notes"), "precious");
    upstream.commit(&[("db/compose.yaml", "two")]);
    sync(&mut source).unwrap();
    assert_eq!(read(&upstream.shown("db/data/table")), "precious");
    assert_eq!(read(&upstream.shown("db/notes")), "precious");

    upstream.git(&["rm", "-r", "--quiet", "db"]);
    upstream.commit(&[("other", "x")]);
    sync(&mut source).unwrap();
    assert!(!upstream.shown("db/compose.yaml").exists());
    assert_eq!(read(&upstream.shown("db/data/table")), "precious");
}

#[test]
fn what_is_changed_by_hand_is_put_back() {
    let upstream = Upstream::with(&[("a", "one"), ("run.sh", "#!")]);
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    write(&upstream.shown("a"), "changed by hand");
    fs::remove_file(upstream.shown("run.sh")).unwrap();
    assert!(!sync(&mut source).unwrap().moved);
    assert_eq!(read(&upstream.shown("a")), "one");
    assert_eq!(read(&upstream.shown("run.sh")), "#!");
}

#[test]
fn modes_links_and_changes_of_kind_are_followed() {
    let upstream = Upstream::with(&[("run.sh", "#!"), ("kind", "a file"), ("folder/x", "x")]);
    std::os::unix::fs::symlink("run.sh", upstream.path().join("link")).unwrap();
    let mut source = upstream.follow(Reference::Head);
    upstream.commit(&[]);
    sync(&mut source).unwrap();
    assert_eq!(fs::read_link(upstream.shown("link")).unwrap(), Path::new("run.sh"));

    fs::set_permissions(upstream.path().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    upstream.git(&["rm", "-r", "--quiet", "kind", "folder"]);
    upstream.commit(&[("kind/now", "a directory"), ("folder", "now a file")]);
    sync(&mut source).unwrap();
    assert_eq!(fs::metadata(upstream.shown("run.sh")).unwrap().mode() & 0o111, 0o111);
    assert_eq!(read(&upstream.shown("kind/now")), "a directory");
    assert_eq!(read(&upstream.shown("folder")), "now a file");
}

#[test]
fn a_directory_that_became_a_link_does_not_lead_a_removal_out_of_the_checkout() {
    let upstream = Upstream::with(&[("conf/file", "x"), ("keep", "x")]);
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    let outside = upstream.directory.path().join("outside");
    write(&outside.join("file"), "precious");
    fs::remove_dir_all(upstream.shown("conf")).unwrap();
    std::os::unix::fs::symlink(&outside, upstream.shown("conf")).unwrap();
    upstream.git(&["rm", "-r", "--quiet", "conf"]);
    upstream.commit(&[]);
    sync(&mut source).unwrap();
    assert_eq!(read(&outside.join("file")), "precious");
}

#[test]
fn an_interrupted_switch_is_finished_and_leaves_no_file_behind() {
    let upstream = Upstream::with(&[("a", "one")]);
    let mut source = upstream.follow(Reference::Head);
    let first = sync(&mut source).unwrap().revision.0;
    let second = upstream.commit(&[("a", "two"), ("only-in-two", "x")]);
    sync(&mut source).unwrap();
    // As after a crash in the middle: the second commit was begun, the first was shown last.
    let clone = upstream.state().join("s/git");
    git(&clone, &["update-ref", "refs/bowline/shown", &first]);
    fs::remove_file(clone.join("index")).unwrap();
    fs::remove_file(upstream.shown("a")).unwrap();

    let last = upstream.follow(Reference::Head).last().unwrap().unwrap();
    assert_eq!(last.revision.0, second);
    assert_eq!(read(&upstream.shown("a")), "two");

    git(&clone, &["update-ref", "refs/bowline/shown", &first]);
    fs::remove_file(clone.join("index")).unwrap();
    upstream.git(&["rm", "--quiet", "only-in-two"]);
    upstream.commit(&[("a", "three")]);
    assert!(sync(&mut upstream.follow(Reference::Head)).unwrap().moved);
    assert_eq!(read(&upstream.shown("a")), "three");
    assert!(!upstream.shown("only-in-two").exists());
}

#[test]
fn a_damaged_clone_is_made_anew_and_what_is_shown_is_kept() {
    for damage in ["objects", "HEAD", "refs"] {
        let upstream = Upstream::with(&[("a", "one"), ("goes", "x")]);
        sync(&mut upstream.follow(Reference::Head)).unwrap();
        let same = Held::open(upstream.shown("a"));
        let path = upstream.state().join("s/git").join(damage);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::write(&path, "nonsense").unwrap();
        }
        upstream.git(&["rm", "--quiet", "goes"]);
        let head = upstream.commit(&[]);
        let checkout = sync(&mut upstream.follow(Reference::Head)).unwrap();
        assert_eq!(checkout.revision.0, head, "{damage}");
        assert!(same.is_untouched(), "{damage}");
        assert!(!upstream.shown("goes").exists(), "{damage}");
    }
}

#[test]
fn a_clone_of_another_repository_is_not_used() {
    let one = Upstream::with(&[("a", "one"), ("only-in-one", "x")]);
    let two = Upstream::with(&[("a", "two")]);
    sync(&mut one.follow(Reference::Head)).unwrap();
    let mut moved = follow(Location::Local(two.path()), Reference::Head, &one.state());
    let checkout = sync(&mut moved).unwrap();
    assert_eq!((checkout.revision.0, checkout.moved), (two.head(), true));
    assert_eq!(read(&one.shown("a")), "two");
    assert!(!one.shown("only-in-one").exists());
}

#[test]
fn many_small_fetches_do_not_pile_up_packs() {
    let upstream = Upstream::with(&[("a", "0"), ("same", "same")]);
    let mut source = upstream
        .follow(Reference::Head)
        .with_limits(bowline::source::Limits { packs: 3, ..Default::default() });
    sync(&mut source).unwrap();
    let same = Held::open(upstream.shown("same"));
    for round in 1..=8 {
        let head = upstream.commit(&[("a", &round.to_string())]);
        let checkout = sync(&mut source).unwrap();
        assert_eq!((checkout.revision.0, checkout.moved), (head, true));
    }
    let packs = fs::read_dir(upstream.state().join("s/git/objects/pack")).unwrap();
    let packs = packs.filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "pack")
    });
    assert!(packs.count() <= 4);
    assert_eq!(read(&upstream.shown("a")), "8");
    assert!(same.is_untouched());
}

#[test]
fn nothing_is_stored_when_nothing_moved_in_ten_thousand_files() {
    let upstream = Upstream::empty();
    for number in 0..10_000 {
        write(&upstream.path().join(format!("d{}/f{number}", number % 100)), &number.to_string());
    }
    upstream.commit(&[]);
    let mut source = upstream.follow(Reference::Head);
    assert!(sync(&mut source).unwrap().moved);
    let (stored, same) = (objects(&upstream), Held::open(upstream.shown("d7/f4207")));
    let began = std::time::Instant::now();
    assert!(!sync(&mut source).unwrap().moved);
    println!("a sync of 10,000 unchanged files took {:?}", began.elapsed());
    assert_eq!(objects(&upstream), stored);
    assert!(same.is_untouched());
}

#[test]
fn what_was_shown_is_there_while_the_source_is_away() {
    let upstream = Upstream::with(&[("a", "one")]);
    assert_eq!(upstream.follow(Reference::Head).last().unwrap(), None);
    let shown = sync(&mut upstream.follow(Reference::Head)).unwrap();
    fs::rename(upstream.path(), upstream.directory.path().join("away")).unwrap();
    let mut source = upstream.follow(Reference::Head);
    let error = sync(&mut source).unwrap_err().to_string();
    assert!(error.contains(upstream.path().to_str().unwrap()), "{error}");
    let last = source.last().unwrap().unwrap();
    assert_eq!((last.revision, last.root, last.moved), (shown.revision, shown.root, false));
}
