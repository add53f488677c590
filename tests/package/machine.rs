//! A Debian machine with a booted systemd, in a container of `systemd-nspawn`: it shares the network and
//! the Docker engine of this one. What is written in it is gone with it. Needs root.

use crate::support::did_not_run;
use crate::support::program::{Ended, run, wait};
use crate::support::wait::{until, until_within};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long an end in good order may take.
const END_BOUND: Duration = Duration::from_secs(20);
/// Puts the shell into control groups of its own, where any hierarchy is that systemd would use, and
/// becomes nspawn. That ends with the test, however that ends.
const LAUNCH: &str = r#"
name=$1; shift
for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [ -e "$tree/cgroup.procs" ] || continue
    mkdir -p "$tree/$name" && echo $$ >"$tree/$name/cgroup.procs"
done
exec setpriv --pdeathsig KILL systemd-nspawn "$@"
"#;
const CLEAR: &str = r#"
for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [ -d "$tree/$1" ] && find "$tree/$1" -depth -type d -exec rmdir {} +
done
"#;

/// A running machine; it ends with the test.
pub(crate) struct Machine {
    name: String,
    process: Child,
    first: i32,
    home: TempDir,
}

impl Machine {
    /// Boots one that sees each of `binds` (here, there). `None`, said in a line, unless it is required:
    /// to make the machine takes minutes.
    pub(crate) fn boot(name: &str, binds: &[(PathBuf, &str)]) -> Option<Self> {
        if std::env::var("BOWLINE_TEST_MACHINE").as_deref() != Ok("required") {
            did_not_run("tests in a machine did not run: set BOWLINE_TEST_MACHINE=required");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let name = format!("bowline-{name}-{}", std::process::id());
        let log = File::create(home.path().join("console")).unwrap();
        let process = Command::new("sh")
            .args(["-c", LAUNCH, "sh", &name, "--quiet", "--boot", "--volatile=overlay"])
            // Nobody here has to know of it: this machine need not run systemd itself.
            .args(["--register=no", "--keep-unit", "--console=pipe"])
            .arg(format!("--directory={}", root().display()))
            .arg(format!("--machine={name}"))
            .arg("--bind=/var/run/docker.sock:/run/docker.sock")
            .args(binds.iter().map(|(here, there)| format!("--bind={}:{there}", here.display())))
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .env("SYSTEMD_NSPAWN_LOCK", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut machine = Self { name, process, first: 0, home };
        machine.first = until("the machine's first process", || machine.child());
        until("the end of the machine's start", || {
            let said = machine.run(&["systemctl", "is-system-running"]).out;
            ["running", "degraded"].contains(&said.trim()).then_some(())
        });
        Some(machine)
    }

    fn child(&mut self) -> Option<i32> {
        if let Some(status) = self.process.try_wait().unwrap() {
            panic!("the machine did not boot: {status}\n{}", self.console());
        }
        let id = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        let first: i32 = children.split_whitespace().next()?.parse().ok()?;
        // Before that it is nspawn's own, which sets the machine up.
        let name = std::fs::read_to_string(format!("/proc/{first}/comm")).ok()?;
        (name.trim() == "systemd").then_some(first)
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.home.path().join("console")).unwrap_or_default()
    }

    /// Runs a command as root in the machine, to its end.
    pub(crate) fn run(&self, command: &[&str]) -> Ended {
        let first = self.first.to_string();
        run(Command::new("nsenter")
            .args(["-t", &first, "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--"])
            .args(["env", "-i", "PATH=/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8"])
            .args(command)
            .stdin(Stdio::null()))
    }

    /// Runs a script as root in the machine; it must succeed. Returns what it wrote.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.run(&["sh", "-euc", script]).expect(0).out.trim_end().to_owned()
    }

    /// A file of the machine, written as it is.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let from = self.home.path().join("file");
        std::fs::write(&from, text).unwrap();
        let into = format!("/proc/{}/root{path}", self.first);
        std::fs::create_dir_all(Path::new(&into).parent().unwrap()).unwrap();
        std::fs::copy(&from, into).unwrap();
    }

    /// Copies a file of here to the machine.
    pub(crate) fn copy(&self, from: &Path, path: &str) {
        std::fs::copy(from, format!("/proc/{}/root{path}", self.first)).unwrap();
    }

    /// What the journal has of Bowline, one message a line.
    pub(crate) fn journal(&self) -> String {
        self.run(&["journalctl", "--unit=bowline", "--output=cat", "--no-pager"]).out
    }

    /// A property of the service.
    pub(crate) fn property(&self, name: &str) -> String {
        let property = format!("--property={name}");
        self.run(&["systemctl", "show", "bowline", "--value", &property]).out.trim().to_owned()
    }

    /// Waits until a property of the service is so.
    #[track_caller]
    pub(crate) fn until_property(&self, name: &str, fits: impl Fn(&str) -> bool) -> String {
        until(&format!("the property {name}"), || {
            Some(self.property(name)).filter(|value| fits(value))
        })
    }

    /// Waits for a line with all of `words` in the journal, after so many bytes of it.
    #[track_caller]
    pub(crate) fn until_journal(&self, mark: usize, words: &[&str]) -> String {
        until(&format!("a line with {words:?} in the journal"), || {
            let journal = self.journal();
            let mut lines = journal.get(mark..)?.lines();
            let fits = |line: &&str| words.iter().all(|word| line.contains(word));
            lines.find(fits).map(str::to_owned)
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.run(&["systemctl", "status", "bowline", "--no-pager"]).all());
            println!("the journal:\n{}", self.journal());
            println!("the machine's console:\n{}", self.console());
        }
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).unwrap();
        // The first asks the machine to halt, the second does not wait for that.
        for _ in 0..2 {
            let _ = kill_process(id, Signal::TERM);
        }
        if wait(&mut self.process, END_BOUND).is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        let name = self.name.clone();
        let cleared = until_within(END_BOUND, "the end of the machine's control groups", || {
            Command::new("sh")
                .args(["-c", CLEAR, "sh", &name])
                .status()
                .ok()?
                .success()
                .then_some(())
        });
        assert!(cleared.is_some() || std::thread::panicking(), "control groups of {name} are left");
    }
}

/// The root of the machine, made now if it is not there.
fn root() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/package/make-machine");
    let made = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(made.status.success(), "{script}: {}", made.status);
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}
