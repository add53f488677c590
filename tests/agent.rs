//! The agent on a real engine and a git repository, from outside. Runs with
//! `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::agent::{Agent, Settings};
use support::docker::docker;
use support::packed::Image;
use support::program::{bowline, command, run};
use support::repository::Git;
use support::stacks::{
    CONTAINERS, NETWORKS, Stacks, container, containers, id, ids, is_running, lives, networks,
    state, variable,
};
use support::wait::until;

macro_rules! need_engine {
    () => {
        if support::engine().is_none() {
            return;
        }
    };
}

/// The container that is changed by hand.
const NAME: &str = "e2e-drift-one-1";

/// A container that sleeps and ends at once when told.
fn sleeper(image: &str, more: &str) -> String {
    format!("{{ image: {image}, command: [busybox, sleep, '3600'], stop_signal: SIGKILL, {more} }}")
}

/// A stack of one sleeping service without a network.
fn small(name: &str, image: &str, version: &str) -> String {
    let service = sleeper(image, &format!("network_mode: none, environment: {{ V: '{version}' }}"));
    format!("name: {name}\nservices:\n  one: {service}\n")
}

fn docker_does(arguments: &[&str]) {
    let told = run(Command::new("docker").args(arguments));
    assert_eq!(told.code, 0, "docker {arguments:?}: {}", told.err);
}

/// `bowline plan` says that nothing is to be done.
fn assert_settled(settings: &Settings, git: &Git) {
    let url = format!("file://{}", git.url());
    let plan = ["plan", &*url];
    until("an empty plan", || (bowline(&settings.state_dir(), &plan).code == 0).then_some(()));
}

#[test]
fn what_is_changed_by_hand_is_repaired_with_the_reason_in_the_log() {
    need_engine!();
    let _stacks = Stacks::named(&["e2e-drift"]);
    let image = Image::of_busybox("e2e-drift-busybox:1");
    let git = Git::new();
    let limits = "mem_limit: 32m, networks: { a: { aliases: [it] }, b: {} }, restart: always";
    let service = sleeper(&image.0, limits);
    let nets = "networks: { a: {}, b: {} }";
    git.write("d/compose.yaml", &format!("name: e2e-drift\nservices:\n  one: {service}\n{nets}\n"));
    git.push("Begin");
    let settings = Settings::new("e2e-drift", &git.url(), "");
    let agent = Agent::start(&settings);
    agent.until_ready();
    let born = container(NAME).expect("it runs when the agent is ready");

    // What is done by hand, what the log says, and whether the container may be another one then.
    docker(&["network", "rm", "e2e-drift-foreign"]);
    docker_does(&["network", "create", "e2e-drift-foreign"]);
    let cases: [(&[&str], &[&str], bool); 9] = [
        (&["kill", NAME], &["services.one.state: want running, is exited"], false),
        (&["stop", NAME], &["services.one.state: want running, is exited"], false),
        (&["pause", NAME], &["services.one.state: want running, is paused"], false),
        (
            &["update", "--memory", "48m", "--memory-swap", "96m", NAME],
            &["services.one.mem_limit: want 32m, is 48m"],
            false,
        ),
        (
            &["update", "--restart", "no", NAME],
            &["services.one.restart: want always, is no"],
            false,
        ),
        (
            &["network", "disconnect", "e2e-drift_b", NAME],
            &["services.one.networks.b: want connected, is none"],
            false,
        ),
        (
            &["network", "connect", "e2e-drift-foreign", NAME],
            &["services.one.networks.e2e-drift-foreign: want none, is connected"],
            false,
        ),
        (&["rename", NAME, "e2e-drift-other"], &["e2e-drift-other", NAME], false),
        (&["rm", "-f", NAME], &["services.one: want container e2e-drift-one-1, is none"], true),
    ];
    for (by_hand, reason, another) in cases {
        let mark = agent.mark();
        docker_does(by_hand);
        until(&format!("the repair of docker {by_hand:?}"), || {
            container(NAME).filter(|now| is_as_written(now) && (id(now) == id(&born)) != another)
        });
        agent.until_logged(mark, reason);
        assert_settled(&settings, &git);
    }
    docker_does(&["network", "rm", "e2e-drift-foreign"]);
    assert_eq!(containers("e2e-drift").len(), 1);
    assert!(agent.terminate().success());
}

