//! What to follow of which repository, as the configuration or the command line says it.

use super::{Location, Reference, Verify};
use crate::model::{Sensitive, SourceName};

/// What to follow, and where it is.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The name of the source; its clone lies in a directory of this name.
    pub name: SourceName,
    /// Where the repository is.
    pub location: Location,
    /// What of it is followed.
    pub reference: Reference,
    /// The login, for remote repositories.
    pub credentials: Option<Credentials>,
    /// Whether the files of submodules belong to those of a revision.
    pub submodules: bool,
    /// Who must have signed a revision before it is shown.
    pub verify: Option<Verify>,
}

/// A user name and a password or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user. Many servers take any name beside a token.
    pub username: String,
    /// The password or token.
    pub password: Sensitive<String>,
}
