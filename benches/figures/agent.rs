//! The agent as a process of its own: how soon it repairs and follows, and what it costs at rest.

use crate::passes::{BOWLINE, manifest, write};
use crate::raw;
use crate::table::{Table, median, millis};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the agent at rest is watched: longer than the silence after which it pings the engine.
const REST: Duration = Duration::from_secs(65);

/// An agent on a repository of stacks; ended when dropped.
struct Agent {
    process: Child,
    directory: TempDir,
    port: u16,
}

impl Agent {
    async fn on(stacks: &[String], services: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let repository = directory.path().join("repository");
        git2::Repository::init(&repository).unwrap();
        for stack in stacks {
            write(&repository, stack, &manifest(stack, services));
        }
        commit_all(&repository);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "sources: [{{ name: bench, url: {:?}, interval: 1h }}]\nstate_dir: {:?}\nresync: 1h\nhttp: {{ listen: \"127.0.0.1:{port}\" }}\n",
            repository.display().to_string(),
            directory.path().join("state").display().to_string()
        );
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, config).unwrap();
        let process = Command::new(BOWLINE)
            .args(["agent", "--config"])
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self { process, directory, port };
        agent.ready().await;
        agent
    }

    async fn ready(&self) {
        let bound = Instant::now() + Duration::from_secs(120);
        while Instant::now() < bound {
            if self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the agent is not ready");
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn requests(&self) -> f64 {
        let page = self.get("/metrics").unwrap();
        let lines = page.lines().filter(|line| line.starts_with("bowline_engine_requests_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn resident_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn repository(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    /// Waits until no passes are made any more.
    async fn rest(&self) {
        let mut before = self.requests();
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.requests();
            if (now - before).abs() < f64::EPSILON {
                return;
            }
            before = now;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn commit_all(repository: &Path) {
    let git = git2::Repository::open(repository).unwrap();
    let mut index = git.index().unwrap();
    index.add_all(["."], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.write().unwrap();
    let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
    let who = git2::Signature::now("bench", "bench@example.org").unwrap();
    let parent = git.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    git.commit(Some("HEAD"), &who, &who, "bench", &tree, &parents).unwrap();
}

/// From a kill, or a removal, to running again. Every kill is of another stack: what ends again and
/// again is started with growing delays.
pub(crate) async fn drift(table: &mut Table, runs: usize) {
    let docker = raw::connect();
    let stacks: Vec<_> = (0..runs).map(|number| format!("bench-drift{number}")).collect();
    let agent = Agent::on(&stacks, 1).await;
    raw::make_network(&docker, "bench-raw").await;
    raw::run(&docker, "bench-raw", "bench-raw").await;
    let (mut killed, mut removed) = (Vec::new(), Vec::new());
    let (mut raw_start, mut raw_run) = (Vec::new(), Vec::new());
    for stack in &stacks {
        let name = format!("{stack}-s0-1");
        agent.rest().await;
        let starts = raw::starts(&docker, &name);
        let began = Instant::now();
        raw::kill(&docker, &name).await;
        starts.next().await;
        killed.push(began.elapsed());

        let began = Instant::now();
        raw::kill(&docker, "bench-raw").await;
        raw::start(&docker, "bench-raw").await;
        raw_start.push(began.elapsed());

        // Both from the moment at which the removal is complete and the name is free.
        agent.rest().await;
        let starts = raw::starts(&docker, &name);
        raw::remove(&docker, &name).await;
        let began = Instant::now();
        starts.next().await;
        removed.push(began.elapsed());

        raw::remove(&docker, "bench-raw").await;
        let began = Instant::now();
        raw::run(&docker, "bench-raw", "bench-raw").await;
        raw_run.push(began.elapsed());
    }
    over(table, "`docker kill` to running again", killed, raw_start, "kill + start", 50);
    over(table, "`docker rm -f` to running again", removed, raw_run, "create + start", 50);
}

/// From a commit in a watched local repository to the new service's container running.
pub(crate) async fn commit(table: &mut Table, runs: usize) {
    let docker = raw::connect();
    let agent = Agent::on(&["bench-commit".to_owned()], 1).await;
    raw::make_network(&docker, "bench-raw").await;
    let (mut followed, mut raw_run) = (Vec::new(), Vec::new());
    for number in 1..=runs {
        agent.rest().await;
        write(&agent.repository(), "bench-commit", &manifest("bench-commit", number + 1));
        let starts = raw::starts(&docker, &format!("bench-commit-s{number}-1"));
        let began = Instant::now();
        commit_all(&agent.repository());
        starts.next().await;
        followed.push(began.elapsed());

        let began = Instant::now();
        raw::run(&docker, &format!("bench-raw-{number}"), "bench-raw").await;
        raw_run.push(began.elapsed());
    }
    over(table, "commit to running", followed, raw_run, "create + start", 200);
}

fn over(
    table: &mut Table,
    figure: &str,
    ours: Vec<Duration>,
    raw: Vec<Duration>,
    what: &str,
    bound: u64,
) {
    let (ours, raw) = (median(ours), median(raw));
    let more = ours.saturating_sub(raw);
    let measured = format!("{}, raw {what} {}: +{}", millis(ours), millis(raw), millis(more));
    let met = more <= Duration::from_millis(bound);
    table.add(figure, measured, &format!("at most +{bound} ms"), met);
}

/// With a hundred containers and nothing to do.
pub(crate) async fn idle(table: &mut Table) {
    let agent = Agent::on(&["bench-idle".to_owned()], 100).await;
    agent.rest().await;
    let before = agent.requests();
    tokio::time::sleep(REST).await;
    let calls = agent.requests() - before;
    let resident = agent.resident_kib() as f64 / 1024.0;
    table.add(
        "agent at rest, 100 containers: memory",
        format!("{resident:.1} MB resident"),
        "at most 25 MB",
        resident <= 25.0,
    );
    table.add(
        "agent at rest, 100 containers: engine calls in 65 s",
        format!("{calls:.0}"),
        "none",
        calls.abs() < f64::EPSILON,
    );
}
