//! Servers behind ssh that say nonsense, nothing, half of it or too much: each fault is told apart, in time,
//! and no `ssh` is left behind.

use super::sshd::Server;
use super::upstream::{Upstream, git, sync};
use bowline::source::{Fault, Limits};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What a sync says where `command` runs instead of what was asked for.
fn fault_of(server: &Server, upstream: &Upstream, command: &str, limits: Limits) -> Fault {
    let name = format!("key-{}", fs::read_dir(server.place("")).unwrap().count());
    server.key(&name, Some(command));
    let source = server.follow(upstream).with_ssh(server.login(&name)).with_limits(limits);
    let error = sync(&mut { source }).unwrap_err();
    assert!(server.clients().is_empty(), "{:?}", server.clients());
    error.fault
}

#[test]
fn nonsense_and_half_an_answer_are_told_apart() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let fault = |command| fault_of(&server, &upstream, command, Limits::default());
    for command in ["echo Hello there", "cat /dev/zero", "echo Hello; exec cat >/dev/null"] {
        let nonsense = fault(command);
        assert!(matches!(nonsense, Fault::NotGit { .. }), "{command}: {nonsense}");
    }
    for command in ["printf 003f1111", "true", "kill -9 $PPID"] {
        let half = fault(command);
        assert!(matches!(half, Fault::Unreachable { .. }), "{command}: {half}");
    }
    let missing = fault("git-of-another-name");
    assert!(matches!(missing, Fault::Refused { .. }), "{missing}");
    let told = fault("echo 'The disk is full' >&2; exit 1");
    assert!(told.to_string().contains("The disk is full"), "{told}");
}

#[test]
fn half_a_pack_changes_nothing() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let mut source = server.follow(&upstream);
    sync(&mut source).unwrap();
    upstream.commit(&[("a", "two")]);
    let path = upstream.path().display().to_string();
    let advertised = format!("printf 0000 | git-upload-pack {path} | wc -c");
    let output = Command::new("sh").args(["-c", &advertised]).output().unwrap();
    let advertised: usize = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let command = format!("git-upload-pack {path} | dd bs=1 count={} 2>&-", advertised + 100);
    let half = fault_of(&server, &upstream, &command, Limits::default());
    assert!(matches!(half, Fault::Unreachable { .. }), "{half}");
    assert_eq!(fs::read_to_string(upstream.shown("a")).unwrap(), "one");
    assert!(sync(&mut source).unwrap().moved);
    git(&upstream.state().join("s/git"), &["fsck", "--connectivity-only", &upstream.head()]);
}

#[test]
fn a_silent_server_is_given_up() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let silent = "exec cat >/dev/null";
    let quick = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let given_up = fault_of(&server, &upstream, silent, quick);
    assert!(matches!(given_up, Fault::TimedOut { .. }), "{given_up}");
    let quick = Limits { whole: Duration::from_secs(2), ..Limits::default() };
    let drips = "while printf '000eshallow xx'; do sleep 0.01; done";
    let given_up = fault_of(&server, &upstream, drips, quick);
    assert!(matches!(given_up, Fault::TimedOut { during: "fetching", .. }), "{given_up}");
}

#[test]
fn a_wait_for_a_silent_server_ends_on_request() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    server.key("silent", Some("exec cat >/dev/null"));
    let cancelled = AtomicBool::new(false);
    thread::scope(|scope| {
        let source = server.follow(&upstream).with_ssh(server.login("silent"));
        let work = scope.spawn(|| { source }.sync(&cancelled).unwrap_err());
        server.await_client();
        cancelled.store(true, Ordering::Relaxed);
        let error = work.join().unwrap();
        assert!(matches!(error.fault, Fault::Cancelled), "{error}");
    });
    assert!(server.clients().is_empty(), "{:?}", server.clients());
}

#[test]
fn too_much_is_not_taken() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let id = "1".repeat(40);
    let endless = format!("yes '0034{id} refs/x'");
    let much = fault_of(&server, &upstream, &endless, Limits::default());
    assert!(matches!(much, Fault::TooLarge { .. }), "{much}");

    let digits = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string();
    let noise: String = (0..20_000).map(digits).collect();
    upstream.commit(&[("noise", &noise)]);
    let few = Limits { bytes: 1000, ..Limits::default() };
    let error = sync(&mut server.follow(&upstream).with_limits(few)).unwrap_err();
    assert!(matches!(error.fault, Fault::TooLarge { limit: 1000 }), "{error}");
    assert!(sync(&mut server.follow(&upstream)).unwrap().moved);
    assert!(server.clients().is_empty(), "{:?}", server.clients());
}
