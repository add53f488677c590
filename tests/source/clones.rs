//! A clone that takes the place of another: until what is new can be shown, and after a crash at any point,
//! there is something to go on from.

use super::http::Served;
use super::nginx::{Server, remote};
use super::submodules::{local, pin, read, url};
use super::upstream::{Upstream, follow, git, sync};
use crate::support::program::bowline;
use bowline::model::{Revision, StackName};
use bowline::source::{Fault, Layer, Limits, Location, Reference, Repository};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SMALL: u64 = 100_000;

/// A source in the place of `one` that follows `two`.
fn moved(one: &Upstream, two: &Upstream) -> Repository {
    follow(Location::Local(two.path()), Reference::Head, &one.state())
}

fn packs(upstream: &Upstream) -> usize {
    let packs = fs::read_dir(upstream.state().join("s/git/objects/pack")).unwrap().flatten();
    packs.filter(|entry| entry.path().extension().is_some_and(|it| it == "pack")).count()
}

#[test]
fn a_source_that_moved_to_what_cannot_be_shown_keeps_the_former_clone() {
    let one = Upstream::with(&[("a", "one")]);
    let head = sync(&mut one.follow(Reference::Head)).unwrap().revision;
    let two = Upstream::with(&[("a", "two"), ("large", &"0".repeat(1 << 20))]);
    let small = Limits { bytes: SMALL, ..Limits::default() };
    let error = sync(&mut moved(&one, &two).with_limits(small)).unwrap_err();
    assert!(matches!(error.fault, Fault::TooLarge { limit: SMALL }), "{error}");
    for mut source in [one.follow(Reference::Head), moved(&one, &two)] {
        assert_eq!(source.last().unwrap().unwrap().revision, head);
        source.files_of(&head).unwrap();
    }
    assert_eq!(read(&one.shown("a")), "one");
    assert!(!one.state().join("s/git.new").exists());
    assert_eq!(sync(&mut moved(&one, &two)).unwrap().revision.0, two.head());
}

/// A commit with a file whose name no disk takes, though git does.
fn unwritable(upstream: &Upstream) {
    let blob = upstream.git(&["hash-object", "-w", "/dev/null"]);
    let entry = format!("100644,{blob},{}", "n".repeat(300));
    upstream.git(&["update-index", "--add", "--cacheinfo", &entry]);
    upstream.git(&["commit", "--quiet", "--message=x"]);
}

#[test]
fn what_was_shown_is_gone_on_from_where_the_switch_to_a_new_clone_did_not_end() {
    let common = Upstream::with(&[("x", "former")]);
    let one = Upstream::with(&[("a", "former"), ("b", "former")]);
    pin(&one, "common", &url(&common), &common.head());
    let former = one.commit(&[]);
    let mut source = local(&one);
    sync(&mut source).unwrap();
    let second = one.commit(&[("a", "one"), ("b", "one")]);
    sync(&mut source).unwrap();
    source.keep(&[Revision(former.clone())].into()).unwrap();
    let layer = Layer { revision: Revision(former), paths: ["a".into()].into() };
    source.lay(|laid| drop(laid.insert(StackName::new("web").unwrap(), vec![layer]))).unwrap();
    let two = Upstream::with(&[("a", "two"), ("c", "two")]);
    unwritable(&two);
    let mut source =
        super::submodules::with_submodules(Location::Local(two.path()), None, &one.state());
    sync(&mut source).unwrap_err();

    let last = source.last().unwrap().unwrap();
    assert_eq!(last.revision.0, second);
    for (path, content) in [("a", "former"), ("b", "one"), ("common/x", "former")] {
        assert_eq!(read(&one.shown(path)), content, "{path}");
    }
    assert!(!one.shown("c").exists());
    two.git(&["reset", "--hard", "--quiet", "HEAD~1"]);
    assert_eq!(sync(&mut source).unwrap().revision.0, two.head());
    assert_eq!(
        (read(&one.shown("b")), read(&one.shown("c"))),
        ("(entity not found)".into(), "two".into())
    );
}

#[test]
fn a_swap_that_did_not_end_is_taken_back() {
    let upstream = Upstream::with(&[("a", "one")]);
    let head = sync(&mut upstream.follow(Reference::Head)).unwrap().revision;
    let place = |name: &str| upstream.state().join("s").join(name);
    for complete in [true, false] {
        // As where the file system cannot exchange two directories.
        if complete {
            let (from, to) = (place("git"), place("git.new"));
            git(
                &place(""),
                &["clone", "--quiet", "--bare", from.to_str().unwrap(), to.to_str().unwrap()],
            );
        }
        fs::rename(place("git"), place("git.old")).unwrap();
        let last = upstream.follow(Reference::Head).last().unwrap().unwrap();
        assert_eq!(last.revision, head);
        assert!(!sync(&mut upstream.follow(Reference::Head)).unwrap().moved);
        assert!(!place("git.old").exists() && !place("git.new").exists());
    }
    // As where it can: what was replaced lies where the new one was made.
    git(&place(""), &["clone", "--quiet", "--bare", "git", "git.new"]);
    sync(&mut upstream.follow(Reference::Head)).unwrap();
    assert!(!place("git.new").exists());
}

