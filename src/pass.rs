//! A pass over one stack: look, plan, carry out, and look again until there is nothing to do. The
//! same for a first deployment, a new commit, drift, a restart after a crash, and by hand.

mod snapshots;

pub use snapshots::{Mark, Snapshots};

use crate::engine::{Discreet, Engine, EngineError};
use crate::execute::{Bounds, Clock, Hands, Onlooker, execute, last_words};
use crate::model::{
    Health, ImageRef, Observed, PullPolicy, Query, Revision, ServiceName, Slot, SourceName, Stack,
    StackName,
};
use crate::plan::{
    Action, Aim, Change, Circumstances, Completed, ContainerRef, Object, Plan, plan, plan_removal,
};
use crate::rollout::Progress;
use crate::status::{Acts, DriftKind, PassResult, Report, RolloutReport, Seen, Workload};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How often a pass looks, plans and acts at most. More than one round is needed when an image that
/// was pulled shows that more differs.
const MAX_ROUNDS: usize = 5;
/// How many of the fields that keep differing are told.
const TOLD_FIELDS: usize = 5;

/// What passes are made with.
#[derive(Clone)]
pub struct Means {
    /// Where the stacks run.
    pub engine: Arc<dyn Engine>,
    /// How much is done at once.
    pub bounds: Bounds,
    /// Hears what is done.
    pub onlooker: Onlooker,
    /// What was seen of stacks and still holds.
    pub snapshots: Arc<Snapshots>,
    /// Ends passes early, at a point from which the next one goes on.
    pub stop: CancellationToken,
    /// Has passes begin nothing more, and end what is under way.
    pub brake: CancellationToken,
}

/// A stack and where it comes from.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// What should run.
    pub stack: &'a Stack,
    /// The git source, if any.
    pub source: Option<SourceName>,
    /// The commit, if known.
    pub revision: Option<Revision>,
}

/// What only the time tells.
#[derive(Clone)]
pub struct Moment<'a> {
    /// What time it is when the pass begins, on the calendar that the engine's times are of.
    pub now: Timestamp,
    /// Says of each image whose policy may ask for another pull whether it is time for one.
    pub due: &'a (dyn Fn(&ImageRef, PullPolicy) -> bool + Sync),
    /// Slots whose container, if it ended, is not started yet again.
    pub resting: BTreeSet<Slot>,
    /// What was done before and did not help; it is not done again.
    pub stuck: Acts,
    /// How long what was started is let run before the next look at it.
    pub settle: Duration,
    /// Whether differences are only told.
    pub only_report: bool,
    /// The ids of the images that services run, whatever the names in the stack stand for.
    pub pinned: BTreeMap<ServiceName, String>,
    /// The ids of the images with which the definition is known to hold.
    pub held_with: BTreeMap<ServiceName, String>,
    /// What the definition is: known to hold, new, or gone back to.
    pub aim: Aim,
    /// Whether something is known to go back to.
    pub way_back: bool,
    /// How long a container that is up is watched where its service does not say.
    pub monitor: Duration,
    /// How far services came in passes before, towards the same definition.
    pub earlier: BTreeMap<ServiceName, Progress>,
    /// Whose containers are not exchanged for now.
    pub paused: Pause,
    /// Why the stack waits for others, if it does: until then differences are only told, too.
    pub waits: Option<String>,
    /// Its jobs that ran to their end.
    pub completed: Completed,
}

/// Whose containers are not exchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pause {
    /// Nobody's.
    #[default]
    None,
    /// These services'.
    Services(BTreeSet<ServiceName>),
    /// All.
    All,
}

impl Pause {
    /// The changes of `plan` that are not made: those that exchange what rests, and removals that come
    /// after one of them.
    fn resting(&self, plan: &Plan) -> BTreeSet<(Object, Action)> {
        let covered = |change: &Change| self.covers(change);
        let follows = |change: &Change| {
            let mut before = change.after.iter().filter_map(|&index| plan.changes.get(index));
            change.action == Action::Remove && before.any(covered)
        };
        let rest = plan.changes.iter().filter(|change| covered(change) || follows(change));
        rest.map(act).collect()
    }

