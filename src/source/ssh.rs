//! A repository behind ssh, by the `ssh` program: so that the host's own settings, agents, hardware keys
//! and jump hosts work as they do for people. Host keys are always checked, and nothing is ever asked.

mod complaint;

use super::error::Fault;
use super::limits::Attempt;
use super::location::SshAddress;
use super::mirror::Mirror;
use super::select::{Offer, Wanted};
use super::smart::{
    ADVERTISEMENT, Advertised, FLUSH, Incoming, pump, read_advertised, receive, request,
};
use complaint::Complaint;
use git2::Oid;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

/// With what a source logs in over ssh; absent: as the `ssh` program would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ssh {
    /// The file with the private key; then no other is tried.
    pub key_file: Option<PathBuf>,
    /// The file with the keys that hosts must have; then no other is looked at.
    pub known_hosts_file: Option<PathBuf>,
}

/// A repository on a host.
pub(super) struct Server<'a> {
    address: &'a SshAddress,
    ssh: &'a Ssh,
}

/// A server that runs, until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
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
        let mut talk = self.begin(ADVERTISEMENT, attempt)?;
        // A server that was not asked for anything would complain.
        let _ = talk.stdin.write_all(FLUSH);
        Ok(talk.advertised.offer)
    }

    /// Fetches `wanted` into `mirror`.
    pub(super) fn fetch(
        &self,
        wanted: &Wanted,
        mirror: &Mirror,
        attempt: &Attempt<'_>,
    ) -> Result<Oid, Fault> {
        let Talk { advertised, mut incoming, mut stdin, complaint, _running } =
            self.begin(ADVERTISEMENT + attempt.limits.bytes, attempt)?;
        let request = request(&advertised, wanted, mirror)?;
        let body = request.body;
        // On a thread of its own: a server that reads nothing must not hold us up.
        thread::spawn(move || {
            // What is wrong with the server shows in what it answers.
            let _ = stdin.write_all(&body);
        });
        receive(&mut incoming, request.shallow, mirror).map_err(|fault| complaint.or(fault))?;
        Ok(wanted.id)
    }

    /// Runs `git-upload-pack` there, and reads what it offers.
    fn begin<'a>(&self, limit: u64, attempt: &Attempt<'a>) -> Result<Talk<'a>, Fault> {
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
        let (parts, mut incoming) = Incoming::of(limit, *attempt);
        thread::spawn(move || pump(stdout, &parts, Fault::from_io));
        let complaint = Complaint::hear(stderr);
        let advertised = read_advertised(&mut incoming).map_err(|fault| complaint.or(fault))?;
        Ok(Talk { advertised, incoming, stdin, complaint, _running: running })
    }

    fn command(&self, attempt: &Attempt<'_>) -> Command {
        let SshAddress { user, host, port, path } = self.address;
        let mut command = Command::new("ssh");
        command.args(["-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]);
        command.args(["-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no"]);
        command.args(["-o", "PermitLocalCommand=no", "-o", "UpdateHostKeys=no"]);
        command.args(["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]);
        let connect = attempt.limits.connect.as_secs().max(1);
        command.arg("-o").arg(format!("ConnectTimeout={connect}"));
        if let Some(file) = &self.ssh.known_hosts_file {
            command.arg("-o").arg(format!("UserKnownHostsFile=\"{}\"", file.display()));
            command.args(["-o", "GlobalKnownHostsFile=/dev/null"]);
        }
        if let Some(key) = &self.ssh.key_file {
            command.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(key);
        }
        if let Some(port) = port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(user) = user {
            command.arg("-l").arg(user);
        }
        // A shell reads the words on the other side.
        let path = shell_words::quote(path);
        command.arg("--").arg(host).arg(format!("git-upload-pack {path}"));
        // Its words are told apart.
        command.env("LC_ALL", "C").env_remove("GIT_PROTOCOL");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}
