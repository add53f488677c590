//! A pass over one stack: look, plan, carry out, and look again until there is nothing to do. The
//! same for a first deployment, a new commit, drift, a restart after a crash, and by hand.

mod moment;
mod notes;
mod snapshots;

pub use moment::{Moment, Pause};
pub use snapshots::{Mark, Snapshots};

use crate::engine::{Discreet, Engine, EngineError, Secrets};
use crate::execute::{Bounds, Hands, Onlooker, execute};
use crate::model::{
    ImageRef, Observed, Query, Revision, ServiceName, Slot, SourceName, Stack, StackName,
};
use crate::plan::{
    Action, Aim, Change, Circumstances, Completed, Object, Plan, plan, plan_removal,
};
use crate::status::{PassResult, Report, RolloutReport, Seen};
use jiff::Timestamp;
use notes::Notes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often a pass looks, plans and acts at most. More than one round is needed when an image that
/// was pulled shows that more differs.
const MAX_ROUNDS: usize = 5;

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

impl Means {
    /// Makes the engine match `subject`. What ends again at once is not started twice in a pass.
    pub async fn reconcile(&self, subject: &Subject<'_>, moment: &Moment<'_>) -> Report {
        let mut notes = Notes::new(subject, moment.now);
        notes.progress.clone_from(&moment.earlier);
        notes.secrets = Secrets::of(subject.stack);
        let engine = Discreet::over(&self.engine, &notes.secrets);
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

    /// What a pass would do first, and how the stack is; changes nothing. The report is as of a pass that
    /// found that nothing differs.
    pub async fn foresee(
        &self,
        subject: &Subject<'_>,
        moment: &Moment<'_>,
    ) -> Result<(Plan, Report), EngineError> {
        let mut notes = Notes::new(subject, moment.now);
        let engine = Discreet::over(&self.engine, &Secrets::of(subject.stack));
        let look = self.bounds.look().await;
        let observed = engine.observe(&query(subject.stack, &moment.pinned)).await?;
        let around = Circumstances {
            source: subject.source.clone(),
            refresh: images_due(subject.stack, &observed, moment),
            resting: moment.resting.clone(),
            ahead: moment.ahead.clone(),
            ..moment.around()
        };
        let plan = plan(subject.stack, &observed, &around);
        drop(look);
        notes.look(subject.stack, &observed, &plan, 0);
        notes.report.result = PassResult::Unchanged;
        // A look takes nothing over.
        notes.report.from_hand = false;
        let is_stuck = |change: &Change| {
            moment.stuck.get(&act(change)).is_some_and(|fields| fields_of(change).is_subset(fields))
        };
        let stuck = plan.changes.iter().filter(|change| is_stuck(change));
        notes.report.stuck = stuck.map(|change| (act(change), fields_of(change))).collect();
        let paused = moment.paused.resting(&plan);
        let rests = |change: &Change| paused.contains(&act(change)) || is_stuck(change);
        Ok((plan.without(rests), notes.finish()))
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
        let query = query(subject.stack, &moment.pinned);
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
            let ahead = if round == 0 { moment.ahead.clone() } else { Vec::new() };
            let source = subject.source.clone();
            let around = Circumstances {
                source,
                refresh,
                resting: resting.clone(),
                ahead,
                ..moment.around()
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
        if moment.aim != Aim::Hold || !moment.ahead.is_empty() {
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
            secrets: notes.secrets.clone(),
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
        notes.report.shortage = outcome.shortage;
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
    let observed = engine.observe(&query(stack, &around.pinned)).await?;
    Ok(plan(stack, &observed, around))
}

/// What a plan of `stack` must know of, with the images that some services are pinned to.
fn query(stack: &Stack, pinned: &BTreeMap<ServiceName, String>) -> Query {
    let mut query = Query::of(stack);
    query.images.extend(pinned.values().filter_map(|id| ImageRef::new(id.clone()).ok()));
    query
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