    fn covers(&self, change: &Change) -> bool {
        let Some(service) = change.object.service() else { return false };
        change.action.exchanges()
            && match self {
                Self::None => false,
                Self::Services(services) => services.contains(service),
                Self::All => true,
            }
    }
}

impl Means {
    /// Makes the engine match `subject`. What ends again at once is not started twice in a pass.
    pub async fn reconcile(&self, subject: &Subject<'_>, moment: &Moment<'_>) -> Report {
        let mut notes = Notes::new(subject, moment.now);
        notes.progress.clone_from(&moment.earlier);
        let engine = Discreet::over(&self.engine, subject.stack);
        let discreet = Self { engine, ..self.clone() };
        match discreet.rounds(subject, moment, &mut notes).await {
            Ok(result) => notes.report.result = result,
            Err(error) => {
                notes.report.result = PassResult::Failed;
                notes.report.message = error.to_string();
            }
        }
        notes.finish()
    }

    /// Takes away all that the stack of `query` owns; its volumes only with `volumes`.
    pub async fn remove(&self, query: &Query, source: Option<SourceName>, volumes: bool) -> Report {
        let name = &query.stack;
        let mut notes = Notes::blank(name.clone(), source, None, Timestamp::now());
        match self.engine.observe(query).await {
            Ok(observed) => {
                let plan = plan_removal(name, &observed, volumes);
                notes.first_plan(&plan);
                notes.report.seen = Some(Seen::of(name, &observed, Completed::new()));
                if self.carry_out(&plan, &mut notes).await {
                    notes.report.result = PassResult::Removed;
                    notes.report.message = left(name, &observed, volumes);
                } else {
                    notes.report.result = PassResult::Failed;
                }
            }
            Err(error) => {
                notes.report.result = PassResult::Failed;
                notes.report.message = error.to_string();
            }
        }
        notes.finish()
    }

    async fn rounds(
        &self,
        subject: &Subject<'_>,
        moment: &Moment<'_>,
        notes: &mut Notes,
    ) -> Result<PassResult, EngineError> {
        let mut query = Query::of(subject.stack);
        query.images.extend(moment.pinned.values().filter_map(|id| ImageRef::new(id.clone()).ok()));
        let mut resting = moment.resting.clone();
        let mut done = moment.stuck.clone();
        if let Some(result) = self.as_known(subject, moment, &query, notes).await {
            return Ok(result);
        }
        for round in 0.. {
            let look = self.bounds.look().await;
            let mark = self.snapshots.mark(&query.stack);
            let observed = self.engine.observe(&query).await?;
            let refresh = if round == 0 {
                images_due(subject.stack, &observed, moment)
            } else {
                BTreeSet::new()
            };
            let source = subject.source.clone();
            let around = Circumstances {
                source,
                refresh,
                resting: resting.clone(),
                pinned: moment.pinned.clone(),
                held_with: moment.held_with.clone(),
                aim: moment.aim,
                way_back: moment.way_back,
                monitor: moment.monitor,
                completed: moment.completed.clone(),
            };
            let plan = plan(subject.stack, &observed, &around);
            drop(look);
            notes.look(subject.stack, &observed, &plan, round);
            let paused = moment.paused.resting(&plan);
            let rests = !paused.is_empty();
            let plan = plan.without(|change| paused.contains(&act(change)));
            if plan.changes.is_empty() && !self.held(&plan, notes).await {
                return Ok(self.cut_short());
            }
            if plan.changes.is_empty() && rests {
                return Ok(PassResult::Paused);
            }
            if plan.changes.is_empty() {
                let result = notes.settled(&plan, &observed, &*self.engine).await;
                if result.is_success() {
                    self.snapshots.keep(query, observed, mark);
                }
                return Ok(result);
            }
            if let Some(why) = &moment.waits {
                return Ok(notes.waiting(why));
            }
            if moment.only_report {
                return Ok(notes.drifted(&plan));
            }
            let is_known = |change: &Change| {
                done.get(&act(change)).is_some_and(|fields| fields_of(change).is_subset(fields))
            };
            let known = plan.changes.iter().filter(|change| is_known(change));
            notes.report.stuck = known.map(|change| (act(change), fields_of(change))).collect();
            if round >= MAX_ROUNDS || plan.changes.iter().all(is_known) {
                return Ok(notes.stalled(&plan));
            }
            let plan = plan.without(is_known);
            if !self.carry_out(&plan, notes).await {
                let observed = self.engine.observe(&query).await?;
                let left = crate::plan::plan(subject.stack, &observed, &around);
                notes.see(subject.stack, &observed, left.completed);
                return Ok(self.cut_short());
            }
            for change in &plan.changes {
                done.entry(act(change)).or_default().extend(fields_of(change));
            }
            let started: Vec<Slot> = plan.changes.iter().filter_map(started).collect();
            if !started.is_empty() {
                tokio::select! {
                    () = sleep(moment.settle) => {}
                    () = self.stop.cancelled() => {}
                }
            }
            resting.extend(started);
        }
        unreachable!("the last round ends above")
    }

