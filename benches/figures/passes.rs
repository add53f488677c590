//! Passes by hand: `bowline apply` against `docker compose up -d` and the raw API.

use crate::raw::{self, COMMAND};
use crate::table::{Table, median, millis, ratio, timed};
use crate::{IMAGE, clean};
use bowline::engine::Engine;
use bowline::engine::docker::Docker;
use bowline::execute::Bounds;
use bowline::manifest::{DigestKey, Request, load};
use bowline::pass::{Means, Moment, Subject, preview};
use bowline::status::PassResult;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

pub(crate) const BOWLINE: &str = env!("CARGO_BIN_EXE_bowline");

/// A compose file with so many services.
pub(crate) fn manifest(name: &str, services: usize) -> String {
    let mut text = format!("name: {name}\nservices:\n");
    for number in 0..services {
        writeln!(text, "  s{number}:\n    image: {IMAGE}\n    command: {COMMAND:?}").unwrap();
        text +=
            "    stop_signal: SIGKILL\n    environment: { A: one, B: two }\n    mem_limit: 64m\n";
    }
    text
}

pub(crate) fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let file = directory.join(name).join("compose.yaml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    file
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
}

fn apply(file: &Path, state: &Path) {
    run(Command::new(BOWLINE)
        .arg("apply")
        .arg(file)
        .args(["--settle", "0s"])
        .arg("--state-dir")
        .arg(state));
}

/// The peer, if there is one.
fn compose_up(file: &Path) {
    if let Some(program) = std::env::var_os("COMPOSE") {
        run(Command::new(program).arg("-f").arg(file).args(["up", "-d"]));
    }
}

/// Nothing to do: the whole process, in turn with the peer's.
pub(crate) fn noop(table: &mut Table, runs: usize) {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    for services in [20, 100] {
        let ours = write(directory.path(), "bench-ours", &manifest("bench-ours", services));
        let theirs = write(directory.path(), "bench-theirs", &manifest("bench-theirs", services));
        apply(&ours, &state);
        compose_up(&theirs);
        let peer = std::env::var_os("COMPOSE").is_some();
        let (mut we, mut they) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            we.push(timed(|| apply(&ours, &state)));
            they.push(timed(|| compose_up(&theirs)));
        }
        let (we, they) = (median(we), median(they));
        let figure = format!("no-op `apply`, {services} services");
        if peer {
            let ratio = ratio(we, they);
            let measured = format!("{}, `compose up -d` {}: {ratio:.2}x", millis(we), millis(they));
            table.add(&figure, measured, "at most 0.5x", ratio <= 0.5);
        } else {
            table.say(&figure, &format!("{}; peer not measured: set COMPOSE", millis(we)));
        }
        clean();
    }
}

