//! A small constant load on one page, and what became of every request.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

/// Between two requests: when answers are late the next ones are not put off, so that a standstill
/// costs as many as it would in life.
const EVERY: Duration = Duration::from_millis(20);
/// How long an answer may take.
const ANSWER_BOUND: Duration = Duration::from_secs(5);

/// What became of the requests so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Good answers by the version that gave them.
    answers: BTreeMap<String, u64>,
    failed: u64,
}

impl Tally {
    fn note(&mut self, answer: Option<&str>) {
        match answer.and_then(version) {
            Some(version) => *self.answers.entry(version.to_owned()).or_default() += 1,
            None => self.failed += 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.failed + self.answers.values().sum::<u64>();
        write!(f, "requests {all}: ")?;
        for (version, count) in &self.answers {
            write!(f, "v{version} {count}  ")?;
        }
        write!(f, "failed {}", self.failed)
    }
}

/// The version that a whole and good answer of `bowline serve` names.
fn version(answer: &str) -> Option<&str> {
    let is_good = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("</html>\n");
    let (_, after) = answer.split_once("version ").filter(|_| is_good)?;
    after.split_whitespace().next()
}

/// Requests under way; dropped, they end at once.
pub(super) struct Visitors {
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Visitors {
    /// Begins to send requests.
    pub(super) fn send(to: SocketAddr) -> Self {
        let (tally, stop) = (Arc::default(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(come(to, Arc::clone(&tally), stop.clone()));
        Self { tally, stop, tasks }
    }

    pub(super) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Sends no more, and waits for the answers that are due.
    pub(super) async fn end(mut self) -> Tally {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.tally()
    }
}

async fn come(to: SocketAddr, tally: Arc<Mutex<Tally>>, stop: CancellationToken) {
    let (mut due, mut under_way) = (interval(EVERY), JoinSet::new());
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = stop.cancelled() => break,
        }
        let tally = Arc::clone(&tally);
        under_way.spawn(async move {
            let answer = timeout(ANSWER_BOUND, get(to, "/")).await.ok().and_then(Result::ok);
            lock(&tally).note(answer.as_deref());
        });
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The whole answer of a page.
pub(super) async fn get(from: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(from).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_good_answers_count_for_their_version() {
        let page = "HTTP/1.1 200 OK\r\n\r\n<html><body>version 2 on a</body></html>\n";
        let mut tally = Tally::default();
        let broken_off = page.trim_end();
        let sick = page.replace("200 OK", "503 Service Unavailable");
        for answer in [Some(page), Some(broken_off), Some(&sick), Some(""), None, Some(page)] {
            tally.note(answer);
        }
        assert_eq!(tally.to_string(), "requests 6: v2 2  failed 4");
    }
}
