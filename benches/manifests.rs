//! How long loading takes, beside `docker compose config` on the same files:
//!
//! ```sh
//! COMPOSE=$(bench/get-compose.sh /tmp/compose) cargo bench --bench manifests -- [--runs N]
//! ```
//!
//! Everything is generated, in a directory that is taken away at the end. Loading is timed inside
//! this process; Compose is timed as a whole process, less its time on an empty stack.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)] // A bench that cannot go on ends.

#[path = "figures/table.rs"]
#[allow(dead_code)] // The figures use more of it.
mod table;

use bowline::manifest::{DigestKey, Loaded, Request, load};
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use table::{Table, median, millis, timed};

/// Services of the large file, which make it 5 MB.
const LARGE: usize = 10_000;
/// Files of the size that people have, and the services of each.
const SMALL: (usize, usize) = (40, 6);

fn main() {
    let mut runs = 5;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--runs" {
            runs = arguments.next().unwrap().parse().unwrap();
        }
    }
    let home = tempfile::tempdir().unwrap();
    let mut table = Table::default();
    small(&mut table, home.path(), runs);
    large(&mut table, home.path(), runs);
    print!("{table}");
}

/// Forty stacks of a usual size, each loaded by itself.
fn small(table: &mut Table, home: &Path, runs: usize) {
    let files: Vec<_> = (0..SMALL.0)
        .map(|number| {
            let directory = home.join(format!("stack-{number}"));
            std::fs::create_dir(&directory).unwrap();
            let file = directory.join("compose.yaml");
            std::fs::write(&file, stack(SMALL.1, number)).unwrap();
            file
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for file in &files {
        let times = (0..runs).map(|_| timed(|| drop(loaded(file)))).collect();
        slowest = slowest.max(median(times));
    }
    let peer = match compose() {
        Some(compose) => {
            let of = |file: &Path| (0..runs).map(|_| timed(|| config(&compose, file))).collect();
            let (whole, empty) = (median(of(&files[0])), median(of(&empty(home))));
            format!(", `compose config` {} ({} on an empty stack)", micros(whole), micros(empty))
        }
        None => String::new(),
    };
    table.add(
        &format!("{} files of {} services, the slowest", SMALL.0, SMALL.1),
        format!("{}{peer}", micros(slowest)),
        "at most 1 ms",
        slowest <= Duration::from_millis(1),
    );
}

/// One file of 5 MB.
fn large(table: &mut Table, home: &Path, runs: usize) {
    let file = home.join("large.yaml");
    let text = stack(LARGE, 0);
    std::fs::write(&file, &text).unwrap();
    let before = resident_kib("VmRSS");
    // From here on the highest mark counts anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let first = timed(|| drop(loaded(&file)));
    let grown = resident_kib("VmHWM").saturating_sub(before) as f64 * 1024.0;
    let mut times: Vec<_> = (1..runs).map(|_| timed(|| drop(loaded(&file)))).collect();
    times.push(first);
    let (time, share) = (median(times), grown / text.len() as f64);
    let peer = match compose() {
        Some(compose) => {
            let whole = timed(|| config(&compose, &file));
            format!(", `compose config` {}", millis(whole))
        }
        None => String::new(),
    };
    let name = format!("{:.1} MB, {LARGE} services", text.len() as f64 / 1e6);
    table.add(
        &name,
        format!("{}{peer}", millis(time)),
        "at most 150 ms",
        time <= Duration::from_millis(150),
    );
    table.add(
        &format!("{name}: memory"),
        format!("{share:.1} times the file"),
        "at most 20 times",
        share <= 20.0,
    );
}

fn loaded(file: &Path) -> Loaded {
    let request = Request::new(vec![file.to_owned()], DigestKey::new([0; 32]));
    load(&request, &|path| std::fs::read(path)).unwrap()
}

/// What people write: images, ports, variables, volumes, a health check, dependencies.
fn stack(services: usize, seed: usize) -> String {
    let mut text = "name: bench\nservices:\n".to_owned();
    for number in 0..services {
        let port = 1024 + (seed + number) % 60_000;
        write!(
            text,
            "  service-{number}:\n    image: registry.example.org/team/app-{number}:1.{seed}.0\n    \
             command: [serve, --port, \"8080\"]\n    restart: unless-stopped\n    environment:\n      \
             MODE: production\n      LEVEL: ${{LEVEL:-info}}\n      NUMBER: \"{number}\"\n    ports:\n      \
             - \"127.0.0.1:{port}:8080\"\n    volumes:\n      - data:/var/lib/app\n    healthcheck:\n      \
             test: [CMD, check]\n      interval: 10s\n    mem_limit: 256m\n    labels:\n      team: shop\n"
        )
        .unwrap();
        if number % 10 > 0 {
            let former = number - 1;
            write!(
                text,
                "    depends_on:\n      service-{former}: {{ condition: service_healthy }}\n"
            )
            .unwrap();
        }
    }
    text + "volumes:\n  data: {}\n"
}

fn empty(home: &Path) -> std::path::PathBuf {
    let file = home.join("empty.yaml");
    std::fs::write(&file, "name: bench\nservices: {}\n").unwrap();
    file
}

fn compose() -> Option<String> {
    std::env::var("COMPOSE").ok()
}

fn config(compose: &str, file: &Path) {
    let mut command = Command::new(compose);
    command.arg("-f").arg(file).args(["config", "--format", "json", "-q"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
}

fn micros(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn resident_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
