//! Git repositories of stacks, as values: a [`Repository`] is asked to [`sync`](Repository::sync)
//! and answers with a [`Checkout`], a revision and a directory. Knows nothing of what is in it
//! beyond the names of files, and never writes to a repository that it follows.
//!
//! State of one source, below the state directory: `NAME/git` the clone, `NAME/checkout` the files
//! of one commit, `NAME/laid` which of them are shown as they were at a former one, `NAME/lock` for
//! whoever syncs and `NAME/hold` for whoever uses the checkout. The checkout keeps its path over all
//! revisions, so that bind mounts of its directories do not go stale, and files that do not change keep
//! their inode. What a commit holds is read as [`Files`], under the paths of the checkout whether or not
//! it shows that commit.

mod carry;
mod checkout;
mod daemon;
mod describe;
mod discover;
mod error;
mod files;
mod former;
mod home;
mod http;
mod kept;
mod laid;
mod limits;
mod local;
mod location;
mod mirror;
mod modules;
mod mounted;
mod place;
mod read;
mod remote;
mod repository;
mod revision;
mod select;
mod smart;
mod spec;
mod ssh;
mod verify;
mod view;
mod watch;
mod work;

pub use discover::{Discovery, Found, Trouble, discover};
pub use error::{Fault, SourceError};
pub use files::Files;
pub use http::{Proxy, check_authorities};
pub use laid::{Laid, Layer};
pub use limits::Limits;
pub use location::{InvalidLocation, Location, Reference, SshAddress};
pub use mounted::digest_mounted;
pub use read::{read, read_within};
pub use repository::{Checkout, Repository};
pub use revision::revision_of;
pub use spec::{Credentials, Logins, Spec};
pub use ssh::Ssh;
pub use verify::{Flaw, Key, Verified, Verify, VerifyMode};
pub use watch::{Watch, watch};
