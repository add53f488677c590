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

    /// What was said, if that says more than that the connection ended.
    pub(super) fn or(&self, fault: Fault) -> Fault {
        if !matches!(fault, Fault::Unreachable { .. } | Fault::NotGit { .. }) {
            return fault;
        }
        let said = self.0.recv_timeout(PATIENCE).unwrap_or_default();
        meaning(&said).unwrap_or(fault)
    }
}

/// What the words of OpenSSH (10.0 and older) and of git mean.
fn meaning(said: &[u8]) -> Option<Fault> {
    let text = String::from_utf8_lossy(said);
    let line = |part: &str| {
        text.lines().find(|line| line.contains(part)).map(|line| words(line.as_bytes()))
    };
    if text.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        let changed = "its key is another one than the one that is known";
        return Some(Fault::HostKey { why: changed.to_owned() });
    }
    if text.contains("Host key verification failed") {
        let unknown =
            line("host key is known for").unwrap_or_else(|| "it was not accepted".to_owned());
        return Some(Fault::HostKey { why: unknown });
    }
    if let Some(why) = line("UNPROTECTED PRIVATE KEY").and_then(|_| line("Permissions ")) {
        return Some(Fault::KeyRefused { why });
    }
    if let Some(why) = line("Permission denied (").or_else(|| line("Too many authentication")) {
        return Some(Fault::KeyRefused { why });
    }
    let no_repository =
        ["does not appear to be a git repository", "epository not found", "does not exist"];
    if let Some(why) = no_repository.into_iter().find_map(line) {
        return Some(Fault::Refused { why });
    }
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(Fault::Unreachable { why: words(last.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_is_told_apart_by_what_is_to_be_done() {
        for (said, expected) in [
            (
                "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                "is another one than the one that is known",
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
                "ssh: connect to host h port 22: Connection refused\n",
                "cannot be reached: ssh: connect to host h port 22: Connection refused",
            ),
            (
                "some motd\nkex_exchange_identification: read: Connection reset\n",
                "read: Connection reset",
            ),
        ] {
            let told = meaning(said.as_bytes()).unwrap().to_string();
            assert!(told.contains(expected), "{told}");
        }
        assert!(meaning(b"").is_none());
        assert!(!meaning(b"a\x1b[31mb").unwrap().to_string().contains('\x1b'));
    }
}
