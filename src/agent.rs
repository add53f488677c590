//! The agent: wake-ups from git, cron, file watches and the engine fill a queue of stacks; passes
//! empty it; what they report is folded into status and metrics.

mod backoff;
mod by_hand;
mod chance;
mod cleaning;
mod crashes;
mod desired;
mod desk;
mod events;
mod former;
mod jobs;
mod keeping;
mod load;
mod pulls;
mod queue;
mod schedule;
mod sources;
mod stacks_in_order;
mod steering;
mod telling;
mod views;
mod waiting;

pub use views::Views;

use crate::config::Config;
use crate::control::{self, ControlError};
use crate::engine::Engine;
use crate::execute::Bounds;
use crate::manifest::DigestKey;
use crate::model::{ContentDigest, DriftPolicy, Policy, SourceName, Stack, StackName};
use crate::pass::{Means, Moment, Snapshots, Subject};
use crate::plan::Aim;
use crate::status::{Acts, Departure, Holdings, PassResult, Report, SourceReport};
use crate::store::{self, Adopted, Inventory, Jobs, StoreError};
use crate::systemd;
use backoff::Backoff;
use crashes::Crashes;
use desired::{Desired, REMOVAL_PATIENCE, Want, Wish};
use jiff::Timestamp;
use pulls::Pulls;
use queue::{Outcome, Queue, Work};
use sources::{Watched, jittered};
use stacks_in_order::Leave;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use steering::Course;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use waiting::{Left, refused};

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
    config: Config,
    engine: Arc<dyn Engine>,
    views: Views,
    queue: Queue<StackName>,
    bounds: Bounds,
    snapshots: Arc<Snapshots>,
    digest_key: DigestKey,
    desired: Mutex<Desired>,
    memory: Mutex<Memory>,
    inventory: Inventory,
    adopted: Adopted,
    jobs: Jobs,
    /// Told when a source is to be fetched.
    due: BTreeMap<SourceName, Arc<Notify>>,
    /// Told when the inventory has something to write.
    unsaved: Notify,
    stop: CancellationToken,
}

/// The agent cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Commands could not speak with it.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// What is remembered between passes.
#[derive(Default)]
struct Memory {
    crashes: Crashes,
    pulls: Pulls,
    /// Stacks that had a pass.
    passed: BTreeSet<StackName>,
    /// What the last pass over each stack said.
    told: BTreeMap<StackName, String>,
    /// How the last pass over each stack left it, for those that depend on it.
    left: BTreeMap<StackName, Left>,
    /// What passes that are under way work towards, and how they are ended early.
    under_way: BTreeMap<StackName, UnderWay>,
    /// The last definition of each stack that held, as this process knows it.
    good: BTreeMap<StackName, (ContentDigest, Arc<Stack>)>,
    /// Stacks for which the checkout shows nothing but the newest files.
    unlaid: BTreeSet<StackName>,
    /// What does not help a stack of this definition.
    stuck: BTreeMap<StackName, (Stack, Acts)>,
    /// Sources that were tried.
    tried: BTreeSet<SourceName>,
    ready: bool,
}

/// A pass over a stack.
struct UnderWay {
    /// What it works towards.
    want: Want,
    /// Ends it early.
    stop: CancellationToken,
    /// Has it begin nothing more.
    brake: CancellationToken,
}

impl Memory {
    /// What did not help `stack` when it was defined as it is now.
    fn stuck_of(&self, name: &StackName, stack: &Stack) -> Acts {
        let known = self.stuck.get(name).filter(|(defined, _)| defined == stack);
        known.map(|(_, acts)| acts.clone()).unwrap_or_default()
    }

    fn note_stuck(&mut self, name: &StackName, stack: &Stack, acts: &Acts) {
        if acts.is_empty() {
            self.stuck.remove(name);
        } else {
            self.stuck.insert(name.clone(), (stack.clone(), acts.clone()));
        }
    }
}

