//! Repositories with submodules: theirs come from where they are, and are files like the others.

use super::agent::noise;
use super::nginx::{PASSWORD, Server, USER};
use super::sshd;
use super::upstream::{Upstream, git, sync, write};
use bowline::config::Auth;
use bowline::model::{Revision, Sensitive, SourceName, StackName};
use bowline::source::{
    Credentials, Fault, Laid, Layer, Limits, Location, Reference, Repository, Spec, Verify,
    VerifyMode,
};
use std::fs;
use std::path::{Path, PathBuf};

/// A key that signed nothing here.
const SOMEBODY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKkHuGIO4sRnbWfdgh2M2qjuWMSt/twdx67fScSvBln8";

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| format!("({})", error.kind()))
}

/// Has `upstream` name a submodule, by hand; not yet committed.
pub(crate) fn pin(upstream: &Upstream, path: &str, url: &str, commit: &str) {
    let file = upstream.path().join(".gitmodules");
    let before = fs::read_to_string(&file).unwrap_or_default();
    let section = format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
    write(&file, &(before + &section));
    move_pin(upstream, path, commit);
}

pub(crate) fn move_pin(upstream: &Upstream, path: &str, commit: &str) {
    fs::create_dir_all(upstream.path().join(path)).unwrap();
    let entry = format!("160000,{commit},{path}");
    upstream.git(&["update-index", "--add", "--cacheinfo", &entry]);
}

pub(crate) fn with_submodules(location: Location, login: Option<&str>, state: &Path) -> Repository {
    Repository::open(spec(location, login), state)
}

fn spec(location: Location, login: Option<&str>) -> Spec {
    Spec {
        name: SourceName::new("s").unwrap(),
        location,
        reference: Reference::Head,
        credentials: login.map(|password| {
            let (username, password) = (USER.into(), Sensitive::new(password.into()));
            Credentials { username, password }.into()
        }),
        submodules: true,
        verify: None,
    }
}

pub(crate) fn local(upstream: &Upstream) -> Repository {
    with_submodules(Location::Local(upstream.path()), None, &upstream.state())
}

/// What a file held at a commit.
pub(crate) fn then(source: &mut Repository, upstream: &Upstream, at: &str, path: &str) -> String {
    let files = source.files_of(&Revision(at.to_owned())).unwrap();
    match files.read(&upstream.shown(path)) {
        Ok(bytes) => String::from_utf8(bytes).unwrap(),
        Err(error) => format!("({error})"),
    }
}

pub(crate) fn url(upstream: &Upstream) -> String {
    upstream.path().display().to_string()
}

/// A repository with a submodule in `libs/common`, which has one in `deep`.
fn family() -> (Upstream, Upstream, Upstream) {
    let deep = Upstream::with(&[("d", "deep one")]);
    let common = Upstream::with(&[("x.env", "X=1"), ("conf/a", "one")]);
    pin(&common, "deep", &url(&deep), &deep.head());
    common.commit(&[]);
    let upstream = Upstream::with(&[("web/compose.yaml", "one")]);
    pin(&upstream, "libs/common", &url(&common), &common.head());
    upstream.commit(&[]);
    (upstream, common, deep)
}

