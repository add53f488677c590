//! Repositories behind OpenSSH's server: fetched, with keys of both sides checked.

use super::nginx::{find, run};
use super::sshd::{Server, await_end, user};
use super::upstream::{Upstream, follow, git, sync};
use bowline::source::{Fault, Reference, Ssh};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Where the test in a process of its own finds the repository, the key, and the known hosts.
const ELSEWHERE: [&str; 3] = ["BOWLINE_TEST_URL", "BOWLINE_TEST_KEY", "BOWLINE_TEST_KNOWN_HOSTS"];

#[test]
fn a_repository_is_cloned_without_history_and_followed() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one"), ("same", "same")]);
    let second = upstream.commit(&[("a", "two")]);
    let mut source = server.follow(&upstream);
    let checkout = sync(&mut source).unwrap();
    assert_eq!((&checkout.revision.0, checkout.moved), (&second, true));
    let clone = upstream.state().join("s/git");
    assert_eq!(git(&clone, &["rev-list", "--count", &second]), "1");

    let packs = || fs::read_dir(clone.join("objects/pack")).unwrap().count();
    let before = (server.logins(), packs());
    assert!(!sync(&mut source).unwrap().moved);
    assert_eq!((server.logins(), packs()), (before.0 + 1, before.1));

    // `one` was in the commit before the clone's only one: the server must not take it for known.
    let third = upstream.commit(&[("a", "one"), ("b", "new")]);
    let checkout = sync(&mut source).unwrap();
    assert_eq!((&checkout.revision.0, checkout.moved), (&third, true));
    assert_eq!(fs::read_to_string(upstream.shown("a")).unwrap(), "one");
    git(&clone, &["fsck", "--connectivity-only", &third]);
    assert!(server.clients().is_empty(), "{:?}", server.clients());
}

#[test]
fn tags_and_commits_are_fetched() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let one = upstream.head();
    upstream.git(&["tag", "--annotate", "--message=m", "v1.0.0"]);
    upstream.commit(&[("a", "two")]);
    let two = upstream.head();
    upstream.commit(&[("a", "three")]);
    for (reference, expected) in [
        (Reference::Tag("v1.0.0".into()), &one),
        (Reference::Semver("^1".parse().unwrap()), &one),
        (Reference::Commit(two.clone()), &two),
        (Reference::Any(one.clone()), &one),
    ] {
        let location = server.address(upstream.path().to_str().unwrap());
        let mut source = follow(location, reference.clone(), &upstream.state());
        source = source.with_ssh(server.login("client"));
        assert_eq!(&sync(&mut source).unwrap().revision.0, expected, "{reference:?}");
    }
}

#[test]
fn a_path_begins_in_the_home_of_the_user_and_may_hold_any_character() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let odd = upstream.directory.path().join("it's `a` \"b\" $HOME; %d.git");
    upstream.git(&["clone", "--quiet", "--bare", ".", odd.to_str().unwrap()]);
    let (odd, plain) = (odd.to_str().unwrap(), upstream.path());
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let of_user = |line: &&str| line.split(':').next() == Some(&user());
    let home = passwd.lines().find(of_user).unwrap().split(':').nth(5).unwrap();
    let up = "../".repeat(Path::new(home).components().count() - 1);
    let of_home = format!("{up}{}", plain.strip_prefix("/").unwrap().display());
    for path in [odd, &of_home, &format!("~/{of_home}")] {
        let mut source = follow(server.address(path), Reference::Head, &upstream.state());
        source = source.with_ssh(server.login("client"));
        assert_eq!(sync(&mut source).unwrap().revision.0, upstream.head(), "{path}");
    }
    let escaped = odd.replace('%', "%25").replace(' ', "%20");
    let url = format!("{}", server.address(&escaped)).parse().unwrap();
    let mut source = follow(url, Reference::Head, &upstream.state());
    source = source.with_ssh(server.login("client"));
    assert_eq!(sync(&mut source).unwrap().revision.0, upstream.head());
}

