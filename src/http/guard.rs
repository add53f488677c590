//! Who may ask the API over HTTP, and for what: anybody may look, unless told otherwise; to change
//! something takes the token. Pages in a browser get nowhere by a name that is made to lead here.

use crate::model::Sensitive;
use crate::status::Caller;
use axum::Json;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

/// How a wrong or missing token is answered, by RFC 6750.
const CHALLENGE: &str = r#"Bearer realm="bowline""#;
const WRONG: &str = r#"Bearer realm="bowline", error="invalid_token""#;

/// The token as it is now; the error says why it is not known, and may name files of the host.
pub type Token = Box<dyn Fn() -> BoxFuture<'static, Found> + Send + Sync>;
/// What is found where the token is kept.
pub type Found = Result<Sensitive<String>, String>;

/// Who may ask what.
#[derive(Default)]
pub struct Access {
    /// The token; `None`: nothing can be changed over HTTP.
    pub token: Option<Token>,
    /// Whether looking takes the token, too.
    pub closed: bool,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "(not shown)");
        f.debug_struct("Access").field("token", &token).field("closed", &self.closed).finish()
    }
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Who asks.
    pub(super) peer: SocketAddr,
    /// Where it asks.
    pub(super) local: SocketAddr,
}

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It takes the token, and none came.
    NoToken,
    /// Another token came.
    WrongToken,
    /// There is no token, so nobody has the right.
    ReadOnly,
    /// The token is not known for now, and why: for the log alone.
    Unknown(String),
    /// A name that may belong to anybody leads here.
    ForeignName,
}

impl Access {
    /// Looks the token up, if `request` shows one to be compared with it.
    pub(super) fn reading<B>(&self, request: &Request<B>) -> Option<BoxFuture<'static, Found>> {
        let token = self.token.as_ref()?;
        matches!(shown_in(request.headers()), Shown::Token(_)).then(token)
    }

    /// Who asks, if it is let in. `found`: what [`Access::reading`] came to.
    pub(super) fn admit<B>(
        &self,
        request: &Request<B>,
        ends: Option<Ends>,
        found: Option<Found>,
    ) -> Result<Caller, Refused> {
        let looks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
        let peer = ends.map_or_else(|| "somebody".to_owned(), |ends| ends.peer.ip().to_string());
        let shown = shown_in(request.headers());
        match (&self.token, shown) {
            (Some(_), Shown::Token(shown)) => {
                let found = found.unwrap_or_else(|| Err("it was not looked up".to_owned()));
                let token = found.map_err(Refused::Unknown)?;
                if !is_same(shown, token.expose()) {
                    return Err(Refused::WrongToken);
                }
                Ok(Caller(format!("the token's bearer at {peer}")))
            }
            (Some(_), Shown::Other) => Err(Refused::WrongToken),
            (Some(_), Shown::Nothing) if self.closed || !looks => Err(Refused::NoToken),
            (None, _) if !looks => Err(Refused::ReadOnly),
            (None, _) | (Some(_), Shown::Nothing) => {
                let is_local =
                    ends.is_some_and(|ends| ends.local.ip().to_canonical().is_loopback());
                if is_local && !is_own_name(request) {
                    return Err(Refused::ForeignName);
                }
                Ok(Caller(format!("somebody at {peer}")))
            }
        }
    }
}

/// What a request shows to be let in.
enum Shown<'a> {
    Nothing,
    Token(&'a [u8]),
    /// What is no token.
    Other,
}

fn shown_in(headers: &HeaderMap) -> Shown<'_> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (all.next(), all.next());
    let Some(value) = first else { return Shown::Nothing };
    let value = value.as_bytes();
    let is_bearer = value.get(..7).is_some_and(|it| it.eq_ignore_ascii_case(b"Bearer "));
    if !is_bearer || second.is_some() { Shown::Other } else { Shown::Token(&value[7..]) }
}

/// Whether both are the same, in a time that tells nothing of either.
fn is_same(shown: &[u8], token: &str) -> bool {
    let digest = |bytes: &[u8]| Sha256::digest(bytes);
    !token.is_empty() && bool::from(digest(shown).ct_eq(&digest(token.as_bytes())))
}

/// Whether a request names its host by an address, or as the loopback: no other name is surely ours.
fn is_own_name<B>(request: &Request<B>) -> bool {
    let mut named = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return false };
    let Some(host) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let name = host.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

impl Refused {
    /// What is wrong and what to do, for who asked.
    fn told(&self) -> &'static str {
        match self {
            Self::NoToken => {
                "this takes the token: send `Authorization: Bearer TOKEN`, with what stands in the \
                 agent's `http.token_file`, or ask at the agent's socket"
            }
            Self::WrongToken => {
                "this is not the token; send what stands in the agent's `http.token_file` as \
                 `Authorization: Bearer TOKEN`"
            }
            Self::ReadOnly => {
                "nothing can be changed over HTTP, since the agent has no token; name a file of one as \
                 `http.token_file` in its configuration, or ask at the agent's socket"
            }
            Self::Unknown(_) => {
                "the agent cannot read its token now; its log says why. Ask at the agent's socket"
            }
            Self::ForeignName => {
                "the `Host` of this request is a name that may belong to anybody; ask by an address or as \
                 `localhost`, or send the token"
            }
        }
    }

    /// What the log says.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Unknown(why) => why,
            Self::NoToken | Self::WrongToken | Self::ReadOnly | Self::ForeignName => self.told(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::ReadOnly => StatusCode::FORBIDDEN,
            Self::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::ForeignName => StatusCode::MISDIRECTED_REQUEST,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let told = trouble(self.status(), self.told());
        match self {
            Self::NoToken => ([(header::WWW_AUTHENTICATE, CHALLENGE)], told).into_response(),
            Self::WrongToken => ([(header::WWW_AUTHENTICATE, WRONG)], told).into_response(),
            Self::Unknown(_) => ([(header::RETRY_AFTER, "10")], told).into_response(),
            Self::ReadOnly | Self::ForeignName => told,
        }
    }
}

