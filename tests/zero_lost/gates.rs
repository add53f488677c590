//! What a change of replicas must wait for at least, as the engine's own events tell it in the same
//! run: each new container from its creation until its health is known, and each old one from its signal
//! until it is removed. What goes on at the same time counts once.

use super::support::wait::until;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When something happened to a container first, in nanoseconds.
type Times = BTreeMap<String, u64>;
/// From when until when a gate stood closed.
type Span = (u64, u64);

/// Hears what happens to the containers of a service. Live: the engine remembers only its last few
/// hundred events.
pub struct Gates {
    listener: Child,
    heard: Arc<Mutex<BTreeMap<String, Times>>>,
}

impl Gates {
    pub fn listen(stack: &str, service: &str) -> Self {
        let label = |key: &str, value: &str| format!("label=com.docker.compose.{key}={value}");
        let (stack, service) = (label("project", stack), label("service", service));
        let format = "{{.TimeNano}} {{.ID}} {{.Action}}";
        let mut listener = Command::new("docker")
            .args(["events", "--filter", &stack, "--filter", &service, "--format", format])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let heard = Arc::new(Mutex::new(BTreeMap::new()));
        let lines = BufReader::new(listener.stdout.take().expect("piped")).lines();
        let written = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                note(&mut written.lock().unwrap(), &line);
            }
        });
        let gates = Self { listener, heard };
        // Health checks are events too: once one is heard, all that follows will be.
        until("events of the engine", || (!gates.heard.lock().unwrap().is_empty()).then_some(()));
        gates
    }

    /// How long at least one gate stood closed since this was asked last, once so many containers were
    /// made and judged, and so many were told to end and are gone.
    pub fn passed(&self, made: usize, gone: usize) -> Duration {
        let spans = until(&format!("{made} containers made and {gone} removed"), || {
            let heard = self.heard.lock().unwrap();
            let up: Vec<Span> =
                heard.values().filter_map(|it| span(it, "create", HEALTH)).collect();
            let down: Vec<Span> =
                heard.values().filter_map(|it| span(it, "kill", "destroy")).collect();
            assert!(up.len() <= made && down.len() <= gone, "{heard:#?}");
            (up.len() == made && down.len() == gone).then(|| [up, down].concat())
        });
        self.heard.lock().unwrap().clear();
        together(spans)
    }
}

impl Drop for Gates {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.listener.kill();
        let _ = self.listener.wait();
    }
}

/// A verdict, as it is noted here.
const HEALTH: &str = "health_status";

/// Only the first of each counts.
fn note(heard: &mut BTreeMap<String, Times>, line: &str) {
    let mut parts = line.splitn(3, ' ');
    let (Some(time), Some(id), Some(action)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    // Newer engines say `running` while there is no verdict yet.
    let action = match action.split_once(": ") {
        Some((HEALTH, "healthy" | "unhealthy")) => HEALTH,
        Some((HEALTH, _)) => return,
        _ => action,
    };
    let times = heard.entry(id.to_owned()).or_default();
    times.entry(action.to_owned()).or_insert_with(|| time.parse().unwrap());
}

fn span(times: &Times, from: &str, to: &str) -> Option<Span> {
    Some((*times.get(from)?, *times.get(to)?))
}

/// How long it is within at least one of the spans.
fn together(mut spans: Vec<Span>) -> Duration {
    spans.sort_unstable();
    let (mut sum, mut reached) = (0, 0);
    for (from, to) in spans {
        sum += to.saturating_sub(from.max(reached));
        reached = reached.max(to);
    }
    Duration::from_nanos(sum)
}

#[test]
fn what_goes_on_at_the_same_time_counts_once() {
    let spans = vec![(20, 30), (0, 10), (5, 7), (8, 12), (40, 41)];
    assert_eq!(together(spans), Duration::from_nanos(12 + 10 + 1));
}