/// Runs until `stop` comes; then no pass is begun any more, those under way are given
/// `shutdown_timeout` to end, and nothing that runs on the engine is touched.
pub async fn run(
    config: Config,
    engine: Arc<dyn Engine>,
    views: Views,
    stop: CancellationToken,
) -> Result<(), AgentError> {
    let _lock = store::lock(&config.state_dir)?;
    let digest_key = DigestKey::new(store::digest_key(&config.state_dir)?);
    let watched: Vec<Watched> =
        config.sources.iter().map(|source| watched(source, &config, &digest_key)).collect();
    let door = config.socket.as_deref().map(control::listen).transpose()?;
    let (inventory, mishap) = Inventory::open(&config.state_dir);
    let desired = keeping::restored(&inventory, &config);
    let bounds = Bounds::new(config.parallel, config.passes);
    let world = Arc::new(World {
        queue: Queue::new(Backoff::new(FIRST_RETRY, LONGEST_RETRY, JITTER), chance::chance),
        adopted: Adopted::of(&config.state_dir),
        jobs: Jobs::of(&config.state_dir),
        due: config.sources.iter().map(|source| (source.name.clone(), Arc::default())).collect(),
        config,
        engine,
        views,
        bounds,
        snapshots: Arc::default(),
        digest_key,
        desired: Mutex::new(desired),
        memory: Mutex::default(),
        inventory,
        unsaved: Notify::new(),
        stop,
    });
    world.remember();
    world.desired().names().into_iter().for_each(|name| world.queue.add(name));
    let mut tasks = JoinSet::new();
    let kept = tokio::spawn(keeping::keep(Arc::clone(&world), mishap));
    if let Some(door) = door {
        let office = Arc::new(desk::Desk(Arc::clone(&world)));
        tasks.spawn(desk::answer(door, office, world.stop.clone()));
    }
    tasks.spawn(events::listen(Arc::clone(&world)));
    for watched in watched {
        tasks.spawn(sources::follow(Arc::clone(&world), watched));
    }
    let passes = work_off(&world).await;
    drain(&world, tasks, passes).await;
    keeping::end(&world, kept).await;
    Ok(())
}

fn watched(source: &crate::config::Source, config: &Config, digest_key: &DigestKey) -> Watched {
    Watched {
        state_dir: config.state_dir.join("sources"),
        reading: load::Reading {
            path: source.path.clone(),
            variables: source.variables.clone(),
            profiles: source.profiles.clone(),
            digest_key: digest_key.clone(),
            age_key_file: config.age_key_file.clone(),
        },
        config: source.clone(),
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
                passes.spawn(pass(Arc::clone(world), work));
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
    };
    if timeout(world.config.shutdown_timeout, all).await.is_err() {
        tracing::warn!("not all work ended in time; the next start goes on from where it is");
    }
}

