//! The inventory: what is remembered of stacks and images. It is small and lies in memory; what
//! changed is written by [`Inventory::flush`], so that nobody waits for the disk who need not.

use super::file::{self, Records, Refusal};
use super::record::{ImageRecord, StackRecord};
use crate::model::{ServiceName, StackName};
use redb::Database;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The database, below the state directory.
pub(super) const FILE: &str = "state.redb";

/// The records, and the file that they are written to.
pub struct Inventory {
    path: PathBuf,
    memory: Mutex<Memory>,
    /// `None` while it cannot be used; the next write tries again.
    database: Mutex<Option<Database>>,
}

#[derive(Default)]
struct Memory {
    records: Records,
    /// Whether these are all that earlier processes wrote, too.
    is_read: bool,
    /// What was found when it could be read at last, until it is asked for.
    found: Option<BTreeMap<StackName, StackRecord>>,
    unsaved_stacks: BTreeSet<StackName>,
    unsaved_images: BTreeSet<(StackName, ServiceName)>,
}

/// Records to write; `None` removes one.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) stacks: BTreeMap<StackName, Option<StackRecord>>,
    pub(super) images: BTreeMap<(StackName, ServiceName), Option<ImageRecord>>,
}

/// What went wrong with the database. The inventory goes on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// It was damaged, so a new one was begun.
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was wrong.
        problem: String,
        /// Where the damaged one is now.
        aside: PathBuf,
    },
    /// It cannot be read or written now.
    Unavailable {
        /// The database.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

impl fmt::Display for Mishap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { path, problem, aside } => write!(
                f,
                "the inventory {} is damaged: {problem}; it is kept as {}, and a new one begins: what was held, \
                 and which images ran, is judged anew",
                path.display(),
                aside.display()
            ),
            Self::Unavailable { path, problem } => write!(
                f,
                "cannot use the inventory {}: {problem}; going on without it, so a restart forgets what \
                 is held; make room or let this user write there",
                path.display()
            ),
        }
    }
}

impl Inventory {
    /// Opens the inventory of `state_dir`, whose lock the caller has. It can always be used; the
    /// mishap says what it does without.
    pub fn open(state_dir: &Path) -> (Self, Option<Mishap>) {
        let path = state_dir.join(FILE);
        let (database, records, mishap) = open(&path);
        let memory = Memory { records, is_read: database.is_some(), ..Memory::default() };
        let inventory = Self { path, memory: Mutex::new(memory), database: Mutex::new(database) };
        (inventory, mishap)
    }

    /// Whether what earlier processes wrote is known. While it is not, nothing tells which stacks are
    /// held.
    pub fn is_read(&self) -> bool {
        self.memory().is_read
    }

    /// What was remembered of stacks, once, if it could be read only after the inventory was opened.
    pub fn found_late(&self) -> Option<BTreeMap<StackName, StackRecord>> {
        self.memory().found.take()
    }

    /// What is remembered of every stack.
    pub fn stacks(&self) -> BTreeMap<StackName, StackRecord> {
        self.memory().records.stacks.clone()
    }

    /// What is remembered of one stack.
    pub fn stack(&self, name: &StackName) -> StackRecord {
        self.memory().records.stacks.get(name).cloned().unwrap_or_default()
    }

    /// Changes what is remembered of a stack. Whether anything changed.
    pub fn update(&self, name: &StackName, change: impl FnOnce(&mut StackRecord)) -> bool {
        let mut memory = self.memory();
        let former = memory.records.stacks.get(name).cloned().unwrap_or_default();
        let mut record = former.clone();
        change(&mut record);
        let changed = record != former;
        if changed {
            memory.records.stacks.insert(name.clone(), record);
            memory.unsaved_stacks.insert(name.clone());
        }
        changed
    }

    /// Forgets a stack, but not the images that it ran. Whether it was known.
    pub fn forget(&self, name: &StackName) -> bool {
        let mut memory = self.memory();
        let known = memory.records.stacks.remove(name).is_some();
        if known {
            memory.unsaved_stacks.insert(name.clone());
        }
        known
    }

    /// Forgets the images that the services of a stack ran. Whether any were known.
    pub fn forget_images(&self, stack: &StackName) -> bool {
        let mut memory = self.memory();
        let of_stack = memory.records.images.keys().filter(|(owner, _)| owner == stack);
        let keys: Vec<_> = of_stack.cloned().collect();
        for key in &keys {
            memory.records.images.remove(key);
            memory.unsaved_images.insert(key.clone());
        }
        !keys.is_empty()
    }

    /// The images that each service ran.
    pub fn images(&self) -> BTreeMap<(StackName, ServiceName), ImageRecord> {
        self.memory().records.images.clone()
    }

