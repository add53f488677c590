//! What to follow of which repository, as the configuration or the command line says it.

use super::{Location, Reference, Verify};
use crate::model::{Sensitive, SourceName};
use url::Url;

/// What to follow, and where it is.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The name of the source; its clone lies in a directory of this name.
    pub name: SourceName,
    /// Where the repository is.
    pub location: Location,
    /// What of it is followed.
    pub reference: Reference,
    /// The logins, for remote repositories.
    pub credentials: Option<Logins>,
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

/// The logins that are known for the repositories of one host: the first that fits a repository counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logins(Vec<Login>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// The path of the one repository that it is for; empty: for all.
    pub(super) path: String,
    pub(super) credentials: Credentials,
}

impl From<Credentials> for Logins {
    fn from(credentials: Credentials) -> Self {
        Self(vec![Login { path: String::new(), credentials }])
    }
}

impl Logins {
    /// One more: where the url `of` has a path, for the repository there alone.
    pub fn add(&mut self, of: &Url, credentials: Credentials) {
        self.0.push(Login { path: path(of).to_owned(), credentials });
    }

    /// The login for the repository at `url`.
    pub fn towards(&self, url: &Url) -> Option<&Credentials> {
        self.fitting(url).map(|it| &it.credentials)
    }

    pub(super) fn fitting(&self, url: &Url) -> Option<&Login> {
        self.0.iter().find(|it| it.path.is_empty() || it.path == path(url))
    }
}

fn path(url: &Url) -> &str {
    url.path().trim_matches('/')
}
