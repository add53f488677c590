//! What the next process must know goes into the inventory, and the inventory to the disk: beside
//! the passes, so that none waits for it.

use super::World;
use super::desired::Desired;
use crate::config::Config;
use crate::model::{ContentDigest, Revision, SourceName, StackName};
use crate::status::{PassResult, Remembered, Report, Seen};
use crate::store::{Applied, Good, Inventory, Mishap, Origin, StackRecord};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The wait before another try to write.
const RETRY: Duration = Duration::from_secs(30);
/// How long the last write may take.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// What an earlier process decided about the stacks of the configured sources.
pub(super) fn restored(inventory: &Inventory, config: &Config) -> Desired {
    let desired = Desired::remembering(&inventory.stacks(), &sources(config));
    for (stack, (source, state)) in desired.departed() {
        if let Ok(hold) = state {
            tracing::warn!(
                source = %source, stack = %stack,
                "not removing {stack}, held since {}: {}; `bowline prune --confirm {stack}` removes it",
                hold.since.strftime("%F %TZ"), hold.reason
            );
        }
    }
    desired
}

pub(super) fn sources(config: &Config) -> BTreeSet<SourceName> {
    config.sources.iter().map(|source| source.name.clone()).collect()
}

/// What a pass saw last, as a definition that held. It is that of `file`, the first file of the stack at
/// the revision of the report.
pub(super) fn good_of(
    report: &Report,
    file: &str,
    definition: ContentDigest,
    now: Timestamp,
) -> Good {
    Good {
        revision: report.revision.clone(),
        file: file.to_owned(),
        definition,
        images: report.seen.as_ref().map(Seen::sole_images).unwrap_or_default(),
        since: now,
    }
}

