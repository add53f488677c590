//! How the server of a source is reached, and what it may send: certificates, a proxy, bounds.

use super::check::{At, from_file};
use super::login::user;
use super::{Flaw, Secret, raw};
use crate::source::{Credentials, Limits, Location, Proxy, check_authorities};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The least time that a fetch gets.
const SHORTEST: Duration = Duration::from_secs(1);
/// The least that a repository may have; a smaller number is one without its unit.
const SMALLEST: u64 = 64 << 10;

/// How a server is reached over http(s).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The file with the authorities that its certificate is from; `None`: those that the host trusts.
    pub ca_file: Option<PathBuf>,
    /// Through which proxy.
    pub proxy: Through,
}

/// Through what a server is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Through {
    /// What the agent's environment says: `HTTPS_PROXY`, `NO_PROXY` and so on.
    #[default]
    Environment,
    /// Nothing, whatever the environment says.
    Nothing,
    /// A proxy, perhaps with a login.
    Proxy {
        /// Where it is; holds no login.
        url: Url,
        /// The user, and where the password is.
        login: Option<(String, Secret)>,
    },
}

pub(super) fn reach(
    raw: &raw::Source,
    location: &Location,
    field: &str,
    at: &At<'_>,
) -> Result<Reach, Flaw> {
    let written = [
        ("tls", raw.tls.is_some()),
        ("proxy", raw.proxy.is_some()),
        ("proxy_auth", raw.proxy_auth.is_some()),
    ];
    if !matches!(location, Location::Remote(_))
        && let Some((key, _)) = written.into_iter().find(|(_, is_written)| *is_written)
    {
        let what = "is for repositories over https; remove it";
        return Err(at.wrong(&format!("{field}.{key}"), what));
    }
    let ca_file = raw.tls.as_ref().and_then(|tls| tls.ca_file.as_deref());
    let proxy = through(raw.proxy.as_deref(), &format!("{field}.proxy"), at)?;
    let proxy = match (&raw.proxy_auth, proxy) {
        (None, proxy) => proxy,
        (Some(auth), Through::Proxy { url, .. }) => {
            let username = user(&auth.username, &format!("{field}.proxy_auth.username"), at)?;
            let password = Secret::File(from_file(at, &auth.password_file));
            Through::Proxy { url, login: Some((username, password)) }
        }
        (Some(_), _) => {
            let what = "there is no proxy to log in to; name it as `proxy`";
            return Err(at.wrong(&format!("{field}.proxy_auth"), what));
        }
    };
    Ok(Reach { ca_file: ca_file.map(|path| from_file(at, path)), proxy })
}

fn through(text: Option<&str>, field: &str, at: &At<'_>) -> Result<Through, Flaw> {
    let Some(text) = text else { return Ok(Through::Environment) };
    if text == "off" {
        return Ok(Through::Nothing);
    }
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http");
    // Its text is not shown: a password may stand in it.
    let Some(url) = url.filter(|url| matches!(url.path(), "" | "/") && url.query().is_none())
    else {
        return Err(at.wrong(field, "is no proxy; write http://HOST:PORT or `off`"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let what = "holds a login; write `proxy_auth: { username: USER, password_file: FILE }`";
        return Err(at.wrong(field, what));
    }
    Ok(Through::Proxy { url, login: None })
}

pub(super) fn limits(raw: Option<&raw::Limits>, field: &str, at: &At<'_>) -> Result<Limits, Flaw> {
    let mut limits = Limits::default();
    let Some(raw) = raw else { return Ok(limits) };
    if let Some(raw::Size(bytes)) = raw.max_size {
        if bytes < SMALLEST {
            let what = format!("{bytes} bytes are too few; write `64k` or more");
            return Err(at.wrong(&format!("{field}.max_size"), what));
        }
        limits.bytes = bytes;
    }
    if let Some(raw::Span(whole)) = raw.timeout {
        if whole < SHORTEST {
            return Err(at.wrong(&format!("{field}.timeout"), "is too short; write `1s` or more"));
        }
        limits.whole = whole;
    }
    Ok(limits)
}

impl Reach {
    /// The proxy with the login of now.
    pub fn proxy(&self) -> Result<Proxy, String> {
        Ok(match &self.proxy {
            Through::Environment => Proxy::Environment,
            Through::Nothing => Proxy::Off,
            Through::Proxy { url, login } => {
                let login = login.as_ref().map(|(username, password)| {
                    let (username, password) = (username.clone(), password.read()?);
                    Ok::<_, String>(Credentials { username, password })
                });
                Proxy::Server { url: url.clone(), login: login.transpose()? }
            }
        })
    }

    /// What is wrong with the files, and the key that names the one.
    pub(super) fn check_files(&self) -> Result<(), (&'static str, String)> {
        if let Some(path) = &self.ca_file {
            check_authorities(path).map_err(|fault| ("tls.ca_file", fault.to_string()))?;
        }
        self.proxy().map(drop).map_err(|error| ("proxy_auth.password_file", error))
    }
}
