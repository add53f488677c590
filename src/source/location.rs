//! Where a repository is, and what of it is followed.

use percent_encoding::percent_decode_str;
use semver::VersionReq;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use url::Url;

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On this host.
    Local(PathBuf),
    /// Over http, https or git's own `git://`; holds no credentials.
    Remote(Url),
    /// Over ssh.
    Ssh(SshAddress),
}

/// Where a repository is behind ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAddress {
    /// Who logs in; absent: as the settings of `ssh` say.
    pub user: Option<String>,
    /// A name, an address, or a word of the settings of `ssh`.
    pub host: String,
    /// Absent: 22, or as the settings of `ssh` say.
    pub port: Option<u16>,
    /// The path on the host; without a slash at its beginning it begins in the user's home.
    pub path: String,
}

/// What of a repository is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The branch that the repository itself calls its head.
    Head,
    /// A branch, tag or commit, whichever there is.
    Any(String),
    /// A branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// The tag with the highest version of a range; a `v` before the version is no part of it.
    Semver(VersionReq),
    /// A commit.
    Commit(String),
}

/// A text that names no repository. It does not hold the text, in which a password may stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    /// Nothing, or something that is neither a path nor a known kind of URL.
    #[error(
        "expected a path, USER@HOST:PATH, or a url that begins with file://, http://, https:// or ssh://"
    )]
    Unknown,
    /// A URL that cannot be read.
    #[error("{0}; expected file://, http://, https:// or ssh://")]
    Url(#[from] url::ParseError),
    /// `file://` with a host.
    #[error("no path on this host; write file:///path")]
    NoPath,
    /// A login in the URL.
    #[error("the url holds a login; give it apart, where it is not shown")]
    Login,
    /// Something after the path of a URL, in which a secret may stand.
    #[error("the url of a repository ends with its path; take away what begins with `?` or `#`")]
    Query,
    /// Something like an address of ssh.
    #[error(
        "not an address of ssh; write USER@HOST:PATH or ssh://USER@HOST:PORT/PATH, none of them empty or \
         with a `-` first, no spaces in USER and HOST, `%3F` for `?` and `%23` for `#` in a url"
    )]
    Ssh,
    /// Another scheme.
    #[error("`{0}` is not supported; expected file://, http://, https:// or ssh://")]
    Scheme(String),
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        if text.is_empty() {
            return Err(InvalidLocation::Unknown);
        }
        if !text.contains("://") {
            // As git tells them apart: a colon before the first slash.
            let Some((before, path)) = text.split_once(':').filter(|(host, _)| !host.contains('/'))
            else {
                return Ok(Self::Local(PathBuf::from(text)));
            };
            let (user, host) = match before.rsplit_once('@') {
                Some((user, host)) => (Some(user), host),
                None => (None, before),
            };
            return SshAddress::of(user, host, None, path).map(Self::Ssh);
        }
        let url = Url::parse(text)?;
        match url.scheme() {
            "file" => url.to_file_path().map(Self::Local).map_err(|()| InvalidLocation::NoPath),
            "git" if url.host_str().is_none_or(str::is_empty) => Err(InvalidLocation::Unknown),
            "git" | "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
                Err(InvalidLocation::Login)
            }
            "git" | "http" | "https" if url.query().is_some() || url.fragment().is_some() => {
                Err(InvalidLocation::Query)
            }
            "git" | "http" | "https" => Ok(Self::Remote(url)),
            "ssh" if url.password().is_some() => Err(InvalidLocation::Login),
            "ssh" => SshAddress::of_url(&url).map(Self::Ssh),
            other => Err(InvalidLocation::Scheme(other.to_owned())),
        }
    }
}

