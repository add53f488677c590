//! The package, in a machine with a booted systemd, with Docker reachable: installed, started, reloaded,
//! watched, upgraded, removed, purged.

#![allow(clippy::unwrap_used)]

#[path = "package/machine.rs"]
mod machine;
mod support;

use machine::Machine;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::agent::free_port;
use support::docker::docker;
use support::packed::Image;
use support::program::PROGRAM;
use support::repository::Git;
use support::stacks::{Stacks, containers, id, is_running, lives, variable};
use support::wait::until;
use tempfile::TempDir;

const CONFIG: &str = "/etc/bowline/config.yaml";

/// A package of this build, with a version.
fn package(dir: &TempDir, version: &str) -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/build-deb");
    let output = dir.path().join(version);
    let built = Command::new(script)
        .args(["--program", PROGRAM, "--version", version, "--output"])
        .arg(&output)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let all: Vec<_> = std::fs::read_dir(&output).unwrap().map(|one| one.unwrap().path()).collect();
    let [deb] = &all[..] else { panic!("one package, not {all:?}") };
    deb.clone()
}

/// Brings the package into the machine and installs it, as `apt` does with what it has fetched.
fn install(machine: &Machine, deb: &Path) {
    machine.copy(deb, "/root/bowline.deb");
    machine.sh("dpkg --install /root/bowline.deb");
}

/// The group that Docker listens for has the number that it has here.
fn make_docker_group(machine: &Machine) {
    let group = std::fs::metadata("/var/run/docker.sock").unwrap().gid();
    machine.sh(&format!("groupadd --system --gid {group} docker"));
}

fn config(sources: &[&str], more: &str) -> String {
    let source =
        |name: &&str| format!("  - {{ name: {name}, url: /srv/{name}.git, interval: 1h }}\n");
    let sources: String = sources.iter().map(source).collect();
    format!("sources:\n{sources}monitor: 0s\n{more}")
}

fn listen() -> String {
    format!("http: {{ listen: 127.0.0.1:{} }}\n", free_port())
}

/// Containers that sleep.
fn sleepers(name: &str, replicas: usize, turn: &str) -> String {
    format!(
        r#"
name: {name}
services:
  web:
    image: e2e-machine-busybox:1
    command: [busybox, sleep, "600"]
    stop_signal: SIGKILL
    network_mode: none
    environment: {{ TURN: "{turn}" }}
    deploy: {{ replicas: {replicas} }}
"#
    )
}

/// Each is healthy once somebody has made a file in it: until then its rollout waits.
const GATE: &str =
    "    healthcheck: { test: [CMD, busybox, test, -e, /open], interval: 1s, retries: 600 }
";

/// How many containers of a stack run with this turn.
fn running_at(stack: &str, turn: &str) -> usize {
    let all = containers(stack);
    all.values().filter(|one| is_running(one) && variable(one, "TURN") == Some(turn)).count()
}

#[test]
fn a_package_is_installed_watched_upgraded_amid_a_rollout_and_removed() {
    let (one, two) = (Git::new(), Git::new());
    let binds = [(one.bare(), "/srv/e2e-machine.git"), (two.bare(), "/srv/e2e-machine-two.git")];
    let Some(booted) = Machine::boot("package", &binds) else { return };
    let _stacks = Stacks::named(&["e2e-machine", "e2e-machine-two"]);
    let _image = Image::of_busybox("e2e-machine-busybox:1");
    one.write("one/compose.yaml", &sleepers("e2e-machine", 4, "1")).push("Begin");
    two.write("two/compose.yaml", &sleepers("e2e-machine-two", 1, "1")).push("Begin");
    let packages = tempfile::tempdir().unwrap();
    // It ends before what it would make again is cleared away.
    let machine = booted;
    make_docker_group(&machine);

    install(&machine, &package(&packages, "0.1.0-1"));
    assert_eq!(machine.property("ActiveState"), "inactive", "nothing is configured yet");
    assert_eq!(machine.run(&["systemctl", "is-enabled", "bowline"]).out.trim(), "disabled");
    assert_eq!(machine.sh("id --groups --name bowline"), "bowline docker");
    let verify = machine.run(&["systemd-analyze", "verify", "--man=no", "bowline.service"]);
    assert_eq!((verify.code, verify.all().as_str()), (0, ""));
    machine.sh("bowline --version && test -s /usr/share/man/man1/bowline-agent.1.gz");

    starts_and_is_ready(&machine);
    hands_credentials_over(&machine);
    reloads(&machine);
    is_restarted_when_it_hangs(&machine);
    says_what_is_wrong(&machine);
    let upgrade = package(&packages, "0.2.0-1");
    is_upgraded_amid_a_rollout(&machine, &one, &upgrade);
    is_removed_and_comes_back(&machine, &upgrade);
    is_purged(&machine);
}

