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
            let lacks = SHORTAGES.iter().any(|shortage| said.contains(shortage));
            let by_runtime = RUNTIME.iter().any(|words| said.contains(words));
            (!lacks && (*status < 500 || by_runtime)).then_some(Cause::Refused)
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
