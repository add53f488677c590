//! A login in a file as git's `credential-store` writes it: a URL with user and password a line. No IO.

use crate::model::Sensitive;
use crate::source::{Credentials, Logins};
use percent_encoding::percent_decode_str;
use url::Url;

/// The lines for the scheme, host and port of `wanted`, of which at least one fits: one with a path is for
/// that repository alone.
pub(super) fn find(text: &str, wanted: &Url) -> Result<Logins, String> {
    let mut logins = Logins::default();
    let lines = text.lines().map(str::trim).enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let url = Url::parse(line).ok();
        let decoded = |text| percent_decode_str(text).decode_utf8().map(String::from).ok();
        let pair = url.as_ref().and_then(|url| {
            let username = decoded(url.username()).filter(|name| !name.is_empty())?;
            let password = url.password().and_then(decoded).filter(|it| !it.is_empty())?;
            Some((url, Credentials { username, password: Sensitive::new(password) }))
        });
        match pair {
            Some((url, login)) if url.origin() == wanted.origin() => logins.add(url, login),
            Some(_) => {}
            // What comes after the line that counts is not looked at so closely.
            None if logins.towards(wanted).is_some() => {}
            None => return Err(format!("line {} is no url with user and password", index + 1)),
        }
    }
    if logins.towards(wanted).is_some() {
        return Ok(logins);
    }
    let host = wanted.host_str().unwrap_or_default();
    Err(format!("it has no line for {}://{host}", wanted.scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str) -> Result<(String, String), String> {
        let infra = "https://git.example.org/team/infra.git".parse().unwrap();
        find(text, &infra).map(|logins| pair(&logins, &infra).unwrap())
    }

    fn pair(logins: &Logins, url: &Url) -> Option<(String, String)> {
        let login = logins.towards(url)?;
        Some((login.username.clone(), login.password.expose().clone()))
    }

    #[test]
    fn a_line_with_a_path_is_for_no_other_repository() {
        let infra = "https://git.example.org/team/infra.git".parse().unwrap();
        let text = "https://a:b@git.example.org/team/infra.git\n\
                    https://c:d@git.example.org/team/common.git\n\
                    https://e:f@git.example.org:8443";
        let logins = find(text, &infra).unwrap();
        let user = |url: &str| pair(&logins, &url.parse().unwrap()).map(|(user, _)| user);
        assert_eq!(user("https://git.example.org/team/infra.git/").as_deref(), Some("a"));
        assert_eq!(user("https://git.example.org/team/common.git").as_deref(), Some("c"));
        for other in ["team/infra", "team/infra.git/x", "team", "", "team/shop.git"] {
            assert_eq!(user(&format!("https://git.example.org/{other}")), None, "{other}");
        }
        let logins = find(&format!("{text}\nhttps://g:h@git.example.org"), &infra).unwrap();
        let shop = "https://git.example.org/team/shop.git".parse().unwrap();
        assert_eq!(pair(&logins, &shop), Some(("g".into(), "h".into())));
        assert!(find(text, &shop).is_err());
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