/// One pass over one stack.
async fn pass(world: Arc<World>, work: Work<StackName>) {
    let name = work.key().clone();
    let wish = world.desired().wish(&name);
    let Some(wish) = wish else {
        world.forget(&name);
        work.done(Outcome::Succeeded);
        return;
    };
    world.views.begin(&name, wish.revision.as_ref());
    let (superseded, brake) = world.under_way(&name, &wish);
    let report = world.reconcile(&name, &wish, &superseded, brake.clone()).await;
    let report = world.with_holds(report);
    world.memory().under_way.remove(&name);
    if brake.is_cancelled() && !report.result.is_success() && report.rollouts.is_empty() {
        tracing::info!(stack = %name, "paused in the middle");
        world.memory().crashes.note(&report, Instant::now());
        work.done(Outcome::Succeeded);
        return;
    }
    if superseded.is_cancelled() && !world.stop.is_cancelled() && !report.result.is_success() {
        tracing::info!(stack = %name, "a newer definition came in the middle; beginning anew");
        world.memory().crashes.note(&report, Instant::now());
        work.done(Outcome::Succeeded);
        return;
    }
    let gone = report.result == PassResult::Removed;
    if !report.result.is_success() && work.failures() > 0 {
        let failures = work.failures() + 1;
        tracing::warn!(stack = %name, failures, "failed {failures} times in a row");
    }
    world.note(&report);
    world.note_left(&name, &wish, &report);
    if matches!(report.result, PassResult::Changed | PassResult::Removed) {
        world.clean_images(&name).await;
    }
    if gone {
        world.forget(&name);
        // Some may have waited for what it held: a port, a name.
        world.desired().names().into_iter().for_each(|other| world.queue.add(other));
    } else if report.result.is_success()
        || matches!(
            report.result,
            PassResult::Invalid
                | PassResult::Stalled
                | PassResult::Paused
                | PassResult::RolledBack
                | PassResult::Drifted
        )
    {
        world.queue.add_after(name, jittered(world.config.resync));
    } else if report.result == PassResult::Waiting {
        let patience = REMOVAL_PATIENCE.unsigned_abs();
        world.queue.add_after(name, jittered(world.config.resync).min(patience));
    } else if report.result == PassResult::Crashing {
        // What this pass started may have ended again, and rest less than the others.
        let rest = if report.actions.is_empty() {
            world.memory().crashes.rest(&name, Instant::now())
        } else {
            Duration::ZERO
        };
        world.queue.add_after(name, rest);
    }
    work.done(match report.result {
        // A stack whose files are in error waits for git: trying at once again changes nothing. One
        // whose containers rest has its own time; until then its other containers are looked after.
        // What does not help is not done again, so one that does not settle has no hurry.
        PassResult::Unchanged
        | PassResult::Changed
        | PassResult::Removed
        | PassResult::Invalid
        | PassResult::Crashing
        | PassResult::Stalled
        | PassResult::Paused
        | PassResult::RolledBack
        | PassResult::Drifted
        | PassResult::Waiting => Outcome::Succeeded,
        PassResult::Failed => Outcome::Failed,
    });
}

impl World {
    async fn reconcile(
        self: &Arc<Self>,
        name: &StackName,
        wish: &Wish,
        stop: &CancellationToken,
        brake: CancellationToken,
    ) -> Report {
        let means = Means {
            engine: Arc::clone(&self.engine),
            bounds: self.bounds.clone(),
            onlooker: telling::showing(self.views.clone(), name, wish.revision.as_ref()),
            snapshots: Arc::clone(&self.snapshots),
            stop: stop.clone(),
            brake,
        };
        let source = Some(wish.source.clone());
        match &wish.want {
            Want::Run(stack) => self.run(&means, name, wish, stack).await,
            Want::Gone(removal) => {
                let departure = Departure { since: removal.since, held: None };
                let first = self.desired().goes_before(name, Timestamp::now());
                let report = match first {
                    Some(other) => Report {
                        result: PassResult::Waiting,
                        ..invalid(name, wish, &format!("waiting for stack {other} to go first"))
                    },
                    None => self.take_away(&means, name, source).await,
                };
                Report { departure: Some(departure), ..report }
            }
            Want::Held(hold) => {
                let why = hold.reason.to_string();
                let told = format!(
                    "left its source, but is kept: {why}; `bowline prune --confirm {name}` removes it"
                );
                let departure = Departure { since: hold.since, held: Some(why) };
                Report { departure: Some(departure), ..invalid(name, wish, &told) }
            }
            Want::Invalid { problem, last_good: None } => invalid(name, wish, problem),
            Want::Invalid { problem, last_good: Some(stack) } => {
                kept(self.run(&means, name, wish, stack).await, problem)
            }
        }
    }

    async fn take_away(
        &self,
        means: &Means,
        name: &StackName,
        source: Option<SourceName>,
    ) -> Report {
        let query = self.adopted.owned_by(name, source.as_ref());
        let report = means.remove(&query, source.clone(), false).await;
        if report.result.is_success() {
            if let Some(source) = &source {
                // Nobody mounts what it went back to any more.
                self.memory().unlaid.remove(name);
                self.show_newest(name, source).await;
            }
            self.adopted.forget(name);
            self.jobs.forget(name);
        }
        report
    }

    /// Forgets that stacks of `source` were taken over, of which nothing is left.
    async fn forget_adoptions(&self, source: &SourceName, stacks: &BTreeSet<StackName>) {
        for stack in stacks {
            let query = self.adopted.owned_by(stack, Some(source));
            if !query.adopt {
                continue;
            }
            // What was taken over may have no label of ours; while it is there, `bowline remove` needs
            // the note.
            let Ok(observed) = self.engine.observe(&query).await else { continue };
            let left = Holdings::of(stack, &observed);
            if left.containers.is_empty() && left.networks.is_empty() {
                self.adopted.forget(stack);
            }
        }
    }

