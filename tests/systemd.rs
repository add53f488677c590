//! The agent under systemd: the unit, and what the agent tells by the notify socket.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::agent::{self, Views};
use bowline::config::Config;
use bowline::engine::sim::Sim;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use support::agent::{Agent, Settings};
use support::packed::Image;
use support::program::PROGRAM;
use support::repository::Git;
use support::stacks::{Stacks, container, is_running};
use support::wait::BOUND;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A place where systemd would listen.
struct Notify {
    socket: UnixDatagram,
    path: PathBuf,
    _dir: TempDir,
}

impl Notify {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        Self { socket, path, _dir: dir }
    }

    /// Reads until a message has the line `wanted`; returns the lines before.
    fn until(&self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let length = self.socket.recv(&mut buffer).unwrap_or_else(|error| {
                panic!("no {wanted} within {BOUND:?}: {error}; before it came {before:?}")
            });
            for line in String::from_utf8_lossy(&buffer[..length]).lines() {
                if line == wanted {
                    return before;
                }
                before.push(line.to_owned());
            }
        }
    }

    fn agent(&self, settings: &Settings, more: &[&str]) -> Agent {
        let watchdog = Path::new("2000000");
        let variables = [("NOTIFY_SOCKET", &*self.path), ("WATCHDOG_USEC", watchdog)];
        Agent::start_with(settings, more, &variables)
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/bowline.service");
    let text = std::fs::read_to_string(unit).unwrap();
    assert!(text.contains("ExecStart=/usr/bin/bowline agent "), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("bowline.service");
    std::fs::write(&copy, text.replace("=/usr/bin/bowline", &format!("={PROGRAM}"))).unwrap();
    let Some(verify) = analyze(&["verify", "--man=no"], &copy) else { return };
    let told = String::from_utf8_lossy(&verify.stderr).into_owned();
    let of_ours: Vec<_> = told.lines().filter(|line| line.contains("bowline.service")).collect();
    assert!(verify.status.success() && of_ours.is_empty(), "{told}");
}

/// What `systemd-analyze` says of a unit file; `None`, said in a line, where it is not installed and nobody
/// requires it.
fn analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    let required = std::env::var("BOWLINE_TEST_MACHINE").as_deref() == Ok("required");
    if output.is_err() {
        assert!(!required, "systemd-analyze is not installed, and CI requires it");
        println!("the unit was not looked at: systemd-analyze is not installed");
    }
    output.ok()
}

#[test]
fn the_unit_is_exposed_to_little() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/bowline.service");
    let arguments = ["security", "--offline=yes", "--threshold=25", "--no-pager"];
    let Some(told) = analyze(&arguments, &unit) else { return };
    // It fails above the threshold, which is in tenths.
    let shown = String::from_utf8_lossy(&told.stdout);
    let overall = shown.lines().find(|line| line.contains("Overall exposure level"));
    assert!(
        told.status.success() && overall.is_some(),
        "{overall:?}\n{}",
        String::from_utf8_lossy(&told.stderr)
    );
}

#[test]
fn passes_over_more_stacks_than_files_may_be_open_by_default_all_have_their_locks() {
    let git = Git::new();
    for number in 0..300 {
        git.write(&format!("s{number}/compose.yaml"), "services: {}\n");
    }
    git.push("Begin");
    let settings = Settings::new("infra", &git.url(), "log: { level: debug }");
    let script = "ulimit -Sn 128 && exec \"$@\"";
    let agent = Agent::start_by(&["sh", "-c", script, "sh"], &settings, &["--engine", "sim"], &[]);
    agent.until_ready();
    let log = agent.log();
    assert!(!log.contains("Too many open files") && log.contains("DEBUG"), "{log}");
    assert!(agent.terminate().success());
}

/// The future of the agent is its loop. While nobody turns it, whatever else the agent has running, nothing
/// shows that it lives; once it turns again, it does.
#[tokio::test(start_paused = true)]
async fn the_beat_is_that_of_the_loop() {
    let git = Git::new();
    git.write("one/compose.yaml", "services: { a: { image: absent:1 } }\n").push("Begin");
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "sources: [{{ name: one, url: {:?} }}]\nstate_dir: state\nsocket: bowline.sock\nhttp: {{ listen: off }}",
        git.url()
    );
    let config = Config::parse(&text, &dir.path().join("config.yaml")).unwrap();
    let (views, stop) = (Views::default(), CancellationToken::new());
    let mut agent = pin!(agent::run(config, Arc::new(Sim::new()), views.clone(), stop.clone()));
    let turn = Duration::from_secs(60);
    assert!(tokio::time::timeout(turn, &mut agent).await.is_err(), "it ended");
    assert_eq!(views.shared.liveness.overdue(), None);
    // Its tasks go on meanwhile.
    tokio::time::sleep(turn).await;
    assert!(views.shared.liveness.overdue() >= Some(turn), "it beats though its loop stands still");
    assert!(tokio::time::timeout(Duration::from_secs(2), &mut agent).await.is_err(), "it ended");
    assert_eq!(views.shared.liveness.overdue(), None);
    stop.cancel();
    agent.await.unwrap();
}

