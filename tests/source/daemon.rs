//! Repositories behind `git daemon`.

use super::nginx::free_port;
use super::upstream::{Upstream, follow, git, sync};
use bowline::model::Revision;
use bowline::source::{Fault, Limits, Location, Reference, Repository};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);
/// When set to `required`, a missing program is a failure.
const REQUIRED: &str = "BOWLINE_TEST_GIT_HTTP";

/// Serves every repository in a directory.
struct Daemon {
    directory: TempDir,
    running: Child,
    port: u16,
}

impl Daemon {
    /// Starts it; `None`, with a line that says so, where it is not installed.
    fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let program = PathBuf::from(git(directory.path(), &["--exec-path"])).join("git-daemon");
        if !program.is_file() {
            let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
            assert!(!required, "{REQUIRED} is set, but there is no git daemon");
            eprintln!("not run: there is no git daemon");
            return None;
        }
        let port = free_port();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let running = Command::new(program)
            .args(["--listen=127.0.0.1", "--export-all", "--verbose", "--reuseaddr"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", directory.path().display()))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "git daemon does not start");
            std::thread::yield_now();
        }
        Some(Self { directory, running, port })
    }

    /// A bare repository that is served as `name`.
    fn repository(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        let text = path.to_str().unwrap();
        git(self.directory.path(), &["init", "--quiet", "--bare", "-b", "main", text]);
        path
    }

    fn follow(&self, name: &str, state: &Path) -> Repository {
        follow(self.location(name), Reference::Head, state)
    }

    fn location(&self, name: &str) -> Location {
        format!("git://127.0.0.1:{}/{name}", self.port).parse().unwrap()
    }

    /// How often a repository was asked for.
    fn requests(&self) -> usize {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains("Request upload-pack")).count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

fn push(upstream: &Upstream, bare: &Path) {
    upstream.git(&["push", "--quiet", "--force", bare.to_str().unwrap(), "main"]);
}

#[test]
fn a_repository_is_cloned_without_history_and_followed() {
    let Some(daemon) = Daemon::start() else { return };
    let upstream = Upstream::with(&[("a", "one"), ("same", "same")]);
    let bare = daemon.repository("it's 5%.git");
    let second = upstream.commit(&[("a", "two")]);
    push(&upstream, &bare);
    let mut source = daemon.follow("it's 5%25.git", &upstream.state());
    assert_eq!(sync(&mut source).unwrap().revision.0, second);
    let clone = upstream.state().join("s/git");
    assert_eq!(git(&clone, &["rev-list", "--count", &second]), "1");
    source.keep(&[Revision(second.clone())].into()).unwrap();

    let before = daemon.requests();
    assert!(!sync(&mut source).unwrap().moved);
    assert_eq!(daemon.requests(), before + 1);

    // `one` was in the commit before the clone's only one: the server must not take it for known.
    let third = upstream.commit(&[("a", "one"), ("b", "new")]);
    push(&upstream, &bare);
    assert_eq!(sync(&mut source).unwrap().revision.0, third);
    assert_eq!(fs::read_to_string(upstream.shown("a")).unwrap(), "one");
    git(&clone, &["fsck", "--connectivity-only", &third]);

    upstream.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    let rewritten = upstream.commit(&[("a", "another")]);
    push(&upstream, &bare);
    git(&bare, &["gc", "--quiet", "--prune=now"]);
    assert_eq!(sync(&mut source).unwrap().revision.0, rewritten);
    let former = source.files_of(&Revision(second)).unwrap();
    assert_eq!(former.read(&upstream.shown("a")).unwrap(), b"two");
}

#[test]
fn what_is_not_there_is_told_apart() {
    let Some(daemon) = Daemon::start() else { return };
    let state = tempfile::tempdir().unwrap();
    let error = sync(&mut daemon.follow("none.git", state.path())).unwrap_err();
    assert!(matches!(error.fault, Fault::Refused { .. }), "{error}");
    daemon.repository("empty.git");
    let error = sync(&mut daemon.follow("empty.git", state.path())).unwrap_err();
    assert!(matches!(error.fault, Fault::Empty), "{error}");
    let upstream = Upstream::with(&[("a", "one")]);
    push(&upstream, &daemon.repository("a.git"));
    let gone = Reference::Branch("gone".into());
    let error = sync(&mut follow(daemon.location("a.git"), gone, state.path())).unwrap_err();
    assert!(error.to_string().contains("branches are main"), "{error}");
    let small = Limits { bytes: 100, ..Limits::default() };
    let error = sync(&mut daemon.follow("a.git", state.path()).with_limits(small)).unwrap_err();
    assert!(matches!(error.fault, Fault::TooLarge { .. }), "{error}");
}

#[test]
fn nobody_there_and_somebody_silent_end_within_the_limits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let location: Location = format!("git://{address}/a").parse().unwrap();
    let state = tempfile::tempdir().unwrap();
    let quick = Limits { idle: Duration::from_millis(200), ..Limits::default() };
    let mut source = follow(location, Reference::Head, state.path()).with_limits(quick);
    let error = sync(&mut source).unwrap_err();
    assert!(matches!(error.fault, Fault::TimedOut { .. }), "{error}");
    // What was asked, and then the end: no connection is left behind.
    let (mut stream, _) = listener.accept().unwrap();
    let mut asked = String::new();
    stream.read_to_string(&mut asked).unwrap();
    assert!(asked.contains(&format!("git-upload-pack /a\0host={address}\0")), "{asked:?}");
    drop((stream, listener));
    let error = sync(&mut source).unwrap_err();
    assert!(matches!(error.fault, Fault::Unreachable { .. }), "{error}");
}

/// Reads what asks for a repository: one line of git's.
fn hello(stream: &mut TcpStream) {
    let mut digits = [0; 4];
    stream.read_exact(&mut digits).unwrap();
    let length = usize::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap();
    stream.read_exact(&mut vec![0; length - 4]).unwrap();
}

#[test]
fn a_server_that_does_not_read_what_it_is_asked_holds_nobody_up() {
    // So many that what asks for all of them is more than a connection takes by itself.
    let mut offer = String::new();
    for number in 0..150_000 {
        let can = if number == 0 { "\0side-band-64k" } else { "" };
        let line = format!("{number:040x} refs/heads/{number}{can}\n");
        write!(offer, "{:04x}{line}", line.len() + 4).unwrap();
    }
    offer.push_str("0000");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("git://{}/a", listener.local_addr().unwrap()).parse().unwrap();
    let state = tempfile::tempdir().unwrap();
    let wanted = Reference::Commit("f".repeat(40));
    let limits = Limits { idle: Duration::from_secs(20), ..Limits::default() };
    let mut source = follow(location, wanted, state.path()).with_limits(limits);
    let cancelled = AtomicBool::new(false);
    thread::scope(|scope| {
        let work = scope.spawn(|| source.sync(&cancelled).unwrap_err());
        // It looks, and then it fetches.
        for is_fetch in [false, true] {
            let (mut stream, _) = listener.accept().unwrap();
            hello(&mut stream);
            stream.write_all(offer.as_bytes()).unwrap();
            stream.peek(&mut [0]).unwrap();
            if is_fetch {
                cancelled.store(true, Ordering::Relaxed);
                let error = work.join().unwrap();
                assert!(matches!(error.fault, Fault::Cancelled), "{error}");
                return;
            }
        }
    });
}