/// Whether the container of `what_is_changed_by_hand…` is all that its manifest says.
fn is_as_written(now: &Value) -> bool {
    let at = |network: &str| &now["NetworkSettings"]["Networks"][network];
    let aliases = at("e2e-drift_a")["Aliases"].as_array().cloned().unwrap_or_default();
    is_running(now)
        && now["HostConfig"]["Memory"] == 32 << 20
        && now["HostConfig"]["RestartPolicy"]["Name"] == "always"
        && networks(now) == BTreeSet::from(["e2e-drift_a".to_owned(), "e2e-drift_b".to_owned()])
        && aliases.contains(&"it".into())
}

#[test]
fn commits_are_followed_up_to_the_removal_of_a_service_and_of_a_stack() {
    need_engine!();
    let names = ["e2e-follow-a", "e2e-follow-b", "e2e-follow-c"];
    let _stacks = Stacks::named(&names);
    let image = Image::of_busybox("e2e-follow-busybox:1");
    let git = Git::new();
    for name in names {
        git.write(&format!("{name}/compose.yaml"), &small(name, &image.0, "1"));
    }
    git.push("Begin");
    let settings = Settings::new("e2e-follow", &git.url(), "");
    let agent = Agent::start(&settings);
    agent.until_ready();
    for name in names {
        assert!(is_running(&container(&format!("{name}-one-1")).unwrap()), "{name}");
    }
    let untouched = lives(names[1]);

    let service = sleeper(&image.0, "network_mode: none, environment: { V: '2' }");
    let two = format!("name: {}\nservices:\n  one: {service}\n  two: {service}\n", names[0]);
    git.write("e2e-follow-a/compose.yaml", &two);
    let commit = git.push("Another version, another service");
    until("version 2 of both services", || {
        let all = containers(names[0]);
        let fits = |one: &Value| is_running(one) && variable(one, "V") == Some("2");
        (all.len() == 2 && all.values().all(fits)).then_some(())
    });
    agent.until_stack(names[0], |stack| stack["applied_revision"] == *commit);

    git.write("e2e-follow-a/compose.yaml", &small(names[0], &image.0, "2"));
    git.push("One service less");
    until("the service's container to be gone", || {
        (containers(names[0]).into_keys().eq(["e2e-follow-a-one-1".to_owned()])).then_some(())
    });

    let series = |agent: &Agent| agent.metrics().contains("stack=\"e2e-follow-c\"");
    assert!(series(&agent), "{}", agent.metrics());
    git.remove("e2e-follow-c");
    git.push("One stack less");
    until("the stack to be gone", || ids(names[2], CONTAINERS).is_empty().then_some(()));
    until("its series to be gone", || (!series(&agent)).then_some(()));
    assert!(agent.stack(names[2]).is_none(), "{}", agent.status());
    assert_eq!(lives(names[1]), untouched, "a stack that no commit concerned was touched");
    assert!(agent.terminate().success());
}

#[test]
fn a_broken_commit_leaves_all_running_and_is_told_at_its_place_until_it_is_mended() {
    need_engine!();
    let names = ["e2e-broken-a", "e2e-broken-b"];
    let _stacks = Stacks::named(&names);
    let image = Image::of_busybox("e2e-broken-busybox:1");
    let git = Git::new();
    for name in names {
        git.write(&format!("{name}/compose.yaml"), &small(name, &image.0, "1"));
    }
    git.push("Begin");
    let settings = Settings::new("e2e-broken", &git.url(), "");
    let agent = Agent::start(&settings);
    agent.until_ready();
    let before = lives(names[0]);

    let mark = agent.mark();
    let broken =
        small(names[0], &image.0, "2").replace("services:\n", "services:\n  x: { imgae: y }\n");
    git.write("e2e-broken-a/compose.yaml", &broken);
    git.write("e2e-broken-b/compose.yaml", &small(names[1], &image.0, "2"));
    git.push("Break one, change the other");
    let place = "e2e-broken-a/compose.yaml:3:8";
    agent.until_logged(mark, &[place, "imgae", "did you mean `image`?"]);
    until("the other stack to follow", || {
        let one = container("e2e-broken-b-one-1")?;
        (is_running(&one) && variable(&one, "V") == Some("2")).then_some(())
    });
    let status = agent.until_stack(names[0], |stack| stack["sync"] != "Synced");
    assert!(status["message"].as_str().unwrap().contains(place), "{status}");
    let told = bowline(&settings.state_dir(), &["status", "--agent", &agent.url()]).expect(0);
    assert!(told.out.contains(place), "{}", told.out);
    let json = bowline(&settings.state_dir(), &["status", "-o", "json", "--agent", &agent.url()])
        .expect(0);
    assert!(json.out.contains(place) && json.out.contains("did you mean"), "{}", json.out);
    let invalid = |line: &&str| line.contains("result=\"invalid\"") && line.contains(names[0]);
    assert!(agent.metrics().lines().any(|line| invalid(&line)), "{}", agent.metrics());
    assert_eq!(lives(names[0]), before, "broken input touched what ran");
    docker_does(&["kill", "e2e-broken-a-one-1"]);
    until("the repair of what is kept as it was", || {
        let one = container("e2e-broken-a-one-1")?;
        (is_running(&one) && variable(&one, "V") == Some("1")).then_some(())
    });
    let kept = agent.until_stack(names[0], |stack| stack["health"] == "Healthy");
    assert!(kept["message"].as_str().unwrap().contains(place), "{kept}");

    git.write("e2e-broken-a/compose.yaml", &small(names[0], &image.0, "3"));
    git.push("Mend it");
    until("the mended version", || {
        let one = container("e2e-broken-a-one-1")?;
        (is_running(&one) && variable(&one, "V") == Some("3")).then_some(())
    });
    agent.until_stack(names[0], |stack| stack["sync"] == "Synced");
    assert!(agent.terminate().success());
}