    /// That there is nothing to do, if that follows from what was seen last.
    async fn as_known(
        &self,
        subject: &Subject<'_>,
        moment: &Moment<'_>,
        query: &Query,
        notes: &mut Notes,
    ) -> Option<PassResult> {
        let known = self.snapshots.known(query)?;
        let refresh = images_due(subject.stack, &known, moment);
        let source = subject.source.clone();
        // What is not known to hold is looked at: its containers may still have to be watched.
        if moment.aim != Aim::Hold {
            return None;
        }
        let around = Circumstances {
            source,
            refresh,
            pinned: moment.pinned.clone(),
            completed: moment.completed.clone(),
            ..Circumstances::default()
        };
        let plan = plan(subject.stack, &known, &around);
        if !plan.is_empty() {
            return None;
        }
        notes.look(subject.stack, &known, &plan, 0);
        Some(notes.settled(&plan, &known, &*self.engine).await)
    }

    /// How a pass ends that did not get to its end.
    fn cut_short(&self) -> PassResult {
        if self.brake.is_cancelled() { PassResult::Paused } else { PassResult::Failed }
    }

    /// Whether what a former pass started held; there is nothing to change any more.
    async fn held(&self, plan: &Plan, notes: &mut Notes) -> bool {
        plan.paced.is_empty() || self.carry_out(plan, notes).await
    }

    /// Whether all of the plan was done, and held; if not, the notes say why.
    async fn carry_out(&self, plan: &Plan, notes: &mut Notes) -> bool {
        let hands = Hands {
            engine: Arc::clone(&self.engine),
            bounds: self.bounds.clone(),
            onlooker: Arc::clone(&self.onlooker),
            clock: notes.clock,
            stop: self.stop.clone(),
            brake: self.brake.clone(),
        };
        let outcome = execute(&hands, plan, &notes.progress).await;
        let complete = outcome.is_complete();
        if !complete {
            let errors = outcome.actions.iter().filter_map(|action| {
                let error = action.error.as_ref()?;
                Some(format!("{} {}: {error}", action.action.word(), action.object))
            });
            let mut lines: Vec<String> = errors.collect();
            let told = lines.join("\n");
            let failed = outcome.rollouts.iter().filter_map(|rollout| rollout.why.as_ref());
            let untold = failed.flat_map(|why| why.lines()).filter(|why| !told.contains(*why));
            lines.extend(untold.map(ToOwned::to_owned));
            lines.extend(outcome.unjudged);
            if outcome.skipped > 0 {
                let were = if outcome.skipped == 1 { "change was" } else { "changes were" };
                lines.push(format!("{} further {were} not begun", outcome.skipped));
            }
            lines.extend(plan.problems.iter().map(ToString::to_string));
            if lines.is_empty() && outcome.open {
                lines.push("stopped before it was known whether what was changed holds".to_owned());
            }
            notes.report.message = lines.join("\n");
        }
        notes.report.actions.extend(outcome.actions);
        notes.progress.extend(outcome.progress);
        let is_update = |rollout: &RolloutReport| {
            plan.paced.iter().any(|paced| paced.is_update && paced.service == rollout.service)
        };
        notes.note_rollouts(outcome.rollouts.into_iter().filter(is_update));
        complete
    }
}

