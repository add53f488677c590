//! How times and memory grow with what runs on a host, on the simulated engine:
//!
//! ```sh
//! cargo bench --bench scale -- [FIGURE ...]
//! ```
//!
//! Figures: resync event plan. What is measured runs on one thread; medians are printed. An exponent
//! is the slope of the line through the logarithms: 1 is growth in proportion.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)] // A bench that cannot go on ends.

#[path = "scale/host.rs"]
mod host;
#[path = "figures/table.rs"]
#[allow(dead_code)] // The figures use more of it.
mod table;

use bowline::engine::Engine;
use bowline::metrics::Metrics;
use bowline::model::{Query, Stack};
use bowline::plan::{Circumstances, plan};
use bowline::status::{Board, PassResult};
use futures_util::StreamExt;
use host::{Host, manifest, stack};
use std::time::{Duration, Instant};
use table::{Table, median, millis};

const FIGURES: [&str; 3] = ["resync", "event", "plan"];
/// Services of each stack of a host.
const SERVICES: usize = 10;
/// How often the shorter works are done.
const RUNS: usize = 11;
/// Events that are decided on.
const EVENTS: usize = 1001;
/// What growth in proportion may come to, with the noise of a measurement.
const LINEAR: f64 = 1.1;

fn main() {
    // What `cargo bench` passes on is no figure.
    let mut chosen: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if chosen.is_empty() {
        chosen = FIGURES.map(str::to_owned).to_vec();
    }
    // The clock of the engine stands still while something runs, and jumps where all wait.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    let mut table = Table::default();
    for figure in chosen {
        eprintln!("measuring {figure} ...");
        match figure.as_str() {
            "event" => runtime.block_on(event(&mut table)),
            "resync" => runtime.block_on(resync(&mut table)),
            "plan" => runtime.block_on(one_stack(&mut table)),
            other => panic!("no figure {other}; there are {FIGURES:?}"),
        }
    }
    print!("{table}");
}

/// From the event that a container ended to what shall be done about it.
async fn event(table: &mut Table) {
    let host = Host::with(1000, SERVICES).await;
    let mut times = Vec::new();
    let all: Vec<&Stack> = host.stacks.values().collect();
    for number in 0..EVENTS {
        let ends = all[number * 389 % all.len()];
        let victim = format!("{}-s0003-1", ends.name);
        let mut events = host.sim.events().await.unwrap();
        host.sim.crash(&victim, 1);
        let began = Instant::now();
        let name = events.next().await.unwrap().unwrap().stack.unwrap();
        let concerned = &host.stacks[&name];
        let observed = host.sim.observe(&Query::of(concerned)).await.unwrap();
        let decision = plan(concerned, &observed, &Circumstances::default());
        times.push(began.elapsed());
        drop(decision);
        drop(events);
    }
    let worst = times.iter().max().copied().unwrap_or_default();
    let time = median(times);
    table.add(
        "container event to decision, 10,000 containers in 1,000 stacks",
        format!("{}, at worst {}", micros(time), micros(worst)),
        "at most 200 µs",
        time <= Duration::from_micros(200),
    );
}

/// A pass over every stack of a host on which nothing is to be done.
async fn resync(table: &mut Table) {
    let mut times = Vec::new();
    let mut memory = Vec::new();
    let before = resident_mib();
    let mut parts = String::new();
    for stacks in [100, 300, 1000] {
        let empty = resident_mib();
        let host = Host::defining(stacks, SERVICES);
        let defined = resident_mib();
        host.start().await;
        let started = resident_mib();
        let (mut board, metrics) = (Board::default(), Metrics::new());
        let mut rounds = Vec::new();
        for _ in 0..RUNS {
            let began = Instant::now();
            for stack in host.stacks.values() {
                let report = host.pass(stack).await;
                assert_eq!(report.result, PassResult::Unchanged, "{}", report.message);
                metrics.observe(&report);
                board.note(&report);
                metrics.set_status(board.stack(&stack.name).unwrap());
            }
            rounds.push(began.elapsed());
        }
        times.push((stacks * SERVICES, median(rounds).as_secs_f64()));
        let now = resident_mib();
        memory.push((stacks * SERVICES, now - before));
        parts = format!(
            "at the last {:.0} MB grown by the definitions, {:.0} MB by the simulator, {:.0} MB by the passes",
            defined - empty,
            started - defined,
            now - started
        );
    }
    let figure = |what: &str| format!("full resync, 1,000 stacks with 10,000 containers: {what}");
    let exponent = exponent(&times);
    let (_, last) = times[2];
    table.add(
        &figure("time"),
        format!(
            "{}, exponent {exponent:.2}",
            in_steps(&times, |secs| millis(Duration::from_secs_f64(secs)))
        ),
        "at most 150 ms, exponent at most 1.1",
        last <= 0.15 && exponent <= LINEAR,
    );
    let (_, last) = memory[2];
    let exponent = self::exponent(&memory);
    table.add(
        &figure("memory, with the simulator's and the stacks' own"),
        format!(
            "{}, exponent {exponent:.2}; {parts}",
            in_steps(&memory, |mib| format!("{mib:.0} MB"))
        ),
        "at most 150 MB, exponent at most 1.1",
        last <= 150.0 && exponent <= LINEAR,
    );
}

/// Planning of a single stack: on which nothing is to be done, that is not there, and all of which is
/// made anew.
async fn one_stack(table: &mut Table) {
    let sizes = [100, 300, 1000];
    let mut kept = Vec::new();
    let mut made = Vec::new();
    let mut replaced = Vec::new();
    for services in sizes {
        let host = Host::with(1, services).await;
        let nothing = Host::empty();
        let stack_now = host.stacks.values().next().unwrap();
        let changed = stack(&manifest(0, services, "two"));
        kept.push((services, planning(&host, stack_now, 0).await));
        made.push((services, planning(&nothing, stack_now, services).await));
        replaced.push((services, planning(&host, &changed, services).await));
    }
    for (what, times) in
        [("nothing to do", kept), ("all to make", made), ("all to replace", replaced)]
    {
        let exponent = exponent(&times);
        table.add(
            &format!("plan of one stack of 100, 300, 1,000 services, {what}"),
            format!(
                "{}, exponent {exponent:.2}",
                in_steps(&times, |secs| format!("{:.1} ms", secs * 1000.0))
            ),
            "exponent at most 1.1",
            exponent <= LINEAR,
        );
    }
}

/// How many seconds it takes to plan `stack`, in which at least `changes` are made.
async fn planning(host: &Host, stack: &Stack, changes: usize) -> f64 {
    let observed = host.sim.observe(&Query::of(stack)).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let plan = plan(stack, &observed, &Circumstances::default());
        times.push(began.elapsed());
        assert!(plan.problems.is_empty() && plan.changes.len() >= changes, "{plan}");
        assert_eq!(plan.changes.is_empty(), changes == 0, "{plan}");
    }
    median(times).as_secs_f64()
}

fn in_steps(measured: &[(usize, f64)], show: impl Fn(f64) -> String) -> String {
    measured.iter().map(|(_, value)| show(*value)).collect::<Vec<_>>().join(", ")
}

/// The slope of the line that fits the logarithms best.
fn exponent(measured: &[(usize, f64)]) -> f64 {
    let points: Vec<_> =
        measured.iter().map(|(size, value)| ((*size as f64).ln(), value.ln())).collect();
    let mean =
        |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
    let rise: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    rise / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

fn micros(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1e6)
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
