//! Whose fault a failure is: the definition's, which another commit mends, or the surroundings',
//! which pass by themselves. Only the first counts against a commit.

use super::{ChangeError, NotReached};
use crate::engine::EngineError;
use crate::status::Cause;

/// What the engine says when the host has no room or no means left, whatever the call.
const SHORTAGES: [&str; 7] = [
    "no space left on device",
    "disk quota exceeded",
    "cannot allocate memory",
    "resource temporarily unavailable",
    "too many open files",
    "read-only file system",
    "input/output error",
];
/// What the container runtime, or the engine about it, says when it is not well itself: it was killed for
/// want of memory, does not answer, has no thread or no control group left.
const AILMENTS: [&str; 9] = [
    "signal: killed",
    "unable to retrieve oci runtime error",
    "context deadline exceeded",
    "failed to create new os thread",
    "out of memory",
    "ttrpc: closed",
    "cgroup mountpoint does not exist",
    "mountpoint for cgroup not found",
    "unable to start unit",
];
/// What it says of a place for a mount that cannot be made: below another mount that is read-only.
const NO_MOUNTPOINT: &str = "create mountpoint";
/// How the container runtime introduces what it cannot make of a definition; the engine tells it with
/// a status of its own fault (daemon/start.go of Docker 20.10 to 28).
const RUNTIME: [&str; 2] = ["oci runtime", "failed to create shim task"];

impl ChangeError {
    /// In which way the definition failed; `None` where it is not to blame.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::NotReached(NotReached::Failed { cause, .. }) => Some(*cause),
            // What the engine is removing is the engine's.
            Self::NotReached(NotReached::TimedOut { milestone, .. }) => {
                (*milestone != super::wait::GONE).then_some(Cause::NotUpInTime)
            }
            // What is needed has an update of its own, or was in trouble before; and whoever was to judge
            // a canary is not of the definition.
            Self::NotReached(NotReached::Stopped { .. }) | Self::Needed(_) | Self::Unjudged(_) => {
                None
            }
            Self::Hook(_) => Some(Cause::Hook),
            Self::Check(_) => Some(Cause::Check),
            Self::Engine(error) => cause_of(error),
        }
    }
}

fn cause_of(error: &EngineError) -> Option<Cause> {
    match error {
        EngineError::PullFailed { transient: false, .. }
        | EngineError::NotFound { operation: "use", .. } => Some(Cause::Image),
        EngineError::PortTaken { .. } => Some(Cause::Port),
        EngineError::Refused { status, message, .. } => {
            let said = message.to_lowercase();
            let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
            let by_runtime = says(&RUNTIME);
            let lacks = says(&SHORTAGES) && !said.contains(NO_MOUNTPOINT);
            let ails = by_runtime && says(&AILMENTS);
            (!lacks && !ails && (*status < 500 || by_runtime)).then_some(Cause::Refused)
        }
        EngineError::PullFailed { transient: true, .. }
        | EngineError::NotFound { .. }
        | EngineError::NameTaken { .. }
        | EngineError::Unreachable { .. }
        | EngineError::PermissionDenied { .. }
        | EngineError::TooOld { .. }
        | EngineError::TimedOut { .. }
        | EngineError::Unreadable { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, message: &str) -> Option<Cause> {
        let object = "container web-page-1".to_owned();
        let message = message.to_owned();
        let error = EngineError::Refused { operation: "start", object, status, message };
        ChangeError::from(error).cause()
    }

    #[test]
    fn what_passes_by_itself_is_not_held_against_a_commit() {
        for (status, message, expected) in [
            (400, "OCI runtime create failed: exec: \"nope\": not found", Some(Cause::Refused)),
            (500, "OCI runtime create failed: sysctl net.x is not allowed", Some(Cause::Refused)),
            (500, "failed to create shim task: no space left on device", None),
            (
                500,
                "OCI runtime create failed: unable to apply cgroup configuration: mkdir \
                 /sys/fs/cgroup/memory/docker/0a1b: cannot allocate memory: unknown",
                None,
            ),
            (400, "OCI runtime create failed: open /proc/self/fd: too many open files", None),
            (500, "OCI runtime exec failed: fork: Resource temporarily unavailable", None),
            (500, "failed to create shim task: fork/exec runc: signal: killed: unknown", None),
            (500, "OCI runtime create failed: unable to retrieve OCI runtime error", None),
            (500, "failed to create shim task: context deadline exceeded: unknown", None),
            (500, "OCI runtime create failed: runtime: failed to create new OS thread", None),
            (
                500,
                "failed to create shim task: cgroups: cgroup mountpoint does not exist: unknown",
                None,
            ),
            (
                500,
                "OCI runtime create failed: unable to start unit \"docker-0a.scope\": timed out",
                None,
            ),
            // Its own limits, and a mount below one that is read-only, are the definition's.
            (
                500,
                "OCI runtime create failed: container init was OOM-killed (memory limit too low?)",
                Some(Cause::Refused),
            ),
            (
                500,
                "OCI runtime create failed: failed to write \"0-99\": cpuset.cpus: invalid argument",
                Some(Cause::Refused),
            ),
            (
                500,
                "OCI runtime create failed: error mounting \"/a\" to rootfs at \"/conf/a\": create \
                 mountpoint for /conf/a mount: mkdirat conf/a: read-only file system",
                Some(Cause::Refused),
            ),
            (500, "error creating overlay mount: no space left on device", None),
            (409, "no space left on device", None),
            (500, "dial tcp: lookup plugin: timeout", None),
            (400, "invalid mount config", Some(Cause::Refused)),
        ] {
            assert_eq!(refused(status, message), expected, "{status} {message}");
        }
        let pull = |transient| {
            let (image, message) = ("app:2".to_owned(), "said".to_owned());
            ChangeError::from(EngineError::PullFailed { image, message, transient }).cause()
        };
        assert_eq!(pull(false), Some(Cause::Image));
        assert_eq!(pull(true), None);
    }
}