/// Trouble as the API tells it.
pub(super) fn trouble(status: StatusCode, what: &str) -> Response {
    (status, super::pages::guards(), Json(json!({ "error": what }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{FutureExt, ready};

    const TOKEN: &str = "0123456789abcdef";

    fn access(closed: bool) -> Access {
        let token: Token = Box::new(|| ready(Ok(Sensitive::new(TOKEN.to_owned()))).boxed());
        Access { token: Some(token), closed }
    }

    fn admit(
        access: &Access,
        request: &Request<()>,
        ends: Option<Ends>,
    ) -> Result<Caller, Refused> {
        let found = access.reading(request).map(|reading| reading.now_or_never().unwrap());
        access.admit(request, ends, found)
    }

    #[allow(clippy::unnecessary_wraps)] // As who admits wants it.
    fn ends(local: &str) -> Option<Ends> {
        let peer = "192.0.2.7:5000".parse().unwrap();
        Some(Ends { peer, local: local.parse().unwrap() })
    }

    fn asked(method: &str, host: &str, authorization: &[&str]) -> Request<()> {
        let request = Request::builder().method(method).uri("/v1/status").header("host", host);
        authorization
            .iter()
            .fold(request, |request, value| request.header("authorization", *value))
            .body(())
            .unwrap()
    }

    #[test]
    fn who_shows_the_token_may_do_all_and_others_look_at_most() {
        let right = format!("Bearer {TOKEN}");
        for (closed, method, shown, expected) in [
            (false, "GET", vec![], None),
            (false, "HEAD", vec![], None),
            (false, "OPTIONS", vec![], None),
            (false, "POST", vec![], Some(Refused::NoToken)),
            (false, "TRACE", vec![], Some(Refused::NoToken)),
            (false, "POST", vec![&*right], None),
            (false, "POST", vec!["bearer 0123456789abcdef"], None),
            (false, "POST", vec!["Bearer 0123456789abcdeF"], Some(Refused::WrongToken)),
            (false, "POST", vec!["Bearer "], Some(Refused::WrongToken)),
            (false, "POST", vec!["Bearer"], Some(Refused::WrongToken)),
            (false, "POST", vec![TOKEN], Some(Refused::WrongToken)),
            (false, "GET", vec!["Basic YTpi"], Some(Refused::WrongToken)),
            (false, "POST", vec![&*right, "Bearer x"], Some(Refused::WrongToken)),
            (true, "GET", vec![], Some(Refused::NoToken)),
            (true, "GET", vec![&*right], None),
        ] {
            let request = asked(method, "127.0.0.1:9184", &shown);
            let admitted = admit(&access(closed), &request, ends("127.0.0.1:9184"));
            assert_eq!(admitted.err(), expected, "{closed} {method} {shown:?}");
        }
        let none = Access::default();
        let post = asked("POST", "127.0.0.1", &[&right]);
        assert_eq!(admit(&none, &post, ends("127.0.0.1:1")), Err(Refused::ReadOnly));
        let by = admit(&access(false), &post, ends("127.0.0.1:1")).unwrap();
        assert_eq!(by.0, "the token's bearer at 192.0.2.7");
    }

    #[test]
    fn a_name_that_is_made_to_lead_to_the_loopback_shows_nothing() {
        // A socket for both kinds of addresses names the one in the other.
        let mapped = admit(
            &access(false),
            &asked("GET", "attacker.example", &[]),
            ends("[::ffff:127.0.0.1]:9184"),
        );
        assert_eq!(mapped.err(), Some(Refused::ForeignName));
        for (host, fits) in [
            ("127.0.0.1:9184", true),
            ("[::1]:9184", true),
            ("LocalHost:9184", true),
            ("192.0.2.1", true),
            ("attacker.example:9184", false),
            ("127.0.0.1.attacker.example", false),
            ("localhost@attacker.example", false),
        ] {
            let looked = admit(&access(false), &asked("GET", host, &[]), ends("127.0.0.1:9184"));
            assert_eq!(looked.is_ok(), fits, "{host}");
            // Elsewhere names are the administrator's.
            let looked = admit(&access(false), &asked("GET", host, &[]), ends("192.0.2.1:9184"));
            assert!(looked.is_ok(), "{host}");
            let right = format!("Bearer {TOKEN}");
            let request = asked("GET", host, &[&right]);
            assert!(admit(&access(false), &request, ends("127.0.0.1:9184")).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_read_opens_nothing() {
        let token: Token =
            Box::new(|| ready(Err("cannot read /etc/bowline/api.token".to_owned())).boxed());
        let access = Access { token: Some(token), closed: false };
        let post = asked("POST", "127.0.0.1", &["Bearer x"]);
        assert!(matches!(admit(&access, &post, None), Err(Refused::Unknown(_))));
        assert!(!is_same(b"", ""), "an empty token");
    }

    #[test]
    fn nothing_shows_the_token() {
        assert!(!format!("{:?}", access(true)).contains(TOKEN));
    }
}
