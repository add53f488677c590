//! The agent: wake-ups from git, cron, file watches and the engine fill a queue of stacks; passes
//! empty it; what they report is folded into status and metrics.

mod access;
mod alone;
mod backoff;
mod begun;
mod by_hand;
mod chance;
mod chronicle;
mod cleaning;
mod clock;
mod course;
mod crashes;
mod desired;
mod desk;
mod error;
mod events;
mod explaining;
mod foresight;
mod former;
mod inbox;
mod jobs;
mod keeping;
mod load;
mod meanwhile;
mod memory;
mod moment;
mod pace;
mod patient;
mod pulls;
mod queue;
mod reload;
mod schedule;
mod sources;
mod stacks_in_order;
mod steering;
mod suspending;
mod telling;
mod turn;
mod views;
mod waiting;
mod windows;

pub use access::access;
pub use alone::Alone;
pub use clock::Clock;
pub use error::AgentError;
pub use explaining::explain;
pub use reload::Reloads;
pub use views::Views;

use crate::config::{Config, Source};
use crate::control;
use crate::engine::Engine;
use crate::execute::Bounds;
use crate::manifest::DigestKey;
use crate::model::{SourceName, StackName};
use crate::pass::Snapshots;
use crate::status::{ConfigStatus, PassResult, Report, SourceReport};
use crate::store::{self, Adopted, Deployments, Inventory, Jobs};
use crate::systemd;
use backoff::Backoff;
use chronicle::Chronicle;
use desired::{Desired, Want, Wish};
use memory::{Memory, UnderWay};
use patient::Patient;
use queue::Queue;
use reload::Followed;
use sources::Watched;
pub(crate) use sources::repository_of;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often the loop shows that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// The wait after a stack's first failed pass.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after a failed pass.
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// The share of a wait that chance may take off.
const JITTER: f64 = 0.2;

/// What the agent's tasks share.
struct World {
    /// What holds until the configuration is read anew.
    config: RwLock<Arc<Config>>,
    engine: Arc<dyn Engine>,
    views: Views,
    queue: Queue<StackName>,
    bounds: Mutex<Bounds>,
    snapshots: Arc<Snapshots>,
    digest_key: DigestKey,
    desired: Mutex<Desired>,
    memory: Mutex<Memory>,
    inventory: Inventory,
    chronicle: Chronicle,
    patient: Patient,
    adopted: Adopted,
    jobs: Jobs,
    followed: Mutex<BTreeMap<SourceName, Followed>>,
    /// The tasks of the sources.
    followers: TaskTracker,
    /// Told when the inventory has something to write.
    unsaved: Notify,
    stop: CancellationToken,
}

/// Runs until `stop` comes; then no pass is begun any more, those under way are given
/// `shutdown_timeout` to end, and nothing that runs on the engine is touched.
pub async fn run(
    config: Config,
    engine: Arc<dyn Engine>,
    views: Views,
    stop: CancellationToken,
) -> Result<(), AgentError> {
    run_reloading(config, engine, views, None, stop).await
}

/// The same, with a configuration that is read anew when `reloads` says so.
pub async fn run_reloading(
    config: Config,
    engine: Arc<dyn Engine>,
    views: Views,
    reloads: Option<Reloads>,
    stop: CancellationToken,
) -> Result<(), AgentError> {
    let _lock = store::lock(&config.state_dir)?;
    let door = config.socket.as_deref().map(control::listen).transpose()?;
    let (inventory, mishap) = Inventory::open(&config.state_dir);
    let world = World::open(config, engine, views, stop, inventory)?;
    world.desired().names().into_iter().for_each(|name| world.queue.add(name));
    world.views.shared.open_inbox(Arc::new(inbox::Ear::of(&world)));
    let desk = Arc::new(desk::Desk(Arc::clone(&world)));
    let api = world.views.shared.open_api(control::router(desk.clone()));
    let mut tasks = JoinSet::new();
    let kept = tokio::spawn(keeping::keep(Arc::clone(&world), mishap));
    let told = tokio::spawn(chronicle::keep(Arc::clone(&world)));
    if let Some(door) = door {
        tasks.spawn(desk::answer(door, desk, world.stop.clone()));
    }
    tasks.spawn(events::listen(Arc::clone(&world)));
    for source in &world.config().sources {
        world.follow(source);
    }
    if let Some(reloads) = reloads {
        tasks.spawn(reload::listen(Arc::clone(&world), reloads));
    }
    let passes = work_off(&world).await;
    drain(&world, tasks, passes).await;
    drop(api);
    chronicle::end(&world, told).await;
    keeping::end(&world, kept).await;
    Ok(())
}

