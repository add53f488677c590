//! One task a source: waits for a wake-up, fetches, loads, and says which stacks are concerned.

mod ended;
mod pruning;
mod reading;

use super::World;
use super::chance::chance;
use super::load::Reading;
use super::pace::Pace;
use super::schedule::Schedule;
use crate::config::Source;
use crate::source::{Checkout, Fault, Location, Repository, SourceError, Spec, watch};
use ended::{Fetched, tell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Changes of a watched repository come in bursts (a push writes several files); the fetch begins
/// this long after the first.
const SETTLE: Duration = Duration::from_millis(15);
/// From the beginning of one fetch of a remote repository to that of the next at the least, however
/// often somebody says that it moved.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What wakes the task of a source.
#[derive(Default)]
pub(super) struct Wakes {
    /// It is to be fetched.
    pub(super) due: Arc<Notify>,
    /// The rules changed by which it is judged what left it.
    pub(super) judge: Notify,
}

/// A source with all that its task needs.
pub(super) struct Watched {
    pub(super) config: Source,
    /// Where its clone is.
    pub(super) state_dir: PathBuf,
    pub(super) reading: Reading,
    /// Nobody asks for it any more.
    pub(super) stop: CancellationToken,
}

/// Follows one source until its stop comes.
pub(super) async fn follow(world: Arc<World>, watched: Watched, wakes: Arc<Wakes>) {
    let (name, stop) = (watched.config.name.clone(), watched.stop.clone());
    let mut watch = None;
    let tick = Arc::new(Notify::new());
    let wake = Arc::clone(&tick);
    let cron = watched.config.cron.clone();
    let schedule = Schedule::start(cron, move || wake.notify_one(), stop.clone());
    let mut pace = Pace::new(watched.config.interval);
    if matches!(&watched.config.location, Location::Remote(url) if url.scheme() == "git") {
        tracing::warn!(
            source = %name,
            "git:// is not encrypted, and whoever is on the way can change what comes; use https:// or \
             ssh://, or set `verify`"
        );
    }
    // What comes with the first fetch is not shown to those that do not begin it yet.
    world.hold_files(&name, |_, is_shut| is_shut).await;
    // Whether what the checkout holds is still to be taken in.
    let mut is_open = true;
    let (mut prune_due, mut read) = (false, false);
    loop {
        // Before the fetch, so that no change falls between the two; again after an error, since
        // the repository may only have come to be.
        watch = watch.or_else(|| watch_local(&watched.config, &wakes.due));
        let began = Instant::now();
        let (synced, next) = sync(&world, &watched, &mut pace, is_open).await;
        is_open = matches!(synced, Synced::Nothing | Synced::Unread | Synced::Partly);
        match synced {
            Synced::Loaded | Synced::Partly => (prune_due, read) = (true, true),
            // What is known is not what the repository holds now.
            Synced::Unread => (prune_due, read) = (false, false),
            // What was held may have been taken away by hand.
            Synced::AsBefore => prune_due |= read && world.desired().is_left_by_some(&name),
            Synced::Nothing => {}
        }
        if stop.is_cancelled() {
            return schedule.ended().await;
        }
        loop {
            if prune_due && world.knows_all_sources() {
                prune_due = !pruning::prune(&world, &watched).await;
            }
            world.source_tried(&name);
            tokio::select! {
                // Somebody knows that it moved, or wants to know.
                () = wakes.due.notified() => break,
                () = tick.notified(), if pace.failures() == 0 => break,
                () = sleep_until(next.unwrap_or(began)), if next.is_some() => break,
                () = wakes.judge.notified() => prune_due = read,
                () = stop.cancelled() => return schedule.ended().await,
            }
        }
        let pause = match watched.config.location {
            Location::Local(_) => sleep(SETTLE),
            Location::Remote(_) | Location::Ssh(_) => sleep_until(began + LEAST_PAUSE),
        };
        stop.run_until_cancelled(pause).await;
    }
}

/// Fetches once, and takes in what came; while the source is away, what an earlier process fetched.
pub(super) async fn fetch_once(world: &Arc<World>, watched: &Watched) {
    sync(world, watched, &mut Pace::new(None), true).await;
}

/// Takes in what an earlier process fetched, and asks nobody for more.
pub(super) async fn recall(world: &Arc<World>, watched: &Watched) -> Result<(), String> {
    let repository = repository(world, watched).await?;
    let looks = repository.clone();
    let kept = tokio::task::spawn_blocking(move || looks.last()).await;
    let kept = kept.map_err(|error| format!("a defect of Bowline: {error}"))?;
    let kept = kept.map_err(|error| error.to_string())?;
    let checkout = kept.ok_or("nothing was fetched yet")?;
    let loaded = reading::read(world, watched, repository, checkout.revision).await?;
    reading::take_in(world, watched, loaded, None, false);
    Ok(())
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

/// What a fetch brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Synced {
    /// No checkout yet.
    Nothing,
    /// The checkout that was there before.
    AsBefore,
    /// A checkout that could not be read at all. It is read again with the next fetch, since the reason may
    /// be one that passes.
    Unread,
    /// A checkout, and what it holds but for what could not be read for a reason that may pass. It is read
    /// again with the next fetch, too.
    Partly,
    /// A checkout, and what it holds.
    Loaded,
}

/// One fetch, and what follows from it; and when the next one is due by itself, but for its cron
/// expression. What is checked out is read if it is another commit than before, or `is_open`. One that
/// cannot be read counts as a fetch that failed.
async fn sync(
    world: &Arc<World>,
    watched: &Watched,
    pace: &mut Pace,
    is_open: bool,
) -> (Synced, Option<Instant>) {
    let began = Instant::now();
    let repository = repository(world, watched).await;
    let mut fetched = match &repository {
        Ok(repository) => fetch(world, repository.clone(), is_open, &watched.stop).await,
        Err(error) => Fetched::failed(error.clone()),
    };
    if watched.stop.is_cancelled() {
        return (Synced::Nothing, None);
    }
    let (took, is_newest) = (began.elapsed(), fetched.result.is_ok());
    let checkout = match &fetched.result {
        Ok(checkout) => Some(checkout).filter(|checkout| checkout.moved || is_open),
        Err(_) => fetched.last.as_ref(),
    };
    let revision = checkout.map(|checkout| checkout.revision.clone());
    let loaded = match (revision, repository) {
        (Some(revision), Ok(repository)) => {
            Some(reading::read(world, watched, repository, revision).await)
        }
        _ => None,
    };
    if let Some(Err(problem)) = &loaded {
        if is_newest {
            fetched.result = Err(problem.clone().into());
        } else {
            // That the fetch failed is told as well.
            tracing::error!(source = %watched.config.name, "{problem}");
        }
    }
    let may_pass = matches!(&loaded, Some(Ok((content, _))) if content.may_pass);
    let due = tell(world, &watched.config, pace, &fetched, (took, may_pass));
    let synced = match loaded {
        Some(Ok(loaded)) => {
            match reading::take_in(world, watched, loaded, fetched.shown, is_newest) {
                Synced::Loaded if may_pass => Synced::Partly,
                taken_in => taken_in,
            }
        }
        Some(Err(_)) => {
            if is_newest {
                reading::note_unread(world, watched);
            }
            Synced::Unread
        }
        None if is_open => Synced::Nothing,
        None => {
            if is_newest {
                reading::note_unmoved(world, watched);
            }
            Synced::AsBefore
        }
    };
    (synced, due)
}

/// Why a fetch failed.
struct Failure {
    message: String,
    /// Whether what came is not signed as it should be.
    is_unverified: bool,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { message, is_unverified: false }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let is_unverified = matches!(error.fault, Fault::Unverified { .. });
        Self { message: error.to_string(), is_unverified }
    }
}

