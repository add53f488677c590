//! The stacks of manifests/, run on a real engine by the built program. Runs with
//! `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::agent::{free_port, get};
use support::docker::docker;
use support::packed::{Image, OF_MANIFESTS};
use support::program::{Ended, bowline};
use support::stacks::{
    CONTAINERS, NETWORKS, Stacks, VOLUMES, container, containers, ids, is_running, lives,
};
use support::wait::until;
use tempfile::TempDir;

/// Where the example stacks are.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");

/// An example stack under a name of its own, on images of its own.
struct Example {
    stack: String,
    dir: TempDir,
    variables: Vec<String>,
    _images: Vec<Image>,
    _stacks: Stacks,
}

impl Example {
    /// `None`, said in a line, where a program for an image is missing and nobody requires it.
    fn new(name: &str, variables: &[String]) -> Option<Self> {
        support::engine()?;
        let stack = format!("e2e-{name}");
        let stacks = Stacks::named(&[&stack]);
        let dir = tempfile::tempdir().unwrap();
        let (mut images, mut made) = (Vec::new(), BTreeSet::new());
        for file in std::fs::read_dir(Path::new(MANIFESTS).join(name)).unwrap() {
            let file = file.unwrap();
            let mut text = std::fs::read_to_string(file.path()).unwrap();
            for image in OF_MANIFESTS {
                let own = format!("{stack}-{image}");
                if text.contains(image) && made.insert(own.clone()) {
                    images.push(Image::of_manifests(image, &own)?);
                }
                text = text.replace(image, &own);
            }
            std::fs::write(dir.path().join(file.file_name()), text).unwrap();
        }
        Some(Self { stack, dir, variables: variables.to_vec(), _images: images, _stacks: stacks })
    }

    /// Runs a verb on the stack.
    fn run(&self, verb: &str) -> Ended {
        let directory = self.dir.path().to_str().unwrap();
        let mut arguments = vec![verb, directory, "--project-name", &self.stack];
        for variable in &self.variables {
            arguments.extend(["--env", variable]);
        }
        bowline(&self.state_dir(), &arguments)
    }

    fn remove(&self, more: &[&str]) -> Ended {
        bowline(&self.state_dir(), &[&["remove", &self.stack], more].concat())
    }

    fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn container(&self, service: &str) -> Value {
        let name = format!("{}-{service}", self.stack);
        container(&name).unwrap_or_else(|| panic!("no container {name}"))
    }

    /// Validates, plans, applies, and shows that nothing is left to do.
    fn bring_up(&self, expected: &[&str]) {
        self.run("validate").expect(0);
        self.run("plan").expect(2);
        assert!(containers(&self.stack).is_empty(), "planning made containers");
        self.run("apply").expect(0);
        let found = containers(&self.stack);
        let names: BTreeSet<String> = found.keys().cloned().collect();
        let expected: BTreeSet<String> =
            expected.iter().map(|name| format!("{}-{name}", self.stack)).collect();
        assert_eq!(names, expected);
        for (name, one) in &found {
            assert!(is_running(one), "{name}: {}", one["State"]);
        }
        let before = lives(&self.stack);
        self.run("plan").expect(0);
        let again = self.run("apply").expect(0);
        assert!(again.out.contains("nothing to do"), "{}", again.out);
        assert_eq!(lives(&self.stack), before, "a second apply touched something");
    }

    /// Removes it, first without and then with its volumes.
    fn take_down(&self, volumes: &[&str]) {
        self.remove(&[]).expect(0);
        assert_eq!(ids(&self.stack, CONTAINERS), BTreeSet::new());
        assert_eq!(ids(&self.stack, NETWORKS), BTreeSet::new());
        let kept: BTreeSet<String> =
            volumes.iter().map(|name| format!("{}_{name}", self.stack)).collect();
        assert_eq!(ids(&self.stack, VOLUMES), kept);
        if !volumes.is_empty() {
            self.remove(&["--volumes"]).expect(0);
            assert_eq!(ids(&self.stack, VOLUMES), BTreeSet::new());
        }
        self.remove(&[]).expect(1).says(&["Bowline owns nothing", &self.stack]);
    }
}

