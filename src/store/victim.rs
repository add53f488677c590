//! A process that writes until it is killed, for the tests of what it leaves.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The directory for the process that is killed.
const VICTIM: &str = "BOWLINE_TEST_VICTIM";

/// Where the test that writes is to write; `None`: nobody kills it, so it has nothing to do.
pub(super) fn directory() -> Option<PathBuf> {
    std::env::var_os(VICTIM).map(PathBuf::from)
}

/// Runs `test`, which writes into `dir`, in another process, and kills it after so long.
pub(super) fn killed(test: &str, dir: &Path, after: Duration) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(VICTIM, dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Not a wait for anything: the moment of the end is what is tried out.
    std::thread::sleep(after);
    victim.kill().unwrap();
    victim.wait().unwrap();
}
