//! Repositories behind git's own server and nginx: fetched, with and without a login, over TLS.

use super::nginx::{PASSWORD, Server, remote};
use super::upstream::{Upstream, follow, git, sync};
use bowline::source::{Fault, Limits, Reference};
use std::fs;
use std::path::PathBuf;

/// A repository to commit to, and the bare one that the server shows.
pub(crate) struct Served {
    pub(crate) work: Upstream,
    pub(crate) bare: PathBuf,
}

impl Served {
    pub(crate) fn by(server: &Server, files: &[(&str, &str)]) -> Self {
        let served = Self { work: Upstream::with(files), bare: server.repository("a.git") };
        served.push();
        served
    }

    pub(crate) fn push(&self) {
        let bare = self.bare.to_str().unwrap();
        self.work.git(&["push", "--quiet", "--force", "--tags", bare, "main"]);
    }

    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        let commit = self.work.commit(files);
        self.push();
        commit
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.work.shown(path)).unwrap()
    }
}

#[test]
fn a_repository_is_cloned_without_history_and_followed() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one"), ("same", "same")]);
    let second = served.commit(&[("a", "two")]);
    let mut source = remote(&server.url("open/a.git"), None, &served.work.state());
    let checkout = sync(&mut source).unwrap();
    assert_eq!((&checkout.revision.0, checkout.moved), (&second, true));
    assert_eq!(served.read("a"), "two");
    let clone = served.work.state().join("s/git");
    assert_eq!(git(&clone, &["rev-list", "--count", &second]), "1");

    let before = server.requests().len();
    assert!(!sync(&mut source).unwrap().moved);
    let asked = server.requests()[before..].to_vec();
    assert!(asked.len() == 1 && asked[0].contains("info/refs"), "{asked:?}");

    // `one` was in the commit before the clone's only one: the server must not take it for known.
    let cut_off = clone.join("objects/pack/pack_git2_0123456789abcdef");
    fs::write(&cut_off, "what a crash left").unwrap();
    let third = served.commit(&[("a", "one"), ("b", "new")]);
    let checkout = sync(&mut source).unwrap();
    assert_eq!((&checkout.revision.0, checkout.moved), (&third, true));
    assert_eq!((served.read("a"), served.read("b")), ("one".to_owned(), "new".to_owned()));
    git(&clone, &["fsck", "--connectivity-only", &third]);
    assert!(!cut_off.exists());
}

#[test]
fn history_that_was_rewritten_is_followed_though_the_server_forgot_ours() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    served.commit(&[("a", "two")]);
    let mut source = remote(&server.url("open/a.git"), None, &served.work.state());
    sync(&mut source).unwrap();
    served.work.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let rewritten = served.commit(&[("a", "another two")]);
    git(&served.bare, &["reflog", "expire", "--all", "--expire=now"]);
    git(&served.bare, &["gc", "--quiet", "--prune=now"]);
    assert_eq!(sync(&mut source).unwrap().revision.0, rewritten);
    assert_eq!(served.read("a"), "another two");
}

#[test]
fn a_login_opens_what_is_closed_and_is_never_shown() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    let (url, state) = (server.url("closed/a.git"), served.work.state());
    let missing = sync(&mut remote(&url, None, &state)).unwrap_err();
    assert!(matches!(missing.fault, Fault::LoginMissing { status: 401 }), "{missing}");
    let wrong = sync(&mut remote(&url, Some("wr0ng"), &state)).unwrap_err();
    assert!(matches!(wrong.fault, Fault::AuthenticationFailed { status: 401 }), "{wrong}");
    let mut source = remote(&url, Some(PASSWORD), &state);
    assert!(sync(&mut source).unwrap().moved);
    let shown = format!("{missing} {missing:?} {wrong} {wrong:?} {source:?}");
    assert!(!shown.contains("wr0ng") && !shown.contains(PASSWORD), "{shown}");
    let kept = fs::read_to_string(state.join("s/git/config")).unwrap();
    assert!(!kept.contains(PASSWORD));
}

#[test]
fn what_cannot_be_fetched_is_told_apart() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    let state = served.work.state();
    let fault = |path: &str, reference| {
        let location = server.url(path).parse().unwrap();
        sync(&mut follow(location, reference, &state)).unwrap_err().fault
    };
    assert!(matches!(fault("open/none.git", Reference::Head), Fault::NotServed));
    assert!(matches!(fault("elsewhere", Reference::Head), Fault::NotServed));
    server.repository("empty.git");
    assert!(matches!(fault("open/empty.git", Reference::Head), Fault::Empty));
    let unknown = fault("open/a.git", Reference::Branch("gone".into()));
    assert!(unknown.to_string().contains("branches are main"), "{unknown}");
    let small = Limits { bytes: 100, ..Limits::default() };
    let mut source = remote(&server.url("open/a.git"), None, &state).with_limits(small);
    let error = sync(&mut source).unwrap_err();
    assert!(matches!(error.fault, Fault::TooLarge { limit: 100 }), "{error}");
    assert!(!state.join("s/git.new").exists());
    assert!(sync(&mut source.with_limits(Limits::default())).unwrap().moved);
}

#[test]
fn tags_and_commits_in_history_are_fetched() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    let one = served.work.head();
    served.work.git(&["tag", "--annotate", "--message=m", "v1"]);
    served.commit(&[("a", "two")]);
    let tip = served.commit(&[("a", "three")]);
    let state = served.work.state();
    let unknown = "1".repeat(40);
    for (reference, expected) in [
        (Reference::Head, Some(&tip)),
        (Reference::Tag("v1".into()), Some(&one)),
        (Reference::Commit(served.work.git(&["rev-parse", "HEAD~1"])), None),
        (Reference::Commit(tip.clone()), Some(&tip)),
    ] {
        let location = server.url("open/a.git").parse().unwrap();
        let checkout = sync(&mut follow(location, reference.clone(), &state)).unwrap();
        assert!(expected.is_none_or(|expected| *expected == checkout.revision.0), "{reference:?}");
    }
    let location = server.url("open/a.git").parse().unwrap();
    let error = sync(&mut follow(location, Reference::Commit(unknown), &state)).unwrap_err();
    assert!(matches!(error.fault, Fault::UnknownReference { .. }), "{error}");
}

#[test]
fn a_damaged_clone_is_fetched_anew() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    let state = served.work.state();
    sync(&mut remote(&server.url("open/a.git"), None, &state)).unwrap();
    for entry in fs::read_dir(state.join("s/git/objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        fs::remove_file(&path).unwrap();
        fs::write(path, "nonsense").unwrap();
    }
    let mut source = remote(&server.url("open/a.git"), None, &state);
    assert_eq!(sync(&mut source).unwrap().revision.0, served.work.head());
    assert_eq!(served.read("a"), "one");
}
