//! The history of deployments: a database of its own beside the inventory, bounded in number and age.
//! What is noted waits in memory for [`Deployments::flush`], so that no pass waits for the disk.
//! Losing it loses history only: nothing that an agent decides comes from here.

mod rows;

pub use rows::Rows;

use super::file::{self, Refusal};
use super::inventory::{Mishap, open_or_begin};
use crate::model::StackName;
use crate::status::{Deployment, HistoryEntry, PassResult};
use jiff::{SignedDuration, Timestamp};
use redb::{Database, ReadableTable, StorageError, TableDefinition};
use rows::{before, decoded, of_stack, stacks_in};
use serde::de::DeserializeOwned;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The database, below the state directory.
const FILE: &str = "history.redb";
/// Stack and number to [`Deployment`] in JSON. The number in the name changes with the meaning of
/// the records.
const TABLE: TableDefinition<Key, &[u8]> = TableDefinition::new("deployments.1");
/// How many of the last deployments of a stack a new one is compared with, to tell whether it only came
/// again.
const LOOKED_BACK: usize = 8;
/// How often what is too old is looked for where nothing comes new.
const TIDYING: SignedDuration = SignedDuration::from_hours(24);
/// How many wait for a disk that cannot be written; then the oldest are lost.
const MOST_WAITING: usize = 256;

type Key = (&'static str, u64);
/// A deployment, or else the smallest and the largest number of those that there are.
pub type Found = Result<Deployment, Option<(u64, u64)>>;

/// How much of the history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryBounds {
    /// How many deployments of each stack; at least one.
    pub keep: usize,
    /// For how long. The last deployment of a stack that is there stays, however old it is.
    pub lasts: Duration,
}

impl HistoryBounds {
    /// The most that may be kept.
    pub const WIDEST: Self = Self { keep: 1000, lasts: Duration::MAX };
}

impl Default for HistoryBounds {
    fn default() -> Self {
        Self { keep: 100, lasts: Duration::from_secs(90 * 24 * 3600) }
    }
}

/// The deployments, and the file that they are written to.
pub struct Deployments {
    path: PathBuf,
    bounds: HistoryBounds,
    waiting: Mutex<VecDeque<Deployment>>,
    /// `None` until it is used first, and while it cannot be.
    opened: Mutex<Option<Opened>>,
}

struct Opened {
    database: Database,
    /// When what is too much or too old was taken away last, of all stacks.
    tidied: Option<Timestamp>,
}

/// A history that is only looked at cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read the history {}: {problem}; if an agent runs with it, it is asked at its socket (`--socket`)",
    path.display()
)]
pub struct HistoryUnread {
    path: PathBuf,
    problem: String,
}

/// What went wrong with the history. All else goes on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryMishap(pub Mishap);

impl fmt::Display for HistoryMishap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Mishap::Damaged { path, problem, aside } => write!(
                f,
                "the history {} is damaged: {problem}; it is kept as {}, and a new one begins; nothing else is \
                 lost",
                path.display(),
                aside.display()
            ),
            Mishap::Unavailable { path, problem } => write!(
                f,
                "cannot use the history {}: {problem}; going on without it, so deployments of now may be \
                 missing from it; make room or let this user use it",
                path.display()
            ),
        }
    }
}

impl std::error::Error for HistoryMishap {}

impl Deployments {
    /// Those of `state_dir`. Nothing is opened yet.
    pub fn of(state_dir: &Path, bounds: HistoryBounds) -> Self {
        let (waiting, opened) = (Mutex::default(), Mutex::default());
        Self { path: state_dir.join(FILE), bounds, waiting, opened }
    }

    /// Notes one; [`Deployments::flush`] writes it. Whether it is written is not waited for.
    pub fn note(&self, deployment: Deployment) {
        let mut waiting = self.waiting();
        if waiting.len() == MOST_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(deployment);
    }

