//! The database file: records in and out. A damaged one is put aside, never repaired by guesses.

use super::belongs_to_its_directory;
use super::inventory::Changes;
use super::record::{ImageRecord, StackRecord};
use crate::model::{ServiceName, StackName};
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, Key, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Stack to [`StackRecord`] in JSON. The number changes with the meaning of the records.
const STACKS: TableDefinition<&str, &[u8]> = TableDefinition::new("stacks.1");
/// Stack and service to [`ImageRecord`] in JSON.
const IMAGES: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("images.1");

/// Memory for pages; the whole inventory is smaller.
const CACHE_BYTES: usize = 1 << 20;
/// How many damaged databases are kept; the last of them gives way to another.
const MOST_KEPT: u32 = 99;

/// All records.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) stacks: BTreeMap<StackName, StackRecord>,
    pub(super) images: BTreeMap<(StackName, ServiceName), ImageRecord>,
}

/// Why a database cannot be used.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Its content makes no sense, or is of another form.
    Damaged(String),
    /// The system does not let us: no space, no permission, somebody else has it.
    Unavailable(String),
}

/// Opens the inventory at `path`, which is made if it is not there, and reads all of it.
pub(super) fn open(path: &Path) -> Result<(Database, Records), Refusal> {
    open_and(path, read)
}

/// Opens the database at `path`, which is made if it is not there, checks every page of it, and has it
/// read.
pub(super) fn open_and<T>(
    path: &Path,
    read: fn(&Database) -> Result<T, Refusal>,
) -> Result<(Database, T), Refusal> {
    let unavailable = |error: io::Error| Refusal::Unavailable(error.to_string());
    if !path.exists() {
        // Made beside its place, so that there is never half a database.
        let half = path.with_extension("redb.new");
        drop(std::fs::remove_file(&half));
        open_file(&half, read)?;
        belongs_to_its_directory(&half);
        std::fs::rename(&half, path).map_err(unavailable)?;
    }
    open_file(path, read)
}

fn open_file<T>(
    path: &Path,
    read: fn(&Database) -> Result<T, Refusal>,
) -> Result<(Database, T), Refusal> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Refusal::Unavailable(error.to_string()))?;
    // What a damaged file can make of the library is not ours to foresee.
    catch_unwind(AssertUnwindSafe(|| {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let database = builder.create_with_backend(FileBackend::new(file)?)?;
        let records = read(&database)?;
        Ok((database, records))
    }))
    .unwrap_or_else(|_| Err(Refusal::Damaged("it cannot be read at all".to_owned())))
}

pub(super) fn read(database: &impl ReadableDatabase) -> Result<Records, Refusal> {
    let transaction = database.begin_read().map_err(|error| refusal(error.into()))?;
    let mut records = Records::default();
    each(transaction.open_table(STACKS), |key, value| {
        records.stacks.insert(name(StackName::new(key))?, decoded(value)?);
        Ok(())
    })?;
    each(transaction.open_table(IMAGES), |(stack, service), value| {
        let key = (name(StackName::new(stack))?, name(ServiceName::new(service))?);
        records.images.insert(key, decoded(value)?);
        Ok(())
    })?;
    Ok(records)
}

fn each<K: Key + 'static>(
    table: Result<impl ReadableTable<K, &'static [u8]>, TableError>,
    mut take: impl FnMut(K::SelfType<'_>, &[u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let table = match table {
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        table => table.map_err(|error| refusal(error.into()))?,
    };
    for entry in table.iter().map_err(|error| refusal(error.into()))? {
        let (key, value) = entry.map_err(|error| refusal(error.into()))?;
        take(key.value(), value.value())?;
    }
    Ok(())
}

/// Writes `changes`, all or none; once it returns they outlive the machine.
pub(super) fn write(database: &Database, changes: &Changes) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut stacks = transaction.open_table(STACKS)?;
        for (name, record) in &changes.stacks {
            put(&mut stacks, name.as_str(), record.as_ref())?;
        }
        let mut images = transaction.open_table(IMAGES)?;
        for ((stack, service), record) in &changes.images {
            put(&mut images, (stack.as_str(), service.as_str()), record.as_ref())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn put<K: Key + 'static>(
    table: &mut redb::Table<'_, K, &'static [u8]>,
    key: K::SelfType<'_>,
    record: Option<&impl Serialize>,
) -> Result<(), StorageError> {
    match record {
        Some(record) => {
            let text = serde_json::to_vec(record)
                .map_err(|error| StorageError::Io(io::Error::other(error)))?;
            table.insert(key, text.as_slice())?;
        }
        None => drop(table.remove(key)?),
    }
    Ok(())
}

/// Gives a damaged database another name, so that somebody may look into it; returns the name.
pub(super) fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        PathBuf::from(name)
    };
    let free = (1..MOST_KEPT).map(numbered).find(|name| !name.exists());
    let aside = free.unwrap_or_else(|| numbered(MOST_KEPT));
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

fn decoded<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text).map_err(|error| Refusal::Damaged(format!("a record: {error}")))
}

pub(super) fn name<T, E: std::fmt::Display>(name: Result<T, E>) -> Result<T, Refusal> {
    name.map_err(|error| Refusal::Damaged(format!("a key: {error}")))
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        refusal(error.into())
    }
}

/// Tells damage from what the system does not let us.
pub(super) fn refusal(error: redb::Error) -> Refusal {
    match error {
        redb::Error::Io(cause)
            if !matches!(
                cause.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Refusal::Unavailable(cause.to_string())
        }
        error @ (redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch) => {
            Refusal::Unavailable(error.to_string())
        }
        error => Refusal::Damaged(error.to_string()),
    }
}
