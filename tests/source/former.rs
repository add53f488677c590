//! Commits of the past: read, kept, and laid over the newest one.

use super::nginx::{Server, remote};
use super::upstream::{Upstream, follow, git, sync, write};
use bowline::model::{Revision, StackName};
use bowline::source::{Fault, Laid, Layer, Limits, Location, Reference, Repository};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NAMES: [&str; 1] = ["compose.yaml"];

fn revision(id: &str) -> Revision {
    Revision(id.to_owned())
}

fn name(stack: &str) -> StackName {
    StackName::new(stack).unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| format!("({})", error.kind()))
}

/// What a file of the checkout held at a commit.
fn then(source: &mut Repository, upstream: &Upstream, at: &str, path: &str) -> String {
    let files = source.files_of(&revision(at)).unwrap();
    match files.read(&upstream.shown(path)) {
        Ok(bytes) => String::from_utf8(bytes).unwrap(),
        Err(error) => format!("({})", error.kind()),
    }
}

fn lay(source: &mut Repository, stack: &str, at: &str, paths: &[&str]) {
    let paths = paths.iter().map(PathBuf::from).collect();
    let layer = Layer { revision: revision(at), paths };
    source.lay(|laid| drop(laid.insert(name(stack), vec![layer]))).unwrap();
}

fn keep(source: &mut Repository, revisions: &[&str]) -> Vec<String> {
    let revisions = revisions.iter().map(|id| revision(id)).collect();
    source.keep(&revisions).unwrap().into_iter().map(|revision| revision.0).collect()
}

fn kept(upstream: &Upstream) -> Vec<String> {
    let clone = upstream.state().join("s/git");
    let listed = git(&clone, &["for-each-ref", "--format=%(objectname)", "refs/bowline/kept"]);
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn a_former_commit_is_read_under_the_paths_of_the_checkout_which_goes_on_to_show_the_newest() {
    let upstream = Upstream::with(&[("web/compose.yaml", "one"), ("old/compose.yaml", "x")]);
    let first = upstream.head();
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    upstream.git(&["rm", "-r", "--quiet", "old"]);
    let second = upstream.commit(&[("web/compose.yaml", "two"), ("new/compose.yaml", "x")]);
    sync(&mut source).unwrap();
    write(&upstream.shown("web/.env"), "in no commit");

    let root = upstream.shown("");
    let files = source.files_of(&revision(&first)).unwrap();
    assert_eq!((&files.revision().0, files.root()), (&first, root.components().as_path()));
    let found = files.discover(files.root(), &NAMES);
    let dirs: Vec<_> = found.stacks.into_iter().map(|found| found.dir).collect();
    assert_eq!(dirs, [upstream.shown("old"), upstream.shown("web")]);
    let web = files.look(&upstream.shown("web"), &NAMES).unwrap();
    assert_eq!(web.files, [upstream.shown("web/compose.yaml")]);
    assert!(files.look(&upstream.shown("new"), &NAMES).is_none());
    assert!(files.is_dir(&upstream.shown("old")) && !files.is_dir(&upstream.shown("new")));
    assert!(files.read(Path::new("/etc/passwd")).is_err());
    drop(files);
    for (at, path, content) in [
        (&first, "web/compose.yaml", "one"),
        (&first, "old/compose.yaml", "x"),
        (&first, "new/compose.yaml", "(entity not found)"),
        (&first, "web/.env", "in no commit"),
        (&second, "web/compose.yaml", "two"),
        (&second, "old/compose.yaml", "(entity not found)"),
    ] {
        assert_eq!(then(&mut source, &upstream, at, path), content, "{path} at {at}");
    }
    assert_eq!(read(&upstream.shown("web/compose.yaml")), "two");
    assert!(!upstream.shown("old").exists());
    assert!(!upstream.state().join("s/files").exists(), "what was written to be read is gone");
    assert!(!sync(&mut source).unwrap().moved);
}

#[test]
fn what_a_crash_left_of_reading_a_former_commit_is_not_taken_for_a_part_of_it() {
    let upstream = Upstream::with(&[("a", "one")]);
    let first = upstream.head();
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    upstream.commit(&[("a", "two")]);
    sync(&mut source).unwrap();
    write(&upstream.state().join("s/files/left"), "x");
    assert_eq!(then(&mut source, &upstream, &first, "a"), "one");
    assert_eq!(then(&mut source, &upstream, &first, "left"), "(entity not found)");
}

#[test]
fn a_commit_that_is_not_there_is_told() {
    let upstream = Upstream::with(&[("a", "one")]);
    let mut source = upstream.follow(Reference::Head);
    let missing = "1".repeat(40);
    let error = source.files_of(&revision(&missing)).unwrap_err();
    assert!(matches!(error.fault, Fault::Gone { .. }), "{error}");
    sync(&mut source).unwrap();
    for id in [missing.as_str(), "no id"] {
        let error = source.files_of(&revision(id)).unwrap_err().to_string();
        let said = format!("there is no commit {id} in the clone");
        assert!(error.starts_with("source s (") && error.contains(&said), "{error}");
    }
}

#[test]
fn what_is_kept_outlives_rewritten_history_and_a_clone_that_is_made_anew() {
    let upstream = Upstream::with(&[("a", "one"), ("d/b", "one")]);
    let limits = Limits { packs: 2, ..Limits::default() };
    let mut source = upstream.follow(Reference::Head).with_limits(limits);
    sync(&mut source).unwrap();
    upstream.commit(&[("a", "two")]);
    let second = upstream.head();
    sync(&mut source).unwrap();
    assert_eq!(keep(&mut source, &[&second, "none"]), ["none"]);
    for round in 0..8 {
        upstream.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        upstream.git(&["reflog", "expire", "--all", "--expire=now"]);
        upstream.git(&["gc", "--quiet", "--prune=now"]);
        upstream.commit(&[("a", &format!("another two {round}"))]);
        assert!(sync(&mut source).unwrap().moved);
    }
    assert_eq!(kept(&upstream), [second.as_str()]);
    assert_eq!(then(&mut source, &upstream, &second, "a"), "two");
    assert_eq!(then(&mut source, &upstream, &second, "d/b"), "one");
    assert_eq!(read(&upstream.shown("a")), "another two 7");
}

#[test]
fn a_former_commit_outlives_a_new_clone_without_history() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one"), ("same", "x")]);
    let bare = server.repository("a.git");
    let push = || {
        upstream.git(&["push", "--quiet", "--force", bare.to_str().unwrap(), "main"]);
    };
    push();
    let first = upstream.head();
    let limits = Limits { packs: 1, ..Limits::default() };
    let url = server.url("open/a.git");
    let mut source = remote(&url, None, &upstream.state()).with_limits(limits);
    sync(&mut source).unwrap();
    keep(&mut source, &[&first]);
    for round in 0..4 {
        upstream.commit(&[("a", &round.to_string())]);
        push();
        sync(&mut source).unwrap();
    }
    assert_eq!(then(&mut source, &upstream, &first, "a"), "one");
    assert_eq!(then(&mut source, &upstream, &first, "same"), "x");
    let tip = upstream.head();
    git(&upstream.state().join("s/git"), &["fsck", "--connectivity-only", &tip, &first]);
}

