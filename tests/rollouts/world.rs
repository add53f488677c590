//! One service on an engine that is looked at, and what an agent would remember of its passes.

use super::case::{Fate, Service};
use super::eye::Eye;
use super::support::passes::{means, stack};
use bowline::engine::sim::Sim;
use bowline::execute::{Notice, Onlooker};
use bowline::model::{Container, Health, Stack, State};
use bowline::pass::{Means, Moment, Pause, Subject};
use bowline::plan::Aim;
use bowline::rollout::Progress;
use bowline::status::{Report, RolloutVerdict};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

type Remembered = BTreeMap<bowline::model::ServiceName, Progress>;

pub struct World {
    pub eye: Eye,
    /// What an agent notes while a pass goes on.
    remembered: Arc<Mutex<Remembered>>,
    bound: Duration,
}

/// What a container is, as far as the goal goes.
pub type Seen = (String, String, State, Health);

impl World {
    /// With version 1 of `service` up and well.
    pub async fn with(service: &Service, fates: &[Fate], seed: u64) -> Self {
        let sim = Sim::new();
        Fate::Well(300).add(&sim, 1, service.deaf);
        for (fate, version) in fates.iter().zip(2..) {
            fate.add(&sim, version, service.deaf);
        }
        let world =
            Self { eye: Eye::new(sim, seed), remembered: Arc::default(), bound: service.bound() };
        let report = world.pass(&stack(&service.manifest(1)), Aim::Update).await.unwrap();
        assert!(report.result.is_success(), "{}", report.message);
        assert_eq!(verdict(&report), Some(RolloutVerdict::Completed));
        world.forget();
        world
    }

    /// A pass; `None` if it was cut off.
    pub async fn pass(&self, stack: &Stack, aim: Aim) -> Option<Report> {
        self.pass_with(stack, aim, Pause::None).await
    }

    pub async fn pass_with(&self, stack: &Stack, aim: Aim, paused: Pause) -> Option<Report> {
        tokio::select! {
            biased;
            report = self.reconcile(stack, aim, paused, CancellationToken::new()) => Some(report),
            () = self.eye.cut.notified() => None,
        }
    }

    async fn reconcile(
        &self,
        stack: &Stack,
        aim: Aim,
        paused: Pause,
        stop: CancellationToken,
    ) -> Report {
        let engine = self.eye.engine();
        let remembered = Arc::clone(&self.remembered);
        let earlier = remembered.lock().unwrap().clone();
        let onlooker: Onlooker = Arc::new(move |notice| {
            if let Notice::Slot(slot) = notice {
                let mut all = remembered.lock().unwrap();
                let progress = all.entry(slot.slot.service.clone()).or_default();
                progress.note(slot.slot.number, slot.phase);
            }
        });
        let means = Means { onlooker, stop, ..means(engine) };
        let subject = Subject { stack, source: None, revision: None };
        let (now, monitor) = (self.eye.sim.now(), Duration::from_secs(5));
        let by_hand = Moment::by_hand(Duration::ZERO);
        let moment = Moment { now, aim, monitor, earlier, paused, ..by_hand };
        let pass = timeout(self.bound, means.reconcile(&subject, &moment)).await;
        pass.unwrap_or_else(|_| panic!("no end within {:?}: {:#?}", self.bound, self.eye.acts()))
    }

    /// What comes is about another definition.
    pub fn forget(&self) {
        self.remembered.lock().unwrap().clear();
    }

    /// All containers by name.
    pub async fn seen(&self) -> Vec<Seen> {
        let seen = |it: Container| (it.name, it.spec.image.to_string(), it.state, it.health);
        let mut all: Vec<_> = self.eye.containers().await.into_iter().map(seen).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// That all is as `service` asks for in this version, and nothing else is there.
    pub async fn is(&self, service: &Service, version: u8) {
        self.goal(service, version, &self.seen().await);
    }

    /// The same of what was seen.
    pub fn goal(&self, service: &Service, version: u8, seen: &[Seen]) {
        let health = if service.checked { Health::Healthy } else { Health::Unchecked };
        let expected: Vec<Seen> = (1..=service.replicas)
            .map(|slot| (format!("s-a-{slot}"), format!("app:{version}"), State::Running, health))
            .collect();
        assert_eq!(seen, expected, "{:#?}", self.eye.acts());
    }

    /// A pass that is told to stop when its calls are used up, and then goes on to its end.
    pub async fn pass_stopped_when_cut(&self, stack: &Stack) {
        let stop = CancellationToken::new();
        let told = {
            let (stop, eye) = (stop.clone(), self.eye.clone());
            async move {
                eye.cut.notified().await;
                eye.cut_after(None);
                stop.cancel();
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = self.reconcile(stack, Aim::Update, Pause::None, stop) => {}
            () = told => {}
        }
    }
}

/// How the update of the service ended.
pub fn verdict(report: &Report) -> Option<RolloutVerdict> {
    assert!(report.rollouts.len() <= 1, "{:?}", report.rollouts);
    report.rollouts.first().map(|rollout| rollout.verdict)
}
