//! What `ssh` and the server's programs say when something is wrong, and what that means.

use super::super::error::Fault;
use super::super::smart::words;
use std::io::Read;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The most that is read of it, in bytes.
const MOST: u64 = 16 << 10;
/// How long the end of it is waited for once something went wrong.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is being said.
pub(super) struct Complaint(Receiver<Vec<u8>>);

impl Complaint {
    /// Hears `from` to its end.
    pub(super) fn hear(mut from: impl Read + Send + 'static) -> Self {
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let mut heard = Vec::new();
            // Half of it is still something.
            let _ = from.by_ref().take(MOST).read_to_end(&mut heard);
            let _ = sender.send(heard);
            // Nobody is held up by what is too much.
            let _ = std::io::copy(&mut from, &mut std::io::sink());
        });
        Self(said)
    }

    /// What was said, if that says more than `fault`.
    pub(super) fn or(&self, fault: Fault) -> Fault {
        if !matches!(fault, Fault::Unreachable { .. } | Fault::NotGit { .. }) {
            return fault;
        }
        let said = self.0.recv_timeout(PATIENCE).unwrap_or_default();
        let text = String::from_utf8_lossy(&said);
        let unreachable = matches!(fault, Fault::Unreachable { .. });
        let last = || last(&text).filter(|_| unreachable);
        meaning(&text).or_else(last).unwrap_or(fault)
    }
}

/// What the words of OpenSSH and of git mean, where they are known.
fn meaning(text: &str) -> Option<Fault> {
    let line = |part: &str| {
        text.lines().find(|line| line.contains(part)).map(|line| words(line.as_bytes()))
    };
    if text.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        let known = line("Offending ").map_or(String::new(), |known| format!(" ({known})"));
        return Some(Fault::HostKey {
            why: format!("its key is another one than the one that is known{known}"),
        });
    }
    if text.contains("Host key verification failed") {
        let unknown =
            line("host key is known for").unwrap_or_else(|| "it was not accepted".to_owned());
        return Some(Fault::HostKey { why: unknown });
    }
    if text.contains("Permission denied (") || text.contains("Too many authentication") {
        // Why the key was not even shown says more.
        let told =
            ["Permissions 0", "Load key ", "no such identity", "Permission denied (", "Too many"];
        return told.into_iter().find_map(line).map(|why| Fault::KeyRefused { why });
    }
    let refusals =
        ["fatal: ", "FATAL: ", "ERROR: ", "not found", "could not be found", "does not exist"];
    refusals.into_iter().find_map(line).map(|why| Fault::Refused { why })
}

/// The last line, where a program says why it ends; lines with `**` before them are general advice.
fn last(text: &str) -> Option<Fault> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with("**"));
    let last = lines.rfind(|line| !line.is_empty())?;
    Some(Fault::Unreachable { why: words(last.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_is_told_apart_by_what_is_to_be_done() {
        for (said, expected) in [
            (
                "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nOffending RSA key in k:1\n\
                 Host key verification failed.",
                "is another one than the one that is known (Offending RSA key in k:1)",
            ),
            (
                "No ED25519 host key is known for h and you have requested strict checking.\r\n\
                 Host key verification failed.",
                "No ED25519 host key is known for h",
            ),
            (
                "@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\nPermissions 0644 for 'k' are too open.\n\
                 git@h: Permission denied (publickey).",
                "Permissions 0644 for 'k' are too open",
            ),
            (
                "git@h: Permission denied (publickey).",
                "does not accept the key: git@h: Permission denied",
            ),
            (
                "fatal: '/x' does not appear to be a git repository",
                "the server refuses: fatal: '/x'",
            ),
            (
                "fatal: detected dubious ownership in repository at '/x'\n\tgit config --global",
                "the server refuses: fatal: detected dubious ownership",
            ),
            ("bash: line 1: git-upload-pack: command not found", "the server refuses: bash"),
            ("ERROR: Repository not found.\n", "the server refuses: ERROR: Repository"),
            (
                "no such identity: k: No such file or directory\n\
                 git@h: Permission denied (publickey).",
                "does not accept the key: no such identity: k",
            ),
            (
                "Load key \"k\": error in libcrypto\ngit@h: Permission denied (publickey).",
                "does not accept the key: Load key",
            ),
            ("why it ends\n** WARNING: not post-quantum\n", "cannot be reached: why it ends"),
            (
                "ssh: connect to host h port 22: Connection refused\n",
                "cannot be reached: ssh: connect to host h port 22: Connection refused",
            ),
            (
                "some motd\nkex_exchange_identification: read: Connection reset\n",
                "read: Connection reset",
            ),
        ] {
            let told = meaning(said).or_else(|| last(said)).unwrap().to_string();
            assert!(told.contains(expected), "{told}");
        }
        assert!(meaning("").is_none() && last("").is_none());
        assert!(!last("a\x1b[31mb").unwrap().to_string().contains('\x1b'));
    }

    #[test]
    fn a_banner_says_nothing_of_a_server_that_does_not_speak_git() {
        let hear = |said: &'static str| Complaint::hear(said.as_bytes());
        let not_git = || Fault::NotGit { why: "`This` is no length".into() };
        assert!(matches!(hear("Be good.\n").or(not_git()), Fault::NotGit { .. }));
        assert!(matches!(hear("sh: 1: x: not found\n").or(not_git()), Fault::Refused { .. }));
        assert!(matches!(hear("Be good.\n").or(Fault::Cancelled), Fault::Cancelled));
    }
}