#[test]
fn what_is_needed_no_more_is_not_kept() {
    let upstream = Upstream::with(&[("a", "one")]);
    let first = upstream.head();
    let mut source = upstream.follow(Reference::Head);
    assert_eq!(keep(&mut source, &[&first]), [first.as_str()], "there is no clone yet");
    sync(&mut source).unwrap();
    let second = upstream.commit(&[("a", "two")]);
    sync(&mut source).unwrap();
    let mut both = [first.as_str(), second.as_str()];
    both.sort_unstable();
    assert!(keep(&mut source, &both).is_empty());
    assert_eq!(kept(&upstream), both);
    assert!(keep(&mut source, &[&second]).is_empty());
    assert_eq!(kept(&upstream), [second.as_str()]);
    assert!(keep(&mut source, &[]).is_empty());
    assert!(kept(&upstream).is_empty());
}

#[test]
fn a_source_that_moved_elsewhere_keeps_what_was_needed() {
    let one = Upstream::with(&[("a", "one")]);
    let first = one.head();
    let mut source = one.follow(Reference::Head);
    sync(&mut source).unwrap();
    keep(&mut source, &[&first]);
    let two = Upstream::with(&[("a", "another")]);
    let mut moved = follow(Location::Local(two.path()), Reference::Head, &one.state());
    // Also until something came from there.
    assert_eq!(then(&mut moved, &one, &first, "a"), "one");
    sync(&mut moved).unwrap();
    assert_eq!(read(&one.shown("a")), "another");
    assert_eq!(then(&mut moved, &one, &first, "a"), "one");
}

