//! A repository behind `http://` or `https://` (git's Documentation/gitprotocol-http).

mod exchange;
mod fault;
mod proxy;
mod tls;
mod trust;

pub use proxy::Proxy;
pub use trust::check_authorities;

use super::error::Fault;
use super::limits::Attempt;
use super::mirror::{Known, Mirror};
use super::select::{Offer, Wanted};
use super::smart::{ADVERTISEMENT, Advertised, read_advertised, receive, request};
use super::spec::Credentials;
use base64::Engine as _;
use exchange::{Answer, Ask, Client};
use git2::Oid;
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
    url: Url,
    client: Client,
    /// The value of the header `Authorization`. It goes to the host of `url` only.
    authorization: Option<String>,
    /// What the server said, and where it was in the end.
    heard: Option<(Advertised, Url)>,
}

impl Server {
    pub(super) fn new(url: Url, login: Option<&Credentials>, way: &Way) -> Result<Self, Fault> {
        let authorization = login.map(|login| {
            let pair = format!("{}:{}", login.username, login.password.expose());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        });
        let trust = Trust::of(way.authorities.as_deref())?;
        let client = Client::new(trust, way.proxy.towards(&url)?);
        Ok(Self { url, client, authorization, heard: None })
    }

    /// What the repository offers.
    pub(super) fn list(&mut self, attempt: &Attempt<'_>) -> Result<Offer, Fault> {
        let url = format!("{}/info/refs?service=git-upload-pack", base(&self.url));
        let ask = Ask {
            url,
            accept: "application/x-git-upload-pack-advertisement",
            authorization: self.authorization.clone(),
            body: None,
        };
        let mut answer = self.ask(ask, ADVERTISEMENT, attempt)?;
        let served = Url::parse(&answer.head.url).ok().and_then(|url| {
            let path = url.path().strip_suffix("/info/refs")?.to_owned();
            let mut served = url;
            served.set_path(&path);
            served.set_query(None);
            Some(served)
        });
        let served =
            served.ok_or_else(|| Fault::NotGit { why: "it redirects elsewhere".into() })?;
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
        let same_host = served.origin() == self.url.origin();
        let ask = Ask {
            url: format!("{}/git-upload-pack", base(served)),
            accept: "application/x-git-upload-pack-result",
            authorization: self.authorization.clone().filter(|_| same_host),
            body: Some(request.body),
        };
        let mut answer = self.ask(ask, attempt.limits.bytes, attempt)?;
        receive(&mut answer.body, request.shallow, known, mirror)?;
        Ok(wanted.id)
    }

    /// Asks, and checks that the answer is git's.
    fn ask<'a>(&self, ask: Ask, limit: u64, attempt: &Attempt<'a>) -> Result<Answer<'a>, Fault> {
        let accept = ask.accept;
        let answer = self.client.send(ask, limit, attempt)?;
        match answer.head.status {
            200 if answer.head.content_type == accept => Ok(answer),
            200 => Err(Fault::NotGit {
                why: format!("the answer is `{}` instead of `{accept}`", answer.head.content_type),
            }),
            status @ (401 | 403) if self.authorization.is_some() => {
                Err(Fault::AuthenticationFailed { status })
            }
            status @ (401 | 403) => Err(Fault::LoginMissing { status }),
            404 | 410 => Err(Fault::NotServed),
            status @ (408 | 429 | 500..) => {
                Err(Fault::Unreachable { why: format!("the server answers HTTP {status}") })
            }
            status => Err(Fault::NotGit { why: format!("the answer is HTTP {status}") }),
        }
    }
}

fn base(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}
