//! `bowline apply` on a real engine: where services take from each other what only one can have,
//! interrupted, and beside others who change the same stacks. Runs with `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::model::StackName;
use bowline::store::lock_stack;
use rustix::process::Signal;
use serde_json::Value;
use std::path::PathBuf;
use support::agent::{Agent, Settings, free_port};
use support::packed::Image;
use support::program::{Ended, Running, bowline, command, signal};
use support::repository::Git;
use support::stacks::{Stacks, container, id, is_running, lives, variable};
use support::wait::until;
use tempfile::TempDir;

/// A directory with one stack of two sleeping services.
struct Pair {
    name: &'static str,
    dir: TempDir,
    image: Image,
    _stacks: Stacks,
}

impl Pair {
    fn new(name: &'static str) -> Option<Self> {
        support::engine()?;
        let image = Image::of_busybox(&format!("{name}-busybox:1"));
        Some(Self {
            name,
            dir: tempfile::tempdir().unwrap(),
            image,
            _stacks: Stacks::named(&[name]),
        })
    }

    /// What is said of each service, and of the stack.
    fn write(&self, one: &str, two: &str, top: &str) {
        let (name, image) = (self.name, &self.image.0);
        let sleep = "command: [busybox, sleep, '3600'], stop_signal: SIGKILL";
        let service = |more: &str| {
            let sleep = if more.contains("command") { "stop_signal: SIGKILL" } else { sleep };
            format!("{{ image: {image}, {sleep}, {more} }}")
        };
        let (one, two) = (service(one), service(two));
        let text = format!("name: {name}\nservices:\n  one: {one}\n  two: {two}\n{top}\n");
        std::fs::write(self.dir.path().join("compose.yaml"), text).unwrap();
    }

    fn run(&self, verb: &str) -> Ended {
        let state: PathBuf = self.dir.path().join("state");
        bowline(&state, &[verb, self.dir.path().to_str().unwrap()])
    }

    fn container(&self, service: &str) -> Value {
        let name = format!("{}-{service}-1", self.name);
        let found = container(&name).unwrap_or_else(|| panic!("no container {name}"));
        assert!(is_running(&found), "{name}: {}", found["State"]);
        found
    }
}

#[test]
fn services_exchange_their_host_ports_at_one_go() {
    let Some(pair) = Pair::new("e2e-ports") else { return };
    let (first, second) = (free_port().to_string(), free_port().to_string());
    let ports = |port: &str| format!("ports: ['127.0.0.1:{port}:80']");
    pair.write(&ports(&first), &ports(&second), "");
    pair.run("apply").expect(0);
    pair.write(&ports(&second), &ports(&first), "");
    pair.run("apply").expect(0);
    for (service, port) in [("one", &second), ("two", &first)] {
        let found = pair.container(service);
        let bound = &found["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"];
        assert_eq!(bound, port, "{service}");
    }
    pair.run("plan").expect(0);
}

#[test]
fn services_exchange_their_addresses_and_one_left_without_network_is_no_settled_stack() {
    let Some(pair) = Pair::new("e2e-addresses") else { return };
    let at = |end: u8| format!("networks: {{ net: {{ ipv4_address: 10.213.77.{end} }} }}");
    let net = "networks: { net: { ipam: { config: [{ subnet: 10.213.77.0/24 }] } } }";
    pair.write(&at(10), &at(11), net);
    pair.run("apply").expect(0);
    pair.write(&at(11), &at(10), net);
    // The engine refuses an address as long as the other has it, and keeps what it was asked for
    // among the container's settings: that is not the same as being connected.
    if pair.run("apply").code != 0 {
        pair.run("plan").expect(2);
        pair.run("apply").expect(0);
    }
    for (service, address) in [("one", "10.213.77.11"), ("two", "10.213.77.10")] {
        let found = pair.container(service);
        let endpoint = &found["NetworkSettings"]["Networks"]["e2e-addresses_net"];
        assert_eq!(endpoint["IPAddress"], address, "{service}: {endpoint}");
    }
    pair.run("plan").expect(0);
}

#[test]
fn an_interrupted_apply_ends_with_an_error_and_the_next_one_goes_on() {
    let Some(pair) = Pair::new("e2e-interrupt") else { return };
    let well = "network_mode: none, healthcheck: { test: [CMD, busybox, 'true'], interval: 5s }";
    let wait = "network_mode: none, depends_on: { one: { condition: service_healthy } }";
    pair.write(well, wait, "");
    let arguments = ["apply", pair.dir.path().to_str().unwrap()];
    let apply = Running::start(&mut command(&pair.dir.path().join("state"), &arguments));
    until("the first container", || container("e2e-interrupt-one-1").filter(is_running));
    signal(&apply.child, Signal::INT);
    apply.end().expect(1).says(&["stopping after the changes under way", "e2e-interrupt"]);
    assert!(container("e2e-interrupt-two-1").is_none_or(|two| !is_running(&two)));
    let first = id(&pair.container("one"));
    pair.run("apply").expect(0);
    assert_eq!(id(&pair.container("one")), first);
    pair.container("two");
}

