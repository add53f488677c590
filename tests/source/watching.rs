//! A push or a commit to a local repository is seen at once.

use super::upstream::Upstream;
use bowline::source::{Location, watch};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(300);

fn watched(path: PathBuf) -> (bowline::source::Watch, Receiver<()>) {
    let (changes, seen) = channel();
    let watching = watch(&Location::Local(path), move || changes.send(()).unwrap_or_default())
        .unwrap()
        .unwrap();
    (watching, seen)
}

fn drain(seen: &Receiver<()>) {
    while seen.recv_timeout(QUIET).is_ok() {}
}

#[test]
fn a_commit_is_seen() {
    let upstream = Upstream::with(&[("a", "one")]);
    let (_watch, seen) = watched(upstream.path());
    let began = Instant::now();
    upstream.commit(&[("a", "two")]);
    seen.recv_timeout(BOUND).expect("the commit is seen");
    println!("seen {:?} after the commit began", began.elapsed());
}

#[test]
fn a_push_to_a_bare_repository_is_seen_and_also_after_its_references_were_packed() {
    let upstream = Upstream::with(&[("a", "one")]);
    let bare = upstream.directory.path().join("bare.git");
    let bare_text = bare.to_str().unwrap();
    upstream.git(&["clone", "--quiet", "--bare", ".", bare_text]);
    let (_watch, seen) = watched(bare.clone());
    upstream.commit(&[("a", "two")]);
    upstream.git(&["push", "--quiet", bare_text, "main"]);
    seen.recv_timeout(BOUND).expect("the push is seen");
    super::upstream::git(&bare, &["pack-refs", "--all"]);
    drain(&seen);
    upstream.commit(&[("a", "three")]);
    upstream.git(&["push", "--quiet", bare_text, "main"]);
    seen.recv_timeout(BOUND).expect("the second push is seen");
}

#[test]
fn looking_at_a_repository_is_no_change_to_it() {
    let upstream = Upstream::with(&[("a", "one")]);
    let (_watch, seen) = watched(upstream.path());
    upstream.git(&["log"]);
    super::upstream::sync(&mut upstream.follow(bowline::source::Reference::Head)).unwrap();
    assert_eq!(seen.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout));
}

#[test]
fn a_dropped_watch_is_silent_and_a_remote_repository_has_none() {
    let upstream = Upstream::with(&[("a", "one")]);
    let (watch_of_it, seen) = watched(upstream.path());
    drop(watch_of_it);
    upstream.commit(&[("a", "two")]);
    assert_eq!(seen.recv_timeout(BOUND), Err(RecvTimeoutError::Disconnected));
    let remote = "https://git.example/a".parse().unwrap();
    assert!(watch(&remote, || {}).unwrap().is_none());
}

#[test]
fn what_is_no_repository_cannot_be_watched() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Local(directory.path().to_owned());
    let error = watch(&location, || {}).unwrap_err().to_string();
    assert!(error.contains("not a git repository"), "{error}");
}
