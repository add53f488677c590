//! Asks a page at a constant rate until SIGTERM, and says what became of every request:
//!
//! ```sh
//! cargo run --example load -- 127.0.0.1:8181 [--rate 2200] [--connections 32] [--post-every 10]
//! ```
//!
//! A line a second while it runs, to stderr, with an account at the end; then to stdout: how many were
//! sent, how many failed, the longest time without an answer in milliseconds, and the answers a second.
//! bench/zero-lost.sh makes its table of them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // A bench that cannot go on ends.

#[path = "../tests/support/load.rs"]
mod load;

use clap::Parser;
use load::{Load, Traffic};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

#[derive(Parser)]
struct Arguments {
    /// Where the page is.
    address: SocketAddr,
    /// Requests a second.
    #[arg(long, default_value_t = 2200)]
    rate: u32,
    /// Connections that are kept and used in turn.
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// One request in so many is a POST.
    #[arg(long, default_value = "10")]
    post_every: NonZeroU32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments = Arguments::parse();
    let traffic = Traffic {
        address: arguments.address,
        rate: arguments.rate,
        connections: arguments.connections,
        post_every: Some(arguments.post_every),
    };
    let load = Load::start(&traffic);
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let mut second = interval(Duration::from_secs(1));
    let mut before = 0;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = second.tick() => {
                let (answered, failed) = load.so_far();
                eprintln!("{answered} answered, {} in this second, {failed} failed", answered - before);
                before = answered;
            }
        }
    }
    let tally = load.end();
    for failure in tally.failures.iter().take(20) {
        eprintln!("{failure:?}");
    }
    eprintln!("{tally}");
    println!(
        "{} {} {} {:.0}",
        tally.sent,
        tally.failures.len(),
        tally.longest_gap.as_millis(),
        tally.rate()
    );
}
