//! Looks at an engine after every call: whether as many slots serve as the policy promises,
//! no more containers run than it allows, and nothing is made twice. Calls take a while that chance
//! chooses, and may be the last one of a pass.

use super::case::Service;
use super::support::watched::{Call, Watcher, watched, words};
use async_trait::async_trait;
use bowline::engine::Engine;
use bowline::engine::sim::Sim;
use bowline::model::{Container, Health, Networking, Query, State, labels};
use bowline::plan::{ContainerRef, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

/// The longest that a call takes.
const LATENCY_MILLIS: u64 = 30;

#[derive(Clone)]
pub struct Eye {
    pub sim: Sim,
    sights: Arc<Mutex<Sights>>,
    /// Told when the last call of a pass was made.
    pub cut: Arc<Notify>,
}

struct Sights {
    promise: Promise,
    chance: u64,
    /// Calls left until the pass is cut off.
    left: Option<u64>,
    was_cut: bool,
    /// By id: those that served once, and those that we stopped.
    served: BTreeSet<String>,
    stopped: BTreeSet<String>,
    /// Slots whose container failed by itself, until one serves there again.
    failed: BTreeSet<u32>,
    /// How often a container was made, by slot and image.
    made: BTreeMap<(u32, String), u32>,
    /// Calls that changed something, in words.
    acts: Vec<String>,
    broken: Vec<String>,
}

/// What a policy promises.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// Slots 1 to this one serve.
    slots: u32,
    /// So many of them may be without service.
    slack: usize,
    /// So many containers run at once at most.
    running: usize,
    /// So many are there at once at most, those that failed and are kept aside.
    there: usize,
}

impl Promise {
    pub fn of(service: &Service) -> Self {
        Self::between(service, service)
    }

    /// On the way from one number of replicas to another. What is too many goes beside the update.
    pub fn between(one: &Service, other: &Service) -> Self {
        let most = one.replicas.max(other.replicas) as usize;
        let together = if one.replicas == other.replicas {
            one.together()
        } else {
            one.together() + other.together()
        };
        let beside = if one.start_first || other.start_first { together } else { 0 };
        Self {
            slots: one.replicas.min(other.replicas),
            slack: one.slack().max(other.slack()),
            running: most + beside,
            there: most + together,
        }
    }
}

impl Eye {
    pub fn new(sim: Sim, seed: u64) -> Self {
        let promise = Promise { slots: 0, slack: 0, running: usize::MAX, there: usize::MAX };
        let sights = Sights {
            promise,
            chance: seed | 1,
            left: None,
            was_cut: false,
            served: BTreeSet::new(),
            stopped: BTreeSet::new(),
            failed: BTreeSet::new(),
            made: BTreeMap::new(),
            acts: Vec::new(),
            broken: Vec::new(),
        };
        Self { sim, sights: Arc::new(Mutex::new(sights)), cut: Arc::new(Notify::new()) }
    }

    /// The engine that it looks at.
    pub fn engine(&self) -> Arc<dyn Engine> {
        watched(Arc::new(self.sim.clone()), Arc::new(self.clone()))
    }

    /// From now on.
    pub fn expect(&self, promise: Promise) {
        self.sights().promise = promise;
    }

    /// The pass that comes is cut off after so many calls.
    pub fn cut_after(&self, calls: Option<u64>) {
        let mut sights = self.sights();
        (sights.left, sights.was_cut) = (calls, false);
    }

    /// The calls that changed something, so far.
    pub fn acts(&self) -> Vec<String> {
        self.sights().acts.clone()
    }

    /// How often a container of `image` was made for each slot.
    pub fn made(&self, image: &str) -> BTreeMap<u32, u32> {
        let sights = self.sights();
        let of_it = sights.made.iter().filter(|((_, made), _)| made == image);
        of_it.map(|((slot, _), count)| (*slot, *count)).collect()
    }

    /// Which promises were broken, with what was done before.
    #[track_caller]
    pub fn check(&self) {
        let sights = self.sights();
        assert!(sights.broken.is_empty(), "{:#?}\n{:#?}", sights.broken, sights.acts);
    }

    pub async fn containers(&self) -> Vec<Container> {
        let query = Query::owned_by("s".to_owned().try_into().unwrap());
        self.sim.observe(&query).await.map(|found| found.containers).unwrap_or_default()
    }

