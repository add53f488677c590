//! One task a source: waits for a wake-up, fetches, loads, and says which stacks are concerned.

use super::World;
use super::chance::chance;
use super::desired::Prune;
use super::load::{Reading, load};
use super::schedule::Schedule;
use crate::config::Source;
use crate::model::{SourceName, StackName};
use crate::source::{Checkout, Repository, SourceError, watch};
use crate::status::SourceReport;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Changes of a watched repository come in bursts (a push writes several files); the fetch begins
/// this long after the first.
const SETTLE: Duration = Duration::from_millis(15);

/// A source with all that its task needs.
pub(super) struct Watched {
    pub(super) config: Source,
    pub(super) repository: Repository,
    pub(super) reading: Reading,
}

/// Follows one source until the agent stops.
pub(super) async fn follow(world: Arc<World>, mut watched: Watched) {
    let due = Arc::new(Notify::new());
    let name = watched.config.name.clone();
    let _watch = watch_local(&watched.config, &due);
    let wake = Arc::clone(&due);
    let stop = world.stop.clone();
    let (interval, cron) = (watched.config.interval, watched.config.cron.clone());
    let _schedule = Schedule::start(interval, cron, move || wake.notify_one(), stop);
    let mut first = true;
    loop {
        watched = sync(&world, watched, first).await;
        first = false;
        world.source_tried(&name);
        tokio::select! {
            () = due.notified() => sleep(SETTLE).await,
            () = world.stop.cancelled() => return,
        }
    }
}

fn watch_local(config: &Source, due: &Arc<Notify>) -> Option<crate::source::Watch> {
    if !config.watch {
        return None;
    }
    let wake = Arc::clone(due);
    match watch(&config.location, move || wake.notify_one()) {
        Ok(watch) => watch,
        Err(error) => {
            // The interval still sees every change, only later.
            tracing::warn!(source = %config.name, "cannot watch the repository: {error}");
            None
        }
    }
}

async fn sync(world: &Arc<World>, watched: Watched, first: bool) -> Watched {
    let name = watched.config.name.clone();
    let (started, began) = (Timestamp::now(), Instant::now());
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancelled);
    let mut repository = watched.repository;
    let work = tokio::task::spawn_blocking(move || {
        let result = repository.sync(&flag);
        (repository, result)
    });
    tokio::pin!(work);
    let joined = tokio::select! {
        joined = &mut work => joined,
        () = world.stop.cancelled() => {
            cancelled.store(true, Ordering::Relaxed);
            work.await
        }
    };
    let (repository, result) = joined.expect("fetching does not panic and is never aborted");
    let report = SourceReport {
        source: name.clone(),
        started,
        took: began.elapsed(),
        outcome: match &result {
            Ok(checkout) => Ok(checkout.revision.clone()),
            Err(error) => Err(error.to_string()),
        },
    };
    world.note_source(&report);
    let watched = Watched { repository, ..watched };
    if let Some(checkout) = checkout_to_use(&watched, result, first) {
        take_in(world, &name, &watched.reading, &checkout).await;
    }
    watched
}

/// The checkout to load, if there is anything new in it. At the start, while the source is away,
/// what an earlier process fetched will do.
fn checkout_to_use(
    watched: &Watched,
    result: Result<Checkout, SourceError>,
    first: bool,
) -> Option<Checkout> {
    let name = &watched.config.name;
    match result {
        Ok(checkout) if checkout.moved || first => Some(checkout),
        Ok(_) => None,
        Err(error) => {
            tracing::error!(source = %name, "{error}");
            let last = if first { watched.repository.last() } else { Ok(None) };
            last.unwrap_or_else(|error| {
                tracing::error!(source = %name, "no earlier checkout: {error}");
                None
            })
        }
    }
}

async fn take_in(world: &Arc<World>, name: &SourceName, reading: &Reading, checkout: &Checkout) {
    let loaded = load(reading, name, checkout, &world.desired());
    let (content, problems) = match loaded {
        Ok(loaded) => loaded,
        Err(problem) => {
            tracing::error!(source = %name, "{problem}");
            return;
        }
    };
    for problem in &problems {
        tracing::error!(source = %name, "{problem}");
    }
    let count = content.stacks.len();
    tracing::info!(source = %name, revision = checkout.revision.short(), "holds {count} stacks");
    let concerned = world.desired().set(name, content);
    let removed = if problems.is_empty() { prune(world, name).await } else { BTreeSet::new() };
    for stack in concerned.into_iter().chain(removed) {
        world.queue.add(stack);
    }
}

/// The stacks that left the source and are to be taken away.
async fn prune(world: &Arc<World>, name: &SourceName) -> BTreeSet<StackName> {
    if !world.config.prune {
        return BTreeSet::new();
    }
    let on_engine = match world.engine.stacks().await {
        Ok(stacks) => stacks,
        Err(error) => {
            tracing::warn!(source = %name, "cannot look for stacks that left the source: {error}");
            return BTreeSet::new();
        }
    };
    let ours = |source: &Option<SourceName>| source.as_ref() == Some(name);
    let made: BTreeSet<StackName> =
        on_engine.into_iter().filter(|(_, source)| ours(source)).map(|(stack, _)| stack).collect();
    let mut desired = world.desired();
    match desired.prune(name, &made) {
        Prune::Now(left) => {
            for stack in &left {
                tracing::warn!(source = %name, stack = %stack, "the stack left the source; removing it");
                desired.take_away(stack.clone(), name.clone());
            }
            left
        }
        Prune::Held(left, why) => {
            let left: Vec<_> = left.iter().map(ToString::to_string).collect();
            let left = left.join(", ");
            tracing::warn!(
                source = %name,
                "not removing {left}: {why}; `bowline remove STACK` removes one by hand"
            );
            BTreeSet::new()
        }
    }
}

/// A wait of up to a tenth more than `period`, so that agents do not all wake at once.
pub(super) fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 + chance() / 10.0)
}