    async fn run(
        self: &Arc<Self>,
        means: &Means,
        name: &StackName,
        wish: &Wish,
        asked: &Arc<Stack>,
    ) -> Report {
        let digest = definition(asked, &self.digest_key);
        let (stack, course, holds) = match self.target(name, wish, asked, &digest).await {
            Ok(target) => target,
            Err(problem) => {
                return Report { result: PassResult::Failed, ..invalid(name, wish, &problem) };
            }
        };
        let target = match course {
            Course::Asked => digest,
            Course::Back(_) => definition(&stack, &self.digest_key),
        };
        let leave = match course {
            Course::Asked => self.leave(asked),
            Course::Back(_) => Leave::Begin,
        };
        let way = (&course, &target, &leave);
        let report = self.work_towards(means, name, wish, &stack, way).await;
        // The commit of files in error is not the one that the definition is of.
        let is_current = matches!(wish.want, Want::Run(_));
        let report = self.conclude(report, &course, &stack, &target, (&holds, is_current));
        match leave {
            Leave::Refuse(problems) => refused(report, &problems),
            Leave::Begin | Leave::Wait(_) => report,
        }
    }

    /// A pass towards `stack`, whose digest is given with what it is for, and whether it may begin.
    async fn work_towards(
        self: &Arc<Self>,
        means: &Means,
        name: &StackName,
        wish: &Wish,
        stack: &Stack,
        (course, target, leave): (&Course, &ContentDigest, &Leave),
    ) -> Report {
        let (source, revision) = (Some(wish.source.clone()), wish.revision.clone());
        // Looked up each time: somebody may take it over by hand meanwhile.
        let taken_over = self.adopted.has(name, source.as_ref());
        let adopting = (taken_over && !stack.policy.adopt).then(|| {
            let policy = Policy { adopt: true, ..stack.policy.clone() };
            Stack { policy, ..stack.clone() }
        });
        let stack = adopting.as_ref().unwrap_or(stack);
        let subject = Subject { stack, source, revision };
        let (pulls, resync) = (self.memory().pulls.clone(), self.config.resync);
        let now = Instant::now();
        let due = move |image: &_, policy| pulls.is_due(image, policy, resync, now);
        let resting = self.memory().crashes.resting(name, now);
        let stuck = self.memory().stuck_of(name, stack);
        let record = self.inventory.stack(name);
        let (aim, asked) = (course.aim(&record, target), course.asked(target));
        // Where all is repaired, it does not matter who asked for it.
        let definition = (stack.policy.drift == DriftPolicy::Report).then(|| target.clone());
        let brought_about = record.definition.clone();
        // What is gone back to is brought about, whatever was before.
        let only_report = definition.is_some() && definition == brought_about && aim == Aim::Hold;
        if !only_report && self.inventory.update(name, |record| record.definition = None) {
            self.unsaved.notify_one();
        }
        let settle = Duration::ZERO;
        let pinned = course.pinned();
        let moment = Moment {
            now: Timestamp::now(),
            due: &due,
            resting,
            stuck,
            settle,
            only_report,
            pinned,
            held_with: course.held_with(&record, target),
            aim,
            way_back: record.good.is_some(),
            monitor: self.config.monitor,
            earlier: steering::earlier(&record, asked),
            paused: steering::pause(&record, asked),
            // What held before is kept, and gone back to, whatever becomes of others.
            waits: leave.obstacle().filter(|_| aim == Aim::Update),
            completed: self.completed(stack, course),
        };
        let means = self.counting(means, name, asked, aim);
        let report = means.reconcile(&subject, &moment).await;
        if report.result.is_success()
            && self.inventory.update(name, |record| record.definition = definition)
        {
            self.unsaved.notify_one();
        }
        self.note_completed(stack, course, &report);
        if report.workload.is_some() {
            if stack.policy.adopt
                && !taken_over
                && let Err(error) = self.adopted.note(name, Some(&wish.source))
            {
                tracing::warn!(stack = %name, "cannot note that it was taken over: {error}");
            }
            self.memory().note_stuck(name, stack, &report.stuck);
        }
        report
    }