/// A repository with two commits, and a source that is at the second.
fn two_commits() -> (Upstream, Repository, [String; 2]) {
    let upstream = Upstream::with(&[
        ("compose.yaml", "one"),
        ("nginx.conf", "one"),
        ("conf.d/same", "same"),
        ("conf.d/changes", "one"),
        ("conf.d/sub/goes", "one"),
    ]);
    let first = upstream.head();
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    upstream.git(&["rm", "-r", "--quiet", "conf.d/sub"]);
    let second = upstream.commit(&[
        ("compose.yaml", "two"),
        ("nginx.conf", "two"),
        ("conf.d/changes", "two"),
        ("conf.d/comes/deep", "two"),
    ]);
    sync(&mut source).unwrap();
    (upstream, source, [first, second])
}

/// Whether the files that are laid, and the others, are as they should be.
fn is_laid(upstream: &Upstream, conf: &str, rest: &str) {
    let shown = |path: &str| read(&upstream.shown(path));
    assert_eq!((shown("nginx.conf"), shown("conf.d/changes")), (conf.into(), conf.into()));
    assert_eq!(shown("compose.yaml"), rest);
    assert_eq!(shown("conf.d/same"), "same");
    assert_eq!(upstream.shown("conf.d/sub/goes").exists(), conf == "one");
    assert_eq!(upstream.shown("conf.d/comes").exists(), conf != "one");
}

const MOUNTED: [&str; 2] = ["nginx.conf", "conf.d"];

#[test]
fn what_is_laid_is_shown_as_it_was_until_it_is_lifted_and_all_else_is_the_newest() {
    let (upstream, mut source, [first, second]) = two_commits();
    let directory = fs::metadata(upstream.shown("conf.d")).unwrap().ino();
    write(&upstream.shown("conf.d/own"), "in no commit");
    is_laid(&upstream, "two", "two");
    lay(&mut source, "web", &first, &MOUNTED);
    is_laid(&upstream, "one", "two");
    assert_eq!(fs::metadata(upstream.shown("conf.d")).unwrap().ino(), directory);
    assert_eq!(read(&upstream.shown("conf.d/own")), "in no commit");

    // No sync and no restart touches it.
    let file = fs::File::open(upstream.shown("nginx.conf")).unwrap();
    let touched =
        || fs::metadata(upstream.shown("nginx.conf")).map(|it| (it.ino(), it.ctime_nsec()));
    let before = touched().unwrap();
    for mut source in [source.clone(), upstream.follow(Reference::Head)] {
        let last = source.last().unwrap().unwrap();
        assert_eq!((last.revision.0, last.moved), (second.clone(), false));
        let checkout = sync(&mut source).unwrap();
        assert_eq!((checkout.revision.0, checkout.moved), (second.clone(), false));
        is_laid(&upstream, "one", "two");
    }
    assert_eq!(touched().unwrap(), before);
    drop(file);

    source.lay(|laid| drop(laid.remove(&name("web")))).unwrap();
    is_laid(&upstream, "two", "two");
    assert!(!sync(&mut source).unwrap().moved);
    assert_eq!(read(&upstream.shown("conf.d/own")), "in no commit");
}

#[test]
fn what_is_laid_stays_over_a_newer_commit_whose_own_files_can_still_be_read() {
    let (upstream, mut source, [first, _]) = two_commits();
    lay(&mut source, "web", &first, &MOUNTED);
    let third = upstream.commit(&[("compose.yaml", "three"), ("nginx.conf", "three")]);
    let checkout = sync(&mut source).unwrap();
    assert_eq!((checkout.revision.0.as_str(), checkout.moved), (third.as_str(), true));
    is_laid(&upstream, "one", "three");
    for (path, content) in [
        ("nginx.conf", "three"),
        ("conf.d/changes", "two"),
        ("conf.d/comes/deep", "two"),
        ("conf.d/sub/goes", "(entity not found)"),
        ("compose.yaml", "three"),
    ] {
        assert_eq!(then(&mut source, &upstream, &third, path), content, "{path}");
    }
}

#[test]
fn what_was_not_there_then_is_not_shown_and_what_is_the_same_makes_no_difference() {
    let (upstream, mut source, [first, second]) = two_commits();
    lay(&mut source, "web", &first, &["conf.d/comes/deep", "no/such", "../outside"]);
    assert!(!upstream.shown("conf.d/comes").exists());
    assert_eq!(read(&upstream.shown("nginx.conf")), "two");
    lay(&mut source, "web", &first, &["conf.d/same"]);
    assert!(upstream.shown("conf.d/comes/deep").exists());
    let head = git(&upstream.state().join("s/git"), &["rev-parse", "HEAD"]);
    assert_eq!(head, second, "the checkout shows the commit itself");
    lay(&mut source, "web", &first, &[""]);
    assert_eq!(read(&upstream.shown("compose.yaml")), "one");
    is_laid(&upstream, "one", "one");
}

