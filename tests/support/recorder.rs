//! Writes down what was done on an engine, in order: what containers were made, started, stopped and
//! removed, what was run in them, and where they were taken off names.

use super::watched::{Call, Watcher, watched, words};
use async_trait::async_trait;
use bowline::engine::Engine;
use std::sync::{Arc, Mutex};

/// What was done so far.
#[derive(Default)]
pub struct Recorder {
    done: Mutex<Vec<String>>,
}

impl Recorder {
    /// `engine`, and who writes down what is done on it.
    pub fn over(engine: Arc<dyn Engine>) -> (Arc<dyn Engine>, Arc<Self>) {
        let recorder = Arc::new(Self::default());
        (watched(engine, Arc::clone(&recorder) as Arc<dyn Watcher>), recorder)
    }

    /// What was done since this was asked last: `start a-1`, `exec a-1 sh`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.done.lock().unwrap())
    }
}

#[async_trait]
impl Watcher for Recorder {
    async fn before(&self, call: &Call<'_>) {
        let line = match call {
            Call::Exec(container, hook) => {
                Some(format!("exec {} {}", container.name, hook.command.join(" ")))
            }
            Call::Perform(step) => words(step),
            Call::Observe | Call::Watch | Call::Other => None,
        };
        self.done.lock().unwrap().extend(line);
    }
}
