//! Generated services, what their processes do, and what must become of their update, stated in
//! Swarm's words alone.

use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::ImageConfig;
use bowline::status::RolloutVerdict;
use proptest::prelude::*;
use std::fmt::Write;
use std::time::Duration;

/// How long a container may take to be up.
pub const START_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a process that is not told otherwise takes to be well.
pub const WARM: Duration = Duration::from_millis(300);

/// How a service is updated.
#[derive(Debug, Clone)]
pub struct Service {
    pub replicas: u32,
    pub parallelism: u32,
    pub delay: u32,
    pub monitor: u32,
    /// In hundredths.
    pub ratio: u32,
    pub action: Action,
    pub start_first: bool,
    /// Whether it has a health check.
    pub checked: bool,
    /// Slots and seconds.
    pub canary: Option<(u32, u32)>,
    /// It takes no notice of the stop signal, and is killed after a second.
    pub deaf: bool,
    /// It is led nobody to for a while before it is stopped.
    pub drains: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Pause,
    Continue,
    Rollback,
}

/// What the processes of a version do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Well after so many milliseconds, for ever.
    Well(u64),
    /// Runs, and is never well.
    Ill,
    /// Cannot be started.
    Refused,
    /// Ends before it is well.
    EndsEarly(i64),
    /// Ends a while after it is well.
    EndsLate(i64),
    /// Becomes well, then ill.
    Sickens,
}

impl Service {
    /// At once how many of its slots may be without service.
    pub fn slack(&self) -> usize {
        if self.start_first { 0 } else { self.together() }
    }

    /// How many of its slots are changed at once.
    pub fn together(&self) -> usize {
        let all = if self.parallelism == 0 { self.replicas } else { self.parallelism };
        all.min(self.replicas) as usize
    }

    /// How long any pass may take.
    pub fn bound(&self) -> Duration {
        let watch = self.delay + 1 + self.monitor + self.canary.map_or(0, |(_, hold)| hold);
        let slot = START_TIMEOUT + Duration::from_secs(u64::from(watch) + 6);
        Duration::from_secs(30) + slot * self.replicas * 2
    }

    /// Whether a service of this fate fails, and whether its containers were up before.
    pub fn fails(&self, fate: Fate) -> Option<WasUp> {
        match fate {
            Fate::Well(_) => None,
            Fate::Ill => self.checked.then_some(WasUp(false)),
            Fate::Refused => Some(WasUp(false)),
            Fate::EndsEarly(_) => Some(WasUp(!self.checked)),
            Fate::EndsLate(_) => Some(WasUp(true)),
            Fate::Sickens => self.checked.then_some(WasUp(true)),
        }
    }

    /// How an update to a version of this fate may end.
    pub fn verdicts(&self, fate: Fate) -> Vec<RolloutVerdict> {
        use RolloutVerdict::{Completed, Continued, Paused, RollBack};
        let Some(WasUp(was_up)) = self.fails(fate) else { return vec![Completed] };
        match self.action {
            // Nobody waits for failures that lead to nothing.
            Action::Continue if was_up || self.ratio == 100 => vec![Completed, Continued],
            Action::Continue => vec![Continued],
            _ if self.ratio == 100 && self.canary.is_none() => vec![Completed],
            Action::Pause => vec![Paused],
            Action::Rollback => vec![RollBack],
        }
    }

    /// The manifest of a version.
    pub fn manifest(&self, version: u8) -> String {
        let Self { replicas, parallelism, delay, monitor, .. } = self;
        let (order, action) = (self.order(), self.action());
        let ratio = f64::from(self.ratio) / 100.0;
        let mut text = format!(
            "name: s\nservices:\n  a:\n    image: app:{version}\n    stop_grace_period: 1s\n    deploy:\n      \
             replicas: {replicas}\n      update_config: {{ parallelism: {parallelism}, delay: {delay}s, \
             monitor: {monitor}s, max_failure_ratio: {ratio}, failure_action: {action}, order: {order} }}\n      \
             rollback_config: {{ parallelism: {parallelism}, monitor: {monitor}s, order: {order} }}\n"
        );
        if self.checked {
            text += "    healthcheck: { test: [CMD, check], interval: 500ms, start_interval: 500ms, timeout: 1s, retries: 2, start_period: 3s }\n";
        }
        text += "    x-bowline:\n      start_timeout: 6s\n";
        if let Some((slots, hold)) = self.canary {
            writeln!(text, "      canary: {{ slots: {slots}, hold: {hold}s }}").unwrap();
        }
        if self.drains {
            text += "      drain: 1s\n";
        }
        text + "networks: { default: { ipam: { config: [{ subnet: 10.99.0.0/24 }] } } }\n"
    }

    fn order(&self) -> &'static str {
        if self.start_first { "start-first" } else { "stop-first" }
    }

    fn action(&self) -> &'static str {
        match self.action {
            Action::Pause => "pause",
            Action::Continue => "continue",
            Action::Rollback => "rollback",
        }
    }
}

/// Whether a container that fails was up before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WasUp(pub bool);

impl Fate {
    fn behaviour(self, deaf: bool) -> Behaviour {
        let well = Behaviour {
            healthy_after: Some(WARM),
            stops_with: (!deaf).then_some(0),
            ..Behaviour::default()
        };
        let (early, late) = (Duration::from_millis(200), Duration::from_millis(1300));
        match self {
            Self::Well(millis) => {
                Behaviour { healthy_after: Some(Duration::from_millis(millis)), ..well }
            }
            Self::Ill => Behaviour { healthy_after: None, ..well },
            Self::Refused => {
                Behaviour { fails_to_start: Some("exec: no such file".into()), ..well }
            }
            Self::EndsEarly(code) => Behaviour { exits: Some((early, code)), ..well },
            Self::EndsLate(code) => Behaviour { exits: Some((late, code)), ..well },
            Self::Sickens => Behaviour { unhealthy_after: Some(late), ..well },
        }
    }

    /// Puts a version of this fate on `sim`.
    pub fn add(self, sim: &Sim, version: u8, deaf: bool) {
        let config = ImageConfig { command: vec!["serve".into()], ..ImageConfig::default() };
        sim.image_add(&format!("app:{version}"), config, self.behaviour(deaf));
    }
}

pub fn service() -> impl Strategy<Value = Service> {
    let action = prop::sample::select(vec![Action::Pause, Action::Continue, Action::Rollback]);
    let ratio = prop::sample::select(vec![0u32, 0, 34, 60, 100]);
    let numbers = (1u32..=5, 0u32..=3, prop::sample::select(vec![0u32, 1, 6]), 3u32..=5);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let canary = prop::option::weighted(0.3, (1u32..=2, 3u32..=8));
    (numbers, ratio, action, flags, canary).prop_map(
        |((replicas, parallelism, delay, monitor), ratio, action, flags, canary)| Service {
            replicas,
            parallelism,
            delay,
            monitor,
            ratio,
            action,
            start_first: flags.0,
            checked: flags.1,
            deaf: flags.2,
            drains: flags.3,
            canary,
        },
    )
}

pub fn fate() -> impl Strategy<Value = Fate> {
    prop::sample::select(vec![
        Fate::Well(0),
        Fate::Well(1700),
        Fate::Ill,
        Fate::Refused,
        Fate::EndsEarly(3),
        Fate::EndsEarly(0),
        Fate::EndsLate(3),
        Fate::EndsLate(0),
        Fate::Sickens,
    ])
}
