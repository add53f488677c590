//! Links that a repository holds, or that somebody puts into the checkout: nothing is read or written
//! through them outside of it.

use super::upstream::{Upstream, sync, write};
use bowline::model::Revision;
use bowline::source::{Reference, Repository};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| format!("({})", error.kind()))
}

/// A repository, a source that follows it, and a directory beside them with `file` and `a/file`.
fn scene(files: &[(&str, &str)]) -> (Upstream, Repository, PathBuf) {
    let upstream = Upstream::with(files);
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    let outside = upstream.directory.path().join("outside");
    for file in ["file", "a/file"] {
        write(&outside.join(file), "precious");
    }
    (upstream, source, outside)
}

fn is_untouched(outside: &Path) {
    for file in ["file", "a/file"] {
        assert_eq!(read(&outside.join(file)), "precious");
    }
    assert_eq!(fs::read_dir(outside).unwrap().count(), 2);
    assert_eq!(fs::read_dir(outside.join("a")).unwrap().count(), 1);
}

#[test]
fn nothing_is_written_through_a_link_that_was_put_into_the_checkout() {
    let (upstream, mut source, outside) = scene(&[
        ("conf/a/file", "one"),
        ("conf/file", "one"),
        ("deep/b/a/file", "one"),
        ("x", "one"),
    ]);
    for (place, target) in [("conf", ""), ("deep/b", ""), ("x", "file")] {
        let place = upstream.shown(place);
        let _ = fs::remove_dir_all(&place).or_else(|_| fs::remove_file(&place));
        symlink(outside.join(target), place).unwrap();
    }
    let files = ["conf/a/file", "conf/a/new", "conf/file", "deep/b/a/file", "x", "new/file"];
    symlink(&outside, upstream.shown("new")).unwrap();
    upstream.commit(&files.map(|file| (file, "two")));
    sync(&mut source).unwrap();
    is_untouched(&outside);
    for file in files {
        assert_eq!(read(&upstream.shown(file)), "two", "{file}");
    }
    // And what is put back where nothing moved.
    fs::remove_dir_all(upstream.shown("conf")).unwrap();
    symlink(&outside, upstream.shown("conf")).unwrap();
    assert!(!sync(&mut source).unwrap().moved);
    is_untouched(&outside);
    assert_eq!(read(&upstream.shown("conf/a/file")), "two");
}

#[test]
fn nothing_is_written_through_a_link_of_the_commit_before() {
    let (upstream, mut source, outside) = scene(&[("x", "one")]);
    symlink(&outside, upstream.path().join("conf")).unwrap();
    upstream.commit(&[]);
    sync(&mut source).unwrap();
    assert_eq!(fs::read_link(upstream.shown("conf")).unwrap(), outside);
    fs::remove_file(upstream.path().join("conf")).unwrap();
    upstream.commit(&[("conf/a/file", "two"), ("conf/file", "two")]);
    sync(&mut source).unwrap();
    is_untouched(&outside);
    assert_eq!(read(&upstream.shown("conf/a/file")), "two");
}