fn page(port: &str) -> Option<String> {
    get(&format!("127.0.0.1:{port}"), "/").filter(|(status, _)| *status == 200).map(|page| page.1)
}

/// The content of a file in a container, as Docker hands it out.
fn file_in(container: &str, path: &str) -> String {
    let told = Command::new("docker").args(["cp", &format!("{container}:{path}"), "-"]).output();
    let told = told.unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let mut archive = tar::Archive::new(told.stdout.as_slice());
    let mut text = String::new();
    archive.entries().unwrap().next().unwrap().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// When the engine said that `event` happened to a container, since `since`.
fn time_of(container: &str, event: &str, since: Timestamp) -> Timestamp {
    let told = docker(&[
        "events",
        "--since",
        &since.to_string(),
        "--until",
        &Timestamp::now().to_string(),
        "--filter",
        &format!("container={container}"),
        "--format",
        "{{.TimeNano}} {{.Action}}",
    ]);
    let line = told.lines().find(|line| line.ends_with(event));
    let line = line.unwrap_or_else(|| panic!("no `{event}` of {container} in:\n{told}"));
    Timestamp::from_nanosecond(line.split_once(' ').unwrap().0.parse().unwrap()).unwrap()
}

#[test]
fn every_stack_in_manifests_has_its_test_here() {
    let entries = std::fs::read_dir(MANIFESTS).unwrap().map(Result::unwrap);
    let stacks: BTreeSet<_> =
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect();
    let tested = ["db", "hello", "web", "web-nginx"].map(Into::into);
    assert_eq!(stacks, BTreeSet::from(tested));
}

#[test]
fn hello_runs_within_its_limit_and_answers_on_its_port() {
    let Some(hello) = Example::new("hello", &[]) else { return };
    hello.bring_up(&["web-1"]);
    let web = hello.container("web-1");
    assert_eq!(web["HostConfig"]["Memory"], 64 << 20);
    let port = web["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"].as_str().unwrap();
    let page = until("hello's page", || page(port));
    assert!(page.contains("version 1 on "), "{page}");
    assert!(page.contains(web["Config"]["Hostname"].as_str().unwrap()), "{page}");
    until("hello to be healthy", || {
        (hello.container("web-1")["State"]["Health"]["Status"] == "healthy").then_some(())
    });
    hello.take_down(&[]);
}

#[test]
fn the_balancers_answer_with_all_pages() {
    for name in ["web", "web-nginx"] {
        let port = free_port().to_string();
        let Some(web) = Example::new(name, &[format!("WEB_PORT={port}")]) else { return };
        let pages = ["page-1", "page-2", "page-3"];
        web.bring_up(&[&pages[..], &["balancer-1"]].concat());
        let hosts: Vec<String> = pages
            .map(|page| web.container(page)["Config"]["Hostname"].as_str().unwrap().to_owned())
            .to_vec();
        let mut seen = BTreeSet::new();
        until(&format!("an answer of all pages of {name}"), || {
            let answer = page(&port)?;
            seen.extend(hosts.iter().filter(|host| answer.contains(*host)));
            (seen.len() == hosts.len()).then_some(())
        });
        web.take_down(&[]);
    }
}

#[test]
fn the_app_of_db_waits_for_a_healthy_database_and_reads_the_password() {
    let began = Timestamp::now();
    let port = free_port().to_string();
    let Some(db) = Example::new("db", &[format!("DB_APP_PORT={port}")]) else { return };
    db.bring_up(&["database-1", "app-1"]);
    let healthy = time_of("e2e-db-database-1", "health_status: healthy", began);
    let started = time_of("e2e-db-app-1", "start", began);
    assert!(healthy < started, "the app started at {started}, the database is up since {healthy}");
    let answer = until("the app's page", || page(&port));
    assert!(answer.contains("version app on "), "{answer}");
    let password = std::fs::read_to_string(format!("{MANIFESTS}/db/password.txt")).unwrap();
    for service in ["database", "app"] {
        let file = file_in(&format!("e2e-db-{service}-1"), "/run/secrets/password");
        assert_eq!(file, password, "{service}");
    }
    db.take_down(&["data"]);
}
