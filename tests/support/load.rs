//! A constant stream of requests, and what became of every one of them: a request that was sent is
//! answered or failed, and never anything else. Each request has its time; when answers are late the
//! next ones are not put off, so that a standstill costs as many requests as it would in life.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

/// How long a whole answer may take.
const ANSWER_BOUND: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const LONGEST_ANSWER: usize = 1 << 16;

/// What is asked, and how often.
#[derive(Debug, Clone)]
pub struct Traffic {
    pub address: SocketAddr,
    /// Requests a second.
    pub rate: u32,
    /// Connections that are kept and used in turn.
    pub connections: u32,
    /// One request in so many is a POST, which nobody on the way may send twice; absent: none.
    pub post_every: Option<NonZeroU32>,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Refused,
    Reset,
    /// The connection ended before the answer did.
    Closed,
    /// No whole answer within [`ANSWER_BOUND`].
    TimedOut,
    Status(u16),
    /// What came is no answer of HTTP/1.1 with a length.
    Unreadable,
    Other(ErrorKind),
}

/// A request that failed, and when, counted from the beginning.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    pub at: Duration,
    pub fault: Fault,
    pub is_post: bool,
}

/// When and how often a page or a version of it answered.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub first: Duration,
    pub last: Duration,
    pub count: u64,
}

/// What became of the requests so far.
#[derive(Debug, Clone)]
pub struct Tally {
    pub sent: u64,
    pub answered: u64,
    pub failures: Vec<Failure>,
    /// By its whole text: each replica has its own.
    pub pages: BTreeMap<String, Seen>,
    /// Good answers in each second since the beginning.
    pub seconds: Vec<u32>,
    /// How long each good answer took from the time at which its request was due, in microseconds.
    pub latencies_micros: Vec<u32>,
    /// The longest time without a good answer.
    pub longest_gap: Duration,
    last_answer: Duration,
}

impl Tally {
    fn new() -> Self {
        Self {
            sent: 0,
            answered: 0,
            failures: Vec::new(),
            pages: BTreeMap::new(),
            seconds: Vec::new(),
            latencies_micros: Vec::new(),
            longest_gap: Duration::ZERO,
            last_answer: Duration::ZERO,
        }
    }

    /// Good answers a second, over the whole time.
    pub fn rate(&self) -> f64 {
        if self.last_answer.is_zero() {
            return 0.0;
        }
        f64::from(u32::try_from(self.answered).expect("a load is short"))
            / self.last_answer.as_secs_f64()
    }

    /// Below this the given share of the good answers stayed, in thousandths.
    pub fn latency(&self, thousandths: usize) -> Duration {
        let mut sorted = self.latencies_micros.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * thousandths).div_ceil(1000).saturating_sub(1);
        Duration::from_micros(sorted.get(at).copied().unwrap_or_default().into())
    }

    /// How many requests failed for each reason.
    pub fn faults(&self) -> BTreeMap<Fault, usize> {
        let mut faults = BTreeMap::new();
        for failure in &self.failures {
            *faults.entry(failure.fault).or_default() += 1;
        }
        faults
    }

    /// When and how often each version of the page answered.
    pub fn versions(&self) -> BTreeMap<String, Seen> {
        let mut versions: BTreeMap<String, Seen> = BTreeMap::new();
        for (page, seen) in &self.pages {
            let known =
                versions.entry(version(page).to_owned()).or_insert(Seen { count: 0, ..*seen });
            known.first = known.first.min(seen.first);
            known.last = known.last.max(seen.last);
            known.count += seen.count;
        }
        versions
    }

    fn answered(&mut self, page: &str, asked: Duration, now: Duration) {
        self.answered += 1;
        self.longest_gap = self.longest_gap.max(now.saturating_sub(self.last_answer));
        self.last_answer = now;
        let second = usize::try_from(now.as_secs()).expect("a load is short");
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        self.seconds[second] += 1;
        let took = now.saturating_sub(asked).as_micros();
        self.latencies_micros.push(u32::try_from(took).unwrap_or(u32::MAX));
        if let Some(seen) = self.pages.get_mut(page) {
            seen.count += 1;
            seen.last = now;
        } else {
            self.pages.insert(page.to_owned(), Seen { first: now, last: now, count: 1 });
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            to,
            "{} sent, {} answered ({:.0}/s), {} failed {:?}, longest gap {:?}, p99 {:?}, max {:?}",
            self.sent,
            self.answered,
            self.rate(),
            self.failures.len(),
            self.faults(),
            self.longest_gap,
            self.latency(990),
            self.latency(1000),
        )?;
        for (version, seen) in self.versions() {
            let (first, last) = (seen.first.as_secs_f64(), seen.last.as_secs_f64());
            write!(to, "; version {version} {} times, {first:.2} s to {last:.2} s", seen.count)?;
        }
        Ok(())
    }
}

/// The word after `version` on a page of `bowline serve`.
fn version(page: &str) -> &str {
    let after = page.split_once("version ").map_or("none", |(_, after)| after);
    after.split([' ', '<', '\n']).next().unwrap_or_default()
}