#[test]
fn where_two_stacks_lay_one_path_the_later_by_name_prevails() {
    let (upstream, mut source, [first, second]) = two_commits();
    let third = upstream.commit(&[("nginx.conf", "three"), ("compose.yaml", "three")]);
    sync(&mut source).unwrap();
    lay(&mut source, "b", &second, &["nginx.conf"]);
    lay(&mut source, "a", &first, &["nginx.conf", "compose.yaml"]);
    let shown = |path: &str| read(&upstream.shown(path));
    assert_eq!((shown("nginx.conf"), shown("compose.yaml")), ("two".into(), "one".into()));
    source.lay(|laid| drop(laid.remove(&name("b")))).unwrap();
    assert_eq!(shown("nginx.conf"), "one");
    assert_eq!(then(&mut source, &upstream, &third, "nginx.conf"), "three");
}

#[test]
fn files_of_two_commits_are_laid_for_one_stack_and_a_note_of_one_commit_is_read() {
    let (upstream, mut source, [first, second]) = two_commits();
    upstream.commit(&[("nginx.conf", "three"), ("compose.yaml", "three")]);
    sync(&mut source).unwrap();
    let layer = |at: &str, paths: &[&str]| Layer {
        revision: revision(at),
        paths: paths.iter().map(PathBuf::from).collect(),
    };
    let layers =
        vec![layer(&first, &["nginx.conf", "compose.yaml"]), layer(&second, &["nginx.conf"])];
    source.lay(|laid| drop(laid.insert(name("a"), layers.clone()))).unwrap();
    let shown = |path: &str| read(&upstream.shown(path));
    assert_eq!((shown("nginx.conf"), shown("compose.yaml")), ("two".into(), "one".into()));
    assert_eq!(source.laid(), Laid::from([(name("a"), layers)]));
    // As an earlier version noted it.
    let one = layer(&first, &["nginx.conf"]);
    let note = serde_json::to_vec(&serde_json::json!({ "a": &one })).unwrap();
    fs::write(upstream.state().join("s/laid"), note).unwrap();
    assert_eq!(source.laid(), Laid::from([(name("a"), vec![one])]));
}

#[test]
fn a_link_on_the_way_to_what_is_laid_is_the_former_one() {
    let upstream = Upstream::with(&[("v1/conf", "one"), ("v2/conf", "two")]);
    let link = upstream.path().join("current");
    std::os::unix::fs::symlink("v1", &link).unwrap();
    let first = upstream.commit(&[]);
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("v2", &link).unwrap();
    upstream.commit(&[]);
    sync(&mut source).unwrap();
    assert_eq!(read(&upstream.shown("current/conf")), "two");
    lay(&mut source, "web", &first, &["current/conf", "v1/conf"]);
    assert_eq!(read(&upstream.shown("current/conf")), "one");
}

#[test]
fn laying_that_was_interrupted_is_finished() {
    let (upstream, mut source, [first, second]) = two_commits();
    lay(&mut source, "web", &first, &MOUNTED);
    // As after a crash in the middle: it was begun, the second commit was shown last.
    let clone = upstream.state().join("s/git");
    git(&clone, &["update-ref", "refs/bowline/shown", &second]);
    write(&upstream.shown("nginx.conf"), "half");
    let last = upstream.follow(Reference::Head).last().unwrap().unwrap();
    assert_eq!(last.revision.0, second);
    is_laid(&upstream, "one", "two");

    // Noted, and not begun.
    source.lay(Laid::clear).unwrap();
    is_laid(&upstream, "two", "two");
    let paths: BTreeSet<_> = MOUNTED.iter().map(PathBuf::from).collect();
    let noted = serde_json::json!({ "web": { "revision": first, "paths": paths } });
    fs::write(upstream.state().join("s/laid"), noted.to_string()).unwrap();
    assert!(!sync(&mut source).unwrap().moved);
    is_laid(&upstream, "one", "two");

    // What says nothing counts as nothing.
    fs::write(upstream.state().join("s/laid"), "{").unwrap();
    sync(&mut source).unwrap();
    is_laid(&upstream, "two", "two");
}