/// A plan for people: what a pass would do first.
pub async fn preview(
    engine: &dyn Engine,
    stack: &Stack,
    source: Option<SourceName>,
) -> Result<Plan, EngineError> {
    preview_in(&Circumstances { source, ..Circumstances::default() }, engine, stack).await
}

/// The same in other circumstances.
pub async fn preview_in(
    around: &Circumstances,
    engine: &dyn Engine,
    stack: &Stack,
) -> Result<Plan, EngineError> {
    let observed = engine.observe(&Query::of(stack)).await?;
    Ok(plan(stack, &observed, around))
}

/// Which volumes outlive their stack.
fn left(stack: &StackName, observed: &Observed, volumes: bool) -> String {
    let owned = observed.volumes.iter().filter(|volume| volume.stack.as_ref() == Some(stack));
    let names: Vec<_> = owned.map(|volume| volume.spec.name.as_str()).collect();
    if volumes || names.is_empty() {
        return String::new();
    }
    format!("its volumes stay, with their data: {}", names.join(", "))
}

fn act(change: &Change) -> (Object, Action) {
    (change.object.clone(), change.action)
}

fn fields_of(change: &Change) -> BTreeSet<String> {
    change.reasons.iter().map(|reason| reason.field.clone()).collect()
}

/// The first of the fields that differ.
fn some_reasons(plan: &Plan) -> String {
    let reasons = || plan.changes.iter().flat_map(|change| &change.reasons);
    let mut fields: Vec<_> = reasons().take(TOLD_FIELDS).map(ToString::to_string).collect();
    let more = reasons().count().saturating_sub(TOLD_FIELDS);
    fields.extend((more > 0).then(|| format!("and {more} more")));
    fields.join("; ")
}

/// The slot whose container a change starts.
fn started(change: &Change) -> Option<Slot> {
    match (&change.object, change.action) {
        (Object::Container(slot), Action::Create | Action::Start | Action::Replace) => {
            Some(slot.clone())
        }
        _ => None,
    }
}

/// The images that are pulled again. Where differences are only told none is: a pull that is due is
/// no difference.
fn images_due(stack: &Stack, observed: &Observed, moment: &Moment<'_>) -> BTreeSet<ImageRef> {
    if moment.only_report || moment.waits.is_some() {
        return BTreeSet::new();
    }
    let services = stack.services.iter().filter(|(name, _)| !moment.pinned.contains_key(*name));
    services
        .map(|(_, service)| service)
        .filter(|service| {
            let image = &service.container.image;
            observed.images.contains_key(image) && (moment.due)(image, service.pull_policy)
        })
        .map(|service| service.container.image.clone())
        .collect()
}

/// A report in the making.
struct Notes {
    report: Report,
    began: Instant,
    clock: Clock,
    /// How far services came, in passes before and in this one.
    progress: BTreeMap<ServiceName, Progress>,
}

impl Notes {
    fn new(subject: &Subject<'_>, now: Timestamp) -> Self {
        let name = subject.stack.name.clone();
        Self::blank(name, subject.source.clone(), subject.revision.clone(), now)
    }

    fn blank(
        stack: StackName,
        source: Option<SourceName>,
        revision: Option<Revision>,
        now: Timestamp,
    ) -> Self {
        let report = Report {
            stack,
            source,
            revision,
            started: now,
            took: Duration::ZERO,
            result: PassResult::Failed,
            message: String::new(),
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
        };
        let progress = BTreeMap::new();
        Self { report, began: Instant::now(), clock: Clock::set(now), progress }
    }