#[test]
fn a_clone_with_many_packs_that_cannot_be_made_anew_is_gone_on_with() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "0")]);
    let limits = Limits { packs: 2, ..Limits::default() };
    let mut source =
        remote(&server.url("open/a.git"), None, &served.work.state()).with_limits(limits);
    sync(&mut source).unwrap();
    served.commit(&[("a", "1")]);
    sync(&mut source).unwrap();
    // In the way of the new clone; the state directory of root knows no other way to be closed.
    let wall = served.work.state().join("s/git.new");
    for round in ["2", "3"] {
        fs::write(&wall, "").unwrap();
        let head = served.commit(&[("a", round)]);
        let checkout = sync(&mut source).unwrap();
        assert_eq!((checkout.revision.0, checkout.moved), (head, true));
        assert_eq!(read(&served.work.shown("a")), round);
    }
    assert_eq!(packs(&served.work), 4);

    // Nothing is cloned because of it until it moves.
    fs::remove_file(&wall).unwrap();
    let before = server.requests().len();
    assert!(!sync(&mut source).unwrap().moved);
    let asked = server.requests_since(before, "info/refs");
    assert!(asked.len() == 1 && asked[0].contains("info/refs"), "{asked:?}");
    assert_eq!(packs(&served.work), 4);
    let head = served.commit(&[("a", "4")]);
    assert_eq!(sync(&mut source).unwrap().revision.0, head);
    assert!(packs(&served.work) <= 2);
    assert_eq!(
        remote(&server.url("open/a.git"), None, &served.work.state())
            .last()
            .unwrap()
            .unwrap()
            .revision
            .0,
        head
    );
}

#[test]
fn a_commit_that_is_too_large_does_not_cost_the_clone_with_many_packs() {
    let upstream = Upstream::with(&[("a", "one")]);
    let limits = Limits { packs: 0, bytes: SMALL, ..Limits::default() };
    let mut source = upstream.follow(Reference::Head).with_limits(limits);
    let head = sync(&mut source).unwrap().revision;
    upstream.commit(&[("large", &"0".repeat(1 << 20))]);
    for _ in 0..2 {
        let error = sync(&mut source).unwrap_err();
        assert!(matches!(error.fault, Fault::TooLarge { limit: SMALL }), "{error}");
        assert_eq!(upstream.follow(Reference::Head).last().unwrap().unwrap().revision, head);
        assert_eq!(read(&upstream.shown("a")), "one");
    }
}

/// The files at and below `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found.sort();
    found
}

