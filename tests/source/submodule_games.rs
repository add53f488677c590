//! What nobody writes who means well: each is refused with its place, and nothing is done for it.

use super::nginx::Server;
use super::submodules::{local, move_pin, pin, read, then, url, with_submodules};
use super::upstream::{Upstream, sync, write};
use bowline::source::Fault;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn games_with_gitmodules_are_refused_with_their_place_and_change_nothing() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let bare = server.repository("a.git");
    let push = || upstream.git(&["push", "--quiet", "--force", bare.to_str().unwrap(), "main"]);
    push();
    let mut source =
        with_submodules(server.url("open/a.git").parse().unwrap(), None, &upstream.state());
    sync(&mut source).unwrap();
    let made = upstream.directory.path().join("made");
    let touch = format!("touch {}", made.display());
    symlink("/etc", upstream.path().join("out")).unwrap();
    symlink("in", upstream.path().join("link")).unwrap();
    let commit = upstream.head();
    let games = upstream.directory.path().join("games");
    write(&upstream.path().join("a"), "two");
    upstream.git(&["add", "--all"]);
    move_pin(&upstream, "m", &commit);
    // By hand, since git itself stumbles over some of them.
    let commit_as = |entry: &str| {
        upstream.git(&["update-index", "--add", "--cacheinfo", &format!("{entry},.gitmodules")]);
        let tree = upstream.git(&["write-tree"]);
        let commit = upstream.git(&["commit-tree", "-m", "x", &tree]);
        upstream.git(&["update-ref", "refs/heads/main", &commit]);
    };
    let own = server.url("open/a.git");
    let section = |name: &str, path: &str, url: &str| {
        format!("# a line\n[submodule \"{name}\"]\n\tpath = {path}\n\turl = {url}\n")
    };
    let there = server.url("open/common.git");
    let long = "x".repeat((1 << 20) + 1);
    let before = server.requests().len();
    for (text, place, part) in [
        (
            section("m", "m", &format!("ext::sh -c {touch}")),
            ".gitmodules:2: submodule `m`",
            "program",
        ),
        (
            section("m", "m", &format!("--upload-pack={touch}")),
            ":2: submodule `m`",
            "like an option",
        ),
        (section("m", "m", "-oProxyCommand=x:r"), ":2: submodule `m`", "like an option"),
        (section("m", "m", "ssh://-oProxyCommand=x/r"), ":2: submodule `m`", "cannot be used"),
        (section("m", "m", "/srv/secret.git"), ":2: submodule `m`", "a path on this host"),
        (section("m", "m", "file:///srv/secret.git"), ":2: submodule `m`", "a path on this host"),
        (section("m", "m", "../../../secret.git"), ":2: submodule `m`", "leads above"),
        (section("m", "m", &own), ":2: submodule `m`", "it lies in itself"),
        (section("m", "m", "../a.git"), ":2: submodule `m`", "it lies in itself"),
        (section("m", "m", "\"https://h/x\\n\""), ":2: submodule `m`", "no part of a url"),
        (section("m", "m", "https://ann:s3cret@h/x"), ":2: submodule `m`", "holds a login"),
        (section("m", "../..", &there), ":2: submodule `m`", "leaves the repository"),
        (section("m", "/etc", &there), ":2: submodule `m`", "leaves the repository"),
        (section("m", "d/../../x", &there), ":2: submodule `m`", "leaves the repository"),
        (section("m", ".git", &there), ":2: submodule `m`", "into `.git`"),
        (section("m", "d/.GIT/hooks", &there), ":2: submodule `m`", "into `.git`"),
        (section("m", "--x", &there), ":2: submodule `m`", "like an option"),
        (section("m", "\"m\\t\"", &there), ":2: submodule `m`", "control"),
        (section("m", "out/cron.d", &there), ":2: submodule `m`", "through a link"),
        (section("m", "link", &there), ":2: submodule `m`", "through a link"),
        (section("../../x", "m", &there), ":2: submodule `../../x`", "holds `..`"),
        (section("a\\\\..\\\\x", "m", &there), ":2: submodule `a\\\\..\\\\x`", "holds `..`"),
        (section("", "m", &there), ":2: submodule ``", "is empty"),
        (
            section("m", "m", &there) + &section("n", "m", &there),
            ":6: submodule `n`",
            "another submodule's",
        ),
        ("[submodule \"m\"]\n\tpath = m\n".into(), ":1: submodule `m`", "no url"),
        ("[submodule \"m\n".into(), ".gitmodules:2: ", "does not end"),
        (long, ".gitmodules: ", "1 MiB"),
    ] {
        write(&games, &text);
        let blob = upstream.git(&["hash-object", "-w", games.to_str().unwrap()]);
        commit_as(&format!("100644,{blob}"));
        push();
        let error = sync(&mut source).unwrap_err();
        assert!(matches!(error.fault, Fault::Modules { .. }), "{text}: {error}");
        let told = error.to_string();
        assert!(told.contains(place) && told.contains(part), "{text}: {told}");
        assert!(!told.contains("s3cret") && told.lines().count() == 1, "{told}");
    }
    // A link in its place, which git's own commands do not make.
    let blob = upstream.git(&["hash-object", "-w", "a"]);
    fs::write(&games, [b"120000 .gitmodules\0".to_vec(), hex(&blob)].concat()).unwrap();
    let made_by_hand = ["hash-object", "-w", "-t", "tree", "--literally", games.to_str().unwrap()];
    let tree = upstream.git(&made_by_hand);
    let link = upstream.git(&["commit-tree", "-m", "x", &tree]);
    upstream.git(&["update-ref", "refs/heads/main", &link]);
    push();
    let told = sync(&mut source).unwrap_err().to_string();
    assert!(told.contains(".gitmodules: this is no file"), "{told}");

    assert!(!made.exists());
    assert_eq!(read(&upstream.shown("a")), "one");
    let asked = server.requests()[before..].to_vec();
    assert!(asked.iter().all(|line| line.contains("/open/a.git/")), "{asked:?}");
    assert_eq!(fs::read_dir(upstream.state()).unwrap().count(), 1);
}

