//! What happens by itself, at its time on tokio's clock. The order of what is due is that of its
//! times, however late somebody looks.

use super::Shared;
use super::state::World;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Something that will happen to a container.
#[derive(Debug, Clone)]
pub(super) struct Timer {
    pub at: Instant,
    pub container: String,
    pub due: Due,
}

/// What will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Its process ends.
    Exit(i64),
    /// Its health is asked for.
    Probe,
    /// Its restart policy starts it.
    Restart,
}

impl World {
    /// Lets everything happen that is due until `now`.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(index) = self.earliest().filter(|&index| self.timers[index].at <= now) {
            let timer = self.timers.remove(index);
            self.now = timer.at;
            match timer.due {
                Due::Exit(code) => self.exit(&timer.container, code),
                Due::Probe => self.probe(&timer.container),
                Due::Restart => self.restart(&timer.container),
            }
        }
        self.now = now;
    }

    /// Notes that `due` happens to `container` after `wait`.
    pub(super) fn schedule(&mut self, container: &str, wait: Duration, due: Due) {
        let at = self.now + wait;
        self.timers.push(Timer { at, container: container.to_owned(), due });
    }

    /// Nothing more happens to `container` by itself.
    pub(super) fn unschedule(&mut self, container: &str) {
        self.timers.retain(|timer| timer.container != container);
    }

    fn earliest(&self) -> Option<usize> {
        (0..self.timers.len()).min_by_key(|&index| (self.timers[index].at, index))
    }
}

/// Lets time act on the engine even when nobody looks, so that events come when they are due.
pub(super) fn keep(shared: &Arc<Shared>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if std::mem::replace(&mut shared.lock().clock_runs, true) {
        return;
    }
    runtime.spawn(run(Arc::downgrade(shared)));
}

async fn run(shared: Weak<Shared>) {
    /// How long until the clock looks whether the engine is still there.
    const IDLE: Duration = Duration::from_secs(3600);
    while let Some(shared) = shared.upgrade() {
        let next = {
            let mut world = shared.lock();
            world.settle(Instant::now());
            world.earliest().map(|index| world.timers[index].at)
        };
        let next = next.unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = shared.changed.notified() => {}
        }
    }
}
