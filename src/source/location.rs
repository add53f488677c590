//! Where a repository is, and what of it is followed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use url::Url;

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On this host.
    Local(PathBuf),
    /// Over http or https; holds no credentials.
    Remote(Url),
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
    /// A commit.
    Commit(String),
}

/// A text that names no repository. It does not hold the text, in which a password may stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    /// Nothing, or something that is neither a path nor a known kind of URL.
    #[error("expected a path, or a url that begins with file://, http:// or https://")]
    Unknown,
    /// A URL that cannot be read.
    #[error("{0}; expected file://, http:// or https://")]
    Url(#[from] url::ParseError),
    /// `file://` with a host.
    #[error("no path on this host; write file:///path")]
    NoPath,
    /// A login in the URL.
    #[error("the url holds a login; give it apart, where it is not shown")]
    Login,
    /// Another scheme.
    #[error("`{0}` is not supported; expected file://, http:// or https://")]
    Scheme(String),
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        let looks_like_ssh = text.contains(':') && !text.contains("/:");
        if text.is_empty() || (!text.contains("://") && looks_like_ssh) {
            return Err(InvalidLocation::Unknown);
        }
        if !text.contains("://") {
            return Ok(Self::Local(PathBuf::from(text)));
        }
        let url = Url::parse(text)?;
        match url.scheme() {
            "file" => url.to_file_path().map(Self::Local).map_err(|()| InvalidLocation::NoPath),
            "http" | "https" if url.username().is_empty() && url.password().is_none() => {
                Ok(Self::Remote(url))
            }
            "http" | "https" => Err(InvalidLocation::Login),
            other => Err(InvalidLocation::Scheme(other.to_owned())),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Remote(url) => write!(f, "{url}"),
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
        for text in ["", "git@host:r.git", "ssh://h/r", "https://u:p@h/r", "file://h/r", "http://"]
        {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(!error.contains("u:p"), "{error}");
        }
    }
}
