//! The state directory, its disk, and the inventory in it.

use super::finding::{Finding, size};
use super::person::{is_root, owner, user_name};
use crate::store::{Standing, holder, look};
use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const CHECK: &str = "state";
/// What clones and the inventory need at the least.
const LEAST_BYTES: u64 = 64 << 20;
/// What leaves room for some time.
const ENOUGH_BYTES: u64 = 1 << 30;

/// The disk that something is on.
pub(super) struct Space {
    /// Bytes for who is not root.
    pub(super) free: u64,
    /// Absent: the file system does not count them.
    pub(super) free_inodes: Option<u64>,
    pub(super) is_read_only: bool,
}

pub(super) fn space(path: &Path) -> io::Result<Space> {
    let found = statvfs(path)?;
    Ok(Space {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        free_inodes: (found.f_files > 0).then_some(found.f_favail),
        is_read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

pub(super) fn check(dir: &Path) -> Vec<Finding> {
    let shown = dir.display();
    let found = match fs::metadata(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return vec![absent(dir)],
        Err(error) if error.kind() == ErrorKind::PermissionDenied && !is_root() => {
            let told = format!("{} may not look into it", user_name());
            return vec![Finding::warning(CHECK, &shown, told, "sudo bowline doctor")];
        }
        Err(error) => return vec![Finding::error(CHECK, &shown, error, format!("ls -ld {shown}"))],
    };
    if !found.is_dir() {
        let told = format!("it is no directory ({})", owner(&found));
        let fix = format!("sudo mv {shown} {shown}.aside  # or give another `state_dir`");
        return vec![Finding::error(CHECK, &shown, told, fix)];
    }
    let mut findings = Vec::new();
    let of = owner(&found);
    match space(dir) {
        Ok(Space { is_read_only: true, .. }) => {
            let fix = format!("sudo mount -o remount,rw $(findmnt -no TARGET -T {shown})");
            findings.push(Finding::error(CHECK, &shown, "its file system is read-only", fix));
        }
        _ if access(dir, Access::WRITE_OK | Access::EXEC_OK).is_err() => {
            findings.push(not_writable(dir, &of));
        }
        Ok(space) => findings.push(room(dir, &space, &of)),
        Err(error) => findings.push(Finding::error(CHECK, &shown, error, format!("df {shown}"))),
    }
    if found.permissions().mode() & 0o022 != 0 {
        let told = format!("others than its owner may write there ({of})");
        let fix = format!("sudo chmod go-w {shown}");
        findings.push(Finding::error(CHECK, &shown, told, fix));
    }
    findings.push(inventory(dir));
    findings
}

/// It is made at the start of the agent, if it can be.
fn absent(dir: &Path) -> Finding {
    let above = dir.ancestors().skip(1).find(|above| above.is_dir()).unwrap_or(Path::new("/"));
    if access(above, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        return Finding::ok(CHECK, dir.display(), "it is not there yet; an agent makes it");
    }
    let told = format!("it is not there, and {} may not make it", user_name());
    if is_root() {
        let fix = format!("findmnt -T {0}; lsattr -d {0}", above.display());
        Finding::error(CHECK, dir.display(), told, fix)
    } else {
        Finding::warning(CHECK, dir.display(), told, "sudo bowline doctor")
    }
}

/// Not by this user, who need not be the agent's.
fn not_writable(dir: &Path, of: &str) -> Finding {
    let told = format!("{} may not write there ({of})", user_name());
    if is_root() {
        Finding::error(CHECK, dir.display(), told, format!("lsattr -d {}", dir.display()))
    } else {
        Finding::warning(CHECK, dir.display(), told, "sudo bowline doctor")
    }
}

fn room(dir: &Path, space: &Space, of: &str) -> Finding {
    let shown = dir.display();
    let free = size(space.free);
    let fix = format!("df -h {shown}; df -i {shown}  # make room there");
    match space.free_inodes {
        Some(0) => {
            return Finding::error(CHECK, &shown, format!("no inode is free ({free} are)"), fix);
        }
        Some(few) if few < 1_000 => {
            return Finding::warning(CHECK, &shown, format!("only {few} inodes are free"), fix);
        }
        Some(_) | None => {}
    }
    if space.free < LEAST_BYTES {
        let told = format!("only {free} free: what is fetched and remembered cannot be written");
        Finding::error(CHECK, &shown, told, fix)
    } else if space.free < ENOUGH_BYTES {
        Finding::warning(CHECK, &shown, format!("only {free} free"), fix)
    } else {
        Finding::ok(CHECK, &shown, format!("writable ({of}), {free} free"))
    }
}

fn inventory(dir: &Path) -> Finding {
    const CHECK: &str = "inventory";
    let shown = dir.display();
    match (holder(dir), look(dir)) {
        (Some(process), _) => {
            Finding::ok(CHECK, &shown, format!("in use by the agent, process {process}"))
        }
        (None, Standing::InUse) => Finding::ok(CHECK, &shown, "in use by a command or an agent"),
        (None, Standing::Absent) => {
            Finding::ok(CHECK, &shown, "there is none yet; an agent makes it")
        }
        (None, Standing::Sound { stacks }) => Finding::ok(
            CHECK,
            &shown,
            format!("can be read, stacks: {stacks}; no agent has it open"),
        ),
        (None, Standing::Unfinished) => Finding::ok(
            CHECK,
            &shown,
            "the last agent was ended from outside; the next one mends it by itself",
        ),
        (None, Standing::Forbidden) => {
            let told = format!("{} may not read it", user_name());
            Finding::warning(CHECK, &shown, told, "sudo bowline doctor")
        }
        (None, Standing::Unreadable(why)) => {
            let told =
                format!("damaged: {why}; history and what is held back are lost, nothing else");
            let fix = format!(
                "sudo mv {shown}/state.redb {shown}/state.redb.aside  # the agent does so at its start"
            );
            Finding::error(CHECK, &shown, told, fix)
        }
    }
}