#[test]
fn what_ends_soon_or_is_unhealthy_is_no_success() {
    let Some(pair) = Pair::new("e2e-unwell") else { return };
    let check = "test: [CMD, busybox, sh, -c, 'echo no db; false'], interval: 200ms, retries: 1";
    pair.write(
        &format!("network_mode: none, healthcheck: {{ {check} }}"),
        "network_mode: none, command: [busybox, sh, -c, 'sleep 0.3; echo no config for $$PASSWORD; exit 3'], \
         environment: { PASSWORD: hunter2-of-two }",
        "",
    );
    let directory = pair.dir.path().to_str().unwrap();
    let arguments = ["apply", "--monitor", "2s", directory];
    let apply = bowline(&pair.dir.path().join("state"), &arguments).expect(1);
    let apply = apply.says(&["e2e-unwell-two-1 is exited (3)", "no config for (hidden)"]);
    let apply = apply.says(&["e2e-unwell-one-1 is unhealthy (no db)"]);
    assert!(!apply.all().contains("hunter2"), "{}", apply.all());
    until("the verdict of the check", || {
        let one = pair.container("one");
        (one["State"]["Health"]["Status"] == "unhealthy").then_some(())
    });
    pair.write(
        &format!("network_mode: none, healthcheck: {{ {check} }}"),
        "network_mode: none",
        "",
    );
    let apply = pair.run("apply").expect(1);
    let apply = apply.says(&["one/1 is unhealthy", "no db"]);
    assert!(apply.out.contains("1 container unhealthy"), "{}", apply.out);
    let status =
        bowline(&pair.dir.path().join("state"), &["status", "--agent", "http://127.0.0.1:1"]);
    let status = status.expect(0).out;
    assert!(status.contains("e2e-unwell") && status.contains("1 unhealthy"), "{status}");
    let state = pair.dir.path().join("state");
    let one = bowline(&state, &["status", "e2e-unwell", "--agent", "http://127.0.0.1:1"]).expect(0);
    let one = one.says(&["no agent answers at http://127.0.0.1:1; this is what the engine shows"]);
    assert_eq!(one.out.lines().count(), 2, "{}", one.out);
    let none = bowline(&state, &["status", "e2e-unwel", "--agent", "http://127.0.0.1:1"]).expect(1);
    none.says(&["of a stack e2e-unwel (did you mean e2e-unwell?)"]);
}

#[test]
fn what_the_engine_makes_of_names_and_paths_is_no_difference() {
    let Some(pair) = Pair::new("e2e-names") else { return };
    pair.write(
        "hostname: abc, working_dir: /tmp/",
        "hostname: db, networks: { n: { aliases: [db] } }",
        "networks: { n: {} }",
    );
    pair.run("apply").expect(0);
    let again = pair.run("apply").expect(0);
    assert!(again.out.contains("nothing to do"), "{}", again.all());
}

#[test]
fn a_stack_is_begun_once_the_one_that_it_depends_on_is_healthy() {
    const NAMES: [&str; 2] = ["e2e-order-a-web", "e2e-order-db"];
    if support::engine().is_none() {
        return;
    }
    let (_stacks, dir) = (Stacks::named(&NAMES), tempfile::tempdir().unwrap());
    let image = Image::of_busybox("e2e-order-busybox:1");
    let write = |name: &str, top: &str, more: &str| {
        let sleep = "network_mode: none, stop_signal: SIGKILL";
        let text = format!(
            "name: {name}\n{top}services: {{ one: {{ image: '{}', {sleep}, {more} }} }}\n",
            image.0
        );
        std::fs::create_dir_all(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("compose.yaml"), text).unwrap();
    };
    write(
        NAMES[1],
        "",
        "command: [busybox, sh, -c, 'busybox sleep 1; > /well; busybox sleep 3600'], \
         healthcheck: { test: [CMD, busybox, test, -e, /well], interval: 200ms, retries: 100 }",
    );
    let top = "x-bowline: { depends_on: [e2e-order-db] }\n";
    write(NAMES[0], top, "command: [busybox, sleep, '3600']");
    let state = dir.path().join("state");
    bowline(&state, &["apply", dir.path().to_str().unwrap()]).expect(0);
    let began = |name: &str| -> jiff::Timestamp {
        let found = container(&format!("{name}-one-1")).unwrap();
        found["State"]["StartedAt"].as_str().unwrap().parse().unwrap()
    };
    let waited = began(NAMES[0]).duration_since(began(NAMES[1]));
    assert!(waited >= jiff::SignedDuration::from_secs(1), "{waited:?}");
}

#[test]
fn apply_waits_until_all_is_up_if_told_to_and_no_longer_than_it_may() {
    let Some(pair) = Pair::new("e2e-apply-wait") else { return };
    let check = |test: &str| {
        format!("healthcheck: {{ test: [CMD, busybox, '{test}'], interval: 1s, retries: 90 }}")
    };
    pair.write("", &check("false"), "");
    let dir = pair.dir.path();
    let (state, place) = (dir.join("state"), dir.to_str().unwrap().to_owned());
    let apply = |more: &[&str]| bowline(&state, &[&["apply", &place], more].concat());
    let late = apply(&["--wait", "--timeout", "3s"]).expect(1);
    late.says(&["not done within 3 s; still going on: ", "two/1 is starting"]);

    pair.write("", &check("true"), "");
    let waited = apply(&["--wait", "--timeout", "60s"]).expect(0).out;
    assert!(waited.contains("as desired after") && !waited.contains("starting"), "{waited}");
    assert_eq!(pair.container("two")["State"]["Health"]["Status"], "healthy");
}

