//! A repository behind `http://` or `https://` (git's Documentation/gitprotocol-http).

mod exchange;
mod fault;
mod proxy;
mod redirect;
mod tls;
mod trust;

pub use proxy::Proxy;
pub use trust::check_authorities;

use super::error::Fault;
use super::limits::Attempt;
use super::mirror::{Known, Mirror};
use super::select::{Offer, Wanted};
use super::smart::{Advertised, Bound, read_advertised, receive, request};
use super::spec::Login;
use base64::Engine as _;
use exchange::{Answer, Ask, Client};
use git2::Oid;
use redirect::{Authorization, Place};
use std::path::PathBuf;
use trust::Trust;
use url::Url;

/// How a server is reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    /// The file with the authorities to trust; `None`: those that the host trusts.
    pub(super) authorities: Option<PathBuf>,
    pub(super) proxy: Proxy,
}

/// A repository on a server.
pub(super) struct Server {
    /// Where it is, and with which login.
    place: Place,
    client: Client,
    /// What the server said, and where that was in the end, as git has it.
    heard: Option<(Advertised, Place)>,
}

impl Server {
    pub(super) fn new(url: Url, login: Option<&Login>, way: &Way) -> Result<Self, Fault> {
        let authorization = login.map(|Login { path, credentials }| {
            let pair = format!("{}:{}", credentials.username, credentials.password.expose());
            let header = base64::engine::general_purpose::STANDARD.encode(pair);
            Authorization { header: format!("Basic {header}"), path: path.clone() }
        });
        let client = Client::new(Trust::of(way.authorities.as_deref())?, way.proxy.clone());
        Ok(Self { place: Place { url, authorization }, client, heard: None })
    }

    /// What the repository offers.
    pub(super) fn list(&mut self, attempt: &Attempt<'_>) -> Result<Offer, Fault> {
        let mut place = below(&self.place, "/info/refs");
        place.url.set_query(Some("service=git-upload-pack"));
        let accept = "application/x-git-upload-pack-advertisement";
        let ask = Ask { place, accept, body: None };
        let mut answer = self.ask(ask, Bound::LISTING, attempt)?;
        let mut served = answer.head.place.clone();
        let Some(path) = served.url.path().strip_suffix("/info/refs").map(str::to_owned) else {
            return Err(Fault::NotGit { why: "it redirects elsewhere".into() });
        };
        served.url.set_path(&path);
        let advertised = read_advertised(&mut answer.body)?;
        let offer = advertised.offer.clone();
        self.heard = Some((advertised, served));
        Ok(offer)
    }

    /// Fetches `wanted` into `mirror`; call [`Server::list`] before.
    pub(super) fn fetch(
        &self,
        wanted: &Wanted,
        known: &Known,
        mirror: &Mirror,
        attempt: &Attempt<'_>,
    ) -> Result<Oid, Fault> {
        let Some((advertised, served)) = &self.heard else {
            return Err(Fault::NotGit { why: "it was not asked what it offers".into() });
        };
        let request = request(advertised, wanted, known)?;
        let place = below(served, "/git-upload-pack");
        let accept = "application/x-git-upload-pack-result";
        let ask = Ask { place, accept, body: Some(request.body) };
        let mut answer = self.ask(ask, Bound::Objects, attempt)?;
        receive(&mut answer.body, request.shallow, known, mirror)?;
        Ok(wanted.id)
    }

    /// Asks, and checks that the answer is git's.
    fn ask<'a>(&self, ask: Ask, bound: Bound, attempt: &Attempt<'a>) -> Result<Answer<'a>, Fault> {
        let accept = ask.accept;
        let answer = self.client.send(ask, bound, attempt)?;
        match answer.head.status {
            200 if answer.head.content_type == accept => Ok(answer),
            200 => Err(Fault::NotGit {
                why: format!("the answer is `{}` instead of `{accept}`", answer.head.content_type),
            }),
            status @ (401 | 403) => Err(match (&self.place, &answer.head.place) {
                (Place { authorization: None, .. }, _) => Fault::LoginMissing { status },
                (_, Place { authorization: Some(_), .. }) => Fault::AuthenticationFailed { status },
                (from, Place { url, .. }) => {
                    let origin = url.origin();
                    // To the login of one repository another one of its server is elsewhere.
                    let is_here = origin == from.url.origin();
                    let path = if is_here { url.path().trim_end_matches("/info/refs") } else { "" };
                    let at = format!("{}{path}", origin.ascii_serialization());
                    Fault::LoginLeftBehind { status, at }
                }
            }),
            404 | 410 => Err(Fault::NotServed),
            status @ (408 | 429 | 500..) => {
                Err(Fault::Unreachable { why: format!("the server answers HTTP {status}") })
            }
            status => Err(Fault::NotGit { why: format!("the answer is HTTP {status}") }),
        }
    }
}

/// What lies in the repository at `place`.
fn below(place: &Place, path: &str) -> Place {
    let mut place = place.clone();
    let base = place.url.path().trim_end_matches('/').to_owned();
    place.url.set_path(&format!("{base}{path}"));
    place.url.set_query(None);
    place
}