fn starts_and_is_ready(machine: &Machine) {
    // The repositories are root's, and the agent is not root.
    machine.write("/etc/gitconfig", "[safe]\n\tdirectory = *\n");
    machine.write(CONFIG, &config(&["e2e-machine"], &listen()));
    machine.sh("systemctl enable --now bowline");
    // `start` came back, so it said that it is ready.
    assert_eq!(running_at("e2e-machine", "1"), 4);
    machine.until_property("StatusText", |text| text == "1 of 1 stacks synced");
    let process = machine.property("MainPID");
    assert_eq!(machine.sh(&format!("stat -c %U:%G /proc/{process}")), "bowline:bowline");
    assert_eq!(machine.sh("stat -c '%a %U' /var/lib/bowline"), "711 bowline");
    // Containers mount files out of the checkouts, and run as whom they like; what else lies there is not theirs.
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    let checkout = "$(find /var/lib/bowline/sources -name compose.yaml | head -n 1)";
    assert!(machine.sh(&format!("{nobody} cat {checkout}")).contains("e2e-machine"));
    machine.sh(&format!("! {nobody} cat /var/lib/bowline/digest.key 2>/dev/null"));
    assert_eq!(machine.sh("stat -c '%a %U:%G' /run/bowline/*.sock"), "660 bowline:bowline");
    let status = machine.sh("bowline status");
    assert!(status.contains("e2e-machine") && status.contains("Synced"), "{status}");
}

/// The file is for root alone, which the agent is not: systemd hands over what is in it.
fn hands_credentials_over(machine: &Machine) {
    machine.write("/etc/bowline/infra.token", "s3cret-of-the-test\n");
    machine.sh("chmod 600 /etc/bowline/infra.token");
    let nobody = free_port();
    let source = format!(
        "  - {{ name: e2e-machine-infra, url: http://127.0.0.1:{nobody}/infra.git, auth: {{ credential: infra-token }} }}\n"
    );
    let with =
        config(&["e2e-machine"], &listen()).replacen("monitor:", &format!("{source}monitor:"), 1);
    machine.write(CONFIG, &with);
    let mark = machine.journal().len();
    assert_ne!(machine.run(&["systemctl", "restart", "bowline"]).code, 0, "there is no credential");
    machine.until_journal(mark, &["error: ", "auth.credential", "LoadCredential=infra-token:PATH"]);
    machine.write(
        "/etc/systemd/system/bowline.service.d/credentials.conf",
        "[Service]\nLoadCredential=infra-token:/etc/bowline/infra.token\n",
    );
    machine
        .sh("systemctl daemon-reload; systemctl reset-failed bowline; systemctl restart bowline");
    machine.until_journal(mark, &[&format!("127.0.0.1:{nobody}/infra.git")]);
    assert!(!machine.journal().contains("s3cret-of-the-test"));
}

fn reloads(machine: &Machine) {
    let process = machine.property("MainPID");
    let before = lives("e2e-machine");
    let with_both = config(&["e2e-machine", "e2e-machine-two"], &listen());
    // Where it listens is not exchanged while it runs; the rest is.
    machine.write(CONFIG, &with_both);
    let mark = machine.journal().len();
    machine.sh("systemctl reload bowline");
    machine.until_journal(mark, &["http.listen", "restart"]);
    until("the stack of the new source", || {
        (running_at("e2e-machine-two", "1") == 1).then_some(())
    });
    machine.until_property("ActiveState", |state| state == "active");
    machine.write(CONFIG, &with_both.replace("monitor", "monitr"));
    let mark = machine.journal().len();
    machine.sh("systemctl reload bowline");
    machine.until_journal(mark, &["config.yaml:4:1", "unknown field `monitr`"]);
    machine.until_property("StatusText", |text| text.contains("config.yaml:4:1"));
    machine.until_property("ActiveState", |state| state == "active");
    machine.write(CONFIG, &with_both);
    machine.sh("systemctl reload bowline");
    machine.until_property("StatusText", |text| !text.contains("config.yaml:4:1"));
    assert_eq!((machine.property("MainPID"), lives("e2e-machine")), (process, before));
}

