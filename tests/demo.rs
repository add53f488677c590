//! `bowline demo`, to its end and interrupted; and that a password stays unseen. The part on the
//! real engine runs with `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use rustix::process::Signal;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use support::agent::{Agent, Settings, free_port};
use support::docker::docker;
use support::packed::Image;
use support::program::{Ended, Running, bowline, command, signal};
use support::repository::Git;
use support::stacks::{CONTAINERS, NETWORKS, Stacks, VOLUMES, containers, ids, is_running};
use support::wait::until;
use tempfile::TempDir;

/// How long the demo may take.
const DEMO_BOUND: Duration = Duration::from_secs(90);
/// The image that the demo makes.
const IMAGE: &str = "bowline-demo:1";

/// The demo's stack and image have fixed names: one demo at a time on an engine.
static ENGINE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a demo may leave files: its own directory for temporary ones and for state.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for dir in ["tmp", "home"] {
            std::fs::create_dir(place.0.path().join(dir)).unwrap();
        }
        place
    }

    fn demo(&self, arguments: &[&str]) -> Running {
        let state = self.0.path().join("state");
        let mut demo = command(&state, &[&["demo"], arguments].concat());
        demo.env("TMPDIR", self.0.path().join("tmp")).env("HOME", self.0.path().join("home"));
        Running::start(&mut demo)
    }

    fn assert_empty(&self) {
        let entries = std::fs::read_dir(self.0.path().join("tmp")).unwrap();
        let left: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// Takes away what an earlier demo left that could not end by itself, now and at the test's end.
fn cleared() -> (Stacks, Image) {
    let stacks = Stacks::named(&["bowline-demo"]);
    docker(&["rmi", "-f", IMAGE]);
    (stacks, Image(IMAGE.to_owned()))
}

/// What of the demo's is on the engine.
fn on_the_engine() -> BTreeSet<String> {
    let lists = [CONTAINERS, NETWORKS, VOLUMES];
    let mut found: BTreeSet<String> =
        lists.iter().flat_map(|list| ids("bowline-demo", list)).collect();
    found.extend(docker(&["images", "-q", IMAGE]).split_whitespace().map(str::to_owned));
    found
}

#[track_caller]
fn assert_told(demo: &Ended) {
    let lines = [
        "converged",
        "repaired: it runs again",
        "repaired: the limit is 64m again",
        "services.web.state: want running",
        "services.web.mem_limit: want 64m, is 128m",
        "updated: three replicas of version 2",
        "web/3 watching",
        "gone back: version 2 serves on",
        "is held back for",
        "bowline_stack_held_back{stack=\"bowline-demo\"} 1",
        "bowline_stack_info",
        "bowline_actions_total",
        "cleaned up",
    ];
    let all = demo.all();
    for line in lines {
        assert!(all.contains(line), "no `{line}` in:\n{all}");
    }
    assert!(!all.contains("times in a row"), "the way back is no second failure:\n{all}");
}

#[test]
fn the_demo_plays_on_the_simulated_engine() {
    let (place, began) = (Place::new(), Instant::now());
    let demo = place.demo(&["--engine", "sim"]).end().expect(0);
    assert!(began.elapsed() < DEMO_BOUND, "{:?}", began.elapsed());
    assert_told(&demo);
    assert!(demo.out.contains("the steps come without a count"), "{}", demo.out);
    assert!(!demo.out.contains("requests "), "{}", demo.out);
    place.assert_empty();
}

#[test]
fn without_an_engine_the_demo_says_so_first_and_is_simulated() {
    let place = Place::new();
    let socket = format!("unix://{}/docker.sock", place.0.path().display());
    let demo = place.demo(&["--host", &socket]).end().expect(0);
    assert_told(&demo);
    let said = demo.out.find("SIMULATED").expect("it says that it is simulated");
    assert!(said < demo.out.find("converged").unwrap(), "{}", demo.out);
    place.assert_empty();
}

#[test]
fn the_demo_plays_on_the_real_engine_and_leaves_nothing() {
    if support::engine().is_none() {
        return;
    }
    let _alone = alone();
    let _nothing_before = cleared();
    let (place, began) = (Place::new(), Instant::now());
    let demo = place.demo(&[]).end().expect(0);
    assert!(began.elapsed() < DEMO_BOUND, "{:?}", began.elapsed());
    assert_told(&demo);
    let end = demo.out.lines().find(|line| line.starts_with("==> in the end: requests "));
    let end = end.expect("the requests are counted");
    assert!(end.ends_with("  failed 0"), "{}", demo.all());
    assert!(end.contains(" v1 ") && end.contains(" v2 "), "{end}");
    assert!(
        !demo.out.contains(" v3 "),
        "the version that was never well has answered:\n{}",
        demo.out
    );
    assert_eq!(on_the_engine(), BTreeSet::new());
    place.assert_empty();
}

#[test]
fn an_interrupted_demo_leaves_nothing_either() {
    if support::engine().is_none() {
        return;
    }
    let _alone = alone();
    let _nothing_before = cleared();
    let place = Place::new();
    let demo = place.demo(&[]);
    until("a container of the demo", || {
        (!ids("bowline-demo", CONTAINERS).is_empty()).then_some(())
    });
    signal(&demo.child, Signal::INT);
    let demo = demo.end().expect(0);
    assert!(demo.out.contains("cleaned up"), "{}", demo.all());
    assert_eq!(on_the_engine(), BTreeSet::new());
    place.assert_empty();
}

#[test]
fn the_password_of_db_is_in_no_output() {
    if support::engine().is_none() {
        return;
    }
    let _stacks = Stacks::named(&["e2e-quiet"]);
    let _image = Image::of_bowline("e2e-quiet-demo:1");
    let git = Git::new();
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/db");
    let read = |file: &str| std::fs::read_to_string(manifests.join(file)).unwrap();
    let compose = read("compose.yaml")
        .replace("name: db\n", "name: e2e-quiet\n")
        .replace("bowline-demo:1", "e2e-quiet-demo:1")
        .replace("${DB_APP_PORT:-8182}", &free_port().to_string());
    let password = format!("the-password-{}", std::process::id());
    git.write("db/compose.yaml", &compose).write("db/password.txt", &password);
    git.push("Begin");

    let settings = Settings::new("e2e-quiet", &git.url(), "log: { level: trace }");
    let agent = Agent::start(&settings);
    agent.until_ready();
    until("two containers", || {
        let all = containers("e2e-quiet");
        (all.len() == 2 && all.values().all(is_running)).then_some(())
    });
    let another = format!("{password}-two");
    git.write("db/password.txt", &another);
    let commit = git.push("Change the password");
    agent.until_stack("e2e-quiet", |stack| stack["applied_revision"] == *commit);
    let mut told = vec![
        ("log", agent.log()),
        ("metrics", agent.metrics()),
        ("status", agent.status().to_string()),
        ("status verb", bowline(&settings.state_dir(), &["status", "--agent", &agent.url()]).all()),
    ];
    assert!(agent.terminate().success());
    git.write("db/password.txt", &format!("{password}-three"));
    git.push("Change it again");
    let url = format!("file://{}", git.url());
    for verb in ["validate", "config", "plan", "apply"] {
        let ended = bowline(&settings.state_dir(), &[verb, &url, "--log-level", "trace"]);
        assert_ne!(ended.code, 1, "{verb}: {}", ended.all());
        told.push((verb, ended.all()));
    }
    for (what, text) in told {
        assert!(!text.is_empty(), "{what} told nothing");
        for secret in [&*password, "p&ss$word"] {
            let shown = text.contains(secret);
            // `config` prints what the files say, as Compose does: variables, but no secret's file.
            let may = what == "config" && secret != password;
            assert!(!shown || may, "{what} shows {secret}:\n{text}");
        }
    }
}
