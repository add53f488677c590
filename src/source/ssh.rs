//! A repository behind ssh, by the `ssh` program: so that the host's own settings, agents, hardware keys
//! and jump hosts work as they do for people. Host keys are always checked, and nothing is ever asked.

mod complaint;

use super::error::Fault;
use super::limits::Attempt;
use super::location::SshAddress;
use super::mirror::{Known, Mirror};
use super::select::{Offer, Wanted};
use super::smart::{Advertised, Bound, Incoming, pump, read_advertised, receive, request};
use complaint::Complaint;
use git2::Oid;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

/// What the host's own settings of `ssh` cannot change, since the first word on a setting counts: whom it
/// trusts, that it asks and serves nobody, that no process outlives it, and that it says what is wrong.
const FIXED: [&str; 12] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "NoHostAuthenticationForLocalhost=no",
    "UpdateHostKeys=no",
    "ControlPath=none",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "LogLevel=INFO",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
];

/// With what a source logs in over ssh; absent: as the `ssh` program would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ssh {
    /// The file with the private key; then neither an agent's keys nor the usual files are tried.
    pub key_file: Option<PathBuf>,
    /// The file with the keys that hosts must have; then no other file is looked at.
    pub known_hosts_file: Option<PathBuf>,
}

/// A repository on a host.
pub(super) struct Server<'a> {
    address: &'a SshAddress,
    ssh: &'a Ssh,
}

/// The program, with what it started to get there, until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // They may have ended by themselves; before the wait the number is nobody else's.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// What a server that was begun says first, and what will follow.
struct Talk<'a> {
    advertised: Advertised,
    incoming: Incoming<'a>,
    stdin: ChildStdin,
    complaint: Complaint,
    /// Dropped last: it ends the program.
    _running: Running,
}

impl<'s> Server<'s> {
    pub(super) fn new(address: &'s SshAddress, ssh: &'s Ssh) -> Self {
        Self { address, ssh }
    }

    /// What the repository offers.
    pub(super) fn list(&self, attempt: &Attempt<'_>) -> Result<Offer, Fault> {
        Ok(self.begin(attempt)?.advertised.offer)
    }

    /// Fetches `wanted` into `mirror`.
    pub(super) fn fetch(
        &self,
        wanted: &Wanted,
        known: &Known,
        mirror: &Mirror,
        attempt: &Attempt<'_>,
    ) -> Result<Oid, Fault> {
        let Talk { advertised, mut incoming, mut stdin, complaint, _running } =
            self.begin(attempt)?;
        incoming.expect_objects();
        let request = request(&advertised, wanted, known)?;
        let body = request.body;
        // On a thread of its own: a server that reads nothing must not hold us up.
        thread::spawn(move || {
            // What is wrong with the server shows in what it answers.
            let _ = stdin.write_all(&body);
        });
        receive(&mut incoming, request.shallow, known, mirror)
            .map_err(|fault| complaint.or(fault))?;
        Ok(wanted.id)
    }

    /// Runs `git-upload-pack` there, and reads what it offers.
    fn begin<'a>(&self, attempt: &Attempt<'a>) -> Result<Talk<'a>, Fault> {
        attempt.check()?;
        let mut child = self.command(attempt).spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Fault::NoSsh,
            _ => Fault::io("run ssh", &error),
        })?;
        let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let running = Running(child);
        let (Some(stdin), Some(stdout), Some(stderr)) = taken else {
            return Err(Fault::Io { doing: "run ssh".into(), why: "it has no pipes".into() });
        };
        let (parts, mut incoming) = Incoming::of(Bound::LISTING, attempt.clone());
        thread::spawn(move || pump(stdout, &parts, Fault::from_io));
        let complaint = Complaint::hear(stderr);
        let advertised = read_advertised(&mut incoming).map_err(|fault| complaint.or(fault))?;
        Ok(Talk { advertised, incoming, stdin, complaint, _running: running })
    }

    fn command(&self, attempt: &Attempt<'_>) -> Command {
        let SshAddress { user, host, port, path } = self.address;
        let mut command = Command::new("ssh");
        command.arg("-T").args(FIXED.iter().flat_map(|setting| ["-o", setting]));
        let connect = attempt.limits.connect.as_secs().max(1);
        command.arg("-o").arg(format!("ConnectTimeout={connect}"));
        if let Some(file) = &self.ssh.known_hosts_file {
            command.arg("-o").arg(format!("UserKnownHostsFile=\"{}\"", quoted(file)));
            command.args(["-o", "GlobalKnownHostsFile=/dev/null"]);
        }
        if let Some(key) = &self.ssh.key_file {
            command.args(["-o", "IdentitiesOnly=yes"]);
            command.arg("-o").arg(format!("IdentityFile=\"{}\"", quoted(key)));
        }
        if let Some(port) = port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(user) = user {
            command.arg("-l").arg(user);
        }
        command.arg("--").arg(host).arg(upload_pack(path));
        // Its words are told apart, and it is ended with all that it starts.
        command.env("LC_ALL", "C").env_remove("GIT_PROTOCOL").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// What is run there. A shell reads it, or a server that knows only what git sends: always in quotes.
fn upload_pack(path: &str) -> String {
    format!("git-upload-pack '{}'", path.replace('\'', r"'\''"))
}

/// `path` for between quotes, where `ssh` puts names in for `%h` and the like.
fn quoted(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%%").replace('\\', r"\\").replace('"', "\\\"")
}
