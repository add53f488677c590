//! A project that Docker Compose made is taken over without a restart. Runs with
//! `BOWLINE_TEST_ENGINE=docker`; every Compose that is there is used: `docker-compose` on the path,
//! and the program that `COMPOSE` names.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::model::ImageRef;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::agent::free_port;
use support::docker::{docker, import_busybox};
use support::program::{Ended, bowline, run};
use support::stacks::{Stacks, container, containers, id};

const IMAGE: &str = "t-adopt-busybox:1";

/// What Bowline and both generations of Compose know.
fn file(bridge: &str, with_configs: bool, more: &str) -> String {
    let (configs, declared) = if with_configs {
        (
            "configs: [{ source: app, target: /etc/app.conf }]",
            "configs: { app: { file: ./app.conf } }",
        )
    } else {
        ("", "")
    };
    let sleeps =
        format!("image: {IMAGE}\n    command: [busybox, sleep, '3600']\n    stop_signal: SIGKILL");
    format!(
        "version: '3.8'
services:
  web:
    {sleeps}
    environment: {{ MODE: fast, EMPTY: '' }}
    env_file: [web.env]
    labels: {{ team: a }}
    volumes: [data:/data, ./conf:/conf:ro, /scratch]
    ports: ['127.0.0.1::80']
    restart: unless-stopped
    healthcheck: {{ test: [CMD, busybox, 'true'], interval: 1s }}
    logging: {{ driver: json-file, options: {{ max-size: 1m }} }}
    ulimits: {{ nofile: 1024 }}
    tmpfs: [/tmp]
    networks: {{ front: {{ aliases: [www] }}, back: {{}} }}
    {configs}
    depends_on: [db]
  db:
    {sleeps}
    hostname: db
    cap_add: [NET_ADMIN]
    sysctls: {{ net.core.somaxconn: 1024 }}
    networks: [back]
    secrets: [password]
    {more}
  worker:
    {sleeps}
    network_mode: 'service:db'
    init: true
    read_only: true
networks:
  front: {{ driver_opts: {{ com.docker.network.bridge.name: {bridge} }}, labels: {{ a: b }} }}
  back: {{}}
volumes:
  data: {{ labels: {{ keep: 'yes' }} }}
{declared}
secrets: {{ password: {{ file: ./password }} }}
"
    )
}

fn write(directory: &Path, with_configs: bool, more: &str) {
    std::fs::create_dir_all(directory.join("conf")).unwrap();
    // An interface has a name of at most 15 characters.
    let name = directory.file_name().unwrap().to_str().unwrap();
    let bridge = &name[..name.len().min(15)];
    for (path, text) in [
        ("compose.yaml", file(bridge, with_configs, more).as_str()),
        ("web.env", "FROM_FILE=1\n"),
        ("conf/a", "a"),
        ("app.conf", "b"),
        ("password", "hunter2"),
    ] {
        std::fs::write(directory.join(path), text).unwrap();
    }
}

/// Each generation of Compose that is there, with the words of its `version`.
fn composes() -> Vec<(PathBuf, String)> {
    let named = std::env::var_os("COMPOSE").map(PathBuf::from);
    let candidates = [Some(PathBuf::from("docker-compose")), named].into_iter().flatten();
    let found: Vec<_> = candidates
        .filter_map(|program| {
            let told = Command::new(&program).args(["version", "--short"]).output().ok()?;
            Some((program, String::from_utf8_lossy(&told.stdout).trim().to_owned()))
        })
        .collect();
    assert!(!found.is_empty(), "no docker-compose is installed, and COMPOSE names none");
    found
}

struct Project<'a> {
    program: &'a Path,
    directory: &'a Path,
    name: &'a str,
}

impl Project<'_> {
    fn compose(&self, arguments: &[&str]) -> Ended {
        let told = run(Command::new(self.program)
            .args(["-p", self.name, "-f", "compose.yaml"])
            .args(arguments)
            .current_dir(self.directory));
        assert_eq!(told.code, 0, "{arguments:?}: {}{}", told.out, told.err);
        told
    }
}

/// What tells whether a container is the one it was, and was not restarted.
fn marks(name: &str) -> Vec<String> {
    let of = |container: &Value| {
        format!(
            "{} {} {}",
            id(container),
            container["State"]["StartedAt"],
            container["State"]["Pid"]
        )
    };
    let mut marks: Vec<_> = containers(name).values().map(of).collect();
    marks.sort();
    marks
}