/// A loop that stands still feeds no watchdog, whatever else the process would do.
fn is_restarted_when_it_hangs(machine: &Machine) {
    let before = lives("e2e-machine");
    machine.write(
        "/etc/systemd/system/bowline.service.d/watchdog.conf",
        "[Service]\nWatchdogSec=4s\nRestartSec=100ms\n",
    );
    machine.sh("systemctl daemon-reload; systemctl restart bowline");
    let process = machine.property("MainPID");
    machine.sh(&format!("kill -STOP {process}"));
    machine.until_property("NRestarts", |count| count == "1");
    machine.until_property("ActiveState", |state| state == "active");
    assert_ne!(machine.property("MainPID"), process);
    machine.until_journal(0, &["Watchdog timeout"]);
    assert_eq!(lives("e2e-machine"), before, "the stack was touched");
}

/// Each by one error, and no container is touched.
fn says_what_is_wrong(machine: &Machine) {
    let before = (lives("e2e-machine"), lives("e2e-machine-two"));
    let fine = machine.sh(&format!("cat {CONFIG}"));
    let taker = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taker.local_addr().unwrap();
    let sources = ["e2e-machine", "e2e-machine-two"];
    let bus = "/run/dbus/system_bus_socket";
    let of_key = config(&sources, "resink: 1m\n");
    let of_port = config(&sources, &format!("http: {{ listen: {taken} }}\n"));
    let of_socket = config(&sources, &format!("{}socket: {bus}\n", listen()));
    let answers = format!("cannot listen on {bus}: another process answers there");
    let port = taken.to_string();
    for (text, words) in [
        (of_key, ["config.yaml:5:1: unknown field `resink`", "did you mean `resync`"]),
        (of_port, [&*port, "in use"]),
        (of_socket, [&*answers, "set another `socket`"]),
    ] {
        machine.write(CONFIG, &text);
        let mark = machine.journal().len();
        assert_ne!(machine.run(&["systemctl", "restart", "bowline"]).code, 0, "{words:?}");
        machine.until_journal(mark, &["error: ", words[0], words[1]]);
        // It is tried a few times, and then left.
        machine.until_property("SubState", |state| state == "failed");
        assert_eq!(errors(machine, mark).len(), 1, "{:?}", errors(machine, mark));
        machine.sh("systemctl reset-failed bowline");
    }
    machine.write(CONFIG, &fine);

    // A disk that has become read-only: nothing can be fetched.
    machine.sh(
        "mkdir /mnt/state && mount -t tmpfs tmpfs /mnt/state && cp -a /var/lib/bowline/. /mnt/state \
         && chmod 711 /mnt/state && chown bowline: /mnt/state \
         && mount --bind /mnt/state /var/lib/bowline && mount -o remount,ro /mnt/state",
    );
    let mark = machine.journal().len();
    machine.sh("systemctl start bowline");
    let inventory = "cannot use the inventory /var/lib/bowline/state.redb: Read-only file system";
    machine.until_journal(mark, &[inventory, "make room or let this user write there"]);
    machine.sh("systemctl stop bowline; umount /var/lib/bowline /mnt/state");

    // A disk that is full from the beginning: nothing can be fetched, and nothing is touched.
    machine.sh("mount -t tmpfs -o size=32k,mode=711,uid=$(id -u bowline),gid=$(id -g bowline) tmpfs /var/lib/bowline");
    machine.sh("head -c 1M /dev/zero >/var/lib/bowline/full 2>/dev/null || chown bowline: /var/lib/bowline/full");
    let mark = machine.journal().len();
    assert_ne!(machine.run(&["systemctl", "start", "bowline"]).code, 0);
    machine.until_journal(
        mark,
        &["error: cannot write", "/var/lib/bowline", "No space left on device"],
    );
    machine.sh(
        "systemctl stop bowline; systemctl reset-failed bowline || true; umount /var/lib/bowline",
    );
    assert_eq!((lives("e2e-machine"), lives("e2e-machine-two")), before);
    machine.sh("systemctl start bowline");
    machine.until_property("StatusText", |text| text.starts_with("2 of 2 stacks synced"));
    assert_eq!((lives("e2e-machine"), lives("e2e-machine-two")), before);
}

