//! What a source says of how to log in, and whether that fits where it is.

use super::check::{At, from_file};
use super::{Auth, ConfigError, raw};
use crate::source::{Location, Ssh};

/// Of a source at `location`: with a password, over ssh, or neither.
pub(super) fn login(
    raw: Option<&raw::Auth>,
    location: &Location,
    field: &str,
    at: &At<'_>,
) -> Result<(Option<Auth>, Ssh), ConfigError> {
    let Some(raw) = raw else { return Ok((None, Ssh::default())) };
    let raw::Auth { username, password_file, key_file, known_hosts_file } = raw;
    let wrong = |key: &str, what: &str| Err(at.wrong(&format!("{field}{key}"), what));
    match location {
        Location::Local(_) => wrong("", "a local repository has no login; remove it"),
        Location::Remote(url) if url.scheme() == "git" => {
            wrong("", "git:// knows no login; remove it, or use https:// or ssh://")
        }
        Location::Remote(_) => {
            let of_ssh = [("key_file", key_file), ("known_hosts_file", known_hosts_file)];
            if let Some((key, _)) = of_ssh.into_iter().find(|(_, file)| file.is_some()) {
                return wrong(
                    &format!(".{key}"),
                    "is for ssh; write `username` and `password_file`",
                );
            }
            match (username, password_file) {
                (Some(username), Some(file)) => {
                    let (username, password_file) = (username.clone(), from_file(at, file));
                    Ok((Some(Auth { username, password_file }), Ssh::default()))
                }
                (None, _) => wrong("", "missing field `username`"),
                (_, None) => wrong("", "missing field `password_file`"),
            }
        }
        Location::Ssh(_) => {
            if username.is_some() {
                return wrong(
                    ".username",
                    "over ssh the user stands in the url: ssh://USER@HOST/PATH",
                );
            }
            if password_file.is_some() {
                return wrong(".password_file", "over ssh a key opens the repository: `key_file`");
            }
            let file = |path: &Option<_>| path.as_deref().map(|path| from_file(at, path));
            let (key_file, known_hosts_file) = (file(key_file), file(known_hosts_file));
            Ok((None, Ssh { key_file, known_hosts_file }))
        }
    }
}

/// The file over ssh that cannot be read, as its key and why.
pub(super) fn unreadable(ssh: &Ssh) -> Option<(&'static str, std::io::Error)> {
    let files = [("key_file", &ssh.key_file), ("known_hosts_file", &ssh.known_hosts_file)];
    files.into_iter().find_map(|(key, file)| {
        let path = file.as_ref()?;
        let error = std::fs::File::open(path).err()?;
        let shown = format!("cannot read `{}`: {error}", path.display());
        Some((key, std::io::Error::new(error.kind(), shown)))
    })
}
