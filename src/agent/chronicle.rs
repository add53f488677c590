//! Notes in the history what passes did. It only looks on: nothing that an agent does follows from it,
//! and nothing waits for it.

use super::World;
use crate::model::{Commit, ContentDigest, Revision, StackName};
use crate::status::{
    Deployment, DeploymentCause, GivenOrder, Occasion, Order, PassResult, Refusal, Report,
    SourceReport,
};
use crate::store::{Deployments, HistoryMishap, Inventory, Mishap, StackRecord};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

/// The wait before another try to write.
const RETRY: Duration = Duration::from_secs(30);
/// How often what is too old is taken away where nothing comes new.
const TIDYING: Duration = Duration::from_secs(24 * 3600);
/// How long the last write may take.
const LAST_WRITE: Duration = Duration::from_secs(5);
/// How many commits are remembered for passes that end when git is further on.
const MOST_COMMITS: usize = 64;

/// Who writes the history.
pub(super) struct Chronicle {
    deployments: Arc<Deployments>,
    known: Mutex<Known>,
    /// Told when there is something to write.
    unwritten: Notify,
}

/// What passes are told apart by.
#[derive(Default)]
struct Known {
    stacks: BTreeMap<StackName, Last>,
    /// Up to when the orders of a stack are told, where the inventory may still have them.
    told: BTreeMap<StackName, Timestamp>,
    /// The newest last.
    commits: VecDeque<(Revision, Commit)>,
}

/// The last pass over a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Last {
    /// What it worked towards.
    definition: Option<ContentDigest>,
    /// How it ended; `None`: an earlier process made it.
    result: Option<PassResult>,
}

/// What a pass worked towards.
struct Aim {
    revision: Option<Revision>,
    definition: Option<ContentDigest>,
    /// What it goes back from.
    instead_of: Option<Revision>,
    goes_back: bool,
}

impl Chronicle {
    /// One that goes on from what the inventory knows.
    pub(super) fn new(deployments: Deployments, inventory: &Inventory) -> Self {
        let last = |record: &StackRecord| {
            let held = record.held_back.as_ref().map(|held| held.instead.definition.clone());
            let definition = held.or_else(|| record.last_begun().map(|begun| begun.definition));
            Last { definition, result: None }
        };
        let stacks = inventory.stacks();
        let stacks = stacks.iter().map(|(name, record)| (name.clone(), last(record)));
        let known = Known { stacks: stacks.collect(), ..Known::default() };
        let deployments = Arc::new(deployments);
        Self { deployments, known: Mutex::new(known), unwritten: Notify::new() }
    }

    /// Remembers what the newest commit of a source says of itself.
    pub(super) fn note_source(&self, report: &SourceReport) {
        let Some(shown) = &report.shown else { return };
        let mut known = self.known();
        if known.commits.iter().any(|(revision, _)| *revision == shown.0) {
            return;
        }
        if known.commits.len() == MOST_COMMITS {
            known.commits.pop_front();
        }
        known.commits.push_back(shown.clone());
    }

    /// What a commit says of itself, if it was the newest not long ago.
    pub(super) fn commit(&self, revision: &Revision) -> Option<Commit> {
        let known = self.known();
        let found = known.commits.iter().find(|(known, _)| known == revision);
        found.map(|(_, commit)| commit.clone())
    }

    fn note(&self, report: &Report, record: &StackRecord) {
        let aim = Aim::of(report, record);
        let mut known = self.known();
        // A pass that begins after an order follows from it.
        let told = known.told.get(&report.stack).copied().unwrap_or(Timestamp::MIN);
        let is_new = |given: &&GivenOrder| told < given.at && given.at <= report.started;
        let orders: Vec<_> = record.orders.iter().filter(is_new).cloned().collect();
        let last = known.stacks.get(&report.stack).cloned();
        // One that could not even look leaves nothing to be tried again.
        let saw_nothing = report.workload.is_none() && report.result == PassResult::Failed;
        let goes_on = |last: &&Last| saw_nothing && last.definition == aim.definition;
        let now = last.as_ref().filter(goes_on).cloned().unwrap_or_else(|| Last {
            definition: aim.definition.clone(),
            result: Some(report.result),
        });
        known.stacks.insert(report.stack.clone(), now);
        if report.result == PassResult::Removed {
            // One that comes back begins anew.
            known.stacks.remove(&report.stack);
        }
        drop(known);
        let ordered = !orders.is_empty();
        // One that only has it looked at, and nothing found, is no news.
        let is_news = orders.iter().any(|given| given.order != Order::Sync.word());
        if report.is_deployment() || is_news {
            let occasion = Occasion {
                cause: cause(last.as_ref(), report, &aim, ordered),
                orders,
                commit: aim.revision.as_ref().and_then(|revision| self.commit(revision)),
                revision: aim.revision,
                instead_of: aim.instead_of,
                definition: aim.definition,
            };
            let mut deployment = Deployment::of(report, occasion);
            if report.from_hand {
                let more = if report.message.is_empty() { "" } else { "\n" };
                let told = format!("took over what `bowline apply` had made{more}");
                deployment.entry.message.insert_str(0, &told);
            }
            self.deployments.note(deployment);
            self.unwritten.notify_one();
        }
        if ordered {
            // After the note: what is told here is in the next write.
            self.known().told.insert(report.stack.clone(), report.started);
            self.unwritten.notify_one();
        }
    }

