//! Git repositories of stacks, as values: a [`Repository`] is asked to [`sync`](Repository::sync)
//! and answers with a [`Checkout`], a revision and a directory. Knows nothing of what is in it
//! beyond the names of files, and never writes to a repository that it follows.
//!
//! State of one source, below the state directory: `NAME/git` the clone, `NAME/checkout` the files
//! of one commit, `NAME/lock`. The checkout keeps its path over all revisions, so that bind mounts
//! of its directories do not go stale, and files that do not change keep their inode.

mod checkout;
mod discover;
mod error;
mod http;
mod limits;
mod local;
mod location;
mod mirror;
mod mounted;
mod read;
mod remote;
mod repository;
mod revision;
mod select;
mod spec;
mod watch;

pub use discover::{Discovery, Found, Trouble, discover};
pub use error::{Fault, SourceError};
pub use limits::Limits;
pub use location::{InvalidLocation, Location, Reference};
pub use mounted::digest_mounted;
pub use read::{read, read_within};
pub use repository::{Checkout, Repository};
pub use revision::revision_of;
pub use spec::{Credentials, Spec};
pub use watch::{Watch, watch};
