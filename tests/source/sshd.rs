//! OpenSSH's server on a loopback port, with keys of its own, for the user who runs the tests.

use super::nginx::{find, free_port, run};
use super::upstream::{Upstream, follow};
use bowline::source::{Location, Reference, Repository, Ssh, SshAddress};
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long it may take to start, and an `ssh` to come or go.
const PATIENCE: Duration = Duration::from_secs(10);
/// When set to `required`, a missing program is a failure.
const REQUIRED: &str = "BOWLINE_TEST_GIT_SSH";

/// Lets in who has the key `client`, and others that [`Server::key`] makes.
pub(crate) struct Server {
    directory: TempDir,
    running: Child,
    port: u16,
}

impl Server {
    /// Starts it; `None`, with a line that says so, where its programs are not installed.
    pub(crate) fn start() -> Option<Self> {
        let programs = ["sshd", "ssh", "ssh-keygen", "ssh-agent"];
        let missing: Vec<_> = programs.into_iter().filter(|name| find(name).is_none()).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
            assert!(!required, "{REQUIRED} is set, but there is no {missing}");
            eprintln!("not run: git over ssh needs {missing}");
            return None;
        }
        // Only root needs it, and only root can make it.
        let _ = fs::create_dir_all("/run/sshd");
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        for name in ["host", "stranger"] {
            generate(directory.path(), name);
        }
        let place = |name: &str| directory.path().join(name).display().to_string();
        let configuration = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n\
             KbdInteractiveAuthentication no\nLogLevel VERBOSE\n",
            place("host"),
            place("authorized_keys"),
        );
        fs::write(place("sshd_config"), configuration).unwrap();
        let running = spawn(directory.path());
        let server = Self { directory, running, port };
        server.await_start();
        server.key("client", None);
        server.know_host("known_hosts");
        Some(server)
    }

    /// A new key that is let in; with a command it is run instead of what is asked for.
    pub(crate) fn key(&self, name: &str, command: Option<&str>) -> PathBuf {
        generate(self.directory.path(), name);
        let public = fs::read_to_string(self.place(&format!("{name}.pub"))).unwrap();
        let forced = command.map_or(String::new(), |command| format!("command=\"{command}\" "));
        let keys = self.place("authorized_keys");
        let mut keys = File::options().append(true).create(true).open(keys).unwrap();
        write!(keys, "{forced}{public}").unwrap();
        self.place(name)
    }

    /// Writes the file `name` of known hosts, with this one in it.
    pub(crate) fn know_host(&self, name: &str) {
        let public = fs::read_to_string(self.place("host.pub")).unwrap();
        fs::write(self.place(name), format!("[127.0.0.1]:{} {public}", self.port)).unwrap();
    }

    /// What logs in with the file `key`, and trusts the host that it knows.
    pub(crate) fn login(&self, key: &str) -> Ssh {
        Ssh { key_file: Some(self.place(key)), known_hosts_file: Some(self.place("known_hosts")) }
    }

    pub(crate) fn address(&self, path: &str) -> Location {
        let (host, path) = ("127.0.0.1".to_owned(), path.to_owned());
        Location::Ssh(SshAddress { user: Some(user()), host, port: Some(self.port), path })
    }

    /// Follows the branch that `upstream` has as its head.
    pub(crate) fn follow(&self, upstream: &Upstream) -> Repository {
        let location = self.address(upstream.path().to_str().unwrap());
        follow(location, Reference::Head, &upstream.state()).with_ssh(self.login("client"))
    }

    /// Ends it, so that nobody listens.
    pub(crate) fn stop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }

    /// The same address with another key.
    pub(crate) fn become_another(&mut self) {
        self.stop();
        for name in ["host", "host.pub"] {
            fs::remove_file(self.place(name)).unwrap();
        }
        generate(self.directory.path(), "host");
        self.running = spawn(self.directory.path());
        self.await_start();
    }

    /// How often somebody was let in.
    pub(crate) fn logins(&self) -> usize {
        let log = fs::read_to_string(self.place("log")).unwrap();
        log.lines().filter(|line| line.starts_with("Accepted publickey")).count()
    }

    /// Waits until an `ssh` program runs that goes there.
    pub(crate) fn await_client(&self) {
        within_patience("no ssh runs", || !self.clients().is_empty());
    }

    /// The command lines of the programs that go there.
    pub(crate) fn clients(&self) -> Vec<String> {
        let port = format!("\0-p\0{}\0", self.port);
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        lines.filter(|line| line.contains(&port)).collect()
    }

    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn await_start(&self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = fs::read_to_string(self.place("log")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "sshd does not start: {log}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until the process is no more than a number that its parent has not asked for.
pub(crate) fn await_end(process: &str) {
    let line = format!("/proc/{process}/cmdline");
    within_patience("it runs on", || {
        fs::read(&line).is_ok_and(|line| line.is_empty()) || !Path::new(&line).exists()
    });
}

fn within_patience(otherwise: &str, reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < PATIENCE, "{otherwise}");
        std::thread::yield_now();
    }
}

/// Who runs the tests.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn spawn(directory: &Path) -> Child {
    let log = File::options().append(true).create(true).open(directory.join("log")).unwrap();
    Command::new(find("sshd").unwrap())
        .args(["-D", "-e", "-f"])
        .arg(directory.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn generate(directory: &Path, name: &str) {
    run(directory, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
    let only_us = fs::Permissions::from_mode(0o600);
    fs::set_permissions(directory.join(name), only_us).unwrap();
}
