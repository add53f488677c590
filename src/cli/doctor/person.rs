//! Who asks, and whose things are, by the names of this host.

use rustix::process::{getegid, geteuid, getgroups};
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// Whether the process may do everything.
pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// `anna (uid 1000; groups anna, docker)`.
pub(super) fn whoami() -> String {
    let mut groups: Vec<u32> =
        getgroups().unwrap_or_default().iter().map(|it| it.as_raw()).collect();
    groups.insert(0, getegid().as_raw());
    groups.dedup();
    let groups: Vec<String> = groups.into_iter().map(group).collect();
    format!("{} (uid {}; groups {})", user_name(), geteuid(), groups.join(", "))
}

pub(super) fn user_name() -> String {
    user(geteuid().as_raw())
}

/// `root:docker 0660`.
pub(super) fn owner(found: &Metadata) -> String {
    let mode = found.permissions().mode() & 0o7777;
    format!("{}:{} {mode:04o}", user(found.uid()), group(found.gid()))
}

/// The name of a group by its number, or the number.
pub(super) fn group(number: u32) -> String {
    named(&fs::read_to_string("/etc/group").unwrap_or_default(), number)
}

/// Whether the files of this host have a user of that name.
pub(super) fn is_there(user: &str) -> bool {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.lines().any(|line| line.split(':').next() == Some(user))
}

/// Whether the files of this host say that a user is in a group; the process may not be yet.
pub(super) fn is_member(user: &str, group: &str) -> bool {
    lists(&fs::read_to_string("/etc/group").unwrap_or_default(), group, user)
}

fn user(number: u32) -> String {
    named(&fs::read_to_string("/etc/passwd").unwrap_or_default(), number)
}

/// Of lines such as `NAME:x:NUMBER:...`.
fn named(lines: &str, number: u32) -> String {
    let found = lines.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| number.to_string())
}

fn lists(lines: &str, group: &str, user: &str) -> bool {
    lines.lines().any(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        fields.len() == 4 && fields[0] == group && fields[3].split(',').any(|it| it == user)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_system_writes_them() {
        let groups = "root:x:0:\ndocker:x:998:anna,ben\nbroken\n";
        assert_eq!(named(groups, 998), "docker");
        assert_eq!(named(groups, 4), "4");
        assert!(lists(groups, "docker", "ben") && !lists(groups, "docker", "be"));
    }
}
