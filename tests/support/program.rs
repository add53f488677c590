//! The built program, run as a user runs it.

use super::wait::until_within;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_bowline");
/// How long any single command may take.
pub const COMMAND_BOUND: Duration = Duration::from_secs(90);

/// What a command left.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; of a process that a signal ended 128 more than the signal, as shells have it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Fails the test unless the command ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Fails the test unless stderr holds every one of `words`.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "no `{word}` in stderr:\n{}", self.err);
        }
        self
    }

    /// All that it wrote.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// `bowline` with `arguments`, its state in `state_dir`, and nothing of the caller's settings.
pub fn command(state_dir: &Path, arguments: &[&str]) -> Command {
    command_by(&[], state_dir, arguments)
}

/// The same by a program with arguments that runs what comes after these.
pub fn command_by(by: &[&str], state_dir: &Path, arguments: &[&str]) -> Command {
    let words = [by, &[PROGRAM], arguments].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("BOWLINE_STATE_DIR", state_dir).stdin(Stdio::null());
    // What is not about the watching of updates does not wait for it.
    command.env("BOWLINE_MONITOR", "0s");
    for variable in ["BOWLINE_LOG", "NOTIFY_SOCKET", "WATCHDOG_USEC", "XDG_STATE_HOME"] {
        command.env_remove(variable);
    }
    command
}

/// Runs `bowline` with `arguments` to its end.
pub fn bowline(state_dir: &Path, arguments: &[&str]) -> Ended {
    run(&mut command(state_dir, arguments))
}

/// Runs `command` to its end.
pub fn run(command: &mut Command) -> Ended {
    Running::start(command).end()
}

/// A command under way.
pub struct Running {
    pub child: Child,
    out: Option<JoinHandle<String>>,
    err: Option<JoinHandle<String>>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let out = collect(child.stdout.take().expect("piped"));
        let err = collect(child.stderr.take().expect("piped"));
        Self { child, out: Some(out), err: Some(err) }
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let status = wait(&mut self.child, COMMAND_BOUND)
            .unwrap_or_else(|| panic!("the command did not end within {COMMAND_BOUND:?}"));
        let text = |reader: &mut Option<JoinHandle<String>>| {
            reader.take().map(|reader| reader.join().unwrap()).unwrap_or_default()
        };
        Ended { code: code(status), out: text(&mut self.out), err: text(&mut self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of `child`; `None` if it does not come in time.
pub fn wait(child: &mut Child, bound: Duration) -> Option<ExitStatus> {
    until_within(bound, "the end of a process", || child.try_wait().unwrap())
}

/// Sends `signal` to a process of our own.
pub fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
