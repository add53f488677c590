//! Through which proxy a server is reached.

use super::super::error::Fault;
use super::super::spec::Credentials;
use crate::model::Sensitive;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::proxy::matcher::Matcher;
use ureq::http::Uri;
use url::Url;

/// The proxy of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// What the environment says: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capital or
    /// small letters, with curl's meaning.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Off,
    /// This one.
    Server {
        /// `http://HOST:PORT`.
        url: Url,
        /// The login that it asks for.
        login: Option<Credentials>,
    },
}

/// A proxy that is used.
pub(super) struct Used {
    pub(super) proxy: ureq::Proxy,
    /// Without a login, for messages.
    pub(super) shown: String,
    pub(super) has_login: bool,
}

impl Proxy {
    /// What is used towards `server`; `None`: the way is direct.
    pub(super) fn towards(&self, server: &Url) -> Result<Option<Used>, Fault> {
        match self {
            Self::Off => Ok(None),
            Self::Server { url, login } => {
                let (host, port) =
                    (url.host_str().unwrap_or_default(), url.port_or_known_default());
                used(host, port, login.as_ref()).map(Some)
            }
            Self::Environment => of_environment(&Matcher::from_env(), server),
        }
    }
}

fn of_environment(environment: &Matcher, server: &Url) -> Result<Option<Used>, Fault> {
    let Ok(server) = server.as_str().parse::<Uri>() else { return Ok(None) };
    let Some(found) = environment.intercept(&server) else { return Ok(None) };
    let uri = found.uri();
    let host = uri.host().unwrap_or_default();
    if uri.scheme_str() != Some("http") {
        return Err(Fault::Proxy {
            proxy: format!("{}://{host}", uri.scheme_str().unwrap_or_default()),
            why: "of the environment is none that is supported; name one with http://, or write \
                  `proxy: off`"
                .into(),
        });
    }
    let login = found.basic_auth().and_then(|header| {
        let encoded = header.to_str().ok()?.strip_prefix("Basic ")?;
        let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (username, password) = pair.split_once(':')?;
        let (username, password) = (username.to_owned(), Sensitive::new(password.to_owned()));
        Some(Credentials { username, password })
    });
    used(host, uri.port_u16(), login.as_ref()).map(Some)
}

fn used(host: &str, port: Option<u16>, login: Option<&Credentials>) -> Result<Used, Fault> {
    let port = port.unwrap_or(80);
    let shown = format!("http://{host}:{port}");
    let mut builder = ureq::Proxy::builder(ureq::ProxyProtocol::Http).host(host).port(port);
    let has_login = login.is_some();
    if let Some(Credentials { username, password }) = login {
        builder = builder.username(username).password(password.expose());
    }
    let invalid = |_| Fault::Proxy { proxy: shown.clone(), why: "is no address".into() };
    let proxy = builder.build().map_err(invalid)?;
    Ok(Used { proxy, shown, has_login })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(matcher: &Matcher, server: &str) -> Option<Used> {
        of_environment(matcher, &server.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_environment_names_a_proxy_and_who_is_reached_without() {
        let matcher = Matcher::builder()
            .https("http://ann:s3%3Acret@proxy.example.org:3128")
            .no("example.net, .example.com,10.0.0.0/8,::1")
            .build();
        let used = through(&matcher, "https://git.example.org/a").unwrap();
        assert_eq!((&*used.shown, used.has_login), ("http://proxy.example.org:3128", true));
        assert_eq!(used.proxy.password(), Some("s3:cret"));
        for direct in [
            "http://git.example.org/a",
            "https://git.example.net/a",
            "https://example.com/a",
            "https://10.1.2.3:8443/a",
            "https://[::1]/a",
        ] {
            assert!(through(&matcher, direct).is_none(), "{direct}");
        }
        assert!(through(&matcher, "https://notexample.net/a").is_some());
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused_without_its_login() {
        let matcher = Matcher::builder().all("socks5://ann:s3cret@proxy:1080").build();
        let server = "https://git.example.org/a".parse().unwrap();
        let error = of_environment(&matcher, &server).err().unwrap().to_string();
        assert!(error.contains("socks5://proxy of the environment"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
