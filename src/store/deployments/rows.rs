//! What is written of deployments, read by its key: who asks for one does not pay for all.

use super::{Key, TABLE};
use crate::model::StackName;
use crate::status::Deployment;
use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase, ReadableTable,
    StorageBackend, StorageError, TableError,
};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::path::Path;

/// What is written, as it was at one moment.
#[derive(Default)]
pub struct Rows {
    table: Option<ReadOnlyTable<Key, &'static [u8]>>,
    /// The copy that the table is of: reading ends where its database does.
    _copy: Option<Database>,
}

impl Rows {
    pub(super) fn of(database: &impl ReadableDatabase) -> Result<Self, redb::Error> {
        match database.begin_read()?.open_table(TABLE) {
            Ok(table) => Ok(Self { table: Some(table), _copy: None }),
            Err(TableError::TableDoesNotExist(_)) => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Those of a file that nobody has open, without changing it.
    pub(super) fn at(path: &Path) -> Result<Self, redb::Error> {
        match ReadOnlyDatabase::open(path) {
            Ok(database) => Self::of(&database),
            // A crash left it, and nobody has it open: what is to be mended is so in a copy.
            Err(DatabaseError::RepairAborted) => {
                let copy = in_memory(path)?;
                let rows = Self::of(&copy)?;
                Ok(Self { _copy: Some(copy), ..rows })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The last `most` of a stack, the newest first, as [`Deployment`]s or only in short.
    pub fn newest<T: DeserializeOwned>(
        &self,
        stack: &StackName,
        most: usize,
    ) -> Result<Vec<T>, redb::Error> {
        self.before(stack, u64::MAX, most)
    }

    /// The same of those with a smaller number than `id`.
    pub(super) fn before<T: DeserializeOwned>(
        &self,
        stack: &StackName,
        id: u64,
        most: usize,
    ) -> Result<Vec<T>, redb::Error> {
        self.table.as_ref().map_or_else(|| Ok(Vec::new()), |table| before(table, stack, id, most))
    }

    /// One of a stack.
    pub fn get(&self, stack: &StackName, id: u64) -> Result<Option<Deployment>, redb::Error> {
        let Some(table) = &self.table else { return Ok(None) };
        Ok(table.get((stack.as_str(), id))?.and_then(|text| decoded(text.value())))
    }

    /// The smallest and the largest number that there is of a stack.
    pub fn span(&self, stack: &StackName) -> Result<Option<(u64, u64)>, redb::Error> {
        let Some(table) = &self.table else { return Ok(None) };
        let mut all = of_stack(table, stack)?;
        let Some(first) = all.next().transpose()? else { return Ok(None) };
        let first = first.0.value().1;
        let last = all.next_back().transpose()?.map_or(first, |(key, _)| key.value().1);
        Ok(Some((first, last)))
    }
}

/// The last `most` of a stack with a smaller number than `id`, the newest first.
pub(super) fn before<T: DeserializeOwned>(
    table: &impl ReadableTable<Key, &'static [u8]>,
    stack: &StackName,
    id: u64,
    most: usize,
) -> Result<Vec<T>, redb::Error> {
    let mut found = Vec::new();
    for entry in table.range((stack.as_str(), 0)..(stack.as_str(), id))?.rev().take(most) {
        found.extend(decoded(entry?.1.value()));
    }
    Ok(found)
}

pub(super) fn of_stack<'t>(
    table: &'t impl ReadableTable<Key, &'static [u8]>,
    stack: &StackName,
) -> Result<redb::Range<'t, Key, &'static [u8]>, StorageError> {
    table.range((stack.as_str(), 0)..=(stack.as_str(), u64::MAX))
}

/// All stacks that have one. From each the next is sought, past its rows.
pub(super) fn stacks_in(
    table: &impl ReadableTable<Key, &'static [u8]>,
) -> Result<BTreeSet<StackName>, redb::Error> {
    let (mut stacks, mut last) = (BTreeSet::new(), String::new());
    while let Some(entry) = table.range((last.as_str(), u64::MAX)..)?.next() {
        entry?.0.value().0.clone_into(&mut last);
        stacks.extend(StackName::new(&last));
    }
    Ok(stacks)
}

/// A record; `None` if a newer version wrote it in a way that this one does not know.
pub(super) fn decoded<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    #[cfg(test)]
    DECODED.with(|count| count.set(count.get() + 1));
    serde_json::from_slice(text).ok()
}

#[cfg(test)]
thread_local! {
    /// How many records this thread has read.
    pub(super) static DECODED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A copy of a database, as it is after a crash was made up for.
fn in_memory(path: &Path) -> Result<Database, redb::Error> {
    let bytes = std::fs::read(path)?;
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64)?;
    copy.write(0, &bytes)?;
    Ok(Database::builder().create_with_backend(copy)?)
}