#[test]
fn submodules_are_shown_and_read_with_theirs_and_follow_their_commits() {
    let (upstream, common, _deep) = family();
    let first = upstream.head();
    let mut source = local(&upstream);
    assert_eq!(sync(&mut source).unwrap().revision.0, first);
    let shown = |path: &str| read(&upstream.shown(path));
    assert_eq!(shown("libs/common/x.env"), "X=1");
    assert_eq!(shown("libs/common/deep/d"), "deep one");
    assert_eq!(shown("web/compose.yaml"), "one");
    assert!(!upstream.shown("libs/common/.git").exists());
    let last = source.last().unwrap().unwrap();
    assert_eq!((last.revision.0.as_str(), last.moved), (first.as_str(), false));

    // Not before the repository names it.
    let bumped = common.commit(&[("x.env", "X=2"), ("new", "x")]);
    assert!(!sync(&mut source).unwrap().moved);
    move_pin(&upstream, "libs/common", &bumped);
    let second = upstream.commit(&[]);
    let checkout = sync(&mut source).unwrap();
    assert_eq!((checkout.revision.0.as_str(), checkout.moved), (second.as_str(), true));
    assert_eq!((shown("libs/common/x.env"), shown("libs/common/new")), ("X=2".into(), "x".into()));
    assert_eq!(then(&mut source, &upstream, &second, "libs/common/x.env"), "X=2");
    assert_eq!(then(&mut source, &upstream, &first, "libs/common/x.env"), "X=1");
    assert_eq!(then(&mut source, &upstream, &first, "libs/common/deep/d"), "deep one");
    assert!(then(&mut source, &upstream, &first, "libs/common/new").contains("No such file"));

    let paths = [PathBuf::from("libs/common/x.env")].into();
    let layer = Layer { revision: Revision(first), paths };
    source.lay(|laid| drop(laid.insert(StackName::new("web").unwrap(), vec![layer]))).unwrap();
    assert_eq!((shown("libs/common/x.env"), shown("libs/common/new")), ("X=1".into(), "x".into()));
    assert!(!sync(&mut source).unwrap().moved);
    assert_eq!(shown("libs/common/x.env"), "X=1");
    assert_eq!(then(&mut source, &upstream, &second, "libs/common/x.env"), "X=2");
    source.lay(Laid::clear).unwrap();

    upstream.git(&["rm", "--quiet", "--cached", "libs/common", ".gitmodules"]);
    fs::remove_file(upstream.path().join(".gitmodules")).unwrap();
    fs::remove_dir_all(upstream.path().join("libs")).unwrap();
    upstream.commit(&[]);
    assert!(sync(&mut source).unwrap().moved);
    assert!(!upstream.shown("libs").exists());
}

#[test]
fn without_being_asked_for_they_are_not_fetched_and_what_needs_them_says_so() {
    let (upstream, common, _deep) = family();
    let hidden = common.path().with_extension("away");
    fs::rename(common.path(), &hidden).unwrap();
    let mut source = upstream.follow(Reference::Head);
    let first = sync(&mut source).unwrap().revision.0;
    assert_eq!(fs::read_dir(upstream.shown("libs/common")).unwrap().count(), 0);
    let told = then(&mut source, &upstream, &first, "libs/common/x.env");
    assert!(told.contains("it lies in the submodule `libs/common`"), "{told}");
    assert!(told.contains("set `submodules: true`"), "{told}");
    let told = then(&mut source, &upstream, &first, "libs/other");
    assert!(told.contains("No such file"), "{told}");

    fs::rename(&hidden, common.path()).unwrap();
    assert!(sync(&mut local(&upstream)).is_ok());
    assert_eq!(read(&upstream.shown("libs/common/deep/d")), "deep one");
    assert!(sync(&mut source).is_ok());
    assert!(!upstream.shown("libs/common/x.env").exists());
    let told = then(&mut source, &upstream, &first, "libs/common/x.env");
    assert!(told.contains("set `submodules: true`"), "{told}");
}