    /// Changes what is remembered of a service's images; a record without any is dropped. Whether
    /// anything changed.
    pub fn update_images(
        &self,
        stack: &StackName,
        service: &ServiceName,
        change: impl FnOnce(&mut ImageRecord),
    ) -> bool {
        let key = (stack.clone(), service.clone());
        let mut memory = self.memory();
        let former = memory.records.images.get(&key).cloned().unwrap_or_default();
        let mut record = former.clone();
        change(&mut record);
        if record == former {
            return false;
        }
        if record.used.is_empty() {
            memory.records.images.remove(&key);
        } else {
            memory.records.images.insert(key.clone(), record);
        }
        memory.unsaved_images.insert(key);
        true
    }

    /// Writes what changed since the last time; waits for the disk. What could not be written is
    /// written with the next call.
    pub fn flush(&self) -> Result<(), Mishap> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mishap = None;
        if database.is_none() {
            let (again, records, opening) = open(&self.path);
            *database = again;
            mishap = opening;
            let mut memory = self.memory();
            if database.is_some() && !memory.is_read {
                memory.take_in(records);
            }
            // What is in the file now is not known to be what was written.
            memory.all_unsaved();
        }
        if let Some(opened) = database.as_ref() {
            let changes = self.memory().take_unsaved();
            if !changes.is_empty()
                && let Err(error) = file::write(opened, &changes)
            {
                // After a failed write the library wants the file opened anew.
                *database = None;
                self.memory().put_back(changes);
                let (path, problem) = (self.path.clone(), error.to_string());
                return Err(Mishap::Unavailable { path, problem });
            }
        }
        mishap.map_or(Ok(()), Err)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.stacks.is_empty() && self.images.is_empty()
    }
}

impl Memory {
    /// Adds what earlier processes wrote to what this one came to know without it.
    fn take_in(&mut self, found: Records) {
        for (name, former) in &found.stacks {
            self.records.stacks.entry(name.clone()).or_default().take_in(former);
        }
        for (key, mut former) in found.images {
            let record = self.records.images.entry(key).or_default();
            former.used.retain(|image| record.used.iter().all(|known| known.id != image.id));
            record.used.append(&mut former.used);
        }
        self.found = Some(found.stacks);
        self.is_read = true;
    }

    fn all_unsaved(&mut self) {
        self.unsaved_stacks.extend(self.records.stacks.keys().cloned());
        self.unsaved_images.extend(self.records.images.keys().cloned());
    }

    fn take_unsaved(&mut self) -> Changes {
        let stacks = std::mem::take(&mut self.unsaved_stacks).into_iter();
        let images = std::mem::take(&mut self.unsaved_images).into_iter();
        Changes {
            stacks: stacks
                .map(|key| (key.clone(), self.records.stacks.get(&key).cloned()))
                .collect(),
            images: images
                .map(|key| (key.clone(), self.records.images.get(&key).cloned()))
                .collect(),
        }
    }

    fn put_back(&mut self, changes: Changes) {
        self.unsaved_stacks.extend(changes.stacks.into_keys());
        self.unsaved_images.extend(changes.images.into_keys());
    }
}

/// Opens the inventory at `path`; a damaged one is put aside and a new one begun.
fn open(path: &Path) -> (Option<Database>, Records, Option<Mishap>) {
    let (opened, mishap) = open_or_begin(path, file::open);
    let (database, records) = opened.map_or((None, Records::default()), |(it, is)| (Some(it), is));
    (database, records, mishap)
}

/// Opens a database by `open`; a damaged one is put aside and a new one begun.
pub(super) fn open_or_begin<T>(
    path: &Path,
    open: impl Fn(&Path) -> Result<T, Refusal>,
) -> (Option<T>, Option<Mishap>) {
    let unavailable = |problem| {
        let mishap = Mishap::Unavailable { path: path.to_owned(), problem };
        (None, Some(mishap))
    };
    let problem = match open(path) {
        Ok(opened) => return (Some(opened), None),
        Err(Refusal::Unavailable(problem)) => return unavailable(problem),
        Err(Refusal::Damaged(problem)) => problem,
    };
    let aside = match file::put_aside(path) {
        Ok(aside) => aside,
        Err(error) => {
            return unavailable(format!(
                "it is damaged ({problem}), and cannot be put aside: {error}"
            ));
        }
    };
    let mishap = Mishap::Damaged { path: path.to_owned(), problem, aside };
    match open(path) {
        Ok(opened) => (Some(opened), Some(mishap)),
        Err(Refusal::Unavailable(problem) | Refusal::Damaged(problem)) => unavailable(problem),
    }
}

#[cfg(test)]
mod tests;