    fn note(&self, report: &Report) {
        let now = Instant::now();
        let ready = {
            let mut memory = self.memory();
            let told = memory.told.insert(report.stack.clone(), report.message.clone());
            telling::ended(report, told.as_ref() == Some(&report.message));
            memory.crashes.note(report, now);
            memory.pulls.note(report, now);
            // A pass that could not look, for want of an engine, tells nothing of the stack.
            if report.workload.is_some() || report.result != PassResult::Failed {
                memory.passed.insert(report.stack.clone());
            }
            self.becomes_ready(&mut memory)
        };
        self.record(report);
        self.views.note(report);
        self.tell_ready(ready);
    }

    fn note_source(&self, report: &SourceReport) {
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
        let sources = self.config.sources.iter().all(|source| memory.tried.contains(&source.name));
        let stacks = || self.desired().are_all_in(&memory.passed);
        let becomes = !memory.ready && sources && stacks();
        memory.ready |= becomes;
        becomes
    }

    fn tell_ready(&self, ready: bool) {
        if ready {
            tracing::info!("ready: every stack had its first pass");
            self.views.ready();
        }
    }

    fn beat(&self) {
        if !self.memory().ready {
            systemd::starting();
        }
        self.views.beat(self.queue.depth());
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

    /// `name` is due at once. A pass that works towards something else, and may be waiting for a
    /// container of it, is ended.
    fn renew(&self, name: &StackName) {
        let want = self.desired().wish(name).map(|wish| wish.want);
        if let Some(under_way) = self.memory().under_way.get(name)
            && Some(&under_way.want) != want.as_ref()
        {
            under_way.stop.cancel();
        }
        // What failed before says nothing about this.
        self.queue.forget(name);
        self.queue.add(name.clone());
    }

    /// Whether a pass over a stack could do anything: not while all that is known of it is in error.
    fn is_alive(&self, name: &StackName) -> bool {
        let dead = |wish: &Wish| {
            matches!(wish.want, Want::Invalid { last_good: None, .. } | Want::Held(_))
        };
        self.desired().wish(name).is_some_and(|wish| !dead(&wish))
    }

    /// Whether the content of every source is known.
    fn knows_all_sources(&self) -> bool {
        let desired = self.desired();
        self.config.sources.iter().all(|source| desired.knows(&source.name))
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
        memory.good.remove(name);
        drop(memory);
        self.views.forget(name);
    }

    /// A panic under the lock leaves the data whole: every change of it is a single call.
    fn desired(&self) -> MutexGuard<'_, Desired> {
        self.desired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells one definition of a stack from another: all of it but where it is written. Keyed, since
/// a variable may be a secret.
fn definition(stack: &Stack, key: &DigestKey) -> ContentDigest {
    let Stack { name, services, networks, volumes, policy, .. } = stack;
    key.digest(format!("{name} {services:?} {networks:?} {volumes:?} {policy:?}").as_bytes())
}

/// A pass that kept a stack as it was, since its files are in error now.
fn kept(mut report: Report, problem: &str) -> Report {
    if report.result.is_success() {
        report.result = PassResult::Invalid;
    }
    if !report.message.is_empty() {
        report.message.insert(0, '\n');
    }
    report.message.insert_str(0, problem);
    report
}

fn invalid(name: &StackName, wish: &Wish, problem: &str) -> Report {
    Report {
        stack: name.clone(),
        source: Some(wish.source.clone()),
        revision: wish.revision.clone(),
        started: Timestamp::now(),
        took: Duration::ZERO,
        result: PassResult::Invalid,
        message: problem.to_owned(),
        drift: BTreeMap::new(),
        reasons: Vec::new(),
        actions: Vec::new(),
        stuck: Acts::new(),
        problems: Vec::new(),
        workload: None,
        seen: None,
        rollouts: Vec::new(),
        held_back: None,
        paused: None,
        departure: None,
    }
}