#[test]
fn a_commit_that_cannot_be_had_leaves_the_last_revision_until_it_can() {
    let (upstream, common, _deep) = family();
    let mut source = local(&upstream);
    let first = sync(&mut source).unwrap().revision.0;
    move_pin(&upstream, "libs/common", &"1".repeat(40));
    upstream.commit(&[("web/compose.yaml", "two")]);
    let error = sync(&mut source).unwrap_err();
    let Fault::Submodule { fault, .. } = &error.fault else { panic!("{error}") };
    assert!(matches!(**fault, Fault::UnknownReference { .. }), "{error}");
    let text = error.to_string();
    for part in [".gitmodules:1: submodule `libs/common`", &url(&common), "there is no commit 1111"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(read(&upstream.shown("web/compose.yaml")), "one");
    assert_eq!(source.last().unwrap().unwrap().revision.0, first);

    let pushed = common.commit(&[("x.env", "X=3")]);
    move_pin(&upstream, "libs/common", &pushed);
    upstream.commit(&[]);
    assert!(sync(&mut source).unwrap().moved);
    assert_eq!(read(&upstream.shown("libs/common/x.env")), "X=3");
    assert_eq!(read(&upstream.shown("web/compose.yaml")), "two");
}

#[test]
fn new_clones_take_what_they_need_from_the_old_one() {
    let (upstream, common, _deep) = family();
    let limits = Limits { packs: 1, ..Limits::default() };
    let mut source = local(&upstream).with_limits(limits);
    let first = sync(&mut source).unwrap().revision.0;
    source.keep(&[Revision(first.clone())].into()).unwrap();
    let bumped = common.commit(&[("x.env", "X=2")]);
    move_pin(&upstream, "libs/common", &bumped);
    upstream.commit(&[]);
    sync(&mut source).unwrap();
    fs::rename(common.path(), common.path().with_extension("away")).unwrap();
    for round in 0..6 {
        upstream.commit(&[("a", &round.to_string())]);
        sync(&mut source).unwrap();
    }
    assert_eq!(read(&upstream.shown("libs/common/x.env")), "X=2");
    assert_eq!(then(&mut source, &upstream, &first, "libs/common/x.env"), "X=1");
    assert_eq!(then(&mut source, &upstream, &first, "libs/common/deep/d"), "deep one");
    let packs = || fs::read_dir(upstream.state().join("s/git/objects/pack")).unwrap();
    assert!(packs().count() <= 2 * 6, "they do not pile up");
}

#[test]
fn a_submodule_over_http_is_fetched_once_without_history_and_with_the_login_of_its_host() {
    let Some(server) = Server::start() else { return };
    let serve = |upstream: &Upstream, name: &str| {
        let bare = server.repository(name);
        upstream.git(&["push", "--quiet", "--force", bare.to_str().unwrap(), "main"]);
        bare
    };
    let common = Upstream::with(&[("x", "zero")]);
    common.commit(&[("x", "one")]);
    let bare = serve(&common, "common.git");
    let upstream = Upstream::with(&[("a", "one")]);
    pin(&upstream, "common", "../common.git", &common.head());
    upstream.commit(&[]);
    let around = serve(&upstream, "a.git");
    let location = server.url("closed/a.git").parse().unwrap();
    let mut source = with_submodules(location, Some(PASSWORD), &upstream.state());
    sync(&mut source).unwrap();
    assert_eq!(read(&upstream.shown("common/x")), "one");
    let clone = upstream.state().join("s/git");
    assert!(!has(&clone, &common.git(&["rev-parse", "HEAD~1"])));

    let before = server.requests().len();
    assert!(!sync(&mut source).unwrap().moved);
    let asked = server.requests()[before..].to_vec();
    assert!(asked.len() == 1 && asked[0].contains("/a.git/info/refs"), "{asked:?}");

    // `zero` is in no commit that is here.
    let next = common.commit(&[("x", "zero"), ("y", "new")]);
    common.git(&["push", "--quiet", bare.to_str().unwrap(), "main"]);
    move_pin(&upstream, "common", &next);
    upstream.commit(&[]);
    upstream.git(&["push", "--quiet", around.to_str().unwrap(), "main"]);
    assert!(sync(&mut source).unwrap().moved);
    assert_eq!(
        (read(&upstream.shown("common/x")), read(&upstream.shown("common/y"))),
        ("zero".into(), "new".into())
    );
    git(&clone, &["fsck", "--connectivity-only", "HEAD"]);

    // The same server by another name is another host.
    let elsewhere = server.url("closed/common.git").replace("127.0.0.1", "localhost");
    write(&upstream.path().join(".gitmodules"), "");
    pin(&upstream, "common", &elsewhere, &common.commit(&[("x", "two")]));
    upstream.commit(&[]);
    common.git(&["push", "--quiet", bare.to_str().unwrap(), "main"]);
    upstream.git(&["push", "--quiet", around.to_str().unwrap(), "main"]);
    let before = server.requests().len();
    let error = sync(&mut source).unwrap_err();
    let Fault::Submodule { fault, .. } = &error.fault else { panic!("{error}") };
    assert!(matches!(**fault, Fault::LoginMissing { status: 401 }), "{error}");
    assert!(error.to_string().contains("is for its own host"), "{error}");
    let asked = server.requests_since(before, "/common.git/");
    let of_common = asked.iter().filter(|line| line.contains("/common.git/"));
    assert!(
        of_common.clone().count() == 1 && of_common.clone().all(|it| !it.contains(USER)),
        "{asked:?}"
    );
    assert_eq!(read(&upstream.shown("common/x")), "zero");
}

#[test]
fn of_a_commit_that_nobody_signed_no_submodule_is_asked_for() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    pin(&upstream, "common", &server.url("open/common.git"), &"1".repeat(40));
    upstream.commit(&[]);
    let allowed = upstream.directory.path().join("allowed");
    fs::write(&allowed, format!("a@example.org {SOMEBODY}\n")).unwrap();
    let mut spec = spec(Location::Local(upstream.path()), None);
    spec.verify =
        Some(Verify { mode: VerifyMode::Head, allowed_signers: Some(allowed), gpg_keyring: None });
    let error = sync(&mut Repository::open(spec.clone(), &upstream.state())).unwrap_err();
    assert!(matches!(error.fault, Fault::Unverified { .. }), "{error}");
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    spec.verify = None;
    let error = sync(&mut Repository::open(spec, &upstream.state())).unwrap_err();
    assert!(matches!(error.fault, Fault::Submodule { .. }), "{error}");
    assert!(!server.requests().is_empty());
}

