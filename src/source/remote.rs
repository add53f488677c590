//! The repository that is followed, wherever it is. Decides nothing.

use super::error::Fault;
use super::http::Server;
use super::limits::Attempt;
use super::local;
use super::location::Location;
use super::mirror::Mirror;
use super::select::{Offer, Wanted};
use super::spec::Spec;
use git2::Oid;
use std::path::Path;

/// A way to a repository; ssh will be another.
pub(super) enum Remote<'a> {
    Local(&'a Path),
    Http(Box<Server>),
}

impl<'a> Remote<'a> {
    /// Of `spec`; `authorities` is a file of further certificates to trust.
    pub(super) fn of(spec: &'a Spec, authorities: Option<&Path>) -> Result<Self, Fault> {
        match &spec.location {
            Location::Local(path) => Ok(Self::Local(path)),
            Location::Remote(url) => {
                let server = Server::new(url.clone(), spec.credentials.as_ref(), authorities)?;
                Ok(Self::Http(Box::new(server)))
            }
        }
    }

    /// What it offers.
    pub(super) fn list(&mut self, attempt: &Attempt<'_>) -> Result<Offer, Fault> {
        match self {
            Self::Local(path) => local::list(path),
            Self::Http(server) => server.list(attempt),
        }
    }

    /// Fetches `wanted` into `mirror`; the object that came.
    pub(super) fn fetch(
        &self,
        wanted: &Wanted,
        mirror: &Mirror,
        attempt: &Attempt<'_>,
    ) -> Result<Oid, Fault> {
        match self {
            Self::Local(path) => local::fetch(path, wanted, &mirror.repository, attempt),
            Self::Http(server) => server.fetch(wanted, mirror, attempt),
        }
    }
}
