//! What can go wrong with a repository. No message holds a credential.

use std::path::PathBuf;

/// A source could not be brought up to date. What was fetched before stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing at that path.
    #[error(
        "there is no repository at {location}: {cause}; correct the url, or make the repository"
    )]
    NotFound {
        /// Where.
        location: String,
        /// What the system or server said.
        cause: String,
    },
    /// Something else answers there.
    #[error("{location} is no git repository: {cause}")]
    NotGit {
        /// Where.
        location: String,
        /// What was seen.
        cause: String,
    },
    /// The repository has no commit.
    #[error("the repository at {location} is empty; commit something to it")]
    Empty {
        /// Where.
        location: String,
    },
    /// The branch, tag or commit is not there.
    #[error("{location} has no {wanted}; it has {known}")]
    UnknownReference {
        /// Where.
        location: String,
        /// What was asked for.
        wanted: String,
        /// Some that exist.
        known: String,
    },
    /// The server wants other credentials, or any.
    #[error("{location} refuses the login ({status}); check `auth`: user name and password file")]
    AuthenticationFailed {
        /// Where.
        location: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server cannot be reached, broke off or answered with an error.
    #[error("cannot reach {location}: {cause}")]
    Unreachable {
        /// Where.
        location: String,
        /// Why.
        cause: String,
    },
    /// More than we take.
    #[error("{location} sends more than {bound} bytes; a source of stacks should be smaller")]
    TooLarge {
        /// Where.
        location: String,
        /// The bound.
        bound: u64,
    },
    /// The clone is damaged; it is made anew at the next try.
    #[error("the clone {} is damaged: {cause}; it is made anew", path.display())]
    Corrupt {
        /// The clone.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The state directory cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The caller gave up.
    #[error("stopped while fetching {location}")]
    Cancelled {
        /// Where.
        location: String,
    },
}
