//! What happens by itself, at its time on tokio's clock. The order of what is due is that of its
//! times, however late somebody looks.

use super::Shared;
use super::state::World;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// What will happen to containers: by time, then in the order in which it was noted.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    timers: BTreeMap<(Instant, u64), (String, Due)>,
    noted: u64,
}

impl Agenda {
    fn earliest(&self) -> Option<Instant> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    fn take_due(&mut self, now: Instant) -> Option<(Instant, String, Due)> {
        self.earliest().filter(|at| *at <= now)?;
        let ((at, _), (container, due)) = self.timers.pop_first()?;
        Some((at, container, due))
    }

    /// What will happen to `container`, and when.
    pub(super) fn of(&self, container: &str) -> impl Iterator<Item = (Instant, Due)> {
        let timers = self.timers.iter().filter(move |(_, (other, _))| other == container);
        timers.map(|((at, _), (_, due))| (*at, *due))
    }
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
        while let Some((at, container, due)) = self.agenda.take_due(now) {
            self.now = at;
            match due {
                Due::Exit(code) => self.exit(&container, code),
                Due::Probe => self.probe(&container),
                Due::Restart => self.restart(&container),
            }
        }
        self.now = now;
    }

    /// Notes that `due` happens to `container` after `wait`.
    pub(super) fn schedule(&mut self, container: &str, wait: Duration, due: Due) {
        self.agenda.noted += 1;
        let place = (self.now + wait, self.agenda.noted);
        self.agenda.timers.insert(place, (container.to_owned(), due));
    }

    /// Nothing more happens to `container` by itself.
    pub(super) fn unschedule(&mut self, container: &str) {
        self.agenda.timers.retain(|_, (other, _)| other != container);
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
            world.agenda.earliest()
        };
        let next = next.unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = shared.changed.notified() => {}
        }
    }
}