#[test]
fn a_clone_that_is_made_anew_shows_what_is_laid_as_far_as_it_has_it() {
    let (upstream, mut source, [first, _]) = two_commits();
    lay(&mut source, "web", &first, &MOUNTED);
    keep(&mut source, &[&first]);
    let third = upstream.commit(&[("compose.yaml", "three")]);
    let mut source = source.with_limits(Limits { packs: 0, ..Limits::default() });
    assert_eq!(sync(&mut source).unwrap().revision.0, third);
    is_laid(&upstream, "one", "three");

    upstream.git(&["checkout", "--quiet", "--orphan", "other"]);
    upstream.git(&["branch", "--quiet", "-D", "main"]);
    upstream.git(&["branch", "--quiet", "-m", "main"]);
    let fourth = upstream.commit(&[("compose.yaml", "four")]);
    upstream.git(&["reflog", "expire", "--all", "--expire=now"]);
    upstream.git(&["gc", "--quiet", "--prune=now"]);
    fs::remove_dir_all(upstream.state().join("s/git/objects")).unwrap();
    assert_eq!(sync(&mut source).unwrap().revision.0, fourth);
    is_laid(&upstream, "two", "four");
}

#[test]
fn a_way_back_does_not_wait_for_a_server() {
    let (upstream, source, [first, second]) = two_commits();
    // As a sync that another one waits for.
    let lock = fs::File::create(upstream.state().join("s/lock")).unwrap();
    lock.lock().unwrap();
    let limits = Limits { whole: Duration::from_millis(200), ..Limits::default() };
    let mut source = source.with_limits(limits);
    let error = sync(&mut source).unwrap_err();
    assert!(matches!(error.fault, Fault::TimedOut { .. }), "{error}");
    assert_eq!(source.last().unwrap().unwrap().revision.0, second);
    assert!(keep(&mut source, &[&first]).is_empty());
    assert_eq!(then(&mut source, &upstream, &first, "nginx.conf"), "one");
    lay(&mut source, "web", &first, &MOUNTED);
    is_laid(&upstream, "one", "two");
}

#[test]
fn nobody_changes_the_checkout_while_it_is_read() {
    let (upstream, mut source, [first, _]) = two_commits();
    let limits = Limits { whole: Duration::from_millis(200), ..Limits::default() };
    let mut other = source.clone().with_limits(limits);
    upstream.commit(&[("nginx.conf", "three")]);
    let files = source.files_of(&revision(&first)).unwrap();
    let error = sync(&mut other).unwrap_err();
    assert!(matches!(error.fault, Fault::TimedOut { .. }), "{error}");
    assert!(other.lay(|_| ()).is_err());
    drop(files);
    is_laid(&upstream, "two", "two");
    assert!(sync(&mut other).unwrap().moved);
}

#[test]
fn whoever_reads_a_file_meanwhile_finds_the_one_or_the_other_content_whole() {
    let text = |round: usize| round.to_string().repeat(200_000);
    let upstream = Upstream::with(&[("a", &text(0))]);
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    let (path, done) = (upstream.shown("a"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let found = fs::read_to_string(&path).unwrap();
                assert_eq!(found.len(), 200_000);
                assert!(found.bytes().all(|byte| byte == found.as_bytes()[0]));
                reads += 1;
            }
            reads
        });
        for round in 1..=9 {
            upstream.commit(&[("a", &text(round))]);
            sync(&mut source).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reading.join().unwrap() > 9);
    });
    assert_eq!(read(&path), text(9));
}

#[test]
fn a_commit_that_leads_out_of_the_checkout_or_into_git_s_own_files_writes_nothing_there() {
    let upstream = Upstream::with(&[("a", "one")]);
    sync(&mut upstream.follow(Reference::Head)).unwrap();
    for bad in ["..", ".git", ".GIT"] {
        let repository = git2::Repository::open(upstream.path()).unwrap();
        let blob = repository.blob(b"bad").unwrap();
        let tree = |name: &str, mode: &str, id: git2::Oid| {
            let raw = [mode.as_bytes(), b" ", name.as_bytes(), b"\0", id.as_bytes()].concat();
            repository.odb().unwrap().write(git2::ObjectType::Tree, &raw).unwrap()
        };
        let tree = tree(bad, "40000", tree("evil", "100644", blob));
        let commit = upstream.git(&["commit-tree", &tree.to_string(), "-m", "x"]);
        upstream.git(&["update-ref", "refs/heads/bad", &commit]);
        let error = sync(&mut upstream.follow(Reference::Branch("bad".into()))).unwrap_err();
        assert!(!upstream.shown(bad).join("evil").exists(), "{bad}: {error}");
    }
}
