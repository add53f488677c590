//! A running `bowline agent`: its log, its pages, its end.

use super::program::{command_by, signal, wait};
use super::wait::until;
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// How long the agent may take to end: its own `shutdown_timeout` and a little more.
pub const END_BOUND: Duration = Duration::from_secs(15);
/// How long a page may take.
const PAGE_BOUND: Duration = Duration::from_secs(5);

/// A configuration for an agent, with a directory for its state.
pub struct Settings {
    pub dir: TempDir,
    pub address: String,
}

impl Settings {
    /// One source at `url`, looked at only when it changes. Its name is the test's own: agents with
    /// a source of one name on one engine would each take the other's stacks for their own. `more`
    /// is added as it is.
    pub fn new(source: &str, url: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        // What is not about the watching of updates does not wait for it.
        let monitor = if more.contains("monitor:") { "" } else { "monitor: 0s\n" };
        let text = format!(
            "sources: [{{ name: {source}, url: {url:?}, interval: 1h }}]\n\
             http: {{ listen: {address:?} }}\nstate_dir: state\nsocket: bowline.sock\nshutdown_timeout: 10s\n{monitor}{more}\n"
        );
        std::fs::write(dir.path().join("config.yaml"), text).unwrap();
        Self { dir, address }
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }

    /// Where the agent listens for commands.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("bowline.sock")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }
}

/// A port of the loopback that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An agent.
pub struct Agent {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    address: String,
}

impl Agent {
    pub fn start(settings: &Settings) -> Self {
        Self::start_with(settings, &[], &[])
    }

    pub fn start_with(settings: &Settings, more: &[&str], variables: &[(&str, &Path)]) -> Self {
        Self::start_by(&[], settings, more, variables)
    }

    /// The same by a program with arguments that runs what comes after these.
    pub fn start_by(
        by: &[&str],
        settings: &Settings,
        more: &[&str],
        variables: &[(&str, &Path)],
    ) -> Self {
        let file = settings.file();
        let arguments =
            ["agent", "--log-format", "human", "--config", file.to_str().expect("UTF-8")];
        let mut child = command_by(by, &settings.state_dir(), &[&arguments, more].concat())
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().unwrap().push(line);
            }
        });
        Self { child, log, address: settings.address.clone() }
    }

    /// How many lines it has logged: a mark for [`Agent::until_logged`].
    pub fn mark(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// The first line after `mark` that holds all of `words`.
    #[track_caller]
    pub fn until_logged(&self, mark: usize, words: &[&str]) -> String {
        until(&format!("a line with {words:?} in the log after {mark}"), || {
            let log = self.log.lock().unwrap();
            let fits = |line: &&String| words.iter().all(|word| line.contains(word));
            log.iter().skip(mark).find(fits).cloned()
        })
    }

    /// Waits until it calls itself ready.
    #[track_caller]
    pub fn until_ready(&self) {
        until("/readyz to say 200", || {
            self.get("/readyz").filter(|(status, _)| *status == 200).map(drop)
        });
    }

    /// What `/v1/status` says of a stack, once `fits` likes it.
    #[track_caller]
    pub fn until_stack(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(&format!("the status of {name}"), || self.stack(name).filter(&fits))
    }

    /// What `/v1/status` says of a stack now.
    pub fn stack(&self, name: &str) -> Option<Value> {
        let stacks = self.status()["stacks"].as_array().cloned().unwrap_or_default();
        stacks.into_iter().find(|stack| stack["name"] == name)
    }

    pub fn status(&self) -> Value {
        self.get("/v1/status").map_or(Value::Null, |(_, text)| {
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
        })
    }

    /// The metrics page.
    pub fn metrics(&self) -> String {
        self.get("/metrics").map_or_else(String::new, |(_, text)| text)
    }

    /// Where its pages are.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Status and body of a page; `None` while nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&self.address, path)
    }

    /// Asks it to end, and waits for that.
    #[track_caller]
    pub fn terminate(mut self) -> ExitStatus {
        signal(&self.child, Signal::TERM);
        wait(&mut self.child, END_BOUND).expect("SIGTERM ends the agent in time")
    }

    /// Has it read its configuration anew.
    pub fn hang_up(&self) {
        signal(&self.child, Signal::HUP);
    }

    /// A line without its time and level belongs to nothing that can be looked for.
    #[track_caller]
    fn every_line_is_an_event(&self) {
        let log = self.log.lock().unwrap();
        // The last one may be cut by the end.
        let whole = log.iter().take(log.len().saturating_sub(1));
        let is_event = |line: &&String| {
            let mut words = line.split_whitespace();
            let time = words.next().is_some_and(|word| word.parse::<jiff::Timestamp>().is_ok());
            let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
            time && words.next().is_some_and(|word| levels.contains(&word))
        };
        let stray: Vec<_> = whole.filter(|line| !is_event(line)).collect();
        assert_eq!(stray, Vec::<&String>::new(), "lines of the log without time and level");
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The same as [`Agent::terminate`] without waiting.
    pub fn ask_to_end(&self) {
        signal(&self.child, Signal::TERM);
    }

    /// Ends it at once, without a word, as a lost machine does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the agent's log:\n{}", self.log());
        } else {
            self.every_line_is_an_event();
        }
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of a page at `address`; `None` while nobody answers.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PAGE_BOUND)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