/// The clone with the login of now: a password may be exchanged in its file at any time.
async fn repository(world: &World, watched: &Watched) -> Result<Repository, String> {
    let (config, clones) = (watched.config.clone(), watched.state_dir.clone());
    let what = format!("the login of source {}", config.name);
    world.patient.read(what, move || repository_of(&config, &clones)).await
}

/// The same of any source, with its clone below `clones`.
pub(crate) fn repository_of(config: &Source, clones: &Path) -> Result<Repository, String> {
    let told = |error| format!("source {} ({}): {error}", config.name, config.location);
    let credentials = match (&config.auth, &config.location) {
        (Some(auth), Location::Remote(url)) => Some(auth.credentials(url).map_err(told)?),
        _ => None,
    };
    let spec = Spec {
        name: config.name.clone(),
        location: config.location.clone(),
        reference: config.reference.clone(),
        credentials,
        submodules: config.submodules,
        verify: config.verify.clone(),
    };
    let repository = Repository::open(spec, clones)
        .with_ssh(config.ssh.clone())
        .with_proxy(config.reach.proxy().map_err(told)?)
        .with_limits(config.limits);
    Ok(match config.reach.ca_file.clone() {
        Some(pem) => repository.with_authorities(pem),
        None => repository,
    })
}

/// Fetches off the async threads. While nothing was taken in yet and the source is away, what was fetched
/// before will do: it comes first.
async fn fetch(
    world: &Arc<World>,
    mut repository: Repository,
    is_open: bool,
    stop: &CancellationToken,
) -> Fetched {
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancelled);
    let needed = world.needed_revisions(repository.name());
    let mut work = tokio::task::spawn_blocking(move || {
        // Before the fetch, which may make the clone anew.
        if let Some(needed) = needed
            && let Err(error) = repository.keep(&needed)
        {
            tracing::warn!("cannot keep the commits at which stacks ran well: {error}");
        }
        let last = if is_open { last(&repository) } else { Ok(None) };
        let mut result = repository.sync(&flag).map_err(Failure::from);
        // What an earlier process left was not looked over then, and much of it is still shown.
        if last.is_err()
            && result.is_ok()
            && let Err(error) = repository.last()
        {
            result = Err(error.into());
        }
        let last = last.unwrap_or_default();
        let checkout = result.as_ref().ok().or(last.as_ref());
        let shown = checkout.and_then(|checkout| {
            Some((checkout.revision.clone(), repository.describe(&checkout.revision)?))
        });
        Fetched { last, result, shown }
    });
    let joined = tokio::select! {
        joined = &mut work => joined,
        () = stop.cancelled() => {
            cancelled.store(true, Ordering::Relaxed);
            work.await
        }
    };
    joined.unwrap_or_else(|error| Fetched::failed(format!("a defect of Bowline: {error}")))
}

/// What an earlier process left, if it may be used.
fn last(repository: &Repository) -> Result<Option<Checkout>, SourceError> {
    repository.last().inspect_err(|error| {
        tracing::warn!("not going on from what was fetched before: {error}");
    })
}

/// A wait of up to a tenth more than `period`, so that agents do not all wake at once.
pub(super) fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 + chance() / 10.0)
}
