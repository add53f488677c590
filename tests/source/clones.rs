//! A clone that takes the place of another: until what is new can be shown, and after a crash at any point,
//! there is something to go on from.

use super::http::Served;
use super::nginx::{Server, remote};
use super::submodules::{local, pin, read, url};
use super::upstream::{Upstream, follow, git, sync};
use bowline::model::{Revision, StackName};
use bowline::source::{Fault, Layer, Limits, Location, Reference, Repository};
use std::fs;

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