    fn sights(&self) -> MutexGuard<'_, Sights> {
        self.sights.lock().unwrap()
    }

    /// A call takes its time, or never ends.
    async fn enter(&self) {
        let (latency, is_last) = {
            let mut sights = self.sights();
            let latency = sights.next() % LATENCY_MILLIS;
            let is_last = sights.left == Some(0);
            sights.left = sights.left.map(|left| left.saturating_sub(1));
            (latency, is_last)
        };
        if is_last {
            if !std::mem::replace(&mut self.sights().was_cut, true) {
                self.cut.notify_one();
            }
            // Whoever is only told to stop goes on.
            while self.sights().left.is_some() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }

    async fn look(&self) {
        let found = self.containers().await;
        self.sights().look(&found);
    }

    async fn note(&self, step: &Step) {
        let found = self.containers().await;
        let id = |wanted: &ContainerRef| {
            let is = |it: &&Container| it.id.0 == wanted.key || it.name == wanted.key;
            found.iter().find(is).map(|it| it.id.0.clone())
        };
        let mut sights = self.sights();
        match step {
            Step::Stop { container, .. }
            | Step::Remove(container)
            | Step::Withdraw { container, .. } => {
                sights.stopped.extend(id(container));
            }
            // From here on it can fail by itself again.
            Step::Start(container) | Step::Connect { container, .. } => {
                if let Some(id) = id(container) {
                    sights.stopped.remove(&id);
                    sights.served.remove(&id);
                }
            }
            _ => {}
        }
        let words = words(step).unwrap_or_else(|| format!("{step:?}"));
        let at = self.sim.now();
        sights.acts.push(format!("{at:.1} {words}"));
    }
}

impl Sights {
    /// An xorshift.
    fn next(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }

    fn look(&mut self, found: &[Container]) {
        let serving: BTreeSet<u32> =
            found.iter().filter(|it| serves(it)).map(|it| it.slot.number).collect();
        self.served.extend(found.iter().filter(|it| serves(it)).map(|it| it.id.0.clone()));
        for it in found {
            let fell = self.served.contains(&it.id.0) && !self.stopped.contains(&it.id.0);
            if fell && !serves(it) && !serving.contains(&it.slot.number) {
                self.failed.insert(it.slot.number);
            }
        }
        self.failed.retain(|slot| !serving.contains(slot));
        let promise = self.promise;
        let down: Vec<u32> = (1..=promise.slots)
            .filter(|slot| !serving.contains(slot) && !self.failed.contains(slot))
            .collect();
        let running = found.iter().filter(|it| it.state == State::Running).count();
        let told: Vec<_> =
            found.iter().map(|it| format!("{} {} {:?}", it.name, it.state, it.health)).collect();
        let told = told.join(", ");
        if down.len() > promise.slack {
            self.breaks(&format!("{down:?} serve nobody, {} may: {told}", promise.slack));
        }
        if running > promise.running {
            self.breaks(&format!("{running} run, {} may: {told}", promise.running));
        }
        // What failed is kept beside what serves, to be looked at.
        let aside = found.iter().filter(|it| {
            it.name.ends_with(labels::TEMPORARY)
                && !matches!(it.state, State::Running | State::Restarting)
        });
        if found.len() - aside.count() > promise.there {
            self.breaks(&format!("{} are there, {} may: {told}", found.len(), promise.there));
        }
    }

    fn breaks(&mut self, what: &str) {
        let after = self.acts.last().cloned().unwrap_or_default();
        if self.broken.len() < 5 {
            self.broken.push(format!("after `{after}`: {what}"));
        }
    }
}

/// Whether a container is up, and found by the name of its service.
fn serves(it: &Container) -> bool {
    let Networking::Networks(networks) = &it.spec.networking else { return false };
    it.state == State::Running
        && matches!(it.health, Health::Healthy | Health::Unchecked)
        && networks.get("s_default").is_some_and(|place| place.aliases.contains("a"))
}

#[async_trait]
impl Watcher for Eye {
    async fn before(&self, call: &Call<'_>) {
        self.enter().await;
        match call {
            Call::Observe | Call::Watch => self.look().await,
            Call::Perform(step) => self.note(step).await,
            Call::Exec(..) | Call::Other => {}
        }
    }

    async fn after(&self, call: &Call<'_>, well: bool) {
        let Call::Perform(step) = call else { return };
        if let (Step::CreateContainer(new), true) = (step, well) {
            let slot = new.labels.get(labels::SLOT).unwrap();
            let number = slot.rsplit('/').next().unwrap().parse().unwrap();
            let key = (number, new.spec.image.to_string());
            *self.sights().made.entry(key).or_default() += 1;
        }
        self.look().await;
    }
}
