//! Bad commits on a real engine: each stack ends with its former version serving and the reason told,
//! stays so past the death of the agent, and goes forward with a commit that mends it. Runs with
//! `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use support::agent::{Agent, Settings};
use support::docker::docker;
use support::packed::Image;
use support::registry::Registry;
use support::repository::Git;
use support::stacks::{Stacks, containers, is_running, lives, variable};
use support::wait::until;

const IMAGE: &str = "e2e-bad-busybox:1";
const WELL: &str = "healthcheck: { test: [CMD, busybox, 'true'], interval: 200ms, retries: 2 }";
const SLEEP: &str = "command: [busybox, sleep, '3600']";

/// A stack, what its bad commit has in place of something good, and what is told of it.
struct Case {
    name: &'static str,
    good: String,
    bad: String,
    reason: String,
    cause: &'static str,
}

impl Case {
    fn write(&self, git: &Git, version: u8) {
        let what = if version == 2 { &self.bad } else { &self.good };
        let text = format!(
            "name: {}\nservices:\n  web:\n    stop_signal: SIGKILL\n    environment: {{ V: '{version}' }}\n    {}\n",
            self.name,
            what.replace('\n', "\n    ")
        );
        git.write(&format!("{}/compose.yaml", self.name), &text);
    }

    /// The version of its only container, if that runs.
    fn version(&self) -> Option<String> {
        let all = containers(self.name);
        let one = all.values().next().filter(|one| all.len() == 1 && is_running(one))?;
        variable(one, "V").map(str::to_owned)
    }

    fn until_version(&self, version: &str) {
        until(&format!("{} to serve version {version}", self.name), || {
            self.version().filter(|now| now == version)
        });
    }

    /// Its status, once it is gone back from `commit`.
    fn gone_back(&self, agent: &Agent, commit: &str) -> Value {
        let status = agent.until_stack(self.name, |status| {
            status["last_pass"]["result"] == "rolled_back"
                && status["held_back"]["revision"] == commit
        });
        let told = [&status["held_back"]["reason"], &status["message"]];
        for told in told.map(|told| told.as_str().unwrap().to_owned()) {
            assert!(told.contains(&self.reason), "{}: no `{}` in {told}", self.name, self.reason);
        }
        status
    }
}

/// The bad commits, given a host port that is taken and a registry that has nothing.
fn cases(port: u16, registry: &str, missing: &Path) -> Vec<Case> {
    let service = |image: &str, command: &str, check: &str, more: &str| {
        format!("image: {image}\n{command}\n{check}\n{more}")
    };
    let good = service(IMAGE, SLEEP, WELL, "network_mode: none");
    let bad = |name, bad, reason: &str, cause| {
        let (good, reason) = (good.clone(), reason.to_owned());
        Case { name, good, bad, reason, cause }
    };
    let nowhere = format!("{registry}/e2e-bad-nowhere:1");
    let shell = |script: &str| format!("command: [sh, -c, '{script}']");
    let ill = WELL.replace("busybox, 'true'", "busybox, sh, '-c', 'echo no database; exit 1'");
    let file = WELL.replace("busybox, 'true'", "busybox, test, '-f', /ok");
    let sickens = shell("busybox touch /ok; busybox sleep 1; busybox rm /ok; busybox sleep 3600");
    let mount = format!(
        "network_mode: none\nvolumes: [{{ type: bind, source: '{}', target: /conf, bind: {{ create_host_path: false }} }}]",
        missing.display()
    );
    let ports = format!("ports: ['127.0.0.1:{port}:80']");
    vec![
        bad(
            "e2e-bad-image",
            service(&nowhere, SLEEP, WELL, "network_mode: none"),
            "e2e-bad-nowhere:1",
            "image",
        ),
        bad(
            "e2e-bad-command",
            service(IMAGE, &shell("echo no such flag; exit 3"), "", "network_mode: none"),
            "no such flag",
            "exited",
        ),
        bad(
            "e2e-bad-check",
            service(IMAGE, SLEEP, &ill, "network_mode: none"),
            "no database",
            "unhealthy",
        ),
        bad(
            "e2e-bad-later",
            service(IMAGE, &sickens, &file, "network_mode: none"),
            "unhealthy",
            "unhealthy",
        ),
        bad(
            "e2e-bad-file",
            service(IMAGE, SLEEP, WELL, &mount),
            missing.to_str().unwrap(),
            "refused",
        ),
        bad("e2e-bad-port", service(IMAGE, SLEEP, WELL, &ports), &port.to_string(), "port"),
    ]
}

/// What the log tells of a stack as errors.
fn errors(agent: &Agent, stack: &str) -> Vec<String> {
    let is_error =
        |line: &&str| line.contains(" ERROR ") && line.contains(&format!("stack={stack}"));
    agent.log().lines().filter(is_error).map(str::to_owned).collect()
}