#[test]
fn a_name_that_is_a_link_and_a_directory_leads_nothing_out() {
    let (upstream, mut source, outside) = scene(&[("x", "one")]);
    let target = upstream.directory.path().join("target");
    write(&target, outside.to_str().unwrap());
    write(&upstream.directory.path().join("evil"), "evil");
    let hashed = |kind: &str, file: &Path| {
        let file = file.to_str().unwrap();
        upstream.git(&["hash-object", "-w", "--literally", "-t", kind, file])
    };
    let entry = |mode: &str, name: &str, id: &str| {
        let digits = (0..40).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap());
        [format!("{mode} {name}\0").into_bytes(), digits.collect()].concat()
    };
    let tree = |entries: &[Vec<u8>]| {
        let file = upstream.directory.path().join("tree");
        fs::write(&file, entries.concat()).unwrap();
        hashed("tree", &file)
    };
    let good = upstream.head();
    let (link, evil) = (hashed("blob", &target), upstream.directory.path().join("evil"));
    let inner = tree(&[entry("100644", "file", &hashed("blob", &evil))]);
    let up = tree(&[entry("100644", "evil", &hashed("blob", &evil))]);
    for entries in [
        vec![entry("120000", "conf", &link), entry("40000", "conf", &inner)],
        vec![entry("40000", "..", &up)],
        vec![entry("40000", ".git", &up)],
        vec![entry("100644", "../evil", &hashed("blob", &evil))],
    ] {
        let commit = upstream.git(&["commit-tree", "-m", "x", &tree(&entries)]);
        upstream.git(&["update-ref", "refs/heads/main", &commit]);
        // Refused or shown in part: never outside, and what was there is not taken for damaged.
        if let Err(error) = sync(&mut source) {
            assert!(!error.to_string().contains("damaged"), "{error}");
        }
        source.last().unwrap().unwrap();
        source.files_of(&Revision(good.clone())).unwrap();
        is_untouched(&outside);
        for place in ["evil", ".git/evil", "../evil"] {
            assert!(!upstream.shown(place).exists(), "{place}");
        }
    }
    upstream.git(&["update-ref", "refs/heads/main", &good]);
    let mended = upstream.commit(&[("x", "two")]);
    assert_eq!(sync(&mut source).unwrap().revision.0, mended);
    assert_eq!(read(&upstream.shown("x")), "two");
}

#[test]
fn a_commit_that_no_disk_takes_leaves_the_last_good_one() {
    let (upstream, mut source, _) = scene(&[("x", "one")]);
    let good = upstream.head();
    let empty = upstream.git(&["hash-object", "-w", "/dev/null"]);
    let tree = |entries: &str| {
        let file = upstream.directory.path().join("entries");
        fs::write(&file, entries).unwrap();
        let command = format!("git mktree <{}", file.display());
        upstream.git(&["-c", &format!("alias.made=!{command}"), "made"])
    };
    let long = tree(&format!("100644 blob {empty}\t{}\n", "n".repeat(300)));
    let leaf = tree(&format!("100644 blob {empty}\tfile\n"));
    let deep = (0..300).fold(leaf.clone(), |below, _| tree(&format!("040000 tree {below}\td\n")));
    let wide = (0..7).fold(leaf, |below, _| {
        let entries: Vec<_> = (0..10).map(|at| format!("040000 tree {below}\t{at}\n")).collect();
        tree(&entries.concat())
    });
    for (tree, why) in [(long, "too long"), (deep, "deeper"), (wide, "more than")] {
        let commit = upstream.git(&["commit-tree", "-m", "x", &tree]);
        upstream.git(&["update-ref", "refs/heads/main", &commit]);
        let error = sync(&mut source).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        source.files_of(&Revision(good.clone())).unwrap();
        assert_eq!(source.last().unwrap().unwrap().revision.0, good);
        assert_eq!(read(&upstream.shown("x")), "one");
    }
}

#[test]
fn a_link_that_leads_out_is_neither_read_nor_a_directory_of_stacks() {
    let (upstream, mut source, outside) = scene(&[("in/compose.yaml", "x")]);
    write(&outside.join("compose.yaml"), "x");
    symlink(&outside, upstream.path().join("out")).unwrap();
    symlink("in", upstream.path().join("alias")).unwrap();
    symlink("/etc/passwd", upstream.path().join("in/.env")).unwrap();
    let with_links = upstream.commit(&[]);
    sync(&mut source).unwrap();
    for name in ["out", "alias", "in/.env"] {
        fs::remove_file(upstream.path().join(name)).unwrap();
    }
    upstream.commit(&[]);
    // From the checkout, and of a former commit.
    for _ in 0..2 {
        let files = source.files_of(&Revision(with_links.clone())).unwrap();
        assert!(files.is_dir(&upstream.shown("alias")) && !files.is_dir(&upstream.shown("out")));
        for file in ["in/.env", "out/file", "out/compose.yaml"] {
            let error = files.read(&upstream.shown(file)).unwrap_err().to_string();
            assert!(error.contains("leaves the repository"), "{file}: {error}");
        }
        let found = files.discover(files.root(), &["compose.yaml"]);
        assert_eq!(found.stacks.len(), 1, "{found:?}");
        drop(files);
        sync(&mut source).unwrap();
    }
}
