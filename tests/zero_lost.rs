//! Not one request is lost while a stack behind a load balancer is updated, scaled, given a commit that
//! never gets healthy, and rolled back: on the real engine, by commits to a git repository that an
//! agent follows; and all of it takes little longer than what must be waited for. Runs with
//! `BOWLINE_TEST_ENGINE=docker`; with `--nocapture` it tells what it measured.

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

/// Requests a second that are sent, and how many must have been answered, where the host can do that
/// while nothing happens.
const RATE: u32 = 2_300;
const LEAST_RATE: f64 = 2_000.0;
/// How long nothing happens.
const QUIET: Duration = Duration::from_secs(3);
/// On a host that others keep busy, at least this share of what it answered while nothing happened.
const LEAST_SHARE: f64 = 0.5;
/// One in so many is a POST.
const POST_EVERY: Option<NonZeroU32> = NonZeroU32::new(10);
/// How long a replica that came up is watched, as the manifests say.
const MONITOR: Duration = Duration::from_secs(6);
/// How much longer than their gates all changes together may take, and the update alone: from the push
/// of a commit until the agent calls it applied, or has gone back from it.
const MOST_OVER_GATES: f64 = 1.1;

/// Until `HAProxy` has certainly found a page and asked it for its health: 200 ms and 500 ms, and more.
const VERDICT: Duration = Duration::from_secs(2);

/// Listens and answers, but with 503, and so says its health check.
const SICK: (&str, &str) = ("VERSION: \"2\"", "VERSION: \"3\"\n      UNHEALTHY_FILE: /bowline");
/// Listens where nobody asks.
const DEAF: (&str, &str) = ("[\"serve\"]", "[\"serve\", \"--listen\", \"0.0.0.0:9090\"]");

/// One load at a time on a host.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn no_request_is_lost_behind_haproxy_and_nothing_takes_longer_than_its_gates() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut site) = Site::begin("web") else { return };
    let run = Run::begin(&site, POST_EVERY);
    let gates = Gates::listen(site.stack(), "page");
    let update = Stage { took: run.update(&mut site), gates: gates.passed(3, 3) + MONITOR };
    let more = Stage { took: run.scale(&mut site, 3, 6), gates: gates.passed(3, 0) + MONITOR };
    let fewer = Stage { took: run.scale(&mut site, 6, 2), gates: gates.passed(0, 4) };
    let back = Stage { took: run.fail(&mut site, SICK), gates: gates.passed(1, 1) };
    run.meet_a_sick_page(&site);
    run.end(&site);
    let stages = [("1 to 2", update), ("3 to 6", more), ("6 to 2", fewer), ("3 and back", back)];
    for (what, stage) in &stages {
        println!(
            "{what}: {:?}, {:.2} times its gates of {:?}",
            stage.took,
            stage.over(),
            stage.gates
        );
    }
    let all = Stage {
        took: stages.iter().map(|(_, stage)| stage.took).sum(),
        gates: stages.iter().map(|(_, stage)| stage.gates).sum(),
    };
    println!("all: {:?}, {:.2} times their gates of {:?}", all.took, all.over(), all.gates);
    let over = stages[0].1.over().max(all.over());
    assert!(over <= MOST_OVER_GATES, "{over:.2} times its gates");
}

#[test]
fn no_request_is_lost_behind_nginx() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut site) = Site::begin("web-nginx") else { return };
    let run = Run::begin(&site, POST_EVERY);
    run.update(&mut site);
    run.scale(&mut site, 3, 6);
    run.scale(&mut site, 6, 2);
    run.fail(&mut site, DEAF);
    let (good, bad) = DEAF;
    let commit = site.commit(bad, good);
    site.until_applied(&commit, Instant::now());
    run.end(&site);
    // nginx does not ask for health: it tries the sick one too, and a POST's answer stands.
    let run = Run::begin(&site, None);
    run.fail(&mut site, SICK);
    run.end(&site);
}

/// How long a change took, and the time in which it had to wait.
struct Stage {
    took: Duration,
    gates: Duration,
}

impl Stage {
    fn over(&self) -> f64 {
        self.took.as_secs_f64() / self.gates.as_secs_f64()
    }
}

/// A load on a site, from before the first change until after the last one.
struct Run {
    load: Load,
    /// Answers a second while nothing happened.
    quiet: f64,
}

impl Run {
    fn begin(site: &Site, post_every: Option<NonZeroU32>) -> Self {
        let load = Load::start(&site.traffic(RATE, post_every));
        until_pages(&load, site.pages().len());
        until("a while in which nothing happens", || (load.elapsed() > QUIET).then_some(()));
        Self { quiet: load.rate(), load }
    }

    /// Version 2 in place of 1; how long that took.
    fn update(&self, site: &mut Site) -> Duration {
        let pushed = Instant::now();
        let commit = site.commit("VERSION: \"1\"", "VERSION: \"2\"");
        let took = site.until_applied(&commit, pushed);
        let updated = self.load.elapsed();
        let versions: Vec<String> = site.pages().into_values().collect();
        assert_eq!(versions, ["2", "2", "2"]);
        until_pages(&self.load, 3);
        let versions = self.load.versions();
        let (old, new) = (versions["1"], versions["2"]);
        assert!(old.first < new.first && old.last <= updated, "{old:?}, {new:?}, {updated:?}");
        took
    }

    /// More or fewer replicas.
    fn scale(&self, site: &mut Site, from: usize, to: usize) -> Duration {
        let pushed = Instant::now();
        let commit = site.commit(&format!("replicas: {from}"), &format!("replicas: {to}"));
        let took = site.until_applied(&commit, pushed);
        assert_eq!(site.pages().len(), to);
        until_pages(&self.load, to);
        took
    }

    /// A commit that never gets healthy, made by this edit.
    fn fail(&self, site: &mut Site, (from, to): (&str, &str)) -> Duration {
        let serving = site.pages();
        let pushed = Instant::now();
        let commit = site.commit(from, to);
        let took = site.until_held_back(&commit, pushed);
        assert_eq!(site.pages(), serving, "what served before serves on");
        until_pages(&self.load, serving.len());
        took
    }

    /// One that is sick already when it is found. Most that fail are found before they listen at all.
    fn meet_a_sick_page(&self, site: &Site) {
        let found = self.load.elapsed();
        let _page = site.sick_page();
        until("the verdict on a sick page", || {
            (self.load.elapsed() > found + VERDICT).then_some(())
        });
    }

    fn end(self, site: &Site) {
        let tally = self.load.end();
        println!("{}", site.log());
        println!("{:.0} answers a second while nothing happened; then {tally}", self.quiet);
        let slowest = tally.seconds[..tally.seconds.len() - 1].iter().min();
        println!("at least {slowest:?} in each second");
        assert_none_lost(&tally);
        assert!(!tally.versions().contains_key("3"), "{tally}");
        let least = LEAST_RATE.min(self.quiet * LEAST_SHARE);
        assert!(tally.rate() >= least, "{:.0}; {tally}", self.quiet);
    }
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