fn take_over(program: &Path, version: &str) {
    let name = format!("t-adopt-{}", version.replace(|c: char| !c.is_ascii_alphanumeric(), ""));
    let _stacks = Stacks::named(&[&name]);
    let home = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    let directory = home.path().join(&name);
    // The first generation knew configs for swarms alone.
    let with_configs = !version.starts_with("1.");
    write(&directory, with_configs, "");
    // Of a service that the file does not have: left alone, also at the end.
    let port = free_port();
    let orphan = format!(
        "services:\n  old:\n    image: {IMAGE}\n    command: [busybox, sleep, '3600']\n    stop_signal: SIGKILL\n    ports: ['127.0.0.1:{port}:80']\n    networks: [back]\n"
    );
    std::fs::write(directory.join("orphan.yaml"), format!("version: '3.8'\n{orphan}")).unwrap();
    let project = Project { program, directory: &directory, name: &name };
    project.compose(&["-f", "orphan.yaml", "up", "-d"]);
    let before = marks(&name);
    assert_eq!(before.len(), 4, "{before:?}");
    let place = directory.to_str().unwrap();

    let told = bowline(state.path(), &["plan", place]);
    assert!(
        told.out.contains("Docker Compose made it for this project"),
        "{}{}",
        told.out,
        told.err
    );
    let told = bowline(state.path(), &["adopt", place]);
    for word in ["replace ", "create ", "start ", "restart ", "problem", "reconnect "] {
        assert!(!told.out.contains(word), "Compose {version}: {}", told.out);
    }
    assert_eq!(marks(&name), before);
    assert!(
        told.out.contains("made by Compose for a service that is not in the file"),
        "{}",
        told.out
    );
    let told = bowline(state.path(), &["adopt", place, "--confirm"]);
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    assert_eq!(marks(&name), before, "nothing was restarted");
    let told = bowline(state.path(), &["plan", place]);
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);

    // From now on it is Bowline's: a difference is repaired, also in what only a note tells.
    write(&directory, with_configs, "mem_limit: 64m");
    assert_eq!(bowline(state.path(), &["apply", place]).code, 0);
    assert_eq!(marks(&name), before, "a limit changes while it runs");
    std::fs::write(directory.join("conf/a"), "c").unwrap();
    let told = bowline(state.path(), &["apply", place]);
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    let web = container(&format!("{name}-web-1")).unwrap();
    assert!(!before.iter().any(|mark| mark.starts_with(&id(&web))), "web was replaced");
    let scratch = |container: &Value| {
        let mounts = container["Mounts"].as_array().unwrap().clone();
        mounts.iter().find(|mount| mount["Destination"] == "/scratch").unwrap()["Name"].clone()
    };
    assert!(!scratch(&web).is_null());
    // Without an agent, what was taken over and never replaced counts as well.
    let told = bowline(state.path(), &["status", &name, "--agent", "127.0.0.1:1"]);
    assert!(told.out.contains("  4/4      all run"), "{}{}", told.out, told.err);

    // A content that is asked for only now gets there.
    let later = "mem_limit: 64m\n    configs: [{ source: later, target: /later }]";
    write(&directory, with_configs, later);
    let path = directory.join("compose.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = if text.contains("\nconfigs:") {
        text.replace("configs: { app:", "configs: { later: { content: new }, app:")
    } else {
        format!("{text}configs: {{ later: {{ content: new }} }}\n")
    };
    std::fs::write(&path, text).unwrap();
    let told = bowline(state.path(), &["apply", place]);
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    let db = format!("{name}-db-1");
    assert_eq!(docker(&["exec", &db, "busybox", "cat", "/later"]), "new");
    // A port that the orphan holds is in the way, and the orphan is not touched.
    write(&directory, with_configs, &format!("ports: ['127.0.0.1:{port}:80']"));
    let taken = format!("host port {port} is taken by the container");
    let told = bowline(state.path(), &["plan", place]);
    assert!(told.out.contains(&taken), "{}", told.out);
    write(&directory, with_configs, "mem_limit: 64m");
    assert_eq!(bowline(state.path(), &["apply", place]).code, 0);

    for arguments in [&["ps"][..], &["logs"], &["top"]] {
        project.compose(arguments);
    }
    assert!(project.compose(&["ps", "-q"]).out.lines().count() >= 3);
    let told = project.compose(&["exec", "-T", "web", "busybox", "cat", "/conf/a"]);
    assert_eq!(told.out.trim(), "a");
    let told = bowline(state.path(), &["remove", &name]);
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    let left = marks(&name);
    assert_eq!(left.len(), 1, "only what was never taken over is left");
    assert!(before.contains(&left[0]));
    project.compose(&["-f", "orphan.yaml", "rm", "-sf"]);
    docker(&["network", "rm", &format!("{name}_back")]);
    docker(&["volume", "rm", &format!("{name}_data")]);
}

#[test]
fn a_compose_project_is_taken_over_without_a_restart() {
    if support::engine().is_none() {
        return;
    }
    import_busybox(&ImageRef::new(IMAGE).unwrap());
    // Each has a project of its own.
    std::thread::scope(|threads| {
        for (program, version) in composes() {
            threads.spawn(move || take_over(&program, &version));
        }
    });
    docker(&["rmi", IMAGE]);
}
