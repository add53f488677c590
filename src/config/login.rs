//! What a source says of how to log in, whether that fits where it is, and what stands in the files. They
//! are read anew at each fetch, so that a token can be exchanged there.

mod netrc;
mod store;

use super::check::{At, from_file};
use super::{Flaw, raw};
use crate::model::Sensitive;
use crate::source::{Credentials, Location, Logins, Ssh};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use url::Url;

/// Where systemd puts the credentials of a unit.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// The largest file of a login that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// What may stand under `auth` of an https source.
const WAYS: &str = "`username` with `password_file`, `token_file`, `credential`, `credentials_file` or \
                    `netrc_file`";
/// The user that a token alone is sent for. GitHub names it so for its apps; the other forges take any.
const TOKEN_USER: &str = "x-access-token";
/// The one forge that wants another, which it names itself.
const BITBUCKET: (&str, &str) = ("bitbucket.org", "x-token-auth");

/// How to log in over http(s). What is secret stays where it is until it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// A user with a password or token.
    Password {
        /// The user.
        username: String,
        /// The password or token.
        password: Secret,
    },
    /// A token alone.
    Token(Secret),
    /// A file as git's `credential-store` writes it.
    Store(PathBuf),
    /// A file as `curl` and git read it, `.netrc`.
    Netrc(PathBuf),
}

/// Where a secret is that is one line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// In a file.
    File(PathBuf),
    /// In a credential of systemd of this name.
    Credential(String),
}

/// Of a source at `location`: over http(s), over ssh, or neither.
pub(super) fn login(
    raw: Option<&raw::Auth>,
    location: &Location,
    field: &str,
    at: &At<'_>,
) -> Result<(Option<Auth>, Ssh), Flaw> {
    let Some(raw) = raw else { return Ok((None, Ssh::default())) };
    match location {
        Location::Local(_) => Err(at.wrong(field, "a local repository has no login; remove it")),
        Location::Remote(url) if url.scheme() == "git" => {
            Err(at.wrong(field, "git:// knows no login; remove it, or use https:// or ssh://"))
        }
        Location::Remote(_) => Ok((Some(over_http(raw, field, at)?), Ssh::default())),
        Location::Ssh(_) => Ok((None, over_ssh(raw, field, at)?)),
    }
}

fn over_http(raw: &raw::Auth, field: &str, at: &At<'_>) -> Result<Auth, Flaw> {
    let wrong = |key: &str, what: String| Err(at.wrong(&format!("{field}{key}"), what));
    let of_ssh = [("key_file", &raw.key_file), ("known_hosts_file", &raw.known_hosts_file)];
    if let Some((key, _)) = of_ssh.into_iter().find(|(_, file)| file.is_some()) {
        return wrong(&format!(".{key}"), format!("is for ssh; write {WAYS}"));
    }
    let mut written = ways(raw).into_iter().filter(|(_, is_written)| *is_written);
    let Some((way, _)) = written.next() else {
        return match raw.username {
            Some(_) => wrong("", "missing field `password_file` or `credential`".into()),
            None => wrong("", format!("says no way to log in; write {WAYS}")),
        };
    };
    if let Some((second, _)) = written.next() {
        return wrong(&format!(".{second}"), format!("keep it or `{way}`, not both"));
    }
    let username = match &raw.username {
        None => None,
        Some(_) if way == "token_file" => {
            return wrong(".username", "beside one write `password_file`, not `token_file`".into());
        }
        Some(_) if matches!(way, "credentials_file" | "netrc_file") => {
            return wrong(".username", "stands in the file; remove it".into());
        }
        Some(name) => Some(user(name, &format!("{field}.username"), at)?),
    };
    let file = |path: &Option<PathBuf>| path.as_deref().map(|path| from_file(at, path));
    let secret = match &raw.credential {
        Some(name) => Some(Secret::Credential(credential(name, field, at)?)),
        None => file(&raw.password_file).or(file(&raw.token_file)).map(Secret::File),
    };
    match (username, secret, file(&raw.credentials_file), file(&raw.netrc_file)) {
        (None, Some(_), ..) if way == "password_file" => {
            wrong("", "missing field `username`; a token alone is a `token_file`".into())
        }
        (Some(username), Some(password), ..) => Ok(Auth::Password { username, password }),
        (None, Some(token), ..) => Ok(Auth::Token(token)),
        (_, None, Some(store), _) => Ok(Auth::Store(store)),
        (_, None, None, Some(netrc)) => Ok(Auth::Netrc(netrc)),
        (_, None, None, None) => wrong("", format!("says no way to log in; write {WAYS}")),
    }
}

/// The keys that each say a whole way to log in, or the secret half of one.
fn ways(raw: &raw::Auth) -> [(&'static str, bool); 5] {
    [
        ("password_file", raw.password_file.is_some()),
        ("token_file", raw.token_file.is_some()),
        ("credential", raw.credential.is_some()),
        ("credentials_file", raw.credentials_file.is_some()),
        ("netrc_file", raw.netrc_file.is_some()),
    ]
}

/// A user name that HTTP can carry: a colon ends it there.
pub(super) fn user(name: &str, field: &str, at: &At<'_>) -> Result<String, Flaw> {
    if name.is_empty() || name.contains(|c: char| c == ':' || c.is_control()) {
        return Err(at.wrong(field, "is empty, or has a `:` in it; write the user name alone"));
    }
    Ok(name.to_owned())
}

pub(super) fn credential(name: &str, field: &str, at: &At<'_>) -> Result<String, Flaw> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        let what = format!("`{name}` names no credential; write the name from `LoadCredential=`");
        return Err(at.wrong(&format!("{field}.credential"), what));
    }
    Ok(name.to_owned())
}

