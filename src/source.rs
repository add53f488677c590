//! Git repositories: a [`Spec`] to a [`Checkout`], and the stacks in it. The one door to git.
//!
//! Local repositories are fetched by libgit2, remote ones over smart HTTP (`http`), whose packs
//! libgit2 stores. Nothing here knows what a stack is beyond the names of its files.

mod discover;
mod error;
mod http;
mod local;
mod location;
mod remote;
mod repository;
mod watch;

pub use discover::{Discovery, Found, Trouble, discover};
pub use error::SourceError;
pub use location::{InvalidLocation, Location, Reference};
pub use repository::{Checkout, Credentials, Repository, Spec, revision_of};
pub use watch::{Watch, watch};