#[test]
fn a_newer_commit_ends_the_wait_of_a_pass_and_others_are_not_held_up_by_it() {
    need_engine!();
    let names = ["e2e-wait-a", "e2e-wait-b"];
    let _stacks = Stacks::named(&names);
    let image = Image::of_busybox("e2e-wait-busybox:1");
    let git = Git::new();
    let service = sleeper(&image.0, "network_mode: none");
    let job = "depends_on: { job: { condition: service_completed_successfully } }";
    let waits = sleeper(&image.0, &format!("network_mode: none, {job}"));
    let text = format!("name: {}\nservices:\n  one: {waits}\n  job: {service}\n", names[0]);
    git.write("a/compose.yaml", &text).push("A job that takes long");
    let settings = Settings::new("e2e-wait", &git.url(), "passes: 1");
    let agent = Agent::start(&settings);
    until("the job", || container("e2e-wait-a-job-1").filter(is_running));

    git.write("b/compose.yaml", &small(names[1], &image.0, "1")).push("Another stack");
    until("the other stack", || container("e2e-wait-b-one-1").filter(is_running));
    let one = || container("e2e-wait-a-one-1").filter(is_running);
    assert!(one().is_none(), "it waits for the job");

    let text = format!("name: {}\nservices:\n  one: {service}\n", names[0]);
    git.write("a/compose.yaml", &text).push("No job");
    until("the service that needs no job any more", one);
    agent.until_stack(names[0], |stack| stack["sync"] == "Synced");
    assert!(agent.terminate().success());
}

#[test]
fn what_runs_outlives_the_agent_and_a_repository_that_goes_away() {
    need_engine!();
    let _stacks = Stacks::named(&["e2e-outlive"]);
    let image = Image::of_busybox("e2e-outlive-busybox:1");
    let git = Git::new();
    git.write("o/compose.yaml", &small("e2e-outlive", &image.0, "1")).push("Begin");
    let settings = Settings::new("e2e-outlive", &git.url(), "");
    let agent = Agent::start(&settings);
    agent.until_ready();
    let before = lives("e2e-outlive");
    assert_eq!(before.len(), 1);
    assert!(agent.terminate().success());
    assert_eq!(lives("e2e-outlive"), before, "the end of the agent touched what ran");

    // Without its repository a new agent goes on with what it fetched last, and says so.
    std::fs::rename(git.bare(), git.bare().with_extension("away")).unwrap();
    let agent = Agent::start(&settings);
    agent.until_ready();
    agent.until_logged(0, &["bare.git", "repository"]);
    assert_eq!(lives("e2e-outlive"), before, "a lost repository touched what ran");
    let source = &agent.status()["sources"][0];
    assert!(source["message"].as_str().unwrap().contains("bare.git"), "{source}");
    docker_does(&["kill", "e2e-outlive-one-1"]);
    until("the repair without a repository", || container("e2e-outlive-one-1").filter(is_running));
    assert!(agent.terminate().success());
}

/// How often Bowline is ended in the middle.
const ROUNDS: u64 = 12;
/// The latest moment of an end, after the start of the process. A pass here takes about 2 s.
const LATEST_END_MILLIS: u64 = 2500;

