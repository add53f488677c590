//! The configuration is read anew while the agent runs: what differs takes effect, what does not goes on
//! as it was. Nothing is restarted, and no pass under way is ended.

use super::sources::{self, Wakes};
use super::{World, access, keeping, watched};
use crate::config::{Config, Source};
use crate::execute::Bounds;
use crate::model::SourceName;
use crate::status::ConfigStatus;
use crate::systemd;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Reads the configuration; the error is one line.
type Read = dyn Fn() -> Result<Config, String> + Send + Sync;

/// When the configuration is to be read anew, and how.
pub struct Reloads {
    told: mpsc::Receiver<()>,
    read: Arc<Read>,
}

impl Reloads {
    /// Calls `read` whenever something comes through what is returned with it. What comes while one is
    /// waiting means the same.
    pub fn new(
        read: impl Fn() -> Result<Config, String> + Send + Sync + 'static,
    ) -> (mpsc::Sender<()>, Self) {
        let (tell, told) = mpsc::channel(1);
        (tell, Self { told, read: Arc::new(read) })
    }
}

/// A source that is followed.
pub(super) struct Followed {
    pub(super) wakes: Arc<Wakes>,
    /// Ends it.
    stop: CancellationToken,
    /// Comes when it has ended, and its clone is free.
    ended: CancellationToken,
}

/// What has become of the sources.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    came: BTreeSet<SourceName>,
    left: BTreeSet<SourceName>,
    changed: BTreeSet<SourceName>,
}

impl Difference {
    fn between(former: &Config, new: &Config) -> Self {
        let by_name = |config: &Config| -> BTreeMap<SourceName, Source> {
            config.sources.iter().map(|source| (source.name.clone(), source.clone())).collect()
        };
        let (before, now) = (by_name(former), by_name(new));
        let only_in = |one: &BTreeMap<SourceName, Source>, other: &BTreeMap<SourceName, Source>| {
            one.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
        };
        // What the keys open belongs to what is read of every source.
        let other_keys = former.age_key_file != new.age_key_file;
        let differs = |(name, source): &(&SourceName, &Source)| {
            before.get(*name).is_some_and(|former| other_keys || former != *source)
        };
        let changed = now.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        Self { came: only_in(&now, &before), left: only_in(&before, &now), changed }
    }

    /// In words, for the log.
    fn told(&self) -> String {
        let parts = [("new", &self.came), ("gone", &self.left), ("changed", &self.changed)];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let told: Vec<_> =
            parts.map(|(what, names)| format!("{what}: {}", listed(names))).collect();
        if told.is_empty() { "the same sources".to_owned() } else { told.join("; ") }
    }
}

/// Reads the configuration anew whenever it is told to, until the agent stops.
pub(super) async fn listen(world: Arc<World>, mut reloads: Reloads) {
    loop {
        tokio::select! {
            told = reloads.told.recv() => if told.is_none() { return },
            () = world.stop.cancelled() => return,
        }
        // Before it is ready the first time, systemd would take the end of a reload for that.
        let is_ready = world.memory().ready;
        if is_ready {
            systemd::reloading();
        }
        let (read, begun) = (Arc::clone(&reloads.read), Timestamp::now());
        // It reads files, which may lie on a network.
        let config = tokio::task::spawn_blocking(move || read()).await;
        let config = config.unwrap_or_else(|error| Err(format!("a defect of Bowline: {error}")));
        let is_read = config.is_ok();
        let status = match config {
            Ok(config) => {
                let awaits_restart = world.reconfigure(config);
                ConfigStatus { read_at: begun, awaits_restart, refused: None }
            }
            Err(error) => {
                tracing::error!("the configuration stays as it was: {error}");
                ConfigStatus { refused: Some(error), ..world.memory().config.clone() }
            }
        };
        world.views.metrics.config_read(is_read, Timestamp::now());
        world.views.tell_summary(status.trouble().as_deref());
        world.memory().config = status;
        if is_ready {
            systemd::ready();
        }
    }
}