    /// Takes in how updates ended; the last round says how that of a service did.
    fn note_rollouts(&mut self, rollouts: impl Iterator<Item = RolloutReport>) {
        for rollout in rollouts {
            self.report.rollouts.retain(|former| former.service != rollout.service);
            self.report.rollouts.push(rollout);
        }
    }

    fn first_plan(&mut self, plan: &Plan) {
        for change in &plan.changes {
            let kind = DriftKind::of(&change.object);
            *self.report.drift.entry(kind).or_default() += change.reasons.len();
            self.report.reasons.extend(change.reasons.iter().cloned());
        }
    }

    fn look(&mut self, stack: &Stack, observed: &Observed, plan: &Plan, round: usize) {
        if round == 0 {
            self.first_plan(plan);
        }
        self.report.problems.clone_from(&plan.problems);
        self.see(stack, observed, plan.completed.clone());
    }

    fn see(&mut self, stack: &Stack, observed: &Observed, completed: Completed) {
        self.report.workload = Some(Workload::of(stack, observed, &completed));
        self.report.seen = Some(Seen::of(&stack.name, observed, completed));
    }

    async fn settled(
        &mut self,
        plan: &Plan,
        observed: &Observed,
        engine: &dyn Engine,
    ) -> PassResult {
        let mut lines: Vec<_> = plan.problems.iter().map(ToString::to_string).collect();
        for resting in &plan.resting {
            let last_words = last_words(engine, &resting.container).await;
            lines.push(format!("{resting}{last_words}"));
        }
        for container in observed.containers.iter().filter(|c| c.health == Health::Unhealthy) {
            let slot = &container.slot;
            // What its check said is an extra; that it cannot be asked must not hide the verdict.
            let said = engine.watch(&ContainerRef::of(container)).await.ok();
            let output = said.and_then(|sighting| sighting.health_output).unwrap_or_default();
            let output = output.trim().replace('\n', " ");
            let output = if output.is_empty() { output } else { format!(": {output}") };
            lines.push(format!("{slot} is unhealthy{output}"));
        }
        self.report.message = lines.join("\n");
        if !plan.problems.is_empty() {
            return PassResult::Failed;
        }
        if !plan.resting.is_empty() {
            return PassResult::Crashing;
        }
        if self.report.actions.is_empty() { PassResult::Unchanged } else { PassResult::Changed }
    }

    fn stalled(&mut self, plan: &Plan) -> PassResult {
        self.report.message = format!("keeps differing whatever is done: {}", some_reasons(plan));
        PassResult::Stalled
    }

    fn drifted(&mut self, plan: &Plan) -> PassResult {
        let reasons = some_reasons(plan);
        self.report.message =
            format!("differs, and is left so since `drift` is `report`: {reasons}");
        PassResult::Drifted
    }

    fn waiting(&mut self, why: &str) -> PassResult {
        why.clone_into(&mut self.report.message);
        PassResult::Waiting
    }

    fn finish(mut self) -> Report {
        self.report.took = self.began.elapsed();
        self.report
    }
}

impl Moment<'_> {
    /// What is done by hand is done now: what may be pulled again is pulled, nothing rests, and names
    /// stand for what they stand for.
    pub fn by_hand(settle: Duration) -> Self {
        Self {
            now: Timestamp::now(),
            due: &always_due,
            resting: BTreeSet::new(),
            stuck: Acts::new(),
            settle,
            only_report: false,
            pinned: BTreeMap::new(),
            held_with: BTreeMap::new(),
            aim: Aim::Hold,
            way_back: false,
            monitor: Duration::ZERO,
            earlier: BTreeMap::new(),
            paused: Pause::None,
            waits: None,
            completed: Completed::new(),
        }
    }
}

fn always_due(_: &ImageRef, policy: PullPolicy) -> bool {
    match policy {
        PullPolicy::Always | PullPolicy::Every(_) => true,
        PullPolicy::Missing | PullPolicy::Never => false,
    }
}
