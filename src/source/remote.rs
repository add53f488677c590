//! The repository that is followed, wherever it is. Decides nothing.

use super::daemon;
use super::error::Fault;
use super::http::{Server, Way};
use super::limits::Attempt;
use super::local;
use super::location::Location;
use super::mirror::{Known, Mirror};
use super::select::{Offer, Wanted};
use super::spec::Spec;
use super::ssh::{self, Ssh};
use git2::Oid;
use std::path::Path;

/// A way to a repository.
pub(super) enum Remote<'a> {
    Local(&'a Path),
    Http(Box<Server>),
    Daemon(daemon::Server<'a>),
    Ssh(ssh::Server<'a>),
}

impl<'a> Remote<'a> {
    /// Of `spec`; `way` is how a server is reached over http(s), `ssh` how to log in by that.
    pub(super) fn of(spec: &'a Spec, way: &Way, ssh: &'a Ssh) -> Result<Self, Fault> {
        match &spec.location {
            Location::Local(path) => Ok(Self::Local(path)),
            Location::Remote(url) if url.scheme() == "git" => {
                Ok(Self::Daemon(daemon::Server::new(url)))
            }
            Location::Remote(url) => {
                let login = spec.credentials.as_ref().and_then(|logins| logins.fitting(url));
                Ok(Self::Http(Box::new(Server::new(url.clone(), login, way)?)))
            }
            Location::Ssh(address) => Ok(Self::Ssh(ssh::Server::new(address, ssh))),
        }
    }

    /// What it offers.
    pub(super) fn list(&mut self, attempt: &Attempt<'_>) -> Result<Offer, Fault> {
        match self {
            Self::Local(path) => local::list(path),
            Self::Http(server) => server.list(attempt),
            Self::Daemon(server) => server.list(attempt),
            Self::Ssh(server) => server.list(attempt),
        }
    }

    /// Fetches `wanted` into `mirror`, where `known` is; the object that came.
    pub(super) fn fetch(
        &self,
        wanted: &Wanted,
        known: &Known,
        mirror: &Mirror,
        attempt: &Attempt<'_>,
    ) -> Result<Oid, Fault> {
        match self {
            Self::Local(path) => local::fetch(path, wanted, &mirror.repository, attempt),
            Self::Http(server) => server.fetch(wanted, known, mirror, attempt),
            Self::Daemon(server) => server.fetch(wanted, known, mirror, attempt),
            Self::Ssh(server) => server.fetch(wanted, known, mirror, attempt),
        }
    }
}
