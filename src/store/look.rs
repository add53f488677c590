//! A look at a state directory that changes nothing in it, beside an agent that may be at work there.

use super::file::{self, Refusal};
use super::inventory::FILE;
use super::lock::{LOCK_FILE, stack_file};
use crate::model::StackName;
use redb::{Database, DatabaseError};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// How the inventory of a state directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is none yet.
    Absent,
    /// Somebody has it open.
    InUse,
    /// It can be read.
    Sound {
        /// How many stacks it remembers.
        stacks: usize,
    },
    /// The agent that wrote it did not end as it should; the next one mends that by itself.
    Unfinished,
    /// It is there and not for us.
    Forbidden,
    /// It cannot be read; why.
    Unreadable(String),
}

/// How the inventory of `state_dir` is.
pub fn look(state_dir: &Path) -> Standing {
    let path = state_dir.join(FILE);
    match fs::File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Standing::Absent,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Standing::Forbidden,
        Err(error) => return Standing::Unreadable(error.to_string()),
        Ok(_) => {}
    }
    // What a damaged file can make of the library is not ours to foresee.
    let read = catch_unwind(AssertUnwindSafe(|| match Database::builder().open_read_only(&path) {
        Err(DatabaseError::DatabaseAlreadyOpen) => Standing::InUse,
        Err(DatabaseError::RepairAborted) => Standing::Unfinished,
        Err(error) => Standing::Unreadable(error.to_string()),
        Ok(database) => match file::read(&database) {
            Ok(records) => Standing::Sound { stacks: records.stacks.len() },
            Err(Refusal::Damaged(why) | Refusal::Unavailable(why)) => Standing::Unreadable(why),
        },
    }));
    read.unwrap_or_else(|_| Standing::Unreadable("it cannot be read at all".to_owned()))
}

/// The process that has `state_dir` locked, as far as the system tells us.
pub fn holder(state_dir: &Path) -> Option<u32> {
    holder_of(&state_dir.join(LOCK_FILE))
}

/// The process that has `stack` locked, as far as the system tells us.
pub fn holder_of_stack(state_dir: &Path, stack: &StackName) -> Option<u32> {
    holder_of(&stack_file(state_dir, stack))
}

fn holder_of(path: &Path) -> Option<u32> {
    let inode = fs::metadata(path).ok()?.ino();
    holder_in(&fs::read_to_string("/proc/locks").ok()?, inode)
}

/// Lines such as `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`, the last number before the range being
/// the file's inode.
fn holder_in(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", process, file, ..] = words.as_slice() else { return None };
        let (_, number) = file.rsplit_once(':')?;
        let process = process.parse().ok().filter(|process| *process > 0);
        process.filter(|_| number.parse() == Ok(inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Inventory, lock};

    #[test]
    fn the_holder_is_read_from_the_table_of_locks() {
        let locks = "1: POSIX  ADVISORY  WRITE 77 08:01:5 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 78 08:01:5 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 79 08:01:6 0 EOF\n";
        assert_eq!(holder_in(locks, 5), Some(78));
        assert_eq!(holder_in(locks, 6), None);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()), None);
        let held = lock(dir.path()).unwrap();
        assert_eq!(holder(dir.path()), Some(std::process::id()));
        drop(held);
        assert_eq!(holder(dir.path()), None);
    }

    #[test]
    fn a_look_tells_how_the_inventory_is_and_leaves_it_so() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path()), Standing::Absent);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let (inventory, mishap) = Inventory::open(dir.path());
        assert_eq!((look(dir.path()), mishap), (Standing::InUse, None));
        drop(inventory);
        assert_eq!(look(dir.path()), Standing::Sound { stacks: 0 });
        let path = dir.path().join(FILE);
        fs::write(&path, "no database").unwrap();
        assert!(matches!(look(dir.path()), Standing::Unreadable(_)));
        assert_eq!(fs::read(&path).unwrap(), b"no database");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