    /// A panic under the lock leaves the data whole: every change of it is a single call.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aim {
    fn of(report: &Report, record: &StackRecord) -> Self {
        let revision = report.revision.clone();
        match &record.held_back {
            Some(held) if held.since <= report.started => Self {
                revision: held.instead.revision.clone(),
                definition: Some(held.instead.definition.clone()),
                instead_of: held.revision.clone(),
                goes_back: true,
            },
            // It is held back since this pass failed.
            Some(held) => Self {
                revision,
                definition: Some(held.definition.clone()),
                instead_of: None,
                goes_back: false,
            },
            None => Self {
                revision,
                definition: report
                    .definition
                    .clone()
                    .or_else(|| record.last_begun().map(|begun| begun.definition)),
                instead_of: None,
                goes_back: false,
            },
        }
    }
}

fn cause(last: Option<&Last>, report: &Report, aim: &Aim, ordered: bool) -> DeploymentCause {
    let before = last.and_then(|last| last.result);
    let is_new = last.is_none_or(|last| last.definition != aim.definition);
    let breaks = report.result == PassResult::Invalid && before != Some(PassResult::Invalid);
    match before {
        _ if ordered => DeploymentCause::ByHand,
        _ if report.departure.is_some() => DeploymentCause::Removal,
        _ if is_new && aim.goes_back => DeploymentCause::Rollback,
        _ if is_new || breaks => DeploymentCause::Commit,
        None => DeploymentCause::Start,
        Some(
            PassResult::Failed | PassResult::Crashing | PassResult::Stalled | PassResult::Paused,
        ) => DeploymentCause::Retry,
        Some(
            // While a file is in error what held before is kept as it was.
            PassResult::Invalid
            | PassResult::Unchanged
            | PassResult::Changed
            | PassResult::RolledBack
            | PassResult::Drifted
            | PassResult::Waiting
            | PassResult::Suspended
            | PassResult::Removed,
        ) => {
            if report.is_of_images_only() {
                DeploymentCause::Image
            } else {
                DeploymentCause::Drift
            }
        }
    }
}

/// Writes the history whenever there is something new, until the agent stops.
pub(super) async fn keep(world: Arc<World>) {
    let mut trouble = None;
    loop {
        let mishap = flush(&world).await;
        trouble = tell(&world, trouble.as_ref(), mishap);
        tokio::select! {
            // What cannot be written is not tried again, and checked as a whole, for each that comes.
            () = world.chronicle.unwritten.notified(), if trouble.is_none() => {}
            () = sleep(RETRY), if trouble.is_some() => {}
            () = sleep(TIDYING) => {}
            () = world.stop.cancelled() => return,
        }
    }
}

/// Writes what is left once the passes have ended.
pub(super) async fn end(world: &Arc<World>, kept: JoinHandle<()>) {
    let last = async {
        // It ends with the stop; a defect in it loses no more than what is written now.
        let _ = kept.await;
        flush(world).await
    };
    if let Ok(Some(mishap)) = timeout(LAST_WRITE, last).await {
        tracing::warn!("{mishap}");
    }
}

/// Writes what is new. Orders that are told on the disk by then are not kept in the inventory any more.
async fn flush(world: &Arc<World>) -> Option<HistoryMishap> {
    let told = world.chronicle.known().told.clone();
    let deployments = Arc::clone(&world.chronicle.deployments);
    let written = spawn_blocking(move || deployments.flush(Timestamp::now())).await;
    let mishap = written.unwrap_or(Ok(())).err();
    if mishap.as_ref().is_none_or(|mishap| matches!(mishap.0, Mishap::Damaged { .. })) {
        for (stack, until) in told {
            world.inventory.update(&stack, |record| record.orders.retain(|it| it.at > until));
            world.chronicle.known().told.retain(|key, at| *key != stack || *at != until);
            world.unsaved.notify_one();
        }
    }
    mishap
}

/// Logs a mishap, once; returns the trouble that stays.
fn tell(
    world: &World,
    former: Option<&HistoryMishap>,
    mishap: Option<HistoryMishap>,
) -> Option<HistoryMishap> {
    if let Some(new) = mishap.as_ref().filter(|new| former != Some(new)) {
        tracing::warn!("{new}");
    }
    let trouble = mishap.filter(|mishap| matches!(mishap.0, Mishap::Unavailable { .. }));
    if former.is_some() && trouble.is_none() {
        tracing::info!("the history is written again");
    }
    world.views.metrics.history_up(trouble.is_none());
    trouble
}

impl World {
    /// Has the history tell what a pass did, if it did anything.
    pub(super) fn chronicle(&self, report: &Report) {
        self.chronicle.note(report, &self.inventory.stack(&report.stack));
    }

    /// The same of a pass that was ended early, for this reason. One that had done nothing yet never was.
    pub(super) fn chronicle_broken_off(&self, report: &Report, why: &str) {
        if !report.actions.is_empty() {
            let message = if report.message.is_empty() {
                why.to_owned()
            } else {
                format!("{why}\n{}", report.message)
            };
            self.chronicle(&Report { message, ..report.clone() });
        }
    }

    /// What `look` finds in the history.
    pub(super) async fn in_history<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Deployments) -> Result<T, HistoryMishap> + Send + 'static,
    ) -> Result<T, Refusal> {
        let deployments = Arc::clone(&self.chronicle.deployments);
        let read = spawn_blocking(move || look(&deployments)).await;
        let read =
            read.map_err(|error| Refusal::Failed(format!("a defect of Bowline: {error}")))?;
        read.map_err(|mishap| Refusal::Failed(mishap.to_string()))
    }
}
