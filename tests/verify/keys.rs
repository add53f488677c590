//! Keys made by ssh-keygen and gpg, and how git signs with them.

use crate::forge::{Forge, bytes_of, run, script};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What git is told so that it signs.
pub(crate) struct Signer(Vec<String>);

impl Signer {
    fn new(format: &str, key: &str, program: &str) -> Self {
        let settings =
            [format!("gpg.format={format}"), format!("user.signingkey={key}"), program.to_owned()];
        Self(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect())
    }

    pub(crate) fn config(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// An SSH key.
pub(crate) struct SshKey(PathBuf);

impl SshKey {
    /// `kind` is ssh-keygen's, with its bits if it needs them: `rsa 2048`.
    pub(crate) fn new(forge: &Forge, name: &str, kind: &str) -> Self {
        let path = forge.path(name);
        let mut words = kind.split(' ');
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-N", "", "-C", "no comment", "-t"]).args(words.next());
        command.args(words.next().map(|bits| format!("-b{bits}"))).arg("-f").arg(&path);
        run(&mut command, b"");
        Self(path)
    }

    /// Its line in a file of allowed signers.
    pub(crate) fn line(&self, options: &str) -> String {
        let public = fs::read_to_string(self.0.with_extension("pub")).unwrap();
        format!("alice@example.org {options} {public}")
    }

    pub(crate) fn fingerprint(&self) -> String {
        let shown = run(Command::new("ssh-keygen").arg("-lf").arg(&self.0), b"");
        shown.split(' ').nth(1).unwrap().to_owned()
    }

    pub(crate) fn signer(&self) -> Signer {
        Signer::new("ssh", self.0.to_str().unwrap(), "gpg.ssh.program=ssh-keygen")
    }

    /// Signs for `file` whatever git asks.
    pub(crate) fn signer_of_files(&self, forge: &Forge) -> Signer {
        let program = forge.path("ssh-keygen");
        script(&program, "shift 4\nexec ssh-keygen -Y sign -n file \"$@\"");
        let program = format!("gpg.ssh.program={}", program.display());
        Signer::new("ssh", self.0.to_str().unwrap(), &program)
    }
}

/// A home of GnuPG.
pub(crate) struct Gpg {
    home: PathBuf,
    programs: AtomicUsize,
}

impl Gpg {
    pub(crate) fn new(forge: &Forge) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let home = forge.path("gnupg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        Self { home, programs: AtomicUsize::new(0) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(&self.home).args(["--no-tty", "--pinentry-mode=loopback"]);
        command.args(["--passphrase", ""]);
        command
    }

    /// Runs gpg, at the date `at` if it says one.
    pub(crate) fn run(&self, at: &str, arguments: &[&str]) -> Vec<u8> {
        let mut command = self.command();
        command.arg("--batch").args(at_time(at)).args(arguments);
        bytes_of(&mut command, b"")
    }

    /// A key for `usage`, made in 2020, that does not expire; its fingerprint.
    pub(crate) fn key(&self, user: &str, kind: &str, usage: &str) -> String {
        self.run("20200101", &["--quick-generate-key", user, kind, usage, "never"]);
        self.fingerprints(user).remove(0)
    }

    /// Of a key and its subkeys.
    pub(crate) fn fingerprints(&self, user: &str) -> Vec<String> {
        let listed = self.run("", &["--with-colons", "--list-secret-keys", user]);
        let listed = String::from_utf8(listed).unwrap();
        let lines = listed.lines().filter_map(|line| line.strip_prefix("fpr:"));
        lines.map(|line| line.trim_matches(':').to_owned()).collect()
    }

    pub(crate) fn export(&self, options: &[&str]) -> Vec<u8> {
        self.run("", &[&["--export"], options].concat())
    }

    pub(crate) fn armored(&self, key: &str) -> String {
        String::from_utf8(self.run("", &["--armor", "--export", key])).unwrap()
    }

    /// Answers gpg's questions.
    pub(crate) fn told(&self, at: &str, arguments: &[&str], answers: &str) -> Vec<u8> {
        let mut command = self.command();
        command.args(at_time(at)).args(["--command-fd", "0"]).args(arguments);
        bytes_of(&mut command, answers.as_bytes())
    }

    /// Revokes a key, for a reason by gpg's number: 0 none, 3 no longer used.
    pub(crate) fn revoke(&self, at: &str, key: &str, reason: u8) {
        let certificate = self.told(at, &["--gen-revoke", key], &format!("y\n{reason}\n\ny\n"));
        let mut command = self.command();
        bytes_of(command.args(["--batch", "--import"]), &certificate);
    }

    /// Signs with the key or subkey of this fingerprint and with more of gpg's options.
    pub(crate) fn signer(&self, key: &str, options: &str) -> Signer {
        let number = self.programs.fetch_add(1, Ordering::Relaxed);
        let program = self.home.join(format!("gpg-{number}"));
        let fixed = "--pinentry-mode=loopback --passphrase ''";
        let home = self.home.display();
        script(&program, &format!("exec gpg --homedir {home} {fixed} {options} \"$@\""));
        Signer::new("openpgp", &format!("{key}!"), &format!("gpg.program={}", program.display()))
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut stop = Command::new("gpgconf");
        let _ = stop.arg("--homedir").arg(&self.home).args(["--kill", "gpg-agent"]).status();
    }
}

/// gpg's option to begin at a date.
fn at_time(at: &str) -> Vec<String> {
    if at.is_empty() { vec![] } else { vec!["--faked-system-time".into(), faked(at)] }
}

fn faked(date: &str) -> String {
    format!("{date}T000000")
}

/// The options to sign at a date.
pub(crate) fn at(date: &str) -> String {
    format!("--faked-system-time {}", faked(date))
}

/// Puts several files together.
pub(crate) fn together(parts: &[&str]) -> String {
    parts.concat()
}

pub(crate) fn keybox(gpg: &Gpg) -> Vec<u8> {
    fs::read(Path::new(&gpg.home).join("pubring.kbx")).unwrap()
}