#[test]
fn a_path_is_never_a_command() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let made = server.place("made");
    for path in ["'; touch X; '", "$(touch X)", "`touch X`", "/x; touch X", "/x' --exec='touch X"] {
        let path = path.replace('X', made.to_str().unwrap());
        let source = follow(server.address(&path), Reference::Head, &upstream.state());
        let error = sync(&mut source.with_ssh(server.login("client"))).unwrap_err();
        assert!(matches!(error.fault, Fault::Refused { .. }), "{path}: {error}");
    }
    assert!(!made.exists());
}

#[test]
fn names_of_files_are_taken_as_they_are() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let odd = server.place("ann's \"keys\" \\ 5%h");
    fs::create_dir(&odd).unwrap();
    let ssh = server.login("client");
    let (key, known) = (odd.join("key"), odd.join("known"));
    fs::copy(ssh.key_file.unwrap(), &key).unwrap();
    fs::copy(ssh.known_hosts_file.unwrap(), &known).unwrap();
    let ssh = Ssh { key_file: Some(key), known_hosts_file: Some(known) };
    assert!(sync(&mut server.follow(&upstream).with_ssh(ssh)).unwrap().moved);
}

#[test]
fn a_host_that_is_not_known_is_not_trusted() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    fs::write(server.place("empty"), "").unwrap();
    for known_hosts_file in [Some(server.place("empty")), None] {
        let ssh = Ssh { known_hosts_file, ..server.login("client") };
        let error = sync(&mut server.follow(&upstream).with_ssh(ssh)).unwrap_err();
        assert!(matches!(error.fault, Fault::HostKey { .. }), "{error}");
        assert!(error.to_string().contains("No ED25519 host key is known for"), "{error}");
    }
    assert_eq!(server.logins(), 0);
    assert_eq!(fs::read_to_string(server.place("empty")).unwrap(), "");
}

