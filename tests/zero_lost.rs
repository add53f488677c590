//! Not one request is lost while a stack behind a load balancer is updated, scaled, given a commit that
//! never gets healthy, and rolled back: on the real engine, by commits to a git repository that an
//! agent follows. Runs with `BOWLINE_TEST_ENGINE=docker`; with `--nocapture` it tells what it measured.

#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "zero_lost/gates.rs"]
mod gates;
#[path = "zero_lost/site.rs"]
mod site;
mod support;

use gates::Gates;
use site::Site;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use support::load::{Load, Tally};
use support::wait::until;

/// Requests a second that are sent to `HAProxy`, and how many must have been answered, where the host can
/// do that while nothing happens.
const RATE: u32 = 2_300;
const LEAST_RATE: f64 = 2_000.0;
/// How long nothing happens.
const QUIET: Duration = Duration::from_secs(3);
/// On a host that others keep busy, at least this share of what it answered while nothing happened.
const LEAST_SHARE: f64 = 0.5;
/// To nginx, which makes a connection for each.
const NGINX_RATE: u32 = 500;
/// One in so many is a POST.
const POST_EVERY: Option<NonZeroU32> = NonZeroU32::new(10);
/// What the manifests say.
const REPLICAS: usize = 3;
const MONITOR: Duration = Duration::from_secs(6);
/// How much longer an update may take than its gates: its replicas' one after the other, and the watch
/// over the last one. From the push of the commit until the agent calls it applied.
const MOST_OVER_GATES: f64 = 1.1;

/// One load at a time on a host.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn no_request_is_lost_behind_haproxy_and_an_update_takes_no_longer_than_its_gates() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut site) = Site::begin("web") else { return };
    let load = Load::start(&site.traffic(RATE, POST_EVERY));
    until_pages(&load, 3);
    until("a while in which nothing happens", || (load.elapsed() > QUIET).then_some(()));
    let quiet = load.rate();
    let gates = Gates::listen(site.stack(), "page");
    let update = update(&mut site, &load);
    let gates = gates.sum(REPLICAS) + MONITOR;
    scale(&mut site, &load);
    fail(&mut site, &load);
    let tally = load.end();
    println!("{}", site.log());
    println!("{quiet:.0} answers a second while nothing happened; then {tally}");
    assert_none_lost(&tally);
    assert!(tally.rate() >= LEAST_RATE.min(quiet * LEAST_SHARE), "{quiet:.0}; {tally}");
    let over = update.as_secs_f64() / gates.as_secs_f64();
    println!("update {update:?}, {over:.2} times its gates of {gates:?}");
    assert!(over <= MOST_OVER_GATES, "{update:?} is {over:.2} times its gates of {gates:?}");
}

#[test]
fn no_request_is_lost_behind_nginx() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut site) = Site::begin("web-nginx") else { return };
    let load = Load::start(&site.traffic(NGINX_RATE, POST_EVERY));
    until_pages(&load, 3);
    update(&mut site, &load);
    scale(&mut site, &load);
    let updated = load.end();
    // nginx does not know whether a replica is up: the bad one is tried too, and a POST only once.
    let load = Load::start(&site.traffic(NGINX_RATE, None));
    until_pages(&load, 2);
    fail(&mut site, &load);
    let failed = load.end();
    println!("{updated}\n{failed}");
    assert_none_lost(&updated);
    assert_none_lost(&failed);
}

/// Version 2 in place of 1; how long that took.
fn update(site: &mut Site, load: &Load) -> Duration {
    let pushed = Instant::now();
    let commit = site.commit("VERSION: \"1\"", "VERSION: \"2\"");
    let took = site.until_applied(&commit, pushed);
    let updated = load.elapsed();
    let versions: Vec<String> = site.pages().into_values().collect();
    assert_eq!(versions, ["2", "2", "2"]);
    until_pages(load, 3);
    let versions = load.versions();
    let (old, new) = (versions["1"], versions["2"]);
    assert!(old.first < new.first && old.last <= updated, "{old:?}, {new:?}, {updated:?}");
    took
}

/// More replicas, then fewer.
fn scale(site: &mut Site, load: &Load) {
    let pushed = Instant::now();
    let commit = site.commit("replicas: 3", "replicas: 6");
    let more = site.until_applied(&commit, pushed);
    until_pages(load, 6);
    let pushed = Instant::now();
    let commit = site.commit("replicas: 6", "replicas: 2");
    let fewer = site.until_applied(&commit, pushed);
    assert_eq!(site.pages().len(), 2);
    until_pages(load, 2);
    println!("3 to 6 replicas in {more:?}, 6 to 2 in {fewer:?}");
}

/// A commit that never gets healthy, and does not answer well either.
fn fail(site: &mut Site, load: &Load) {
    let serving = site.pages();
    let pushed = Instant::now();
    let commit = site.commit("VERSION: \"2\"", "VERSION: \"3\"\n      UNHEALTHY_FILE: /bowline");
    let back = site.until_held_back(&commit, pushed);
    assert_eq!(site.pages(), serving, "what served before serves on");
    until_pages(load, 2);
    println!("failed and rolled back in {back:?}");
    assert!(!load.versions().contains_key("3"), "{:?}", load.versions());
}

/// Waits until so many different pages have answered from now on.
fn until_pages(load: &Load, count: usize) {
    let now = load.elapsed();
    until(&format!("answers of {count} pages"), || (load.pages_since(now) >= count).then_some(()));
}

fn assert_none_lost(tally: &Tally) {
    let first: Vec<_> = tally.failures.iter().take(10).collect();
    assert!(tally.sent > 0 && tally.failures.is_empty(), "{tally}\n{first:#?}");
}