    /// Writes what was noted, and takes away what is too much or too old; waits for the disk. What
    /// could not be written is written with a later call. The caller has the lock of the state directory.
    pub fn flush(&self, now: Timestamp) -> Result<(), HistoryMishap> {
        let mut slot = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mishap = None;
        if slot.is_none() {
            let (database, trouble) = open_or_begin(&self.path, open);
            (*slot, mishap) = (database.map(|database| Opened { database, tidied: None }), trouble);
        }
        if let Some(opened) = slot.as_mut() {
            let waiting: Vec<_> = self.waiting().drain(..).collect();
            if let Err(problem) = guarded(|| opened.write(&waiting, &self.bounds, now)) {
                // After a failed write the library wants the file opened anew.
                *slot = None;
                self.put_back(waiting);
                return self.told(Err(problem));
            }
        }
        mishap.map_or(Ok(()), |mishap| Err(HistoryMishap(mishap)))
    }

    /// The last `most` deployments of a stack, in full or in short, the newest first, what is not written
    /// yet among them.
    pub fn last<T: DeserializeOwned + From<Deployment>>(
        &self,
        stack: &StackName,
        most: usize,
    ) -> Result<Vec<T>, HistoryMishap> {
        self.look(stack, |rows, waiting| {
            let recent = recent(rows, waiting, stack)?;
            let oldest = recent.back().map_or(u64::MAX, |it| it.entry.id);
            let older = rows.before(stack, oldest, most.saturating_sub(recent.len()))?;
            Ok(recent.into_iter().map(T::from).chain(older).take(most).collect())
        })
    }

    /// One deployment of a stack, or else the smallest and the largest number of those that there are.
    pub fn get(&self, stack: &StackName, id: u64) -> Result<Found, HistoryMishap> {
        self.look(stack, |rows, waiting| {
            let recent = recent(rows, waiting, stack)?;
            let found = recent.iter().find(|it| it.entry.id == id).cloned();
            if let Some(found) = found.map_or_else(|| rows.get(stack, id), |it| Ok(Some(it)))? {
                return Ok(Ok(found));
            }
            let ids = |it: &VecDeque<Deployment>| Some((it.back()?.entry.id, it.front()?.entry.id));
            let spans = [rows.span(stack)?, ids(&recent)];
            let spans = spans.into_iter().flatten();
            Ok(Err(spans.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))))
        })
    }

    /// What `work` finds in a state directory that no agent has open, without changing anything there;
    /// `None` if there is no history.
    pub fn stored<T>(
        state_dir: &Path,
        work: impl FnOnce(&Rows) -> Result<T, redb::Error>,
    ) -> Result<Option<T>, HistoryUnread> {
        let path = state_dir.join(FILE);
        if path.try_exists().is_ok_and(|exists| !exists) {
            return Ok(None);
        }
        let read = guarded(|| work(&Rows::at(&path)?));
        read.map(Some).map_err(|problem| HistoryUnread { path, problem })
    }

    /// What `work` finds in what is written, and in what waits of `stack`.
    fn look<T>(
        &self,
        stack: &StackName,
        work: impl FnOnce(&Rows, Vec<Deployment>) -> Result<T, redb::Error>,
    ) -> Result<T, HistoryMishap> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = match opened.as_ref() {
            Some(opened) => self.told(guarded(|| Rows::of(&opened.database)))?,
            // What cannot be written may still be read.
            None => guarded(|| Rows::at(&self.path)).unwrap_or_default(),
        };
        let waiting =
            self.waiting().iter().filter(|it| it.entry.stack == *stack).cloned().collect();
        // Whoever opens it for writing waits until nobody reads the file.
        self.told(guarded(|| work(&rows, waiting)))
    }

    fn told<T>(&self, result: Result<T, String>) -> Result<T, HistoryMishap> {
        result.map_err(|problem| {
            HistoryMishap(Mishap::Unavailable { path: self.path.clone(), problem })
        })
    }

    fn put_back(&self, former: Vec<Deployment>) {
        let mut waiting = self.waiting();
        for deployment in former.into_iter().rev() {
            waiting.push_front(deployment);
        }
        let surplus = waiting.len().saturating_sub(MOST_WAITING);
        waiting.drain(..surplus);
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Deployment>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    /// Adds deployments, all or none; once it returns they outlive the machine.
    fn write(
        &mut self,
        new: &[Deployment],
        bounds: &HistoryBounds,
        now: Timestamp,
    ) -> Result<(), redb::Error> {
        let due = self.tidied.is_none_or(|last| now.duration_since(last) >= TIDYING);
        if new.is_empty() && !due {
            return Ok(());
        }
        let transaction = self.database.begin_write()?;
        let mut taken = 0;
        {
            let mut table = transaction.open_table(TABLE)?;
            let mut stacks: BTreeSet<StackName> =
                new.iter().map(|deployment| deployment.entry.stack.clone()).collect();
            for deployment in new {
                add(&mut table, deployment)?;
            }
            if due {
                stacks.extend(stacks_in(&table)?);
            }
            for stack in stacks {
                taken += tidy(&mut table, &stack, bounds, now)?;
            }
        }
        transaction.commit()?;
        if due && self.tidied.replace(now).is_none() && taken > 0 {
            // A lowered bound gives its room back, which taking away alone does not.
            // What is noted is noted without that, too.
            if let Err(error) = self.database.compact() {
                tracing::warn!("the history stays as large as it is: {error}");
            }
        }
        Ok(())
    }
}