#[test]
fn ready_comes_after_the_first_pass_then_the_watchdog_is_fed_until_the_end() {
    let git = Git::new();
    git.write("one/compose.yaml", "name: one\nservices: { a: { image: absent:1 } }\n");
    git.write("two/compose.yaml", "name: two\nservices: { a: { image: absent:1 } }\n");
    git.push("Begin");
    let settings = Settings::new("e2e-ready", &git.url(), "");
    let notify = Notify::new();
    let agent = notify.agent(&settings, &["--engine", "sim"]);
    let before = notify.until("READY=1");
    assert!(!before.contains(&"STOPPING=1".to_owned()), "{before:?}");
    for stack in ["one", "two"] {
        let status = agent.stack(stack).unwrap();
        assert!(status["last_pass"].is_object(), "ready before {stack} had a pass: {status}");
    }
    notify.until("WATCHDOG=1");
    let between = notify.until("WATCHDOG=1");
    assert!(!between.contains(&"READY=1".to_owned()), "ready twice: {between:?}");
    agent.ask_to_end();
    notify.until("STOPPING=1");
    assert!(agent.terminate().success());
}

#[test]
fn an_agent_without_a_repository_is_ready_too() {
    let settings = Settings::new("e2e-ready", "/nonexistent/repository.git", "");
    let notify = Notify::new();
    let agent = notify.agent(&settings, &["--engine", "sim"]);
    notify.until("READY=1");
    assert!(agent.log().contains("/nonexistent/repository.git"), "{}", agent.log());
    assert!(agent.terminate().success());
}

#[test]
fn ready_waits_for_a_first_pass_that_waits_for_health() {
    if support::engine().is_none() {
        return;
    }
    let _stacks = Stacks::named(&["e2e-ready"]);
    let _image = Image::of_busybox("e2e-ready-busybox:1");
    let git = Git::new();
    git.write("ready/compose.yaml", GATED).push("Begin");
    let settings = Settings::new("e2e-ready", &git.url(), "");
    let notify = Notify::new();
    let agent = notify.agent(&settings, &[]);
    notify.until("READY=1");
    let last = container("e2e-ready-last-1").expect("the last container is there when ready");
    assert!(is_running(&last), "{}", last["State"]);
    assert!(agent.terminate().success());
}

/// Two containers, of which the second waits about two seconds for the health of the first.
const GATED: &str = r#"
name: e2e-ready
services:
  first:
    image: e2e-ready-busybox:1
    command: [busybox, sleep, "600"]
    stop_signal: SIGKILL
    network_mode: none
    healthcheck: { test: [CMD, busybox, "true"], interval: 2s }
  last:
    image: e2e-ready-busybox:1
    command: [busybox, sleep, "600"]
    stop_signal: SIGKILL
    network_mode: none
    depends_on: { first: { condition: service_healthy } }
"#;

/// A process that the watchdog would have ended is not one that sends its word in time.
#[test]
fn the_watchdog_of_the_unit_is_longer_than_the_agent_s_beat() {
    let unit = include_str!("../packaging/bowline.service");
    let allowed = unit.lines().find_map(|line| line.strip_prefix("WatchdogSec=")).unwrap();
    let allowed: u64 = allowed.trim_end_matches('s').parse().unwrap();
    let git = Git::new();
    git.write("one/compose.yaml", "services: { a: { image: absent:1 } }\n").push("Begin");
    let settings = Settings::new("e2e-ready", &git.url(), "");
    let notify = Notify::new();
    let bound = Duration::from_secs(allowed / 4);
    notify.socket.set_read_timeout(Some(bound)).unwrap();
    let agent = notify.agent(&settings, &["--engine", "sim"]);
    for _ in 0..3 {
        notify.until("WATCHDOG=1");
    }
    drop(agent);
}
