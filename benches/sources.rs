//! What following repositories costs, against git's own server behind nginx and on this disk:
//!
//! ```sh
//! cargo bench --bench sources -- [FIGURE ...]
//! ```
//!
//! Figures: poll wake discovery memory. Needs git, and nginx and fcgiwrap for `poll`, `wake` and `memory`.
//! Medians are printed.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)] // A bench that cannot go on ends.

#[path = "sources/memory.rs"]
mod memory;
#[path = "../tests/source/nginx.rs"]
#[allow(dead_code)] // The tests use more of it.
mod nginx;
#[path = "figures/table.rs"]
#[allow(dead_code)] // The figures use more of it.
mod table;
#[path = "../tests/source/upstream.rs"]
#[allow(dead_code)] // The tests use more of it.
mod upstream;
#[path = "sources/wake.rs"]
mod wake;

use bowline::manifest::{self, DigestKey, FILE_NAMES, Request};
use bowline::source::{Reference, Repository};
use nginx::{Server, remote};
use std::path::Path;
use std::time::{Duration, Instant};
use table::{Table, median, millis};
use upstream::{Upstream, git, sync, write};

const FIGURES: [&str; 4] = ["poll", "wake", "discovery", "memory"];
/// How often each is measured.
pub(crate) const RUNS: usize = 21;
const FILES: usize = 10_000;
const STACKS: usize = 1_000;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let mut chosen: Vec<String> = words.by_ref().collect();
    if let [word, url, state] = &chosen[..]
        && word == memory::FETCH
    {
        return memory::fetch(url, Path::new(state));
    }
    if chosen.is_empty() {
        chosen = FIGURES.map(str::to_owned).to_vec();
    }
    let mut table = Table::default();
    for figure in chosen {
        eprintln!("measuring {figure} ...");
        match figure.as_str() {
            "poll" => poll(&mut table),
            "wake" => wake::wake(&mut table),
            "discovery" => discovery(&mut table),
            "memory" => memory::memory(&mut table),
            other => panic!("no figure {other}; there are {FIGURES:?}"),
        }
    }
    print!("{table}");
}

/// A repository that nginx serves as `a.git`.
pub(crate) fn served(server: &Server, upstream: &Upstream) -> String {
    let bare = server.repository("a.git");
    push(upstream, &bare);
    server.url("open/a.git")
}

pub(crate) fn push(upstream: &Upstream, bare: &Path) {
    upstream.git(&["push", "--quiet", bare.to_str().unwrap(), "main"]);
}

/// A look at a repository of many files that did not move.
fn poll(table: &mut Table) {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::empty();
    for number in 0..FILES {
        let file = format!("d{}/f{number}", number % 100);
        write(&upstream.path().join(file), &number.to_string());
    }
    upstream.commit(&[]);
    let url = served(&server, &upstream);
    let mut source = remote(&url, None, &upstream.state());
    sync(&mut source).unwrap();
    let objects = || git(&upstream.state().join("s/git"), &["count-objects", "-v"]);
    let (before, asked) = (objects(), server.requests().len());
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        assert!(!sync(&mut source).unwrap().moved);
        times.push(began.elapsed());
    }
    let asked = (server.requests().len() - asked) as f64 / RUNS as f64;
    let same = before == objects();
    let mut theirs = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        git(&upstream.path(), &["ls-remote", "--quiet", &url]);
        theirs.push(began.elapsed());
    }
    table.add(
        "poll of an unchanged repository of 10,000 files",
        format!(
            "{asked} requests, {} objects, {} (`git ls-remote` {})",
            if same { "no" } else { "new" },
            millis(median(times)),
            millis(median(theirs))
        ),
        "1 request, no objects",
        same && (asked - 1.0).abs() < f64::EPSILON,
    );
}

/// Finding and loading the stacks of a commit.
fn discovery(table: &mut Table) {
    let upstream = Upstream::empty();
    let text =
        |image: usize| format!("services: {{ web: {{ image: 'web:{image}', init: true }} }}\n");
    let file = |number: usize| format!("group{}/stack{number}/compose.yaml", number % 20);
    for number in 0..STACKS {
        write(&upstream.path().join(file(number)), &text(1));
    }
    upstream.commit(&[]);
    let mut source = upstream.follow(Reference::Head);
    sync(&mut source).unwrap();
    let (mut found, mut loaded) = (Vec::new(), Vec::new());
    let (mut one, mut switched) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let times = read_all(&mut source);
        found.push(times.0);
        loaded.push(times.1);
        upstream.commit(&[(&file(7), &text(run + 2))]);
        let began = Instant::now();
        assert!(sync(&mut source).unwrap().moved);
        switched.push(began.elapsed());
        one.push(read_one(&mut source, &file(7)));
    }
    let (found, one) = (median(found), median(one));
    let bound = Duration::from_millis(50);
    table.add("discovery of 1,000 stacks", micros(found), "at most 50 ms", found <= bound);
    let bound = Duration::from_millis(5);
    table.add("one changed stack, found and loaded", micros(one), "at most 5 ms", one <= bound);
    table.say("1,000 stacks, found and loaded", &millis(median(loaded)));
    table.say(
        "a commit that changes one of 1,000, fetched from this disk and shown",
        &millis(median(switched)),
    );
}

/// How long it takes to find all stacks, and to find and load them.
fn read_all(source: &mut Repository) -> (Duration, Duration) {
    let revision = source.last().unwrap().unwrap().revision;
    let files = source.files_of(&revision).unwrap();
    let began = Instant::now();
    let discovery = files.discover(files.root(), &FILE_NAMES);
    let found = began.elapsed();
    assert_eq!(discovery.stacks.len(), STACKS);
    for stack in discovery.stacks {
        load(&files, stack.files);
    }
    (found, began.elapsed())
}

fn read_one(source: &mut Repository, file: &str) -> Duration {
    let revision = source.last().unwrap().unwrap().revision;
    let began = Instant::now();
    let files = source.files_of(&revision).unwrap();
    let path = files.root().join(file);
    let found = files.look(path.parent().unwrap(), &FILE_NAMES).unwrap();
    load(&files, found.files);
    began.elapsed()
}

fn load(files: &bowline::source::Files<'_>, stack: Vec<std::path::PathBuf>) {
    let roots = vec![files.root().to_owned()];
    let request = Request { roots, ..Request::new(stack, DigestKey::new([0; 32])) };
    manifest::load(&request, &|path| files.read(path)).unwrap();
}

pub(crate) fn micros(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
