//! What an engine can answer instead of doing as it is told.

/// An engine refused, or could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nobody listens there, the connection broke, or the engine is just starting.
    #[error("cannot reach the Docker engine at {endpoint}: {cause}; is it running?")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the system said.
        cause: String,
    },
    /// The socket is there but not for us.
    #[error(
        "permission denied on the Docker socket {endpoint}; run as root or as a member of the group `docker`"
    )]
    PermissionDenied {
        /// Where.
        endpoint: String,
    },
    /// The engine is too old to be spoken with.
    #[error(
        "the engine at {endpoint} speaks API {found}; Bowline needs 1.41 (Docker Engine 20.10) or newer"
    )]
    TooOld {
        /// Where.
        endpoint: String,
        /// The newest that it speaks.
        found: String,
    },
    /// What the call is about is not there.
    #[error("cannot {operation} {object}: it does not exist")]
    NotFound {
        /// The call, as a verb.
        operation: &'static str,
        /// What it was about.
        object: String,
    },
    /// The name is in use by another object.
    #[error("cannot {operation} {object}: the name is taken by another container")]
    NameTaken {
        /// The call, as a verb.
        operation: &'static str,
        /// What it was about.
        object: String,
    },
    /// A host port is in use.
    #[error("cannot {operation} {object}: host port {port} is already in use")]
    PortTaken {
        /// The call, as a verb.
        operation: &'static str,
        /// What it was about.
        object: String,
        /// The port, as the engine names it.
        port: String,
    },
    /// The registry does not have the image, or does not show it to us.
    #[error("cannot pull {image}: {message}")]
    PullFailed {
        /// The image.
        image: String,
        /// What engine or registry said.
        message: String,
        /// Whether it may help to try again later, with nothing mended but the registry or the host.
        transient: bool,
    },
    /// The engine said no for a reason of its own.
    #[error("cannot {operation} {object}: {message}")]
    Refused {
        /// The call, as a verb.
        operation: &'static str,
        /// What it was about.
        object: String,
        /// The HTTP status.
        status: u16,
        /// What the engine said.
        message: String,
    },
    /// The engine did not answer in time.
    #[error("the engine did not answer within {seconds} s when asked to {operation} {object}")]
    TimedOut {
        /// The call, as a verb.
        operation: &'static str,
        /// What it was about.
        object: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The engine's answer could not be read. It says nothing about what exists.
    #[error("cannot read the engine's answer to {operation} {object}: {message}")]
    Unreadable {
        /// The call, as a verb.
        operation: &'static str,
        /// What it was about.
        object: String,
        /// What was wrong with it.
        message: String,
    },
}

impl EngineError {
    /// Whether the same call may succeed later without anybody changing the stack.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Unreadable { .. } => true,
            Self::PullFailed { transient, .. } => *transient,
            Self::Refused { status, .. } => *status >= 500,
            Self::PermissionDenied { .. }
            | Self::TooOld { .. }
            | Self::NotFound { .. }
            | Self::NameTaken { .. }
            | Self::PortTaken { .. } => false,
        }
    }
}
