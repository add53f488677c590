//! What an update of replicas must wait for at least, as the engine's own events tell it in the same
//! run: each new container from its creation until it is healthy, and each old one from its signal until
//! it is removed.

use super::support::wait::until;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happened to a container, and when, in nanoseconds.
type Times = BTreeMap<String, u64>;

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

    /// The sum for containers that were replaced by as many others.
    pub fn sum(&self, replaced: usize) -> Duration {
        let heard = self.heard.lock().unwrap();
        let spans = |from: &str, to: &str| -> Vec<u64> {
            heard.values().filter_map(|times| Some(times.get(to)? - times.get(from)?)).collect()
        };
        let (up, down) = (spans("create", HEALTHY), spans("kill", "destroy"));
        assert_eq!((up.len(), down.len()), (replaced, replaced), "{heard:#?}");
        Duration::from_nanos(up.iter().chain(&down).sum())
    }
}

impl Drop for Gates {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.listener.kill();
        let _ = self.listener.wait();
    }
}

/// What the engine calls it.
const HEALTHY: &str = "health_status: healthy";

/// Only the first of each counts.
fn note(heard: &mut BTreeMap<String, Times>, line: &str) {
    let mut parts = line.splitn(3, ' ');
    let (Some(time), Some(id), Some(action)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let times = heard.entry(id.to_owned()).or_default();
    times.entry(action.to_owned()).or_insert_with(|| time.parse().unwrap());
}
