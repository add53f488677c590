//! What can go wrong with a source, told apart by what the user has to do. Never shows a login.

use super::verify::Flaw;
use git2::{ErrorClass, ErrorCode};
use std::io;
use std::time::Duration;

/// A source could not be read. Shows which source, what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {fault}")]
pub struct SourceError {
    /// The source as people know it: its name, if it has one, and its location.
    pub at: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The path or URL leads nowhere.
    #[error("there is nothing at this address; correct it, or create the repository")]
    NotFound,
    /// The server answers "not found", which some say of private repositories too.
    #[error(
        "the server has no such repository (HTTP 404), or hides it from who may not read it; \
         correct the URL, or the login and what it may read"
    )]
    NotServed,
    /// The path exists and is something else.
    #[error("this is not a git repository; correct the path, or run `git init` in it")]
    NotARepository,
    /// Git refuses to read a repository of another user.
    #[error(
        "the repository belongs to another user, so git refuses to read it; \
         run `git config --system --add safe.directory {path}` if you trust it"
    )]
    NotOwned {
        /// Where it is.
        path: String,
    },
    /// The server asks for a login and none was given.
    #[error("the server asks for a login (HTTP {status}); set the source's `auth`")]
    LoginMissing {
        /// 401 or 403.
        status: u16,
    },
    /// The server does not accept the login.
    #[error(
        "the server does not accept the login (HTTP {status}); correct the user name, the password \
         or token, and what it may read"
    )]
    AuthenticationFailed {
        /// 401 or 403.
        status: u16,
    },
    /// The server leads elsewhere, where the login is not shown and one is asked for.
    #[error(
        "the server redirects to {at}, which asks for a login (HTTP {status}), and the source's is not shown \
         there; write that address as the source's url"
    )]
    LoginLeftBehind {
        /// 401 or 403.
        status: u16,
        /// Scheme, host and port, and on the same server the path.
        at: String,
    },
    /// The host's key is not known, or another one than before.
    #[error(
        "the host is not trusted: {why}; compare its key with what its owner publishes, and put that into \
         the known_hosts file"
    )]
    HostKey {
        /// The words of ssh.
        why: String,
    },
    /// No key that is at hand opens the repository.
    #[error("the server does not accept the key: {why}; correct the key, or what it may read")]
    KeyRefused {
        /// The words of ssh.
        why: String,
    },
    /// There is no `ssh` here.
    #[error("there is no program `ssh` on this host; install OpenSSH's client")]
    NoSsh,
    /// The branch, tag or commit does not exist.
    #[error("there is no {wanted}; {exists}")]
    UnknownReference {
        /// What was asked for: "branch main".
        wanted: String,
        /// What there is instead.
        exists: String,
    },
    /// The repository has no commit.
    #[error("the repository is empty; push a first commit")]
    Empty,
    /// A commit that was here once, or never.
    #[error(
        "there is no commit {revision} in the clone: it was never fetched, or its history was rewritten \
         and nothing ran well at it; name another commit"
    )]
    Gone {
        /// Its id.
        revision: String,
    },
    /// The server cannot be reached, or fails by itself.
    #[error("cannot be reached: {why}; it is tried again")]
    Unreachable {
        /// The system's or the server's words.
        why: String,
    },
    /// The server says no in git's own words.
    #[error("the server refuses: {why}")]
    Refused {
        /// Its words.
        why: String,
    },
    /// Nothing came for too long, or all of it took too long.
    #[error("gave up after {} s of {during}; it is tried again", .after.as_secs_f32())]
    TimedOut {
        /// What was waited for.
        during: &'static str,
        /// How long.
        after: Duration,
    },
    /// The server's certificate is not accepted, or there is no TLS at all.
    #[error("no trusted TLS connection: {why}")]
    Tls {
        /// What is wrong and what to do.
        why: String,
    },
    /// The file with the authorities to trust cannot be used.
    #[error("cannot trust the authorities in {path}: {what}")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The proxy is away, or lets nobody through.
    #[error("the proxy {proxy} {why}")]
    Proxy {
        /// Where it is; without its login.
        proxy: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The server answers something else than git.
    #[error("the server does not speak git's smart protocol there: {why}; correct the URL")]
    NotGit {
        /// What came instead.
        why: String,
    },
    /// The answer is larger than is accepted.
    #[error(
        "the repository is larger than the {limit} bytes that are accepted; split it, or raise `limits.max_size`"
    )]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// The repository uses something that this version cannot read.
    #[error("{what} is not supported")]
    Unsupported {
        /// The feature.
        what: String,
    },
    /// What came, or what was there, is damaged.
    #[error("the repository is damaged: {why}; run `git fsck` on it")]
    Corrupt {
        /// The library's words.
        why: String,
    },
    /// A submodule that nobody means well with, or a file of them that cannot be read.
    #[error("{at}: {what}; what was there stays")]
    Modules {
        /// The file, its line, and the submodule.
        at: String,
        /// What is wrong.
        what: String,
    },
    /// A submodule's commit cannot be had.
    #[error("{at} ({location}): {fault}{}{}; what was there stays", if .hint.is_some() { "; " } else { "" },
        .hint.unwrap_or_default())]
    Submodule {
        /// The file, its line, and the submodule.
        at: String,
        /// Where its repository is.
        location: String,
        /// What is wrong with that.
        fault: Box<Fault>,
        /// Why a login was not shown that it asks for.
        hint: Option<&'static str>,
    },
    /// A revision that is to be verified is not signed by somebody who is known.
    #[error(
        "{what} is not taken, what was there stays: {flaw}; sign it with a known key, or correct the \
         keys of the source's `verify`"
    )]
    Unverified {
        /// "commit 1a2b3c4", "tag v1".
        what: String,
        /// What was found.
        flaw: Box<Flaw>,
    },
    /// The keys to verify with cannot be read.
    #[error("cannot verify with the keys in {path}: {what}")]
    Keys {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The caller asked to stop.
    #[error("stopped on request")]
    Cancelled,
    /// Files here could not be read or written.
    #[error("cannot {doing}: {why}")]
    Io {
        /// What was tried, on which path.
        doing: String,
        /// The system's words.
        why: String,
    },
}

impl Fault {
    pub(super) fn io(doing: impl Into<String>, error: &io::Error) -> Self {
        Self::Io { doing: doing.into(), why: advised(&error.to_string()) }
    }

    /// Of an error of libgit2 while it worked on a repository. What is neither the system's nor the
    /// caller's doing is damage.
    pub(super) fn git(doing: &str, error: &git2::Error) -> Self {
        let why = error.message().to_owned();
        match (error.code(), error.class()) {
            (ErrorCode::User, _) => Self::Cancelled,
            (_, ErrorClass::Os | ErrorClass::Filesystem | ErrorClass::Checkout) => {
                Self::Io { doing: doing.to_owned(), why: advised(&why) }
            }
            _ => Self::Corrupt { why: format!("cannot {doing}: {why}") },
        }
    }

    /// Takes out what [`Fault::into_io`] put in; other errors are the connection's.
    pub(super) fn from_io(error: io::Error) -> Self {
        let why = error.to_string();
        match error.downcast() {
            Ok(fault) => fault,
            Err(_) => Self::Unreachable { why },
        }
    }

    /// Sends a fault through an interface that knows only [`io::Error`].
    pub(super) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}

/// The system's words, and what to do where that is known.
fn advised(why: &str) -> String {
    let is_full = why.contains("No space left on device");
    if is_full { format!("{why}; make room, it is tried again") } else { why.to_owned() }
}