#[test]
fn a_host_whose_key_changed_is_not_trusted_and_the_files_stay() {
    let Some(mut server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let mut source = server.follow(&upstream);
    sync(&mut source).unwrap();
    server.become_another();
    upstream.commit(&[("a", "two")]);
    let before = server.logins();
    let error = sync(&mut source).unwrap_err();
    assert!(matches!(error.fault, Fault::HostKey { .. }), "{error}");
    let told = format!("Offending ED25519 key in {}:1", server.place("known_hosts").display());
    assert!(error.to_string().contains("another one than the one that is known"), "{error}");
    assert!(error.to_string().contains(&told), "{error}");
    assert_eq!(server.logins(), before);
    assert_eq!(fs::read_to_string(upstream.shown("a")).unwrap(), "one");
    server.know_host("known_hosts");
    assert!(sync(&mut source).unwrap().moved);
}

#[test]
fn a_key_that_is_not_accepted_is_told_with_the_reason() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let told = |key: &str| {
        let source = server.follow(&upstream).with_ssh(server.login(key));
        let error = sync(&mut { source }).unwrap_err();
        assert!(matches!(error.fault, Fault::KeyRefused { .. }), "{error}");
        error.to_string()
    };
    assert!(told("stranger").contains("Permission denied (publickey)"), "{}", told("stranger"));
    assert!(told("none").contains("no such identity"), "{}", told("none"));
    fs::write(server.place("damaged"), "s3cret").unwrap();
    let for_all = |name: &str, mode| {
        fs::set_permissions(server.place(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for_all("damaged", 0o600);
    assert!(told("damaged").contains("Load key"), "{}", told("damaged"));
    assert!(!told("damaged").contains("s3cret"));
    for_all("client", 0o644);
    assert!(told("client").contains("Permissions 0644 for"), "{}", told("client"));
    assert_eq!(server.logins(), 0);
}

#[test]
fn what_cannot_be_fetched_is_told_apart() {
    let Some(mut server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let mut source = server.follow(&upstream);
    sync(&mut source).unwrap();
    let fault = |path: &str, reference| {
        let source = follow(server.address(path), reference, &upstream.state());
        sync(&mut source.with_ssh(server.login("client"))).unwrap_err().fault
    };
    let none = fault("/none.git", Reference::Head);
    assert!(matches!(none, Fault::Refused { .. }), "{none}");
    assert!(none.to_string().contains("'/none.git' does not appear to be a git repository"));
    let empty = Upstream::empty();
    let empty = fault(empty.path().to_str().unwrap(), Reference::Head);
    assert!(matches!(empty, Fault::Empty), "{empty}");
    let path = upstream.path();
    let path = path.to_str().unwrap();
    let unknown = fault(path, Reference::Branch("gone".into()));
    assert!(unknown.to_string().contains("branches are main"), "{unknown}");
    let unknown = fault(path, Reference::Commit("1".repeat(40)));
    assert!(matches!(unknown, Fault::Refused { .. } | Fault::UnknownReference { .. }));
    server.stop();
    let error = sync(&mut source).unwrap_err();
    assert!(matches!(error.fault, Fault::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

/// An agent that holds a key, until this is dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn with_a_key_file_no_key_of_an_agent_is_tried() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let socket = server.place("agent");
    let mut agent = Command::new(find("ssh-agent").unwrap());
    agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
    let _agent = Agent(agent.spawn().unwrap());
    while !socket.exists() {
        std::thread::yield_now();
    }
    let add = [&format!("SSH_AUTH_SOCK={}", socket.display()), "ssh-add", "-q", "client"];
    run(&server.place(""), "env", &add);
    let with_agent = [("SSH_AUTH_SOCK", socket.to_str().unwrap())];
    assert_eq!(elsewhere(&server, &upstream, None, &with_agent), "fetched");
    let told = elsewhere(&server, &upstream, Some("stranger"), &with_agent);
    assert!(told.contains("the server does not accept the key"), "{told}");
}

#[test]
fn a_host_without_the_ssh_program_is_told_so() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let told = elsewhere(&server, &upstream, Some("client"), &[("PATH", "/nowhere")]);
    assert!(told.ends_with("there is no program `ssh` on this host; install OpenSSH's client"));
}

#[test]
fn what_the_ssh_program_started_ends_with_it() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let (bin, helper) = (server.place("bin"), server.place("helper"));
    fs::create_dir(&bin).unwrap();
    let script = format!("#!/bin/sh\nsleep 1000 &\necho $! >'{}'\necho Hello\n", helper.display());
    fs::write(bin.join("ssh"), script).unwrap();
    fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let told = elsewhere(&server, &upstream, Some("client"), &[("PATH", &path)]);
    assert!(told.contains("does not speak git's smart protocol"), "{told}");
    let helper = fs::read_to_string(helper).unwrap();
    await_end(helper.trim());
}

/// What a sync says in a process with `environment`.
fn elsewhere(
    server: &Server,
    upstream: &Upstream,
    key: Option<&str>,
    environment: &[(&str, &str)],
) -> String {
    let key = key.map_or(String::new(), |key| server.place(key).display().to_string());
    let known = server.place("known_hosts").display().to_string();
    let url = server.address(upstream.path().to_str().unwrap()).to_string();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ssh::in_a_process_of_its_own", "--nocapture"])
        .envs(ELSEWHERE.into_iter().zip([url, key, known]))
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().find_map(|line| line.strip_prefix("told: ")).unwrap_or(&said).to_owned()
}

/// What [`elsewhere`] runs; by itself it has nothing to do.
#[test]
fn in_a_process_of_its_own() {
    let [Ok(url), Ok(key), Ok(known)] = ELSEWHERE.map(std::env::var) else { return };
    let state = tempfile::tempdir().unwrap();
    let key_file = Some(key).filter(|key| !key.is_empty()).map(Into::into);
    let ssh = Ssh { key_file, known_hosts_file: Some(known.into()) };
    let source = follow(url.parse().unwrap(), Reference::Head, state.path());
    match sync(&mut source.with_ssh(ssh)) {
        Ok(_) => println!("\ntold: fetched"),
        Err(error) => println!("\ntold: {error}"),
    }
}
