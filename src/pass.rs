//! A pass over one stack: look, plan, carry out, and look again until there is nothing to do. The
//! same for a first deployment, a new commit, drift, a restart after a crash, and by hand.

mod snapshots;

pub use snapshots::{Mark, Snapshots};

use crate::engine::{Discreet, Engine, EngineError};
use crate::execute::{Bounds, Onlooker, execute, last_words};
use crate::model::{
    Health, ImageRef, Observed, PullPolicy, Query, Revision, Slot, SourceName, Stack, StackName,
};
use crate::plan::{Action, Change, Circumstances, ContainerRef, Object, Plan, plan, plan_removal};
use crate::status::{Acts, DriftKind, PassResult, Report, Seen, Workload};
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
pub struct Moment<'a> {
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
}

impl Means {
    /// Makes the engine match `subject`. What ends again at once is not started twice in a pass.
    pub async fn reconcile(&self, subject: &Subject<'_>, moment: &Moment<'_>) -> Report {
        let mut notes = Notes::new(subject);
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
        let mut notes = Notes::blank(name.clone(), source, None);
        match self.engine.observe(query).await {
            Ok(observed) => {
                let plan = plan_removal(name, &observed, volumes);
                notes.first_plan(&plan);
                notes.report.seen = Some(Seen::of(name, &observed));
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
        let query = Query::of(subject.stack);
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
            let around = Circumstances { source, refresh, resting: resting.clone() };
            let plan = plan(subject.stack, &observed, &around);
            drop(look);
            notes.look(subject.stack, &observed, &plan, round);
            if plan.changes.is_empty() {
                let result = notes.settled(&plan, &observed, &*self.engine).await;
                if result.is_success() {
                    self.snapshots.keep(query, observed, mark);
                }
                return Ok(result);
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
                notes.see(subject.stack, &observed);
                return Ok(PassResult::Failed);
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
        let around = Circumstances { source, refresh, ..Circumstances::default() };
        let plan = plan(subject.stack, &known, &around);
        if !plan.is_empty() {
            return None;
        }
        notes.look(subject.stack, &known, &plan, 0);
        Some(notes.settled(&plan, &known, &*self.engine).await)
    }

    /// Whether all of the plan was done; if not, the notes say why.
    async fn carry_out(&self, plan: &Plan, notes: &mut Notes) -> bool {
        let outcome = execute(&self.engine, plan, &self.bounds, &self.onlooker, &self.stop).await;
        let complete = outcome.is_complete();
        if !complete {
            let errors = outcome.actions.iter().filter_map(|action| {
                let error = action.error.as_ref()?;
                Some(format!("{} {}: {error}", action.action.word(), action.object))
            });
            let mut lines: Vec<String> = errors.collect();
            if outcome.skipped > 0 {
                let were = if outcome.skipped == 1 { "change was" } else { "changes were" };
                lines.push(format!("{} further {were} not begun", outcome.skipped));
            }
            lines.extend(plan.problems.iter().map(ToString::to_string));
            notes.report.message = lines.join("\n");
        }
        notes.report.actions.extend(outcome.actions);
        complete
    }
}

/// A plan for people: what a pass would do first.
pub async fn preview(
    engine: &dyn Engine,
    stack: &Stack,
    source: Option<SourceName>,
) -> Result<Plan, EngineError> {
    let observed = engine.observe(&Query::of(stack)).await?;
    Ok(plan(stack, &observed, &Circumstances { source, ..Circumstances::default() }))
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
    if moment.only_report {
        return BTreeSet::new();
    }
    stack
        .services
        .values()
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
}

impl Notes {
    fn new(subject: &Subject<'_>) -> Self {
        let name = subject.stack.name.clone();
        Self::blank(name, subject.source.clone(), subject.revision.clone())
    }

    fn blank(stack: StackName, source: Option<SourceName>, revision: Option<Revision>) -> Self {
        let report = Report {
            stack,
            source,
            revision,
            started: Timestamp::now(),
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
            departure: None,
        };
        Self { report, began: Instant::now() }
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
        self.see(stack, observed);
    }

    fn see(&mut self, stack: &Stack, observed: &Observed) {
        self.report.workload = Some(Workload::of(stack, observed));
        self.report.seen = Some(Seen::of(&stack.name, observed));
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

    fn finish(mut self) -> Report {
        self.report.took = self.began.elapsed();
        self.report
    }
}

impl Moment<'_> {
    /// What is done by hand is done now: what may be pulled again is pulled, and nothing rests.
    pub fn by_hand(settle: Duration) -> Self {
        let (resting, stuck) = (BTreeSet::new(), Acts::new());
        Self { due: &always_due, resting, stuck, settle, only_report: false }
    }
}

fn always_due(_: &ImageRef, policy: PullPolicy) -> bool {
    match policy {
        PullPolicy::Always | PullPolicy::Every(_) => true,
        PullPolicy::Missing | PullPolicy::Never => false,
    }
}