/// The different errors that the agent has written since.
fn errors(machine: &Machine, mark: usize) -> BTreeSet<String> {
    let journal = machine.journal();
    let errors = journal[mark..].lines().filter(|line| line.contains("error: "));
    errors.map(str::to_owned).collect()
}

fn is_upgraded_amid_a_rollout(machine: &Machine, git: &Git, upgrade: &Path) {
    let process = machine.property("MainPID");
    let gated = format!("{}{GATE}", sleepers("e2e-machine", 4, "2"));
    git.write("one/compose.yaml", &gated).push("Turn");
    until("the first new container", || (running_at("e2e-machine", "2") > 0).then_some(()));
    let new_ones = lives_at("e2e-machine", "2");
    install(machine, upgrade);
    machine.until_property("MainPID", |other| other != process && other != "0");
    assert_eq!(machine.sh("dpkg-query --show --showformat='${Version}' bowline"), "0.2.0-1");
    assert_eq!((new_ones.len(), running_at("e2e-machine", "2")), (1, 1), "it waited for the first");
    until("the end of the rollout", || {
        for (id, _) in lives_at("e2e-machine", "2") {
            docker(&["exec", &id, "busybox", "touch", "/open"]);
        }
        (running_at("e2e-machine", "2") == 4).then_some(())
    });
    assert!(new_ones.is_subset(&lives_at("e2e-machine", "2")), "what was new was exchanged again");
    for (id, _) in lives_at("e2e-machine", "2") {
        docker(&["exec", &id, "busybox", "touch", "/open"]);
    }
    machine.until_property("StatusText", |text| text.starts_with("2 of 2 stacks synced"));
}

/// Id and start of each container with this turn.
fn lives_at(stack: &str, turn: &str) -> BTreeSet<(String, String)> {
    let all = containers(stack);
    let of_turn = all.values().filter(|one| variable(one, "TURN") == Some(turn)).map(id);
    let of_turn: BTreeSet<String> = of_turn.collect();
    lives(stack).into_iter().filter(|(id, _)| of_turn.contains(id)).collect()
}

fn is_removed_and_comes_back(machine: &Machine, deb: &Path) {
    let before = (lives("e2e-machine"), lives("e2e-machine-two"));
    machine.sh("dpkg --remove bowline");
    assert_eq!(machine.run(&["pidof", "bowline"]).out, "");
    machine
        .sh(&format!("test -e {CONFIG} && test -d /var/lib/bowline && ! test -e /usr/bin/bowline"));
    assert_eq!((lives("e2e-machine"), lives("e2e-machine-two")), before, "after the removal");
    install(machine, deb);
    machine.sh("systemctl start bowline");
    machine.until_property("StatusText", |text| text.starts_with("2 of 2 stacks synced"));
    assert_eq!((lives("e2e-machine"), lives("e2e-machine-two")), before, "after the return");
}

fn is_purged(machine: &Machine) {
    let before = (lives("e2e-machine"), lives("e2e-machine-two"));
    machine.sh("rm -r /etc/bowline/infra.token; dpkg --purge bowline");
    machine.sh(
        "! test -e /etc/bowline && ! test -e /var/lib/bowline && ! test -e /etc/default/bowline",
    );
    let units = machine.sh("find /etc/systemd/system /usr/lib/systemd -name 'bowline.service'");
    assert_eq!(units, "");
    assert_eq!((lives("e2e-machine"), lives("e2e-machine-two")), before);
    assert!(!before.0.is_empty() && !before.1.is_empty());
}