#[test]
fn bad_commits_end_with_the_former_version_serving_and_the_reason_told() {
    if support::engine().is_none() {
        return;
    }
    let _image = Image::of_busybox(IMAGE);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let registry = Registry::start();
    let nowhere = tempfile::tempdir().unwrap();
    let missing = nowhere.path().join("missing.conf");
    let cases = cases(taken.local_addr().unwrap().port(), &registry.address, &missing);
    let names: Vec<_> = cases.iter().map(|case| case.name).collect();
    let _stacks = Stacks::named(&names);
    let git = Git::new();
    for case in &cases {
        case.write(&git, 1);
    }
    let good = git.push("Good");
    let settings = Settings::new("e2e-bad", &git.url(), "monitor: 3s");
    let agent = Agent::start(&settings);
    for case in &cases {
        agent.until_stack(case.name, |status| status["applied_revision"] == *good);
        case.until_version("1");
    }

    for case in &cases {
        case.write(&git, 2);
    }
    let bad = git.push("Bad in six ways");
    for case in &cases {
        let status = case.gone_back(&agent, &bad);
        assert_eq!(status["held_back"]["instead"], *good, "{}", case.name);
        assert_eq!(
            case.version().as_deref(),
            Some("1"),
            "{}: {:#?}",
            case.name,
            containers(case.name)
        );
        let page = agent.metrics();
        for line in [
            format!(
                "bowline_rollbacks_total{{reason=\"{}\",stack=\"{}\"}} 1",
                case.cause, case.name
            ),
            format!("bowline_rollouts_total{{result=\"rolled_back\",stack=\"{}\"}} 1", case.name),
            format!("bowline_stack_held_back{{stack=\"{}\"}} 1", case.name),
        ] {
            assert!(page.contains(&line), "no {line} in {page}");
        }
    }
    for case in &cases {
        let told = errors(&agent, case.name);
        assert_eq!(told.len(), 1, "{}: told more than once: {told:#?}", case.name);
        let words = [case.reason.as_str(), "bowline retry", &good[..12]];
        assert!(words.iter().all(|word| told[0].contains(word)), "no {words:?} in {}", told[0]);
    }
    let before: Vec<_> = cases.iter().map(|case| lives(case.name)).collect();
    agent.kill();

    let agent = Agent::start(&settings);
    agent.until_ready();
    for (case, before) in cases.iter().zip(before) {
        case.gone_back(&agent, &bad);
        assert_eq!(lives(case.name), before, "{}: a restart touched what ran", case.name);
    }
    drop(taken);
    for case in &cases {
        case.write(&git, 3);
    }
    let mended = git.push("Mend all");
    for case in &cases {
        case.until_version("3");
        let status = agent.until_stack(case.name, |status| status["applied_revision"] == *mended);
        assert_eq!(status["held_back"], Value::Null, "{}", case.name);
    }
    assert!(agent.terminate().success());
}

#[test]
fn while_a_registry_is_away_what_waits_for_it_is_repaired_as_it_held_before() {
    if support::engine().is_none() {
        return;
    }
    let (image, name) = ("e2e-away-busybox:1", "e2e-away");
    let _image = Image::of_busybox(image);
    let _stacks = Stacks::named(&[name]);
    // Nobody listens there any more.
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = |image: &str| format!("image: '{image}'\n{SLEEP}\n{WELL}\nnetwork_mode: none");
    let (good, bad) = (service(image), service(&format!("{away}/e2e-away:2")));
    let case = Case { name, good, bad, reason: String::new(), cause: "" };
    let git = Git::new();
    case.write(&git, 1);
    let first = git.push("Good");
    let settings = Settings::new(name, &git.url(), "monitor: 1s");
    let agent = Agent::start(&settings);
    agent.until_stack(name, |status| status["applied_revision"] == *first);
    case.write(&git, 2);
    git.push("Of a registry that is away");
    let kept = format!("{} is kept for web", &first[..12]);
    let is_kept = |status: &Value| status["message"].as_str().unwrap().contains(&kept);
    let status = agent.until_stack(name, is_kept);
    assert!(status["message"].as_str().unwrap().contains("refused"), "{}", status["message"]);
    assert_eq!(status["held_back"], Value::Null);
    for repair in ["kill", "rm"] {
        let before = lives(name);
        docker(
            &[&[repair][..], if repair == "rm" { &["-f"] } else { &[] }, &["e2e-away-web-1"]]
                .concat(),
        );
        until(&format!("a repair after {repair}"), || {
            let now = lives(name);
            (case.version().as_deref() == Some("1") && now.is_disjoint(&before)).then_some(())
        });
    }
    case.write(&git, 3);
    let mended = git.push("Mend");
    case.until_version("3");
    agent.until_stack(name, |status| status["applied_revision"] == *mended);
    assert!(agent.terminate().success());
}

#[test]
fn a_file_that_a_commit_takes_away_is_told_at_its_place_and_nothing_is_touched() {
    if support::engine().is_none() {
        return;
    }
    let _image = Image::of_busybox("e2e-gone-busybox:1");
    let _stacks = Stacks::named(&["e2e-gone"]);
    let git = Git::new();
    git.write("g/app.conf", "one\n").write(
        "g/compose.yaml",
        &format!(
            "name: e2e-gone\nservices:\n  web: {{ image: e2e-gone-busybox:1, {SLEEP}, stop_signal: SIGKILL, \
             network_mode: none, configs: [conf] }}\nconfigs: {{ conf: {{ file: ./app.conf }} }}\n"
        ),
    );
    let good = git.push("Good");
    let settings = Settings::new("e2e-gone", &git.url(), "");
    let agent = Agent::start(&settings);
    agent.until_stack("e2e-gone", |status| status["applied_revision"] == *good);
    let before = lives("e2e-gone");
    git.delete("g/app.conf").push("Take the file away");
    let status = agent.until_stack("e2e-gone", |status| status["last_pass"]["result"] == "invalid");
    let told = status["message"].as_str().unwrap();
    assert!(told.contains("g/compose.yaml:4:") && told.contains("app.conf"), "{told}");
    assert_eq!(lives("e2e-gone"), before);
    assert!(agent.terminate().success());
}
