//! A login in a file as git's `credential-store` writes it: a URL with user and password a line. No IO.

use crate::model::Sensitive;
use crate::source::Credentials;
use percent_encoding::percent_decode_str;
use url::Url;

/// The login of the first line that fits `wanted`: of the same scheme, host and port, and, where the line
/// has a path, of that repository alone.
pub(super) fn find(text: &str, wanted: &Url) -> Result<Credentials, String> {
    let lines = text.lines().map(str::trim).enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let wrong = || format!("line {} is no url with user and password", index + 1);
        let url = Url::parse(line).map_err(|_| wrong())?;
        let decoded = |text| percent_decode_str(text).decode_utf8().map(String::from).ok();
        let username = decoded(url.username()).filter(|name| !name.is_empty());
        let password = url.password().and_then(decoded).filter(|password| !password.is_empty());
        let (Some(username), Some(password)) = (username, password) else { return Err(wrong()) };
        if url.origin() == wanted.origin() && (path(&url).is_empty() || path(&url) == path(wanted))
        {
            return Ok(Credentials { username, password: Sensitive::new(password) });
        }
    }
    let host = wanted.host_str().unwrap_or_default();
    Err(format!("it has no line for {}://{host}", wanted.scheme()))
}

fn path(url: &Url) -> &str {
    url.path().trim_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str) -> Result<(String, String), String> {
        let found = find(text, &"https://git.example.org/team/infra.git".parse().unwrap());
        found.map(|login| (login.username, login.password.expose().clone()))
    }

    #[test]
    fn the_first_line_that_fits_the_repository_counts() {
        for text in [
            "https://a:b%3A@git.example.org",
            "# ours\n\nhttps://a:b%3A@git.example.org/\nhttps://c:d@git.example.org",
            "http://c:d@git.example.org\nhttps://c:d@git.example.org:8443\nhttps://a:b%3A@git.example.org",
            "https://c:d@git.example.org/team/shop.git\nhttps://a:b%3A@git.example.org/team/infra.git",
        ] {
            assert_eq!(login(text), Ok(("a".into(), "b:".into())), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_said_without_showing_what_is() {
        for (text, expected) in [
            ("", "it has no line for https://git.example.org"),
            ("https://a:s3@example.org", "it has no line for https://git.example.org"),
            ("https://a:s3@x\na s3", "line 2 is no url with user and password"),
            ("https://s3@git.example.org", "line 1 is no url with user and password"),
        ] {
            let error = login(text).unwrap_err();
            assert!(error == expected && !error.contains("s3"), "{error}");
        }
    }
}
