//! What is followed: branches, tags, commits; and what is said when it is not there.

use super::upstream::{Upstream, follow, sync};
use bowline::source::{Fault, Location, Reference, revision_of};
use std::fs;
use std::sync::atomic::AtomicBool;

fn fault(upstream: &Upstream, reference: Reference) -> Fault {
    sync(&mut upstream.follow(reference)).unwrap_err().fault
}

#[test]
fn branches_tags_and_commits_are_followed() {
    let upstream = Upstream::with(&[("a", "one")]);
    let one = upstream.head();
    upstream.git(&["tag", "light"]);
    upstream.git(&["tag", "--annotate", "--message=m", "heavy"]);
    upstream.git(&["branch", "stable"]);
    let two = upstream.commit(&[("a", "two")]);
    for (reference, expected) in [
        (Reference::Head, &two),
        (Reference::Branch("stable".into()), &one),
        (Reference::Tag("light".into()), &one),
        (Reference::Tag("heavy".into()), &one),
        (Reference::Commit(one.clone()), &one),
        (Reference::Any("stable".into()), &one),
        (Reference::Any("heavy".into()), &one),
        (Reference::Any(one.clone()), &one),
    ] {
        let checkout = sync(&mut upstream.follow(reference.clone())).unwrap();
        assert_eq!(&checkout.revision.0, expected, "{reference:?}");
    }
}

#[test]
fn of_a_range_of_versions_the_highest_tag_is_followed() {
    let upstream = Upstream::with(&[("a", "1.2.0")]);
    let tag = |version: &str, kind: &[&str]| {
        let commit = upstream.commit(&[("a", version)]);
        upstream.git(&[&["tag"], kind, &[version]].concat());
        commit
    };
    let annotated = ["--annotate", "--message=m"];
    let range = Reference::Semver(">=1.2, <2".parse().unwrap());
    let mut source = upstream.follow(range.clone());
    tag("latest", &[]);
    let error = sync(&mut source).unwrap_err();
    assert!(matches!(error.fault, Fault::UnknownReference { .. }), "{error}");
    assert!(error.to_string().ends_with("its tags are latest"), "{error}");
    let light = tag("v1.9.0", &[]);
    assert_eq!(sync(&mut source).unwrap().revision.0, light);
    let heavy = tag("v1.10.0", &annotated);
    let checkout = sync(&mut source).unwrap();
    assert_eq!((&checkout.revision.0, checkout.moved), (&heavy, true));
    for (version, kind) in [("v2.0.0", &annotated[..]), ("v1.11.0-rc.1", &[]), ("v1.8.5", &[])] {
        tag(version, kind);
        assert!(!sync(&mut source).unwrap().moved, "{version}");
    }
    assert_eq!(fs::read_to_string(upstream.shown("a")).unwrap(), "v1.10.0");
    upstream.git(&["tag", "--delete", "v1.10.0"]);
    assert_eq!(sync(&mut source).unwrap().revision.0, light);
}

#[test]
fn a_commit_that_only_history_holds_is_found_in_a_new_clone() {
    let upstream = Upstream::with(&[("a", "one")]);
    let one = upstream.head();
    upstream.commit(&[("a", "two")]);
    let checkout = sync(&mut upstream.follow(Reference::Commit(one.clone()))).unwrap();
    assert_eq!(checkout.revision.0, one);
    let unknown = "1".repeat(40);
    let fault = fault(&upstream, Reference::Commit(unknown.clone()));
    assert!(fault.to_string().contains(&unknown), "{fault}");
    assert!(matches!(fault, Fault::UnknownReference { .. }));
}

#[test]
fn history_that_was_rewritten_is_followed() {
    let upstream = Upstream::with(&[("a", "one")]);
    upstream.commit(&[("a", "two"), ("b", "two")]);
    let mut source = upstream.follow(Reference::Branch("main".into()));
    sync(&mut source).unwrap();
    upstream.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let rewritten = upstream.commit(&[("a", "another two")]);
    assert_eq!(sync(&mut source).unwrap().revision.0, rewritten);
    assert_eq!(fs::read_to_string(upstream.shown("a")).unwrap(), "another two");
    assert!(!upstream.shown("b").exists());
}

#[test]
fn a_branch_that_was_deleted_is_named_with_the_others_and_its_files_stay() {
    let upstream = Upstream::with(&[("a", "one")]);
    upstream.git(&["branch", "gone"]);
    let mut source = upstream.follow(Reference::Branch("gone".into()));
    sync(&mut source).unwrap();
    upstream.git(&["branch", "--delete", "--force", "gone"]);
    let error = sync(&mut source).unwrap_err();
    assert!(matches!(error.fault, Fault::UnknownReference { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("source s (") && text.contains("gone") && text.contains("main"));
    assert_eq!(fs::read_to_string(upstream.shown("a")).unwrap(), "one");
}

#[test]
fn what_is_no_usable_repository_is_told_apart() {
    let upstream = Upstream::empty();
    assert!(matches!(fault(&upstream, Reference::Head), Fault::Empty));
    let state = upstream.state();
    let fault_at =
        |path| sync(&mut follow(Location::Local(path), Reference::Head, &state)).unwrap_err().fault;
    let plain = upstream.directory.path().join("plain");
    fs::create_dir(&plain).unwrap();
    assert!(matches!(fault_at(plain.clone()), Fault::NotARepository));
    assert!(matches!(fault_at(plain.join("nothing")), Fault::NotFound));
    fs::write(plain.join("file"), "").unwrap();
    assert!(matches!(fault_at(plain.join("file")), Fault::NotARepository));
}

#[test]
fn a_repository_that_lost_its_objects_is_damaged() {
    let upstream = Upstream::with(&[("a", "one")]);
    fs::remove_dir_all(upstream.path().join(".git/objects")).unwrap();
    fs::create_dir(upstream.path().join(".git/objects")).unwrap();
    let error = fault(&upstream, Reference::Head);
    assert!(matches!(error, Fault::Corrupt { .. }), "{error}");
}

#[test]
fn a_sync_that_is_no_longer_wanted_ends() {
    let upstream = Upstream::with(&[("a", "one")]);
    let error = upstream.follow(Reference::Head).sync(&AtomicBool::new(true)).unwrap_err();
    assert!(matches!(error.fault, Fault::Cancelled), "{error}");
}

#[test]
fn the_commit_of_a_directory_is_that_of_the_repository_around_it() {
    let upstream = Upstream::with(&[("web/compose.yaml", "x")]);
    let revision = revision_of(&upstream.path().join("web")).unwrap();
    assert_eq!(revision.0, upstream.head());
    assert_eq!(revision_of(upstream.directory.path()), None);
}
