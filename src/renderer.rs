//! Renders charts in a process of its own, this program once more. A template can ask for any amount of
//! memory and time in one expression, and only a process can be bounded in both.

use crate::chart::{self, Flaw, Outcome, Templates};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value as Json;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// The verb by which the program is told to be that process.
pub const VERB: &str = "render";
/// How much memory it may take, in bytes of addresses.
const MEMORY: u64 = 512 << 20;
/// How many seconds of a processor it may take.
const PROCESSOR: u64 = 5;
/// How long it may take at all.
const BOUND: Duration = Duration::from_secs(60);
/// This program, also when another one has come to its path.
const PROGRAM: &str = "/proc/self/exe";
/// What a process ends by that gets no memory.
const ABORTED: i32 = 6;
/// What it ends by that takes too much of the processor.
const OVERDUE: i32 = 24;
/// What the system ends processes by when the host is short of memory.
const KILLED: i32 = 9;

/// Whether this program knows the verb.
static KNOWS_VERB: AtomicBool = AtomicBool::new(false);

/// From now on [`render`] begins processes: this program answers [`VERB`] by [`answer`].
pub fn render_apart() {
    KNOWS_VERB.store(true, Ordering::Relaxed);
}

/// As [`chart::render`], in a process of its own where this program can be one.
pub fn render(templates: &Templates, context: &Json) -> Result<Outcome, Flaw> {
    if !KNOWS_VERB.load(Ordering::Relaxed) {
        return chart::render(templates, context);
    }
    let asked = serde_json::to_vec(&(templates, context));
    let asked =
        asked.map_err(|error| Flaw::of_all(format!("cannot be handed over: {error}"), None))?;
    let answered = ask(&asked);
    let (told, ended) =
        answered.map_err(|error| passing(format!("cannot be rendered: {error}")))?;
    match ended {
        Some(ended) if ended.success() => serde_json::from_slice(&told)
            .map_err(|error| Flaw::of_all(format!("cannot be rendered: {error}"), None))?,
        ended => Err(broken_off(ended)),
    }
}

/// What the process says to `asked`, and how it ended; `None`: it did not in time.
fn ask(asked: &[u8]) -> io::Result<(Vec<u8>, Option<ExitStatus>)> {
    let mut child = Command::new(PROGRAM)
        .arg(VERB)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (sender, answer) = mpsc::channel();
    if let Some(mut output) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut told = Vec::new();
            let read = output.read_to_end(&mut told).map(|_| told);
            drop(sender.send(read));
        });
    }
    if let Some(mut input) = child.stdin.take() {
        // It reads all before it does anything; if it ends before, its end tells why.
        drop(input.write_all(asked));
    }
    let Ok(told) = answer.recv_timeout(BOUND) else {
        child.kill()?;
        child.wait()?;
        return Ok((Vec::new(), None));
    };
    let ended = child.wait()?;
    Ok((told?, Some(ended)))
}

fn broken_off(ended: Option<ExitStatus>) -> Flaw {
    let loops = Some("look for a text or list that is doubled again and again");
    let Some(ended) = ended else {
        return passing(format!("the templates were not rendered within {} s", BOUND.as_secs()));
    };
    match ended.signal() {
        Some(ABORTED) => Flaw::of_all(
            format!("the templates take more than {} MiB of memory", MEMORY >> 20),
            loops,
        ),
        Some(OVERDUE) => Flaw::of_all(format!("the templates take more than {PROCESSOR} s"), loops),
        Some(KILLED) => Flaw {
            help: Some(
                "see whether the host, or what bounds this program, is short of memory".to_owned(),
            ),
            ..passing("the process that renders the templates was killed".to_owned())
        },
        _ => passing(format!("the templates cannot be rendered: {ended}")),
    }
}

/// What is no fault of the templates.
fn passing(message: String) -> Flaw {
    Flaw { may_pass: true, ..Flaw::of_all(message, None) }
}

/// Renders what comes from the input, within bounds, and says to the output what came of it.
pub fn answer() -> io::Result<()> {
    bound(Resource::As, MEMORY)?;
    bound(Resource::Cpu, PROCESSOR)?;
    bound(Resource::Core, 0)?;
    let mut asked = Vec::new();
    io::stdin().read_to_end(&mut asked)?;
    let (templates, context): (Templates, Json) = serde_json::from_slice(&asked)?;
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &chart::render(&templates, &context))?;
    output.flush()
}

/// Bounds this process, unless it is bounded closer already: nobody but root may go beyond that.
fn bound(resource: Resource, most: u64) -> io::Result<()> {
    let known = getrlimit(resource);
    let least = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
    // The soft one alone: a program that takes too long is told apart from one that is killed.
    let limit = Rlimit { current: least(known.current), maximum: known.maximum };
    Ok(setrlimit(resource, limit)?)
}