fn watched(source: &Source, config: &Config, world: &World) -> Watched {
    Watched {
        state_dir: config.state_dir.join("sources"),
        reading: load::Reading {
            path: source.path.clone(),
            variables: source.variables.clone(),
            profiles: source.profiles.clone(),
            digest_key: world.digest_key.clone(),
            age_key_file: config.age_key_file.clone(),
        },
        config: source.clone(),
        stop: world.stop.child_token(),
    }
}

/// The loop: begins a pass over every stack that is due, and shows that it lives. Passes that look
/// and act are bounded, those that wait for containers are not. Returns the passes that still run when the stop comes.
async fn work_off(world: &Arc<World>) -> JoinSet<()> {
    let mut passes = JoinSet::new();
    let mut beat = interval(BEAT);
    loop {
        tokio::select! {
            () = world.stop.cancelled() => break,
            _ = beat.tick() => world.beat(),
            Some(ended) = passes.join_next() => {
                if let Err(error) = ended {
                    tracing::error!("a pass ended by a defect of Bowline: {error}");
                }
            }
            work = world.queue.next() => {
                let Some(work) = work else { break };
                passes.spawn(turn::pass(Arc::clone(world), work));
            }
        }
    }
    world.queue.close();
    passes
}

/// Waits for what is under way, within the bound.
async fn drain(world: &Arc<World>, mut tasks: JoinSet<()>, mut passes: JoinSet<()>) {
    systemd::stopping();
    let running = world.queue.running();
    tracing::info!("stopping; passes under way: {running}");
    let all = async {
        while passes.join_next().await.is_some() {}
        while tasks.join_next().await.is_some() {}
        world.followers.close();
        world.followers.wait().await;
    };
    if timeout(world.config().shutdown_timeout, all).await.is_err() {
        tracing::warn!("not all work ended in time; the next start goes on from where it is");
    }
}

impl World {
    /// With what an earlier process left in the state directory, which the caller has locked.
    fn open(
        config: Config,
        engine: Arc<dyn Engine>,
        views: Views,
        stop: CancellationToken,
        inventory: Inventory,
    ) -> Result<Arc<Self>, AgentError> {
        let digest_key = DigestKey::new(store::digest_key(&config.state_dir)?);
        let desired = keeping::restored(&inventory, &config);
        let deployments = Deployments::of(&config.state_dir, config.history);
        let world = Arc::new(Self {
            queue: Queue::new(Backoff::new(FIRST_RETRY, LONGEST_RETRY, JITTER), chance::chance),
            adopted: Adopted::of(&config.state_dir),
            jobs: Jobs::of(&config.state_dir),
            followed: Mutex::default(),
            followers: TaskTracker::new(),
            bounds: Mutex::new(Bounds::new(config.parallel, config.passes)),
            config: RwLock::new(Arc::new(config)),
            engine,
            views,
            snapshots: Arc::default(),
            digest_key,
            desired: Mutex::new(desired),
            memory: Mutex::new(Memory {
                config: ConfigStatus { read_at: jiff::Timestamp::now(), ..ConfigStatus::default() },
                ..Memory::default()
            }),
            chronicle: Chronicle::new(deployments, &inventory),
            inventory,
            patient: Patient::default(),
            unsaved: Notify::new(),
            stop,
        });
        world.remember();
        Ok(world)
    }

    fn note(&self, report: &Report) {
        let now = Instant::now();
        let ready = {
            let mut memory = self.memory();
            let told = memory.told.insert(report.stack.clone(), report.message.clone());
            if self.stop.is_cancelled() && !report.result.is_success() {
                telling::broken_off(report);
            } else {
                telling::ended(report, told.as_ref() == Some(&report.message));
            }
            memory.crashes.note(report, now);
            memory.pulls.note(report, now);
            // A pass that could not look, for want of an engine, tells nothing of the stack.
            if report.workload.is_some() || report.result != PassResult::Failed {
                memory.passed.insert(report.stack.clone());
            }
            self.becomes_ready(&mut memory)
        };
        self.chronicle(report);
        self.record(report);
        self.views.note(report);
        self.tell_ready(ready);
    }

    fn note_source(&self, report: &SourceReport) {
        self.chronicle.note_source(report);
        self.views.note_source(report);
    }

    fn source_tried(&self, source: &SourceName) {
        let ready = {
            let mut memory = self.memory();
            memory.tried.insert(source.clone());
            self.becomes_ready(&mut memory)
        };
        self.tell_ready(ready);
    }

    /// Whether every source was tried and every stack had a pass, for the first time.
    fn becomes_ready(&self, memory: &mut Memory) -> bool {
        let sources =
            self.config().sources.iter().all(|source| memory.tried.contains(&source.name));
        let stacks = || self.desired().are_all_in(&memory.passed);
        let becomes = !memory.ready && sources && stacks();
        memory.ready |= becomes;
        becomes
    }