impl World {
    /// Goes by `new` from now on. Returns the keys of it that wait for a restart.
    fn reconfigure(self: &Arc<Self>, mut new: Config) -> Vec<String> {
        let former = self.config();
        let waits = keep_what_stays(&former, &mut new);
        let difference = Difference::between(&former, &new);
        tracing::info!("the configuration was read anew; {}", difference.told());
        for name in difference.left.iter().chain(&difference.changed) {
            if let Some(followed) = self.followed().get(name) {
                followed.stop.cancel();
            }
        }
        if (new.parallel, new.passes) != (former.parallel, former.passes) {
            *self.bounds.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                Bounds::new(new.parallel, new.passes);
        }
        if new.http != former.http {
            self.views.shared.let_in(access(&new.http));
        }
        self.snapshots.believe_for(new.resync);
        let new = Arc::new(new);
        self.exchange(&difference, &new);
        self.forget_former(&difference.changed);
        self.remember();
        for source in &new.sources {
            if difference.came.contains(&source.name) || difference.changed.contains(&source.name) {
                self.follow(source);
            }
        }
        for name in difference.left {
            self.forget_source(name);
        }
        if former.prune != new.prune {
            self.judge_all();
        }
        // Windows, waits and the time to the next look may be others now.
        self.wake_all();
        let becomes_ready = self.becomes_ready(&mut self.memory());
        self.tell_ready(becomes_ready);
        if !waits.is_empty() {
            let waits = waits.join(", ");
            tracing::warn!(
                "a restart is needed for {waits}; the rest of the configuration is in effect"
            );
        }
        waits.into_iter().map(str::to_owned).collect()
    }

    /// Has every source judge anew what left it.
    pub(super) fn judge_all(&self) {
        for followed in self.followed().values() {
            followed.wakes.judge.notify_one();
        }
    }

    /// Puts the new configuration in the place of the former. What is known of sources that left is
    /// forgotten, and their stacks are left as they are; what an earlier time remembers of those that came
    /// is known again. Until those that came or changed are fetched nothing is taken away: a stack may have
    /// moved into one of them. The lock is held over it, so that nobody sees one without the other.
    fn exchange(&self, difference: &Difference, new: &Arc<Config>) {
        let mut desired = self.desired();
        let mut concerned = BTreeSet::new();
        for source in &difference.left {
            concerned.extend(desired.leave(source));
        }
        let records = self.inventory.stacks();
        concerned.extend(desired.recall(&records, &difference.came, Timestamp::now()));
        desired.must_fetch(difference.came.iter().chain(&difference.changed));
        *self.config.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::clone(new);
        drop(desired);
        // A pass over what nobody asks for forgets it.
        for stack in concerned {
            self.queue.add(stack);
        }
    }

    /// Begins to follow a source, once nobody else does.
    pub(super) fn follow(self: &Arc<Self>, source: &Source) {
        let watched = watched(source, &self.config(), self);
        let (wakes, ended) = (Arc::<Wakes>::default(), CancellationToken::new());
        let (stop, wake) = (watched.stop.clone(), Arc::clone(&wakes));
        let followed = Followed { wakes: wake, stop, ended: ended.clone() };
        let former = self.followed().insert(source.name.clone(), followed);
        let world = Arc::clone(self);
        self.followers.spawn(async move {
            let _ended = ended.drop_guard();
            if let Some(former) = former {
                former.ended.cancelled().await;
            }
            sources::follow(world, watched, wakes).await;
        });
    }

    /// Forgets a source once its last fetch has ended, unless it is configured again by then.
    fn forget_source(self: &Arc<Self>, name: SourceName) {
        let Some(ended) = self.followed().get(&name).map(|it| it.ended.clone()) else { return };
        let world = Arc::clone(self);
        self.followers.spawn(async move {
            ended.cancelled().await;
            if !keeping::sources(&world.config()).contains(&name) {
                // It may have come back and left again, and be ending once more.
                world.followed().retain(|other, it| *other != name || !it.ended.is_cancelled());
                world.memory().tried.remove(&name);
                world.views.forget_source(&name);
            }
        });
    }

    /// Has a source fetched soon; whether it is followed.
    pub(super) fn fetch_soon(&self, source: &SourceName) -> bool {
        let followed = self.followed();
        let found = followed.get(source).filter(|followed| !followed.stop.is_cancelled());
        found.inspect(|followed| followed.wakes.due.notify_one()).is_some()
    }
}

/// Has `new` keep what a running agent cannot exchange; returns the keys that differ.
fn keep_what_stays(former: &Config, new: &mut Config) -> Vec<&'static str> {
    fn keep<T: Clone + PartialEq>(
        former: &T,
        new: &mut T,
        key: &'static str,
    ) -> Option<&'static str> {
        let differs = former != new;
        new.clone_from(former);
        differs.then_some(key)
    }
    let keys = [
        keep(&former.state_dir, &mut new.state_dir, "state_dir"),
        keep(&former.engine_host, &mut new.engine_host, "engine.host"),
        keep(&former.http.listen, &mut new.http.listen, "http.listen"),
        keep(&former.socket, &mut new.socket, "socket"),
        keep(&former.log, &mut new.log, "log"),
        keep(&former.history, &mut new.history, "history"),
    ];
    keys.into_iter().flatten().collect()
}

fn listed(names: &BTreeSet<SourceName>) -> String {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