impl SshAddress {
    fn of_url(url: &Url) -> Result<Self, InvalidLocation> {
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidLocation::Ssh);
        }
        let decoded = |text| {
            percent_decode_str(text)
                .decode_utf8()
                .map(String::from)
                .map_err(|_| InvalidLocation::Ssh)
        };
        let (user, path) = (decoded(url.username())?, decoded(url.path())?);
        let host = decoded(url.host_str().unwrap_or_default())?;
        // `ssh://host/~ann/a` is in Ann's home.
        let path = path.strip_prefix('/').filter(|path| path.starts_with('~')).unwrap_or(&path);
        Self::of(Some(&*user).filter(|user| !user.is_empty()), &host, url.port(), path)
    }

    /// Refuses what `ssh` would take for one of its options, and what a host has no name like.
    fn of(
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        path: &str,
    ) -> Result<Self, InvalidLocation> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // A `ProxyCommand` of the operator's may hand host and user to a shell; `.gitmodules` can name them.
        let is_plain = |text: &str| {
            let plain = |c: char| {
                !c.is_whitespace() && !c.is_control() && !"'\"`$\\;&<>|(){}*?!#".contains(c)
            };
            !text.is_empty() && !text.starts_with('-') && text.chars().all(plain)
        };
        let is_path =
            !path.is_empty() && !path.starts_with('-') && !path.contains(|c: char| c.is_control());
        if !is_plain(host) || !user.is_none_or(is_plain) || !is_path {
            return Err(InvalidLocation::Ssh);
        }
        let (user, host, path) = (user.map(ToOwned::to_owned), host.to_owned(), path.to_owned());
        Ok(Self { user, host, port, path })
    }
}

impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, path } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let at = user.as_ref().map_or(String::new(), |user| format!("{user}@"));
        match port {
            Some(port) => write!(f, "ssh://{at}{host}:{port}/{}", path.trim_start_matches('/')),
            None => write!(f, "{at}{host}:{path}"),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Remote(url) => write!(f, "{url}"),
            Self::Ssh(address) => write!(f, "{address}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("HEAD"),
            Self::Any(name) | Self::Commit(name) => f.write_str(name),
            Self::Branch(name) => write!(f, "branch {name}"),
            Self::Tag(name) => write!(f, "tag {name}"),
            Self::Semver(range) => write!(f, "tag with a version of {range}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_path_or_a_url_without_a_login() {
        assert_eq!("a/b".parse(), Ok(Location::Local("a/b".into())));
        assert_eq!("file:///srv/r.git".parse(), Ok(Location::Local("/srv/r.git".into())));
        assert!(matches!("https://h/r.git".parse(), Ok(Location::Remote(_))));
        assert!(matches!("git://h/r.git".parse(), Ok(Location::Remote(_))));
        let ssh = |text: &str| match text.parse() {
            Ok(Location::Ssh(address)) => address,
            other => panic!("{other:?}"),
        };
        let address = ssh("git@host:team/r.git");
        assert_eq!((address.user.as_deref(), &*address.path), (Some("git"), "team/r.git"));
        let address = ssh("ssh://ann@h:2222/srv/r.git");
        assert_eq!((&*address.host, address.port, &*address.path), ("h", Some(2222), "/srv/r.git"));
        assert_eq!(address.to_string(), "ssh://ann@h:2222/srv/r.git");
        assert_eq!(ssh("ssh://h/~ann/r").path, "~ann/r");
        assert_eq!(ssh("ssh://h/it's my%20r%3F").path, "/it's my r?");
        assert_eq!(ssh("ssh://[::1]:22/r").host, "::1");
        assert_eq!("./a:b".parse(), Ok(Location::Local("./a:b".into())));
        for text in [
            "",
            "https://u:p@h/r",
            "git://u:p@h/r",
            "git:///r",
            "https://u:p@h/r?x",
            "https://h/r?private_token=u:p",
            "https://h/r#u:p",
            "ssh://u:p@h/r",
            "file://h/r",
            "http://",
            "ftp://h/r",
            "-oProxyCommand=x:r",
            "ssh://-oProxyCommand=x/r",
            "ssh://%2DoProxyCommand=x/r",
            "ssh://-l@h/r",
            "-l@h:r",
            "a b@h:r",
            "ssh://h/r?x",
            "ssh://h/r%0A",
            "ssh://h/r%1B",
            "$(reboot)@h:r",
            "a@`reboot`:r",
            "ssh://h/%FF",
            "ssh:///r",
            "h:-r",
            "h:",
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(!error.contains("u:p"), "{error}");
        }
    }
}