    fn tell_ready(&self, ready: bool) {
        if !ready {
            return;
        }
        let config = self.config();
        let names = config.sources.iter().map(|source| &source.name);
        let unread: Vec<&str> =
            names.filter(|name| !self.desired().knows(name)).map(SourceName::as_str).collect();
        if unread.is_empty() {
            tracing::info!("ready: every stack had its first pass");
        } else {
            tracing::warn!(
                "ready, but nothing could be read of {}: none of its stacks had a pass",
                unread.join(", ")
            );
        }
        self.views.ready();
    }

    fn beat(&self) {
        let (ready, trouble) = {
            let memory = self.memory();
            (memory.ready, memory.config.trouble())
        };
        if !ready {
            systemd::starting();
        }
        self.views.beat(self.queue.depth(), self.queue.running(), trouble.as_deref());
    }

    fn wake_all(&self) {
        for name in self.desired().names() {
            self.queue.add_rate_limited(name);
        }
    }

    /// Notes that a pass works towards `wish`; the first token ends it, the second has it begin nothing
    /// more.
    fn under_way(&self, name: &StackName, wish: &Wish) -> (CancellationToken, CancellationToken) {
        let (stop, brake) = (self.stop.child_token(), CancellationToken::new());
        let under_way =
            UnderWay { want: wish.want.clone(), stop: stop.clone(), brake: brake.clone() };
        self.memory().under_way.insert(name.clone(), under_way);
        (stop, brake)
    }

    /// Notes what the pass under way works on: not what is asked for, where that waits for its window.
    fn works_on(&self, name: &StackName, counts: &Wish) {
        if let Some(under_way) = self.memory().under_way.get_mut(name) {
            under_way.want.clone_from(&counts.want);
        }
    }

    /// Ends a pass that works towards something else than `wish`, and may be waiting for a container of it.
    fn end_what_leads_elsewhere(&self, name: &StackName, wish: &Wish) {
        if let Some(under_way) = self.memory().under_way.get(name)
            && under_way.want != wish.want
        {
            under_way.stop.cancel();
        }
    }

    /// `name` is due at once. A pass that works towards something else, and may be waiting for a
    /// container of it, is ended.
    fn renew(&self, name: &StackName) {
        let wish = self.desired().wish(name);
        // What has to wait for a window disturbs nobody.
        match &wish {
            Some(wish) if self.is_shut(wish) => {}
            Some(wish) => self.end_what_leads_elsewhere(name, wish),
            None => {
                if let Some(under_way) = self.memory().under_way.get(name) {
                    under_way.stop.cancel();
                }
            }
        }
        // What failed before says nothing about this.
        self.queue.forget(name);
        self.queue.add(name.clone());
    }

    /// Something happened to what `name` has. While it waits for images that is repaired at once, whenever
    /// the next try to pull is.
    fn heard_of(&self, name: StackName) {
        if self.memory().short.contains_key(&name) {
            self.queue.add(name);
        } else {
            self.queue.add_rate_limited(name);
        }
    }

    /// Whether a pass over a stack could do anything: not while all that is known of it is in error.
    fn is_alive(&self, name: &StackName) -> bool {
        let dead = |wish: &Wish| {
            matches!(wish.want, Want::Invalid { last_good: None, .. } | Want::Held(_))
        };
        self.desired().wish(name).is_some_and(|wish| !dead(&wish))
    }

    /// Whether the content of every source is known as it is configured now.
    fn knows_all_sources(&self) -> bool {
        self.all_are_known(&self.desired())
    }

    /// The same for who holds the lock.
    fn all_are_known(&self, desired: &Desired) -> bool {
        self.config().sources.iter().all(|source| desired.knows_as_configured(&source.name))
    }

    /// Forgets a stack that is gone, unless git has brought it back meanwhile: then it is due. The
    /// lock is held over both, so that no wake-up falls between the look and the forgetting.
    fn forget(&self, name: &StackName) {
        let mut desired = self.desired();
        if desired.wish(name).is_some_and(|wish| !matches!(wish.want, Want::Gone(_))) {
            self.queue.add(name.clone());
            return;
        }
        desired.forget(name);
        self.queue.forget(name);
        drop(desired);
        self.snapshots.forget(name);
        self.remember();
        let mut memory = self.memory();
        memory.crashes.forget(name);
        memory.passed.remove(name);
        memory.told.remove(name);
        memory.left.remove(name);
        memory.stuck.remove(name);
        memory.short.remove(name);
        memory.good.remove(name);
        memory.begun.remove(name);
        drop(memory);
        self.views.forget(name);
    }

    /// What is configured now.
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn bounds(&self) -> Bounds {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn followed(&self) -> MutexGuard<'_, BTreeMap<SourceName, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic under the lock leaves the data whole: every change of it is a single call.
    fn desired(&self) -> MutexGuard<'_, Desired> {
        self.desired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
