//! The shape of the code, held by a test: pure rooms name no IO, async or clock, edges do not know
//! each other, and no rooms form a circle.

#![allow(clippy::unwrap_used)] // A test that cannot read the code fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Rooms without IO, async, clock and chance.
const PURE: [&str; 8] =
    ["model", "sops", "chart", "manifest", "plan", "rollout", "status", "webhook"];
/// Rooms that each know one outside system.
const EDGES: [&str; 8] =
    ["source", "engine", "store", "control", "http", "metrics", "systemd", "renderer"];
/// What a pure room must not name.
const IMPURE: [&str; 19] = [
    "tokio",
    "async fn",
    ".await",
    "std::fs",
    "std::net::Tcp",
    "std::process",
    "std::thread",
    "std::env",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "getrandom",
    "bollard",
    "git2",
    "ureq",
    "axum",
    "HashMap",
    "HashSet",
];
/// Edges that another edge may know, each with its reason: the page of `http` shows what `metrics`
/// holds.
const KNOWN_EDGES: [(&str, &str); 1] = [("http", "metrics")];

/// The code of each room, without comments and tests.
fn rooms() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms: BTreeMap<String, String> = BTreeMap::new();
    collect(&src, &src, &mut rooms);
    rooms.remove("lib");
    rooms.remove("main");
    rooms
}

fn collect(src: &Path, dir: &Path, rooms: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(src, &path, rooms);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(src).unwrap();
            if below.ends_with("tests.rs") {
                continue;
            }
            let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
            let room = first.trim_end_matches(".rs").to_owned();
            rooms.entry(room).or_default().push_str(&code(&fs::read_to_string(&path).unwrap()));
        }
    }
}

fn code(text: &str) -> String {
    let before_tests = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    before_tests
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| line.to_owned() + "\n")
        .collect()
}

/// Whether `word` stands in the code, and not as the beginning of a longer one.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let next = code[at + word.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// The rooms that each room names, as `crate::ROOM` or in `use crate::{ROOM, ..}`.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let rooms = rooms();
    let names: BTreeSet<String> = rooms.keys().cloned().collect();
    rooms
        .iter()
        .map(|(room, code)| {
            let used: BTreeSet<String> = code
                .split("crate::")
                .skip(1)
                .flat_map(first_names)
                .filter(|name| names.contains(name) && name != room)
                .collect();
            (room.clone(), used)
        })
        .collect()
}

fn first_names(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    match path.strip_prefix('{') {
        None => vec![word(path)],
        Some(list) => list.split('}').next().unwrap_or_default().split(',').map(word).collect(),
    }
}

#[test]
fn the_rooms_named_here_exist() {
    let rooms = rooms();
    for room in PURE.iter().chain(&EDGES) {
        assert!(rooms.contains_key(*room), "no room {room}");
    }
}

#[test]
fn pure_rooms_name_no_io_no_async_no_clock_and_no_chance() {
    let rooms = rooms();
    let mut found = Vec::new();
    for room in PURE {
        for word in IMPURE {
            if names(&rooms[room], word) {
                found.push(format!("{room} names {word}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn pure_rooms_use_pure_rooms_only() {
    let uses = uses();
    for room in PURE {
        for used in &uses[room] {
            assert!(PURE.contains(&used.as_str()), "{room} uses {used}");
        }
    }
}

#[test]
fn an_edge_uses_pure_rooms_and_no_other_edge() {
    let uses = uses();
    for room in EDGES {
        for used in &uses[room] {
            let known = KNOWN_EDGES.contains(&(room, used.as_str()));
            assert!(known || PURE.contains(&used.as_str()), "{room} uses {used}");
        }
    }
}

#[test]
fn no_rooms_form_a_circle() {
    let mut uses = uses();
    loop {
        let leaves: Vec<String> =
            uses.iter().filter(|(_, used)| used.is_empty()).map(|(room, _)| room.clone()).collect();
        if leaves.is_empty() {
            break;
        }
        for leaf in leaves {
            uses.remove(&leaf);
            for used in uses.values_mut() {
                used.remove(&leaf);
            }
        }
    }
    assert!(uses.is_empty(), "these rooms use each other: {uses:#?}");
}

#[test]
fn the_check_itself_sees_what_it_looks_for() {
    assert_eq!(first_names("plan::Step;"), ["plan"]);
    assert_eq!(first_names("{engine, model::Stack}"), ["engine", "model"]);
    assert!(code("use a;\n// tokio\n#[cfg(test)]\nmod tests { tokio }").contains("use a"));
    assert!(!code("use a;\n// tokio\n\n#[cfg(test)]\nmod tests { tokio }").contains("tokio"));
    assert!(uses()["plan"].contains("model"));
    assert!(names("x.await?", ".await") && !names("x.await_up()", ".await"));
}