#[test]
fn files_of_a_submodule_lead_neither_out_nor_into_git() {
    let common = Upstream::with(&[("x", "one")]);
    symlink("/etc/passwd", common.path().join("out")).unwrap();
    symlink("../a", common.path().join("up")).unwrap();
    common.commit(&[]);
    let upstream = Upstream::with(&[("a", "of the repository")]);
    pin(&upstream, "common", &url(&common), &common.head());
    upstream.commit(&[]);
    let mut source = local(&upstream);
    let revision = sync(&mut source).unwrap().revision.0;
    let told = then(&mut source, &upstream, &revision, "common/out");
    assert!(told.contains("leaves the repository"), "{told}");
    assert_eq!(then(&mut source, &upstream, &revision, "common/up"), "of the repository");

    // A tree that git itself would not write.
    let blob = common.git(&["hash-object", "-w", "x"]);
    let odd = common.path().join("tree");
    let mut bytes = b"100644 config\0".to_vec();
    bytes.extend(hex(&blob));
    fs::write(&odd, &bytes).unwrap();
    let inner = common.git(&["hash-object", "-w", "-t", "tree", "--literally", "tree"]);
    let mut bytes = b"40000 .git\0".to_vec();
    bytes.extend(hex(&inner));
    fs::write(&odd, &bytes).unwrap();
    let tree = common.git(&["hash-object", "-w", "-t", "tree", "--literally", "tree"]);
    let evil = common.git(&["commit-tree", "-m", "x", &tree]);
    move_pin(&upstream, "common", &evil);
    upstream.commit(&[("a", "two")]);
    let error = sync(&mut source).unwrap_err();
    assert!(error.to_string().contains(".git"), "{error}");
    assert!(!upstream.shown("common/.git").exists());
    assert_eq!(read(&upstream.shown("a")), "of the repository");
    move_pin(&upstream, "common", &common.head());
    let mended = upstream.commit(&[("a", "three")]);
    assert_eq!(sync(&mut source).unwrap().revision.0, mended);
    assert_eq!(read(&upstream.shown("a")), "three");
}

fn hex(id: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&id[at..at + 2], 16).unwrap();
    (0..id.len()).step_by(2).map(digits).collect()
}

#[test]
fn how_deep_and_how_many_is_bounded() {
    let mut chain = vec![Upstream::with(&[("x", "end")])];
    for _ in 0..10 {
        let inner = chain.last().unwrap();
        let outer = Upstream::empty();
        pin(&outer, "in", &url(inner), &inner.head());
        outer.commit(&[]);
        chain.push(outer);
    }
    let fine = &chain[8];
    sync(&mut local(fine)).unwrap();
    assert_eq!(read(&fine.shown(&format!("{}x", "in/".repeat(8)))), "end");
    let deep = &chain[9];
    let told = sync(&mut local(deep)).unwrap_err().to_string();
    assert!(told.contains("in/in/in/in/in/in/in/in/.gitmodules:1: submodule `in`"), "{told}");
    assert!(told.contains("8 in one another"), "{told}");

    let one = &chain[0];
    let many = Upstream::empty();
    for number in 0..101 {
        pin(&many, &format!("m{number}"), &url(one), &one.head());
    }
    many.commit(&[]);
    let told = sync(&mut local(&many)).unwrap_err().to_string();
    assert!(told.contains("submodule `m100`: more than 100 submodules"), "{told}");
}