/// Requests to the engine in a pass that finds nothing to do.
pub(crate) async fn calls(table: &mut Table) {
    let directory = tempfile::tempdir().unwrap();
    let mut counted = Vec::new();
    for extras in [1, 10, 40] {
        let mut text = manifest("bench-calls", 2);
        let (mut networks, mut volumes) = ("networks:\n".to_owned(), "volumes:\n".to_owned());
        for number in 0..extras {
            // Forty are more than an engine has addresses for by itself.
            let subnet = format!("10.213.{number}.0/24");
            writeln!(networks, "  n{number}: {{ ipam: {{ config: [{{ subnet: {subnet} }}] }} }}")
                .unwrap();
            writeln!(volumes, "  v{number}: {{}}").unwrap();
        }
        let names: Vec<String> = (0..extras).map(|number| format!("n{number}")).collect();
        writeln!(text, "    networks: [{}]", names.join(", ")).unwrap();
        let file = write(directory.path(), "bench-calls", &(text + &networks + &volumes));
        apply(&file, &directory.path().join("state"));
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let docker = Docker::connect(None).unwrap().with_observer(Arc::new(move |_, _, _| {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        docker.facts().await.unwrap();
        seen.store(0, Ordering::Relaxed);
        let plan = preview(&docker, &stack(&file), None).await.unwrap();
        assert!(plan.is_empty(), "{plan}");
        counted.push(seen.load(Ordering::Relaxed));
        clean();
    }
    let measured =
        format!("{counted:?} requests with 1, 10, 40 networks and volumes, 2 containers");
    let flat = counted.iter().all(|count| *count == counted[0]);
    table.add("engine calls of a no-op pass", measured, "flat", flat);
}

/// A pass over a stack of which nothing was heard since the last one.
pub(crate) async fn warm(table: &mut Table, runs: usize) {
    const SERVICES: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "bench-warm", &manifest("bench-warm", SERVICES));
    apply(&file, &directory.path().join("state"));
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let docker = Docker::connect(None).unwrap().with_observer(Arc::new(move |_, _, _| {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let means = Means {
        engine: Arc::new(docker),
        bounds: Bounds::new(NonZeroUsize::MIN, NonZeroUsize::MIN),
        onlooker: Arc::new(|_| {}),
        snapshots: Arc::default(),
        stop: CancellationToken::new(),
        brake: CancellationToken::new(),
    };
    means.snapshots.listening(Duration::from_secs(600));
    let stack = stack(&file);
    let subject = Subject { stack: &stack, source: None, revision: None };
    let due = |_: &_, _| false;
    let moment = || Moment { due: &due, ..Moment::by_hand(Duration::ZERO) };
    let first = means.reconcile(&subject, &moment()).await;
    assert_eq!(first.result, PassResult::Unchanged, "{}", first.message);
    calls.store(0, Ordering::Relaxed);
    let mut times = Vec::new();
    for _ in 0..runs * 10 {
        let began = Instant::now();
        let report = means.reconcile(&subject, &moment()).await;
        times.push(began.elapsed());
        assert_eq!(report.result, PassResult::Unchanged, "{}", report.message);
    }
    let (took, calls) = (median(times), calls.load(Ordering::Relaxed));
    let measured = format!("{:.2} ms, {calls} requests", took.as_secs_f64() * 1000.0);
    let met = took <= Duration::from_millis(1) && calls == 0;
    table.add("pass without change, warm, 100 services", measured, "at most 1 ms, none", met);
}

fn stack(file: &Path) -> bowline::model::Stack {
    let request = Request::new(vec![file.to_owned()], DigestKey::new([0; 32]));
    load(&request, &|path| std::fs::read(path)).unwrap().stack
}

/// Fifty services from nothing, against the raw API at its best and the peer.
pub(crate) async fn cold(table: &mut Table, runs: usize) {
    const SERVICES: usize = 50;
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let ours = write(directory.path(), "bench-ours", &manifest("bench-ours", SERVICES));
    let theirs = write(directory.path(), "bench-theirs", &manifest("bench-theirs", SERVICES));
    let docker = raw::connect();
    let parallel = [2, 4, 8, 16];
    let mut raws: Vec<Vec<Duration>> = vec![Vec::new(); parallel.len()];
    let (mut we, mut they) = (Vec::new(), Vec::new());
    for _ in 0..runs.min(5) {
        we.push(timed(|| apply(&ours, &state)));
        clean();
        they.push(timed(|| compose_up(&theirs)));
        clean();
        for (index, parallel) in parallel.into_iter().enumerate() {
            raw::make_network(&docker, "bench-raw").await;
            raws[index]
                .push(raw::run_many(&docker, "bench-raw", "bench-raw", SERVICES, parallel).await);
            clean();
        }
    }
    let (we, they) = (median(we), median(they));
    let raw = raws.into_iter().map(median).min().unwrap();
    let over = ratio(we, raw);
    let measured = format!("{}, raw API {}: {over:.2}x", millis(we), millis(raw));
    table.add("cold `apply`, 50 services", measured, "at most 1.1x", over <= 1.1);
    if std::env::var_os("COMPOSE").is_some() {
        let ratio = ratio(we, they);
        let measured = format!("{}, `compose up -d` {}: {ratio:.2}x", millis(we), millis(they));
        table.add("the same against Compose", measured, "not slower", ratio <= 1.0);
    }
}