/// Numbers that are the same in every run (an xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The stack of one round: two to four replicas behind a health check, and one that waits for them.
fn round_stack(image: &str, round: u64, replicas: u64) -> String {
    let check = "healthcheck: { test: [CMD, busybox, 'true'], interval: 200ms }";
    let version = format!("environment: {{ V: '{round}' }}");
    let many = sleeper(
        image,
        &format!("{check}, scale: {replicas}, {version}, networks: [net], volumes: ['data:/d']"),
    );
    let last = sleeper(
        image,
        &format!(
            "{version}, networks: [net], depends_on: {{ many: {{ condition: service_healthy }} }}"
        ),
    );
    format!(
        "name: e2e-crash\nservices:\n  many: {many}\n  last: {last}\n\
         networks: {{ net: {{}} }}\nvolumes: {{ data: {{}} }}\n"
    )
}

/// Whether the engine holds exactly the stack of a round.
fn is_round(round: u64, replicas: u64) -> bool {
    let all = containers("e2e-crash");
    let mut names: BTreeSet<String> =
        (1..=replicas).map(|number| format!("e2e-crash-many-{number}")).collect();
    names.insert("e2e-crash-last-1".to_owned());
    let net = BTreeSet::from(["e2e-crash_net".to_owned()]);
    let fits = |one: &Value| {
        is_running(one) && variable(one, "V") == Some(&round.to_string()) && networks(one) == net
    };
    all.keys().cloned().collect::<BTreeSet<_>>() == names
        && all.values().all(fits)
        && ids("e2e-crash", NETWORKS).len() == 1
}

#[test]
fn ended_at_any_moment_a_new_start_goes_on_from_there() {
    need_engine!();
    let _stacks = Stacks::named(&["e2e-crash"]);
    let image = Image::of_busybox("e2e-crash-busybox:1");
    let git = Git::new();
    let url = format!("file://{}", git.url());
    let settings = Settings::new("e2e-crash", &git.url(), "");
    let mut chance = Chance(0x5eed_b0c1);
    let mut states: BTreeMap<usize, usize> = BTreeMap::new();
    for round in 1..=ROUNDS {
        let replicas = 2 + chance.below(3);
        git.write("c/compose.yaml", &round_stack(&image.0, round, replicas)).push("Next");
        let end_after = Duration::from_millis(chance.below(LATEST_END_MILLIS));
        println!("round {round}: {replicas} replicas, ended after {end_after:?}");
        if round % 2 == 0 {
            let agent = Agent::start(&settings);
            // Not a wait for anything: the moment of the end is what is tried out.
            std::thread::sleep(end_after);
            agent.kill();
        } else {
            let mut apply = command(&settings.state_dir(), &["apply", &url]);
            let mut apply = apply.stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(end_after);
            apply.kill().unwrap();
            apply.wait().unwrap();
        }
        let running =
            containers("e2e-crash").values().filter(|one| state(one) == "running").count();
        *states.entry(running).or_default() += 1;
        if round % 4 < 2 {
            let agent = Agent::start(&settings);
            until(&format!("round {round} by a new agent"), || {
                is_round(round, replicas).then_some(())
            });
            assert!(agent.terminate().success());
        } else {
            bowline(&settings.state_dir(), &["apply", &url]).expect(0);
            assert!(is_round(round, replicas), "{:#?}", containers("e2e-crash"));
        }
        assert_settled(&settings, &git);
    }
    println!("containers that ran at the ends: {states:?}");
}

#[test]
fn an_agent_that_is_told_to_end_in_the_middle_of_a_pass_ends_in_time() {
    need_engine!();
    let _stacks = Stacks::named(&["e2e-drain"]);
    let image = Image::of_busybox("e2e-drain-busybox:1");
    let git = Git::new();
    // The second never starts, since the first never becomes healthy.
    let check = "network_mode: none, healthcheck: { test: [CMD, busybox, 'false'], interval: 1h }";
    let wait = "network_mode: none, depends_on: { first: { condition: service_healthy } }";
    let (first, second) = (sleeper(&image.0, check), sleeper(&image.0, wait));
    let text = format!("name: e2e-drain\nservices:\n  first: {first}\n  second: {second}\n");
    git.write("d/compose.yaml", &text).push("Begin");
    let settings = Settings::new("e2e-drain", &git.url(), "");
    let agent = Agent::start(&settings);
    let first = until("the first container", || {
        container("e2e-drain-first-1").filter(is_running).map(|one| id(&one))
    });
    assert!(agent.terminate().success());
    let now = container("e2e-drain-first-1").filter(is_running).map(|one| id(&one));
    assert_eq!(now, Some(first));
    let again = Agent::start(&settings);
    docker(&["version"]);
    again.ask_to_end();
    assert!(again.terminate().success());
}