#[test]
fn a_submodule_that_only_history_leads_to_is_found() {
    let Some(server) = Server::start() else { return };
    let common = Upstream::with(&[("x", "one")]);
    let one = common.head();
    common.commit(&[("x", "two")]);
    let bare = server.repository("common.git");
    common.git(&["push", "--quiet", bare.to_str().unwrap(), "main"]);
    let upstream = Upstream::with(&[("a", "one")]);
    pin(&upstream, "common", &server.url("open/common.git"), &one);
    upstream.commit(&[]);
    let mut source = local(&upstream);
    sync(&mut source).unwrap();
    assert_eq!(read(&upstream.shown("common/x")), "one");
    // A clone with all history is not to become one without.
    upstream.commit(&[("a", "two")]);
    sync(&mut source).unwrap();
    assert_eq!(read(&upstream.shown("a")), "two");
    assert!(!upstream.state().join("s/git/shallow").exists());
}

#[test]
fn a_submodule_over_ssh_is_fetched_with_the_key_of_its_host() {
    let Some(server) = sshd::Server::start() else { return };
    let (upstream, _common, _deep) = family();
    write(&upstream.path().join(".gitmodules"), "");
    let beside = |it: &Upstream| format!("{}", server.address(it.path().to_str().unwrap()));
    let common = Upstream::with(&[("x", "over ssh")]);
    pin(&upstream, "libs/common", &beside(&common), &common.head());
    upstream.commit(&[]);
    let location = server.address(upstream.path().to_str().unwrap());
    let mut source =
        with_submodules(location, None, &upstream.state()).with_ssh(server.login("client"));
    sync(&mut source).unwrap();
    assert_eq!(read(&upstream.shown("libs/common/x")), "over ssh");
    let before = server.logins();
    assert!(!sync(&mut source).unwrap().moved);
    assert_eq!(server.logins(), before + 1);

    // The same server by another name is another host, which is not shown the key.
    let known = server.place("known_hosts");
    let lines = read(&known);
    fs::write(&known, format!("{lines}{}", lines.replace("127.0.0.1", "localhost"))).unwrap();
    fs::remove_file(upstream.path().join(".gitmodules")).unwrap();
    let elsewhere = beside(&common).replace("127.0.0.1", "localhost");
    pin(&upstream, "libs/common", &elsewhere, &common.commit(&[("x", "two")]));
    upstream.commit(&[]);
    let error = sync(&mut source).unwrap_err();
    let Fault::Submodule { fault, .. } = &error.fault else { panic!("{error}") };
    assert!(matches!(**fault, Fault::KeyRefused { .. }), "{error}");
    assert!(error.to_string().contains("is for its own host"), "{error}");
    assert_eq!(read(&upstream.shown("libs/common/x")), "over ssh");
}

fn has(clone: &Path, commit: &str) -> bool {
    git2::Repository::open_bare(clone).unwrap().find_commit(commit.parse().unwrap()).is_ok()
}

