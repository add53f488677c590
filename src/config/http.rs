//! Where the pages are served, and who may ask the API there.

use super::check::{At, from_file};
use super::login::{Secret, credential, exposed};
use super::{Flaw, raw};
use crate::model::Sensitive;
use std::net::SocketAddr;

const LISTEN: &str = "127.0.0.1:9184";
/// A token that is shorter may be guessed, in characters.
const SHORTEST_TOKEN: usize = 16;

/// Where the pages are served, and who may ask the API there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Http {
    /// Where; `None` when switched off.
    pub listen: Option<SocketAddr>,
    /// Where the token is; `None`: nothing can be changed over HTTP.
    pub token: Option<Secret>,
    /// Whether looking at the API takes the token, too.
    pub closed: bool,
}

pub(super) fn http(raw: &raw::Http, at: &At<'_>) -> Result<Http, Flaw> {
    let listen = listen(raw.listen.as_deref().unwrap_or(LISTEN), at)?;
    let token = match (&raw.token_file, &raw.credential) {
        (Some(_), Some(_)) => {
            return Err(at.wrong("http.credential", "keep it or `token_file`, not both"));
        }
        (Some(path), None) => Some(Secret::File(from_file(at, path))),
        (None, Some(name)) => Some(Secret::Credential(credential(name, "http", at)?)),
        (None, None) => None,
    };
    if listen.is_none() && token.is_some() {
        let what = "a token opens nothing, since `listen` is `off`; remove one of the two";
        return Err(at.wrong("http", what));
    }
    let closed = match raw.read.as_deref() {
        None | Some("open") => false,
        Some("token") if token.is_some() => true,
        Some("token") => {
            let what = "there is no token; name one with `token_file` or `credential`";
            return Err(at.wrong("http.read", what));
        }
        Some(other) => {
            let what = format!("`{other}` is neither `open` nor `token`");
            return Err(at.wrong("http.read", what));
        }
    };
    Ok(Http { listen, token, closed })
}

fn listen(text: &str, at: &At<'_>) -> Result<Option<SocketAddr>, Flaw> {
    if text == "off" {
        return Ok(None);
    }
    let what = format!("`{text}` is no address; write IP:PORT or `off`");
    text.parse().map(Some).map_err(|_| at.wrong("http.listen", what))
}

impl Http {
    /// Reads the token; `None` where there is none. The error names the file and holds nothing of it.
    pub fn read_token(&self) -> Option<Result<Sensitive<String>, String>> {
        let secret = self.token.as_ref()?;
        Some(secret.read().and_then(|token| {
            if token.expose().len() >= SHORTEST_TOKEN {
                return Ok(token);
            }
            Err(format!(
                "the token is shorter than {SHORTEST_TOKEN} characters, so it may be guessed; make one with \
                 `openssl rand -hex 32`"
            ))
        }))
    }

    /// The key in the configuration that names the token.
    pub(super) fn key(&self) -> &'static str {
        match &self.token {
            Some(Secret::Credential(_)) => "http.credential",
            Some(Secret::File(_)) | None => "http.token_file",
        }
    }

    /// That others than its owner may read the token.
    pub fn exposed_file(&self) -> Option<String> {
        self.token.as_ref().and_then(Secret::file).and_then(exposed)
    }
}
