//! A Docker engine of a test's own, which it may restart: the installed `dockerd` in a network
//! namespace, with data, socket and control groups apart from the machine's engine. Needs root.

use super::wait::until;
use bowline::engine::docker::Docker;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running engine; it and all in it go away with the test.
pub struct OwnEngine {
    namespace: String,
    home: TempDir,
    process: Child,
}

impl OwnEngine {
    /// With these settings, in the form of `daemon.json`.
    pub fn start(name: &str, settings: &str) -> Self {
        let namespace = format!("bowline-{name}");
        run("ip", &["netns", "add", &namespace]);
        let home =
            tempfile::Builder::new().prefix("bowline-engine").tempdir_in("/var/tmp").unwrap();
        std::fs::write(home.path().join("daemon.json"), settings).unwrap();
        let process = launch(&namespace, &home);
        let engine = Self { namespace, home, process };
        engine.until_it_answers();
        engine
    }

    /// Ends the engine as the system does, and starts it again.
    pub fn restart(&mut self) {
        self.end();
        self.process = launch(&self.namespace, &self.home);
        self.until_it_answers();
    }

    /// A new connection.
    pub fn connect(&self) -> Docker {
        Docker::at(&self.host()).unwrap()
    }

    /// Brings an image of the machine's engine here, under another name.
    pub fn load(&self, image: &str, name: &str) {
        let mut save = Command::new("docker")
            .args(["save", image])
            .stdout(Stdio::piped())
            .spawn()
            .expect("docker's command line is installed");
        let mut load = Command::new("docker");
        load.args(["--host", &self.host(), "load", "--quiet"]).stdout(Stdio::null());
        assert!(load.stdin(save.stdout.take().unwrap()).status().unwrap().success());
        assert!(save.wait().unwrap().success());
        run("docker", &["--host", &self.host(), "tag", image, name]);
    }

    fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("docker.sock")
    }

    fn until_it_answers(&self) {
        until("the engine", || UnixStream::connect(self.socket()).ok());
    }

    fn end(&mut self) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).unwrap();
        let _ = kill_process(id, Signal::TERM);
        let _ = self.process.wait();
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        let list = ["--host", &self.host(), "ps", "-aq"];
        let listed = Command::new("docker").args(list).output().unwrap();
        for id in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            run("docker", &["--host", &self.host(), "rm", "-f", "-v", id]);
        }
        self.end();
        run("ip", &["netns", "delete", &self.namespace]);
    }
}

fn launch(namespace: &str, home: &TempDir) -> Child {
    let at = |name: &str| home.path().join(name).display().to_string();
    let log = std::fs::File::options().create(true).append(true).open(at("log")).unwrap();
    // `ip netns exec` would hide the control groups.
    Command::new("nsenter")
        .arg(format!("--net=/run/netns/{namespace}"))
        .args(["sh", "-c", r#"ip link set lo up && exec dockerd "$@""#, "sh"])
        .args([
            "--config-file",
            &at("daemon.json"),
            "--host",
            &format!("unix://{}", at("docker.sock")),
        ])
        .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
        .args(["--cgroup-parent", namespace])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("nsenter is installed")
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // What is left of a run that was broken off is in the way of `ip netns add` alone.
    let is_there = said.contains("File exists");
    assert!(output.status.success() || is_there, "{program} {arguments:?}: {said}");
}
