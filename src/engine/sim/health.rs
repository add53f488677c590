//! Health checks: asked for at their interval, judged by what the image declares.

use super::clock::Due;
use super::images::Behaviour;
use super::state::{SimContainer, World};
use crate::model::{Health, Healthcheck};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(30);

impl World {
    /// Begins to ask, if there is a check.
    pub(super) fn watch_health(&mut self, id: &str) {
        let first_wait = self.containers.change(id, |container| {
            let wait = effective(container).map(|check| pace(check, true));
            container.failed_probes = 0;
            container.health = wait.map_or(Health::Unchecked, |_| Health::Starting);
            wait
        });
        if let Some(wait) = first_wait.flatten() {
            self.schedule(id, wait, Due::Probe);
        }
    }

    /// Asks no more, which to the engine is unhealthy, until it asks again.
    pub(super) fn forsake_health(&mut self, id: &str) {
        self.containers.change(id, |container| {
            if container.health != Health::Unchecked {
                container.health = Health::Unhealthy;
            }
        });
    }

    /// Asks once.
    pub(super) fn probe(&mut self, id: &str) {
        let now = self.now;
        let Some(container) = self.containers.get(id) else { return };
        let (Some(check), Some(started)) = (effective(container).cloned(), container.started)
        else {
            return;
        };
        let (before, age) = (container.health, now - started);
        let passes = passes(&self.behaviour(container), age);
        let in_start_period = age < check.start_period.unwrap_or_default();
        let changed = self.containers.change(id, |container| {
            if passes {
                container.failed_probes = 0;
                container.health = Health::Healthy;
            } else if before != Health::Starting || !in_start_period {
                container.failed_probes += 1;
                if container.failed_probes >= check.tries() {
                    container.health = Health::Unhealthy;
                }
            }
            container.health
        });
        let after = changed.unwrap_or(before);
        if after != before {
            self.tell_of(id, "health_status");
        }
        let starting = after == Health::Starting && in_start_period;
        self.schedule(id, pace(&check, starting), Due::Probe);
    }
}

/// What is told of a container's health.
pub(super) fn told(container: &SimContainer) -> Health {
    let tries = effective(container).map_or(0, Healthcheck::tries);
    container.health.judged(container.state, container.failed_probes, tries)
}

/// Whether a check at `age` passes.
pub(super) fn passes(behaviour: &Behaviour, age: Duration) -> bool {
    behaviour.healthy_after.is_some_and(|from| age >= from)
        && behaviour.unhealthy_after.is_none_or(|from| age < from)
}

fn effective(container: &SimContainer) -> Option<&Healthcheck> {
    let check = container.spec.healthcheck.as_ref()?;
    (!check.is_disabled() && check.test.is_some()).then_some(check)
}

fn pace(check: &Healthcheck, starting: bool) -> Duration {
    let some = |value: Option<Duration>| value.filter(|value| !value.is_zero());
    let interval = some(check.interval).unwrap_or(INTERVAL);
    if starting && some(check.start_period).is_some() {
        some(check.start_interval).unwrap_or(interval)
    } else {
        interval
    }
}