type Table<'t> = redb::Table<'t, Key, &'static [u8]>;

fn open(path: &Path) -> Result<Database, Refusal> {
    file::open_and(path, |_| Ok(())).map(|(database, ())| database)
}

/// What those that wait make of the newest of a stack that are written; empty if none waits.
fn recent(
    rows: &Rows,
    waiting: Vec<Deployment>,
    stack: &StackName,
) -> Result<VecDeque<Deployment>, redb::Error> {
    let mut recent = VecDeque::new();
    for deployment in waiting {
        if recent.is_empty() {
            recent = rows.newest(stack, LOOKED_BACK)?.into();
        }
        let next = recent.front().map_or(1, |newest: &Deployment| newest.entry.id + 1);
        let former = recent.iter().take(LOOKED_BACK).cloned();
        let deployment = deployment.among(former, next);
        match recent.iter_mut().find(|it| it.entry.id == deployment.entry.id) {
            Some(known) => *known = deployment,
            None => recent.push_front(deployment),
        }
    }
    Ok(recent)
}

fn add(table: &mut Table<'_>, new: &Deployment) -> Result<(), redb::Error> {
    let stack = &new.entry.stack;
    let last = before(table, stack, u64::MAX, LOOKED_BACK)?;
    let next = of_stack(table, stack)?.next_back().transpose()?;
    let next = next.map_or(1, |(key, _)| key.value().1 + 1);
    let deployment = new.clone().among(last, next);
    let text = serde_json::to_vec(&deployment).map_err(io::Error::other)?;
    table.insert((stack.as_str(), deployment.entry.id), text.as_slice())?;
    Ok(())
}

/// Takes away what is too much or too old of a stack; how many.
fn tidy(
    table: &mut Table<'_>,
    stack: &StackName,
    bounds: &HistoryBounds,
    now: Timestamp,
) -> Result<usize, redb::Error> {
    let keys: Vec<u64> = of_stack(table, stack)?
        .map(|entry| entry.map(|(key, _)| key.value().1))
        .collect::<Result<_, _>>()?;
    let surplus = keys.len().saturating_sub(bounds.keep.max(1));
    let oldest = now.checked_sub(bounds.lasts).unwrap_or(Timestamp::MIN);
    let mut taken = 0;
    for (index, id) in keys.iter().enumerate() {
        let key = (stack.as_str(), *id);
        let is_last = index + 1 == keys.len();
        let is_old = || -> Result<bool, StorageError> {
            let known = table.get(key)?;
            let known = known.and_then(|text| decoded::<HistoryEntry>(text.value()));
            // What cannot be read is of another version; it goes with what is before it.
            Ok(known.is_none_or(|it| {
                let stays = is_last && it.result != PassResult::Removed;
                it.last < oldest && !stays
            }))
        };
        if index >= surplus && !is_old()? {
            break;
        }
        table.remove(key)?;
        taken += 1;
    }
    Ok(taken)
}

/// What a damaged file can make of the library is not ours to foresee.
fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(redb::Error::Corrupted("it cannot be read at all".to_owned())))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
