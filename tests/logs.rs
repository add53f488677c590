//! `bowline logs` on a real engine: replicas together, in order, and on over a replacement. Runs with
//! `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use support::docker::docker;
use support::packed::Image;
use support::program::{Ended, bowline, command, signal, wait};
use support::stacks::Stacks;
use support::wait::until;
use tempfile::TempDir;

/// Writes one line to each output, then beats until it is told to end; version `V`.
const SCRIPT: &str = "busybox echo begin $V; busybox echo trouble $V >&2; \
    i=0; while :; do i=$((i+1)); busybox echo beat $V $i; busybox sleep 1; done";

struct Site {
    dir: TempDir,
    stack: &'static str,
    _stacks: Stacks,
    _image: Image,
}

impl Site {
    fn new(stack: &'static str) -> Self {
        let image = Image::of_busybox(&format!("{stack}-busybox:1"));
        let stacks = Stacks::named(&[stack]);
        Self { dir: tempfile::tempdir().unwrap(), stack, _stacks: stacks, _image: image }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Brings up `services`, which may say `IMAGE`.
    fn apply(&self, services: &str) {
        let file = self.dir.path().join("compose.yaml");
        let text = format!("name: {}\nservices:\n{services}", self.stack);
        let image = format!("{}-busybox:1", self.stack);
        std::fs::write(&file, text.replace("IMAGE", &image)).unwrap();
        self.run(&["apply", file.to_str().unwrap(), "--settle", "0s"]).expect(0);
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        bowline(&self.state(), arguments)
    }

    fn logs(&self, more: &[&str]) -> Ended {
        self.run(&[&["logs", self.stack], more].concat())
    }
}

fn beating(version: u8, replicas: u8) -> String {
    let script = SCRIPT.replace('$', "$$");
    format!(
        "  web:\n    image: IMAGE\n    scale: {replicas}\n    stop_signal: SIGKILL\n    \
         environment: {{ V: 'v{version}' }}\n    command: [sh, -c, {script:?}]\n"
    )
}

#[test]
fn replicas_are_shown_together_in_the_order_of_their_lines_and_both_outputs_too() {
    if support::engine().is_none() {
        return;
    }
    let site = Site::new("e2e-logs-all");
    site.apply(&beating(1, 2));
    let all = until("both to have written", || {
        let out = site.logs(&["--tail", "all", "-t"]).expect(0).out;
        let has_beaten =
            |name: &str| out.lines().any(|it| it.starts_with(name) && it.contains("beat v1 2"));
        (has_beaten("web-1 ") && has_beaten("web-2 ")).then_some(out)
    });
    assert!(all.contains("web-1 | ") && all.contains("trouble v1"), "{all}");
    assert!(!all.contains('\u{1b}'), "colours in a pipe: {all:?}");
    let times: Vec<&str> = all.lines().map(|it| it.split_whitespace().nth(2).unwrap()).collect();
    let times: Vec<jiff::Timestamp> = times.iter().map(|it| it.parse().unwrap()).collect();
    // An engine stores the two outputs of a container as it happens to read them.
    let close = jiff::SignedDuration::from_millis(200);
    assert!(times.is_sorted_by(|one, next| *one <= *next + close), "{all}");
    let last = site.logs(&["web", "--tail", "1"]).expect(0).out;
    assert_eq!(last.lines().count(), 2, "{last}");
    let none = site.logs(&["--since", "2099-01-01T00:00:00Z"]).expect(0).out;
    assert_eq!(none, "");
    let near = site.logs(&["wep"]).expect(1);
    near.says(&["no container of a service wep (did you mean web?); there are: web"]);
    site.run(&["logs", "e2e-logs-al"]).expect(1).says(&["no stack e2e-logs-al", "e2e-logs-all"]);
}

#[test]
fn what_docker_does_not_keep_is_said() {
    if support::engine().is_none() {
        return;
    }
    let site = Site::new("e2e-logs-none");
    let silent = "  mute:\n    image: IMAGE\n    stop_signal: SIGKILL\n    \
                  logging: { driver: none }\n    command: [busybox, sleep, '600']\n";
    site.apply(&format!("{silent}{}", beating(1, 1)));
    let ended = site.logs(&[]).expect(1);
    let ended =
        ended.says(&["e2e-logs-none-mute-1: Docker keeps no log of it", "`logging.driver`"]);
    assert!(ended.out.contains("begin v1"), "the other is shown: {}", ended.all());
}

#[test]
fn containers_of_others_are_not_shown_though_they_say_that_they_are_of_the_project() {
    if support::engine().is_none() {
        return;
    }
    let site = Site::new("e2e-logs-other");
    site.apply(&beating(1, 1));
    docker(&[
        "run",
        "-d",
        "--name",
        "e2e-logs-other-web-7",
        "--label",
        "com.docker.compose.project=e2e-logs-other",
        "--label",
        "com.docker.compose.service=web",
        "e2e-logs-other-busybox:1",
        "busybox",
        "echo",
        "stranger",
    ]);
    until("our own line", || site.logs(&[]).out.contains("begin v1").then_some(()));
    assert!(!site.logs(&[]).expect(0).all().contains("stranger"));
}

/// `bowline logs --follow` under way.
struct Following {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Following {
    fn start(state: &Path, arguments: &[&str]) -> Self {
        let mut command = command(state, &[&["logs", "--follow"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    /// All lines until one holds `word`.
    fn until(&self, word: &str) -> Vec<String> {
        let mut seen = Vec::new();
        until(&format!("a line with {word}"), || {
            seen.extend(self.out.try_iter());
            seen.iter().any(|line: &String| line.contains(word)).then_some(())
        });
        seen
    }

    fn interrupt(mut self) -> (Option<i32>, Vec<String>) {
        signal(&self.child, Signal::INT);
        let status = wait(&mut self.child, Duration::from_secs(30)).expect("it ends");
        (status.code(), self.err.iter().collect())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

#[test]
fn following_goes_on_over_a_replacement_and_a_restart_without_a_line_lost_or_twice() {
    if support::engine().is_none() {
        return;
    }
    let site = Site::new("e2e-logs-follow");
    site.apply(&beating(1, 1));
    let following = Following::start(&site.state(), &[site.stack, "web", "--tail", "all"]);
    let mut seen = following.until("beat v1 3");
    site.apply(&beating(2, 1));
    seen.extend(following.until("beat v2 3"));
    docker(&["restart", "-t", "0", "e2e-logs-follow-web-1"]);
    // It begins to count anew.
    seen.extend(following.until("begin v2"));
    seen.extend(following.until("beat v2 2"));
    let (code, err) = following.interrupt();
    assert_eq!(code, Some(0), "{err:?}");
    assert!(err.iter().any(|line| line.contains("web-1: a new container")), "{err:?}");
    let count = |text: &str| seen.iter().filter(|line| line.ends_with(text)).count();
    assert_eq!(
        ["begin v1", "trouble v1", "beat v1 1", "beat v1 2", "beat v1 3"].map(count),
        [1; 5]
    );
    assert_eq!(["begin v2", "trouble v2", "beat v2 1"].map(count), [2; 3], "{seen:#?}");
    assert!(count("beat v2 2") >= 2, "{seen:#?}");
}