/// Writes the inventory whenever it has something new, until the agent stops. `mishap` is what
/// went wrong when it was opened.
pub(super) async fn keep(world: Arc<World>, mishap: Option<Mishap>) {
    let mut trouble = tell(&world, None, mishap);
    if !world.inventory.is_read() {
        tracing::warn!(
            "until the inventory can be read, nothing that leaves its source is removed"
        );
    }
    loop {
        tokio::select! {
            () = world.unsaved.notified() => {}
            () = sleep(RETRY), if trouble.is_some() => {}
            () = world.stop.cancelled() => return,
        }
        let was_read = world.inventory.is_read();
        let mishap = flush(&world).await;
        if !was_read && world.inventory.is_read() {
            world.remember();
        }
        trouble = tell(&world, trouble.as_ref(), mishap);
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

/// Writes what changed before anybody is told that it did: what was answered outlasts a crash. Returns what
/// went wrong.
pub(super) async fn write_now(world: &Arc<World>) -> Option<Mishap> {
    let mishap = flush(world).await;
    if let Some(mishap) = &mishap {
        tracing::error!("{mishap}");
    }
    mishap
}

async fn flush(world: &Arc<World>) -> Option<Mishap> {
    let at = Arc::clone(world);
    let written = tokio::task::spawn_blocking(move || at.inventory.flush()).await;
    written.unwrap_or(Ok(())).err()
}

/// Logs a mishap, once; returns the trouble that stays.
fn tell(world: &World, former: Option<&Mishap>, mishap: Option<Mishap>) -> Option<Mishap> {
    if let Some(new) = mishap.as_ref().filter(|new| former != Some(new)) {
        tracing::error!("{new}");
    }
    let trouble = mishap.filter(|mishap| matches!(mishap, Mishap::Unavailable { .. }));
    if former.is_some() && trouble.is_none() {
        tracing::info!("the inventory is written again");
    }
    world.views.metrics.inventory_up(trouble.is_none());
    trouble
}

impl World {
    /// Has the inventory know what is decided about every stack. The lock is held over it, so that
    /// nothing older comes after.
    pub(super) fn remember(&self) {
        let mut desired = self.desired();
        if let Some(found) = self.inventory.found_late() {
            let held = desired.recall(&found, &sources(&self.config()), Timestamp::now());
            for stack in held {
                self.queue.add(stack);
            }
        }
        let memos = desired.memos();
        let mut changed = false;
        for (name, memo) in &memos {
            changed |= self.inventory.update(name, |record| {
                record.origin.clone_from(&memo.origin);
                record.held.clone_from(&memo.held);
                record.removal.clone_from(&memo.removal);
            });
        }
        let sources = sources(&self.config());
        for (name, record) in self.inventory.stacks() {
            // A source may be missing from the configuration for a while only.
            let is_ours = record.origin.is_none_or(|origin| sources.contains(&origin.source));
            // Nobody but who said so ends that nothing is done to a stack.
            if is_ours && !memos.contains_key(&name) && record.suspended.is_none() {
                changed |= self.inventory.forget(&name);
            }
        }
        let held = memos.values().filter(|memo| memo.held.is_some()).count();
        let removing = memos.values().filter(|memo| memo.removal.is_some() && memo.held.is_none());
        self.views.metrics.departed(held, removing.count());
        if changed {
            self.unsaved.notify_one();
        }
    }

    /// Shows what the inventory has of a stack: what holds it, and what runs.
    pub(super) fn show_remembered(&self, name: &StackName, source: Option<&SourceName>) {
        let StackRecord { held_back, paused, suspended, runs, .. } = self.inventory.stack(name);
        let held_back = held_back.as_ref().map(Into::into);
        let paused = paused.as_ref().map(Into::into);
        let source = source.cloned();
        let known = Remembered { source, held_back, paused, suspended, runs };
        self.views.note_remembered(name, known);
    }

    /// Has a report tell what is held back or rests, unless it does.
    pub(super) fn with_holds(&self, mut report: Report) -> Report {
        let record = self.inventory.stack(&report.stack);
        let held_back = record.held_back.as_ref().map(Into::into);
        report.held_back = report.held_back.or(held_back);
        report.paused = report.paused.or(record.paused.as_ref().map(Into::into));
        report.suspended = report.suspended.or(record.suspended);
        report
    }

    /// The commits of a source to which its stacks can go back. Not known while the inventory is not.
    pub(super) fn needed_revisions(&self, source: &SourceName) -> Option<BTreeSet<Revision>> {
        let stacks = self.inventory.is_read().then(|| self.inventory.stacks())?.into_values();
        let is_here = |origin: &Origin| origin.source == *source;
        let here = stacks.filter(|record| record.origin.as_ref().is_none_or(is_here));
        Some(here.flat_map(|record| record.revisions()).collect())
    }

    /// Notes in the inventory what a pass found and did.
    pub(super) fn record(&self, report: &Report) {
        let name = &report.stack;
        if report.departure.as_ref().is_some_and(|departure| departure.held.is_none()) {
            if report.result == PassResult::Failed {
                self.desired().removal_failed(name, &report.message);
            }
            self.remember();
        }
        if report.result == PassResult::Removed && self.config().keep_images.is_none() {
            // Nothing will be cleaned, so stacks that come and go must not pile up here.
            self.inventory.forget_images(name);
            self.unsaved.notify_one();
            return;
        }
        let mut changed = self.inventory.update(name, |record| {
            if let Some(seen) = &report.seen {
                record.holdings.clone_from(&seen.holdings);
            }
            record.runs = report.runs().cloned().or(record.runs.take());
            let same = |former: &Applied| {
                (former.result, &former.revision) == (report.result, &report.revision)
            };
            if report.departure.is_none() && !record.applied.as_ref().is_some_and(same) {
                let (revision, result) = (report.revision.clone(), report.result);
                record.applied = Some(Applied { revision, result, at: report.started });
            }
        });
        if let Some(seen) = report.seen.as_ref().filter(|_| report.result.is_success()) {
            for (service, images) in &seen.images {
                for (id, reference) in images {
                    changed |= self.inventory.update_images(name, service, |record| {
                        record.note(id, reference, Timestamp::now());
                    });
                }
            }
        }
        if changed {
            self.unsaved.notify_one();
        }
    }
}
