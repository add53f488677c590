//! The figures of docs/benchmarks.md, measured on the engine of this host:
//!
//! ```sh
//! COMPOSE=$(bench/get-compose.sh /tmp/compose) cargo bench -- [--runs N] [FIGURE ...]
//! ```
//!
//! Figures: noop calls warm cold drift commit idle. Whole processes are timed in turn with the peer, and
//! medians are printed. Everything made here is named `bench-...` and taken away at the end.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)] // A bench that cannot go on ends.

#[path = "figures/agent.rs"]
mod agent;
#[path = "figures/passes.rs"]
mod passes;
#[path = "figures/raw.rs"]
mod raw;
#[path = "figures/table.rs"]
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use table::Table;

/// What every container of the benches runs.
pub(crate) const IMAGE: &str = "bench-sleep:1";

const FIGURES: [&str; 7] = ["noop", "calls", "warm", "cold", "drift", "commit", "idle"];

fn main() {
    let mut runs = 7;
    let mut chosen = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--runs" => runs = arguments.next().unwrap().parse().unwrap(),
            // What `cargo bench` passes on.
            "--bench" => {}
            figure => chosen.push(figure.to_owned()),
        }
    }
    if chosen.is_empty() {
        chosen = FIGURES.map(str::to_owned).to_vec();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut table = Table::default();
    let measured = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c() => panic!("interrupted"),
                () = measure(&mut table, &chosen, runs) => {}
            }
        });
    }));
    clean();
    let _ = Command::new("docker").args(["rmi", "-f", IMAGE]).output();
    print!("{table}");
    if let Err(failure) = measured {
        resume_unwind(failure);
    }
}

async fn measure(table: &mut Table, chosen: &[String], runs: usize) {
    clean();
    raw::make_image().await;
    for figure in chosen {
        eprintln!("measuring {figure} ...");
        match figure.as_str() {
            "noop" => passes::noop(table, runs),
            "calls" => passes::calls(table).await,
            "warm" => passes::warm(table, runs).await,
            "cold" => passes::cold(table, runs).await,
            "drift" => agent::drift(table, runs).await,
            "commit" => agent::commit(table, runs).await,
            "idle" => agent::idle(table).await,
            other => panic!("no figure {other}; there are {FIGURES:?}"),
        }
        clean();
    }
}

/// Takes away what a bench made, also one that did not end well.
fn clean() {
    let script = "docker ps -aq --filter name=^bench- | xargs -r docker rm -fv; \
                  docker network ls -q --filter name=^bench- | xargs -r docker network rm; \
                  docker volume ls -q --filter name=^bench- | xargs -r docker volume rm";
    Command::new("sh").args(["-c", script]).output().unwrap();
}
