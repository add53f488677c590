//! The most memory that a fetch of a large repository takes, ours and git's, each in processes of its own.

use crate::nginx::{Server, remote};
use crate::served;
use crate::table::Table;
use crate::upstream::{Upstream, git, sync, write};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// The word that has this program fetch and nothing else.
pub(crate) const FETCH: &str = "fetch-alone";
/// Files of the repository, each of a megabyte that cannot be compressed.
const FILES: usize = 100;
const RUNS: usize = 3;

pub(crate) fn memory(table: &mut Table) {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::empty();
    let mut seed = 1_u64;
    for number in 0..FILES {
        let mut text = Vec::with_capacity(1 << 20);
        while text.len() < 1 << 20 {
            // Xorshift: the same bytes in every run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text.extend(seed.to_le_bytes());
        }
        write(&upstream.path().join(format!("f{number}")), "");
        std::fs::write(upstream.path().join(format!("f{number}")), text).unwrap();
    }
    upstream.commit(&[]);
    let url = served(&server, &upstream);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let state = upstream.directory.path().join(format!("ours{run}"));
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program).args([FETCH, &url]).arg(&state).spawn().unwrap();
        ours.push(most(child));
        let clone = upstream.directory.path().join(format!("theirs{run}.git"));
        git(upstream.directory.path(), &["init", "--quiet", "--bare", clone.to_str().unwrap()]);
        let fetch = ["fetch", "--quiet", "--depth=1", &url, "main"];
        let child = Command::new("git").args(fetch).current_dir(&clone).spawn().unwrap();
        theirs.push(most(child));
    }
    let ([ours, mapped], [theirs, theirs_mapped]) = (medians(&ours), medians(&theirs));
    table.add(
        "fetch of a repository of 100 MB, with its checkout: most memory",
        format!(
            "{ours:.0} MB, with mapped files {mapped:.0} MB; `git fetch`, its processes together, \
             {theirs:.0} MB, with mapped files {theirs_mapped:.0} MB"
        ),
        "at most 25 MB of its own",
        ours <= 25.0,
    );
}

/// In megabytes.
fn medians(runs: &[[u64; 2]]) -> [f64; 2] {
    [0, 1].map(|kind| {
        let mut sizes: Vec<_> = runs.iter().map(|run| run[kind]).collect();
        sizes.sort_unstable();
        sizes[sizes.len() / 2] as f64 / 1024.0
    })
}

/// Fetches in this process.
pub(crate) fn fetch(url: &str, state: &Path) {
    assert!(sync(&mut remote(url, None, state)).unwrap().moved);
}

/// The most anonymous memory of a process and all below it, and the most with files that are mapped, in
/// KiB, each at its own time.
fn most(mut child: Child) -> [u64; 2] {
    let mut most: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        for process in below(child.id()) {
            let status = std::fs::read_to_string(format!("/proc/{process}/status"));
            let status = status.unwrap_or_default();
            let known = most.entry(process).or_default();
            for (known, name) in known.iter_mut().zip(["RssAnon:", "VmRSS:"]) {
                *known = number(&status, name).max(*known);
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(ended.success());
    [0, 1].map(|kind| most.values().map(|sizes| sizes[kind]).sum())
}

fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// A process and those that it started, and theirs.
fn below(process: u32) -> Vec<u32> {
    let file = format!("/proc/{process}/task/{process}/children");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let children = text.split_whitespace().filter_map(|word| word.parse().ok());
    std::iter::once(process).chain(children.flat_map(below)).collect()
}