fn over_ssh(raw: &raw::Auth, field: &str, at: &At<'_>) -> Result<Ssh, Flaw> {
    if raw.username.is_some() {
        let what = "over ssh the user stands in the url: ssh://USER@HOST/PATH";
        return Err(at.wrong(&format!("{field}.username"), what));
    }
    if let Some((key, _)) = ways(raw).into_iter().find(|(_, is_written)| *is_written) {
        let what = "over ssh a key opens the repository: `key_file`";
        return Err(at.wrong(&format!("{field}.{key}"), what));
    }
    let file = |path: &Option<PathBuf>| path.as_deref().map(|path| from_file(at, path));
    Ok(Ssh { key_file: file(&raw.key_file), known_hosts_file: file(&raw.known_hosts_file) })
}

/// The file over ssh that cannot be read, as its key and why.
pub(super) fn unreadable(ssh: &Ssh) -> Option<(&'static str, io::Error)> {
    let files = [("key_file", &ssh.key_file), ("known_hosts_file", &ssh.known_hosts_file)];
    files.into_iter().find_map(|(key, file)| {
        let path = file.as_ref()?;
        let error = File::open(path).err()?;
        let shown = format!("cannot read `{}`: {error}", path.display());
        Some((key, io::Error::new(error.kind(), shown)))
    })
}

impl Auth {
    /// The logins for the repository at `url` and others of its host, as they stand in their file now. The error names the file and
    /// what to do, and holds nothing that stands in it.
    pub fn credentials(&self, url: &Url) -> Result<Logins, String> {
        let of = |username: &str, password: Sensitive<String>| Credentials {
            username: username.to_owned(),
            password,
        };
        match self {
            Self::Password { username, password } => Ok(of(username, password.read()?).into()),
            Self::Token(token) => {
                let (host, user) = BITBUCKET;
                let user = if url.host_str() == Some(host) { user } else { TOKEN_USER };
                Ok(of(user, token.read()?).into())
            }
            Self::Store(path) => {
                store::find(text_of(path)?.expose(), url).map_err(|what| in_file(path, &what))
            }
            Self::Netrc(path) => {
                let host = url.host_str().unwrap_or_default();
                let login = netrc::find(text_of(path)?.expose(), host);
                login.map(Logins::from).map_err(|what| in_file(path, &what))
            }
        }
    }

    /// The key in the configuration that names what is read.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Password { password: Secret::File(_), .. } => "password_file",
            Self::Token(Secret::File(_)) => "token_file",
            Self::Password { .. } | Self::Token(_) => "credential",
            Self::Store(_) => "credentials_file",
            Self::Netrc(_) => "netrc_file",
        }
    }

    /// The file, where the operator alone says who may read it.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Password { password, .. } => password.file(),
            Self::Token(token) => token.file(),
            Self::Store(path) | Self::Netrc(path) => Some(path),
        }
    }
}

impl Secret {
    /// What it is now, without the line end that closes it.
    pub(super) fn read(&self) -> Result<Sensitive<String>, String> {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Credential(name) => {
                let directory = std::env::var_os(CREDENTIALS_DIRECTORY).ok_or_else(|| {
                    format!(
                        "{CREDENTIALS_DIRECTORY} is not set; systemd sets it for a unit with \
                         `LoadCredential={name}:PATH`"
                    )
                })?;
                Path::new(&directory).join(name)
            }
        };
        let text = text_of(&path)?;
        let line = text.expose().trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Err(in_file(&path, "it is empty"));
        }
        if line.contains(char::is_control) {
            return Err(in_file(&path, "it holds more than one line of text"));
        }
        Ok(Sensitive::new(line.to_owned()))
    }

    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Credential(_) => None,
        }
    }
}

/// That others than its owner may read the file at `path`.
pub(super) fn exposed(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode();
    let shown = path.display();
    (mode & 0o077 != 0).then(|| {
        format!(
            "`{shown}` holds a login, and others than its owner may use it; `chmod 600 {shown}`"
        )
    })
}

/// What the small file at `path` holds.
pub(super) fn text_of(path: &Path) -> Result<Sensitive<String>, String> {
    let mut text = String::new();
    let failed = |error: io::Error| {
        format!("cannot read `{}`: {error}; correct the file, or name another", path.display())
    };
    // One that is no file could keep its reader waiting for ever.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(in_file(path, "it is no regular file"));
    }
    let mut file = file.take(MAX_BYTES + 1);
    let length = file.read_to_string(&mut text).map_err(failed)?;
    if length as u64 > MAX_BYTES {
        return Err(in_file(path, "it is too long for a login"));
    }
    Ok(Sensitive::new(text))
}

fn in_file(path: &Path, what: &str) -> String {
    format!("cannot log in with `{}`: {what}", path.display())
}

#[cfg(test)]
mod tests;
