//! A repository to follow, whose commits and tags are signed in all ways, and a source that follows it.

use crate::keys::Signer;
use bowline::model::SourceName;
use bowline::source::{Checkout, Location, Reference, Repository, Spec, Verify, VerifyMode};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

/// When set to `required`, a missing program is a failure.
const REQUIRED: &str = "BOWLINE_TEST_SIGNATURES";

pub(crate) struct Forge {
    directory: TempDir,
}

impl Forge {
    /// Without any commit; `None`, with a line that says so, where the programs are not installed.
    pub(crate) fn new() -> Option<Self> {
        for program in ["git", "ssh-keygen", "gpg"] {
            if Command::new(program).arg("--version").output().is_err() {
                let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
                assert!(!required, "{REQUIRED} is set, but there is no {program}");
                crate::support::did_not_run(&format!("signature tests did not run: no {program}"));
                return None;
            }
        }
        let forge = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(forge.path("upstream")).unwrap();
        forge.git(&["init", "--quiet", "--initial-branch=main"]);
        Some(forge)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs git in the repository, without the user's configuration; what it printed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, b"")
    }

    fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let fixed = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let mut command = Command::new("git");
        command.args(fixed).args(arguments).current_dir(self.path("upstream"));
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        run(&mut command, input)
    }

    /// Commits a file `a` with this content; returns the commit.
    pub(crate) fn commit(&self, content: &str, signer: Option<&Signer>) -> String {
        self.commit_files(&[("a", content)], signer)
    }

    pub(crate) fn commit_files(&self, files: &[(&str, &str)], signer: Option<&Signer>) -> String {
        for (name, content) in files {
            let path = self.path("upstream").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.signed(&["commit", "--quiet", "--allow-empty", "--message=x"], "--gpg-sign", signer);
        self.git(&["rev-parse", "HEAD"])
    }

    /// An annotated tag of `HEAD`, in place of what has this name.
    pub(crate) fn tag(&self, name: &str, signer: Option<&Signer>) {
        let annotate = if signer.is_none() { "--annotate" } else { "--force" };
        self.signed(&["tag", "--force", annotate, "--message=t", name], "--sign", signer);
    }

    fn signed(&self, arguments: &[&str], sign: &str, signer: Option<&Signer>) {
        let mut all: Vec<&str> = signer.iter().flat_map(|it| it.config()).collect();
        all.push(arguments[0]);
        all.extend(signer.map(|_| sign));
        all.extend(&arguments[1..]);
        self.git(&all);
    }

    /// Makes `HEAD` what `change` makes of its bytes.
    pub(crate) fn forge(&self, change: impl FnOnce(&str) -> String) -> String {
        let former = self.git(&["cat-file", "commit", "HEAD"]);
        // What git printed was trimmed; this commit's message ends with a line end.
        let bytes = change(&format!("{former}\n"));
        let id = self.git_with(&["hash-object", "-t", "commit", "-w", "--stdin"], bytes.as_bytes());
        self.back_to(&id);
        id
    }

    pub(crate) fn back_to(&self, commit: &str) {
        self.git(&["reset", "--quiet", "--hard", commit]);
    }

    /// Writes a file beside the repository, such as one with keys.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn follow(&self, reference: Reference, verify: Option<Verify>) -> Repository {
        let location = Location::Local(self.path("upstream"));
        let name = SourceName::new("s").unwrap();
        let spec = Spec { name, location, reference, credentials: None, submodules: false, verify };
        Repository::open(spec, &self.path("state"))
    }

    /// Follows the head, whose commits these lines allow to sign.
    pub(crate) fn head_with_ssh(&self, lines: &str) -> Repository {
        let allowed_signers = Some(self.write("allowed_signers", lines));
        let verify = Verify { mode: VerifyMode::Head, allowed_signers, gpg_keyring: None };
        self.follow(Reference::Head, Some(verify))
    }

    /// Follows the head, whose commits these keys may sign.
    pub(crate) fn head_with_gpg(&self, keyring: impl AsRef<[u8]>) -> Repository {
        let gpg_keyring = Some(self.write("keyring", keyring));
        let verify = Verify { mode: VerifyMode::Head, allowed_signers: None, gpg_keyring };
        self.follow(Reference::Head, Some(verify))
    }

    /// The content of `a` in the checkout.
    pub(crate) fn shown(&self) -> Option<String> {
        fs::read_to_string(self.path("state/s/checkout/a")).ok()
    }
}

pub(crate) fn sync(source: &mut Repository) -> Checkout {
    source.sync(&AtomicBool::new(false)).unwrap()
}

/// By whom what is shown after a sync is signed.
pub(crate) fn verified(source: &mut Repository) -> String {
    sync(source).verified.unwrap().to_string()
}

/// Why a sync fails.
pub(crate) fn refused(source: &mut Repository) -> String {
    source.sync(&AtomicBool::new(false)).unwrap_err().to_string()
}

/// Runs a program that must succeed; what it printed.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> String {
    String::from_utf8(bytes_of(command, input)).unwrap().trim().to_owned()
}

pub(crate) fn bytes_of(command: &mut Command, input: &[u8]) -> Vec<u8> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that does not read it has ended by now.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output.stdout
}

/// Writes a program that can be run.
pub(crate) fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