/// A load under way, on a thread of its own.
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
    began: Instant,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub fn start(traffic: &Traffic) -> Self {
        let tally = Arc::new(Mutex::new(Tally::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let sender = Sender {
            traffic: traffic.clone(),
            began,
            tally: Arc::clone(&tally),
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::spawn(move || sender.run());
        Self { tally, stop, began, thread: Some(thread) }
    }

    /// How long it has been going on.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Good answers and failures so far.
    pub fn so_far(&self) -> (u64, usize) {
        let tally = self.tally.lock().unwrap();
        (tally.answered, tally.failures.len())
    }

    /// Good answers a second so far.
    pub fn rate(&self) -> f64 {
        self.tally.lock().unwrap().rate()
    }

    /// How many different pages have answered since then.
    pub fn pages_since(&self, then: Duration) -> usize {
        let tally = self.tally.lock().unwrap();
        tally.pages.values().filter(|seen| seen.last >= then).count()
    }

    /// When and how often each version of the page answered so far.
    pub fn versions(&self) -> BTreeMap<String, Seen> {
        self.tally.lock().unwrap().versions()
    }

    /// Sends nothing more, and waits for what is under way.
    pub fn end(mut self) -> Tally {
        let ended = self.began.elapsed();
        self.stop();
        let mut tally = self.tally.lock().unwrap().clone();
        let known = tally.answered + u64::try_from(tally.failures.len()).unwrap();
        assert_eq!(tally.sent, known, "every request is answered or failed");
        tally.longest_gap = tally.longest_gap.max(ended.saturating_sub(tally.last_answer));
        tally
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the load does not panic");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Sender {
    traffic: Traffic,
    began: Instant,
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
}

impl Sender {
    fn run(self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sender = Rc::new(self);
        let next = Rc::new(Cell::new(0));
        let connections = (0..sender.traffic.connections).map(|_| {
            let (sender, next) = (Rc::clone(&sender), Rc::clone(&next));
            async move { sender.send_in_turn(&next).await }
        });
        runtime.block_on(futures_util::future::join_all(connections));
    }

    /// Takes the next request that nobody has taken, waits for its time, and asks.
    async fn send_in_turn(&self, next: &Cell<u32>) {
        let host = self.traffic.address;
        let get = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let post = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\n.");
        let mut line = None;
        loop {
            let number = next.replace(next.get() + 1);
            let due = Duration::from_secs(1) * number / self.traffic.rate;
            sleep_until((self.began + due).into()).await;
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.tally.lock().unwrap().sent += 1;
            let is_post = self.traffic.post_every.is_some_and(|every| number % every == 0);
            let asked = ask(&mut line, host, if is_post { &post } else { &get });
            let answer = timeout(ANSWER_BOUND, asked).await.unwrap_or(Err(Fault::TimedOut));
            let now = self.began.elapsed();
            let mut tally = self.tally.lock().unwrap();
            match answer {
                Ok(page) => tally.answered(&page, due, now),
                Err(fault) => {
                    line = None;
                    tally.failures.push(Failure { at: now, fault, is_post });
                }
            }
        }
    }
}

/// One request and its whole answer. The connection is left in `line` where it can be used again.
async fn ask(
    line: &mut Option<TcpStream>,
    address: SocketAddr,
    request: &str,
) -> Result<String, Fault> {
    let mut stream = match line.take() {
        Some(stream) => stream,
        None => connect(address).await?,
    };
    stream.write_all(request.as_bytes()).await.map_err(|error| fault(&error))?;
    let (head, page) = read_answer(&mut stream).await?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    match status.ok_or(Fault::Unreadable)? {
        200..300 => {}
        status => return Err(Fault::Status(status)),
    }
    if field(&head, "connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
        *line = Some(stream);
    }
    Ok(page)
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Fault> {
    let stream = TcpStream::connect(address).await.map_err(|error| fault(&error))?;
    stream.set_nodelay(true).map_err(|error| fault(&error))?;
    Ok(stream)
}

/// Head and page of an answer that tells its length, as every one does that is asked for here.
async fn read_answer(stream: &mut TcpStream) -> Result<(String, String), Fault> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, page)) = text.split_once("\r\n\r\n") {
            let length = field(head, "content-length").and_then(|length| length.parse().ok());
            let length: usize = length.ok_or(Fault::Unreadable)?;
            if page.len() >= length {
                return Ok((head.to_owned(), page.to_owned()));
            }
        }
        if bytes.len() > LONGEST_ANSWER {
            return Err(Fault::Unreadable);
        }
        if stream.read_buf(&mut bytes).await.map_err(|error| fault(&error))? == 0 {
            return Err(Fault::Closed);
        }
    }
}

/// A header's value.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn fault(error: &std::io::Error) -> Fault {
    match error.kind() {
        ErrorKind::ConnectionRefused => Fault::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Fault::Reset,
        other => Fault::Other(other),
    }
}