#[test]
fn what_git_leaves_alone_is_left_alone() {
    let common = Upstream::with(&[("x", "one")]);
    let upstream = Upstream::with(&[("a", "one"), ("stale/file", "x")]);
    let section = |path: &str, more: &str| {
        format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = /nowhere\n{more}")
    };
    let text = section("stale", "") + &section("gone", "") + &section("none", "\tupdate = none\n");
    write(&upstream.path().join(".gitmodules"), &text);
    move_pin(&upstream, "none", &common.head());
    move_pin(&upstream, "unnamed", &common.head());
    upstream.commit(&[]);
    assert!(sync(&mut local(&upstream)).unwrap().moved);
    assert_eq!(read(&upstream.shown("stale/file")), "x");
}

#[test]
fn the_same_commit_twice_comes_once() {
    let common = Upstream::with(&[("x", "one")]);
    let upstream = Upstream::with(&[("a", "one")]);
    pin(&upstream, "b", &url(&common), &common.head());
    pin(&upstream, "c", &url(&common), &common.head());
    upstream.commit(&[]);
    sync(&mut local(&upstream)).unwrap();
    assert_eq!(
        (read(&upstream.shown("b/x")), read(&upstream.shown("c/x"))),
        ("one".into(), "one".into())
    );
}

#[test]
fn what_all_submodules_bring_together_is_bounded() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    for name in ["m1", "m2", "m3", "m4"] {
        let common = Upstream::with(&[("x", &noise(120_000))]);
        let bare = server.repository(&format!("{name}.git"));
        common.git(&["push", "--quiet", bare.to_str().unwrap(), "main"]);
        pin(&upstream, name, &server.url(&format!("open/{name}.git")), &common.head());
    }
    upstream.commit(&[]);
    let bounded = |bytes| local(&upstream).with_limits(Limits { bytes, ..Limits::default() });
    let error = sync(&mut bounded(100_000)).unwrap_err();
    let Fault::Submodule { fault, .. } = &error.fault else { panic!("{error}") };
    assert!(matches!(**fault, Fault::TooLarge { limit: 100_000 }), "{error}");
    assert!(error.to_string().contains("submodule `m3`"), "{error}");
    let asked = server.requests_since(0, "POST /open/m3.git/");
    assert!(!asked.iter().any(|line| line.contains("/m4.git/")), "{asked:?}");
    sync(&mut bounded(300_000)).unwrap();
}

#[test]
fn a_login_for_another_repository_of_the_host_is_not_shown() {
    let Some(server) = Server::start() else { return };
    let serve = |upstream: &Upstream, name: &str| {
        let bare = server.repository(name);
        upstream.git(&["push", "--quiet", "--force", bare.to_str().unwrap(), "main"]);
    };
    let common = Upstream::with(&[("x", "one")]);
    serve(&common, "common.git");
    let upstream = Upstream::with(&[("a", "one")]);
    pin(&upstream, "common", "../common.git", &common.head());
    upstream.commit(&[]);
    serve(&upstream, "a.git");
    let line = |path: &str| {
        let url =
            server.url(path).replace("//", &format!("//{USER}:{}@", PASSWORD.replace(':', "%3A")));
        url + "\n"
    };
    let (text, file) = (line("closed/a.git"), upstream.directory.path().join("logins"));
    let source = |text: &str| {
        fs::write(&file, text).unwrap();
        let location: Location = server.url("closed/a.git").parse().unwrap();
        let Location::Remote(url) = &location else { panic!("{location}") };
        let logins = Auth::Store(file.clone()).credentials(url).unwrap();
        Repository::open(
            Spec { credentials: Some(logins), ..spec(location.clone(), None) },
            &upstream.state(),
        )
    };
    let error = sync(&mut source(&text)).unwrap_err();
    let Fault::Submodule { fault, .. } = &error.fault else { panic!("{error}") };
    assert!(matches!(**fault, Fault::LoginMissing { status: 401 }), "{error}");
    assert!(error.to_string().contains("no line of the source's `credentials_file`"), "{error}");
    let asked = server.requests_since(0, "/common.git/");
    let of_common: Vec<_> = asked.iter().filter(|line| line.contains("/common.git/")).collect();
    assert!(of_common.len() == 1 && !of_common[0].contains(USER), "{asked:?}");

    for more in [line("closed/common.git"), line("")] {
        let _ = fs::remove_dir_all(upstream.state());
        sync(&mut source(&format!("{text}{more}"))).unwrap();
        assert_eq!(read(&upstream.shown("common/x")), "one");
    }
}