type Damage = (&'static str, fn(&mut Vec<u8>));

/// What a loss of power leaves of a file that was not on the disk yet.
const DAMAGES: [Damage; 3] = [
    ("empty", |bytes| bytes.clear()),
    ("zeros", |bytes| bytes.fill(0)),
    ("half", |bytes| bytes.truncate(bytes.len() / 2)),
];

#[test]
fn whatever_a_loss_of_power_took_of_the_state_what_is_shown_is_whole_and_the_next_sync_mends_it() {
    let upstream = Upstream::with(&[("a", "one\n"), ("b", "one\n"), ("goes", "one\n")]);
    let mut source = upstream.follow(Reference::Head);
    let first = sync(&mut source).unwrap().revision;
    upstream.commit(&[("a", "two\n"), ("b", "two\n"), ("new/goes", "two\n")]);
    let second = sync(&mut source).unwrap().revision;
    source.keep(&[first.clone()].into()).unwrap();
    let layer = Layer { revision: first, paths: ["a".into()].into() };
    source.lay(|laid| drop(laid.insert(StackName::new("web").unwrap(), vec![layer]))).unwrap();
    let third = {
        upstream.git(&["rm", "--quiet", "goes", "new/goes"]);
        upstream.commit(&[("b", "three\n")])
    };
    upstream.git(&["checkout", "--quiet", &second.0]);

    let pristine = upstream.state();
    let home = pristine.join("s");
    let mut damaged: Vec<PathBuf> = files(&home.join("git"));
    damaged.push(home.join("laid"));
    assert!(damaged.iter().any(|path| path.ends_with("refs/bowline/shown")), "{damaged:?}");
    for (path, (what, damage)) in damaged.iter().flat_map(|path| DAMAGES.map(|it| (path, it))) {
        let below = path.strip_prefix(&pristine).unwrap();
        // Objects on their own are on the disk before they get their name; libgit2 never ends with half of one.
        let is_loose =
            below.starts_with("s/git/objects") && !below.starts_with("s/git/objects/pack");
        if is_loose && what == "half" {
            continue;
        }
        let case = format!("{} is {what}", below.display());
        let state = upstream.directory.path().join("damaged");
        let _ = fs::remove_dir_all(&state);
        let copied = Command::new("cp").arg("-a").args([&pristine, &state]).status().unwrap();
        assert!(copied.success());
        let mut bytes = fs::read(state.join(below)).unwrap();
        damage(&mut bytes);
        fs::remove_file(state.join(below)).unwrap();
        fs::write(state.join(below), bytes).unwrap();

        let follow = || follow(Location::Local(upstream.path()), Reference::Head, &state);
        let shown = |path: &str| read(&state.join("s/checkout").join(path));
        if let Ok(Some(last)) = follow().last() {
            assert_eq!(last.revision, second, "{case}");
            assert_eq!((shown("b"), shown("goes")), ("two\n".into(), "one\n".into()), "{case}");
        }
        upstream.git(&["checkout", "--quiet", &third]);
        let synced = sync(&mut follow()).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(synced.revision.0, third, "{case}");
        let a = shown("a");
        assert!(a == "one\n" || a == "two\n", "{case}: {a}");
        assert_eq!(shown("b"), "three\n", "{case}");
        for gone in ["goes", "new/goes"] {
            assert_eq!(shown(gone), "(entity not found)", "{case}: {gone}");
        }
        upstream.git(&["checkout", "--quiet", &second.0]);
        assert_eq!(follow().last().unwrap().unwrap().revision.0, third, "{case}");
        fs::remove_dir_all(&state).unwrap();
    }
}

#[test]
fn files_that_look_as_they_were_written_and_hold_something_else_after_a_loss_of_power_are_written_again()
 {
    let upstream = Upstream::with(&[("a", "one\n"), ("same", "same\n"), ("d/new", "new\n")]);
    sync(&mut upstream.follow(Reference::Head)).unwrap();
    let inode = || fs::metadata(upstream.shown("same")).unwrap().ino();
    let (same, before) = (inode(), fs::metadata(upstream.shown("a")).unwrap().modified().unwrap());
    fs::write(upstream.shown("a"), "\0\0\0\0").unwrap();
    fs::File::options()
        .write(true)
        .open(upstream.shown("a"))
        .unwrap()
        .set_modified(before)
        .unwrap();
    fs::write(upstream.shown("d/new"), "").unwrap();
    // Also while the repository is away.
    fs::rename(upstream.path(), upstream.directory.path().join("away")).unwrap();
    let source = upstream.follow(Reference::Head);
    source.last().unwrap().unwrap();
    assert_eq!(
        (read(&upstream.shown("a")), read(&upstream.shown("d/new"))),
        ("one\n".into(), "new\n".into())
    );
    assert_eq!(inode(), same, "what is well stays the file that it is");
}

#[test]
fn what_a_crash_left_locked_in_the_clone_holds_up_nothing() {
    let upstream = Upstream::with(&[("a", "one\n")]);
    let first = sync(&mut upstream.follow(Reference::Head)).unwrap().revision;
    let kept = format!("refs/bowline/kept/{first}");
    let clone = upstream.state().join("s/git");
    let names = ["HEAD", "index", "config", "refs/bowline/tip", "refs/bowline/shown", &kept];
    for (number, name) in names.into_iter().enumerate() {
        fs::create_dir_all(clone.join("refs/bowline/kept")).unwrap();
        if name == "config" {
            // As an earlier version left it.
            git(&clone, &["config", "--unset-all", "core.fsyncObjectFiles"]);
        }
        let lock = || fs::write(clone.join(format!("{name}.lock")), "").unwrap();
        let text = format!("{number}\n");
        upstream.commit(&[("a", &text)]);
        lock();
        let mut source = upstream.follow(Reference::Head);
        source.last().unwrap_or_else(|error| panic!("{name}: {error}")).unwrap();
        lock();
        source.keep(&[first.clone()].into()).unwrap_or_else(|error| panic!("{name}: {error}"));
        source.keep(&[].into()).unwrap();
        lock();
        sync(&mut source).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read(&upstream.shown("a")), text, "{name}");
        let _ = fs::remove_file(clone.join("config.lock"));
    }
}

#[test]
fn a_command_reads_no_file_that_a_loss_of_power_took() {
    let upstream = Upstream::with(&[("compose.yaml", "services: { a: { image: 'one' } }\n")]);
    let url = format!("file://{}", upstream.path().display());
    let shown = || bowline(&upstream.state(), &["config", &url]).expect(0).out;
    let before = shown();
    assert!(before.contains("one"), "{before}");
    let found = files(&upstream.state()).into_iter().find(|it| it.ends_with("compose.yaml"));
    let file = found.unwrap();
    let at = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, read(&file).replace("one", "two")).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(at).unwrap();
    assert_eq!(shown(), before);
}