/// Whether `first` comes before `then` in a text that holds both.
#[track_caller]
fn comes_before(text: &str, first: &str, then: &str) {
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no `{word}` in:\n{text}"));
    assert!(at(first) < at(then), "{text}");
}

#[test]
fn a_stack_that_an_agent_manages_is_changed_by_hand_only_while_it_is_suspended() {
    const NAMES: [&str; 2] = ["e2e-claim", "e2e-claim-free"];
    if support::engine().is_none() {
        return;
    }
    let (_stacks, image) = (Stacks::named(&NAMES), Image::of_busybox("e2e-claim-busybox:1"));
    let (git, by_hand) = (Git::new(), tempfile::tempdir().unwrap());
    let file = |name: &str, version: &str| {
        let sleep = "command: [busybox, sleep, '3600'], stop_signal: SIGKILL, network_mode: none";
        let version = format!("environment: {{ V: '{version}' }}");
        format!(
            "name: {name}\nservices: {{ one: {{ image: '{}', {sleep}, {version} }} }}\n",
            image.0
        )
    };
    let commit = git.write("e2e-claim/compose.yaml", &file(NAMES[0], "git")).push("Begin");
    let settings = Settings::new("e2e-claim", &git.url(), "");
    let agent = Agent::start(&settings);
    agent.until_stack(NAMES[0], |status| status["applied_revision"] == *commit);
    let (state, socket) = (settings.state_dir(), settings.socket());
    let run = |arguments: &[&str]| {
        bowline(&state, &[arguments, &["--socket", socket.to_str().unwrap()]].concat())
    };
    let path = by_hand.path().join("compose.yaml");
    let apply = |name: &str, version: &str| {
        std::fs::write(&path, file(name, version)).unwrap();
        run(&["apply", path.to_str().unwrap()])
    };
    let version = || variable(&container("e2e-claim-one-1").unwrap(), "V").map(str::to_owned);

    let before = lives(NAMES[0]);
    let refused = apply(NAMES[0], "hand").expect(1);
    let what = format!("manages e2e-claim (from e2e-claim at {})", &commit[..12]);
    refused.says(&[&what, "nothing was changed; commit the change to git, or `bowline suspend"]);
    run(&["remove", NAMES[0]]).expect(1).says(&["take its directory out of git, or `bowline susp"]);
    let elsewhere = ["remove", NAMES[0], "--socket", "/nonexistent.sock"];
    let elsewhere = bowline(&state, &elsewhere).expect(1);
    elsewhere.says(&[&format!("process {} works with", agent.id()), "name its socket"]);
    assert_eq!(lives(NAMES[0]), before, "the agent's stack was changed");

    run(&["suspend", NAMES[0]]).expect(0);
    let warned = apply(NAMES[0], "hand").expect(0).err;
    comes_before(&warned, "warning: e2e-claim is suspended", "replace container one/1");
    assert_eq!(version().as_deref(), Some("hand"));
    run(&["resume", NAMES[0]]).expect(0);
    assert_eq!(version().as_deref(), Some("git"));

    apply(NAMES[1], "hand").expect(0);
    let line = "e2e-claim-free: made by `apply`, in no source; kept; `bowline remove e2e-claim-free` removes it";
    let listed = |told: Ended| {
        assert!(told.out.contains(line) && !told.out.contains("e2e-claim:"), "{}", told.all());
    };
    listed(run(&["prune"]).expect(0));
    run(&["prune", "--confirm"]).expect(0);
    assert!(agent.terminate().success());
    listed(run(&["prune"]).expect(0));
    assert!(container("e2e-claim-free-one-1").is_some_and(|one| is_running(&one)));
    run(&["remove", NAMES[1]]).expect(0);
    let warned = apply(NAMES[0], "hand").expect(0).err;
    let warning = "warning: e2e-claim comes from the source e2e-claim; an agent that watches it";
    comes_before(&warned, warning, "replace container one/1");
}

#[test]
fn a_stack_that_somebody_is_at_work_on_is_left_to_them() {
    let Some(pair) = Pair::new("e2e-busy") else { return };
    pair.write("network_mode: none", "network_mode: none", "");
    let (state, name) = (pair.dir.path().join("state"), StackName::new("e2e-busy").unwrap());
    let held = lock_stack(&state, &name).unwrap();
    assert!(held.is_some());
    let who = format!("another command (process {}) is at work on e2e-busy", std::process::id());
    let told = [&*who, "nothing was changed; try again when it is done"];
    pair.run("apply").expect(1).says(&told);
    bowline(&state, &["remove", "e2e-busy"]).expect(1).says(&told);
    assert!(container("e2e-busy-one-1").is_none());
    drop(held);
    pair.run("apply").expect(0);
}
