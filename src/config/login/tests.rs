//! What a source may say of how to log in, and what comes of it.

use super::*;
use crate::config::{Config, Through, load};
use std::fs::{self, Permissions};
use tempfile::TempDir;

const URL: &str = "https://git.example.org/team/infra.git";

fn text(url: &str, more: &str) -> String {
    format!("sources:\n  - url: {url}\n    {more}\n")
}

fn error(url: &str, more: &str) -> String {
    let parsed = Config::parse(&text(url, more), Path::new("/etc/bowline/config.yaml"));
    parsed.unwrap_err().to_string().replace("/etc/bowline/", "")
}

/// A configuration, and the files beside it.
struct Files(TempDir);

impl Files {
    fn new(more: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("config.yaml", &text(URL, more), 0o644);
        files
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<Config, String> {
        load(&self.0.path().join("config.yaml")).map_err(|error| error.to_string())
    }

    /// The login that is sent.
    fn login(&self, url: &str) -> (String, String) {
        let config = self.load().unwrap();
        let auth = config.sources[0].auth.as_ref().unwrap();
        let url = url.parse().unwrap();
        let logins = auth.credentials(&url).unwrap();
        assert!(!format!("{config:?} {logins:?}").contains("s3cret"));
        let login = logins.towards(&url).unwrap();
        (login.username.clone(), login.password.expose().clone())
    }
}

#[test]
fn each_way_to_log_in_gives_a_user_and_a_password() {
    let pair = |user: &str| (user.to_owned(), "s3cret".to_owned());
    for (more, content, expected) in [
        ("auth: { username: ann, password_file: f }", "s3cret\r\n", pair("ann")),
        ("auth: { token_file: f }", "s3cret\n", pair("x-access-token")),
        ("auth: { credentials_file: f }", "https://bob:s3cret@git.example.org\n", pair("bob")),
        (
            "auth: { netrc_file: f }",
            "machine git.example.org login eve password s3cret",
            pair("eve"),
        ),
    ] {
        let files = Files::new(more);
        files.write("f", content, 0o600);
        assert_eq!(files.login(URL), expected, "{more}");
        assert!(files.load().unwrap().sources[0].exposed_files().is_empty());
    }
    let files = Files::new("auth: { token_file: f }");
    files.write("f", "s3cret", 0o600);
    assert_eq!(files.login("https://bitbucket.org/team/infra.git"), pair("x-token-auth"));
}

#[test]
fn a_login_is_read_anew_each_time() {
    let files = Files::new("auth: { token_file: f }");
    files.write("f", "one", 0o600);
    let config = files.load().unwrap();
    let password = || {
        let auth = config.sources[0].auth.as_ref().unwrap();
        let url = URL.parse().unwrap();
        let logins = auth.credentials(&url);
        logins.map(|logins| logins.towards(&url).unwrap().password.expose().clone())
    };
    assert_eq!(password().unwrap(), "one");
    files.write("f", "two", 0o600);
    assert_eq!(password().unwrap(), "two");
    fs::remove_file(files.0.path().join("f")).unwrap();
    assert!(password().unwrap_err().starts_with("cannot read `"));
}

#[test]
fn ways_that_do_not_go_together_are_refused_at_their_place() {
    for (auth, expected) in [
        ("{}", "11: sources[0].auth: says no way to log in; write `username` with"),
        ("{ username: u }", "11: sources[0].auth: missing field `password_file` or `credential`"),
        ("{ password_file: p }", "11: sources[0].auth: missing field `username`; a token alone"),
        (
            "{ token_file: t, netrc_file: n }",
            "40: sources[0].auth.netrc_file: keep it or `token_file`",
        ),
        (
            "{ token_file: t, credential: c }",
            "40: sources[0].auth.credential: keep it or `token_file`",
        ),
        ("{ username: u, token_file: t }", "23: sources[0].auth.username: beside one write"),
        ("{ username: u, netrc_file: n }", "23: sources[0].auth.username: stands in the file"),
        ("{ username: 'u:p', password_file: p }", "23: sources[0].auth.username: is empty, or has"),
        ("{ credential: a/b }", "25: sources[0].auth.credential: `a/b` names no credential"),
        ("{ token: abc }", "13: sources[0].auth: unknown field `token`"),
    ] {
        let shown = error(URL, &format!("auth: {auth}"));
        assert!(shown.starts_with(&format!("config.yaml:3:{expected}")), "{shown}");
    }
    let shown = error("git@h:a", "auth: { token_file: t }");
    assert!(shown.contains("auth.token_file: over ssh a key opens the repository"), "{shown}");
}

#[test]
fn what_cannot_be_used_is_told_without_what_stands_in_it() {
    for (way, content, expected) in [
        ("token_file: f", "", "it is empty"),
        ("token_file: f", "s3cret\nmore\n", "more than one line"),
        (
            "credentials_file: f",
            "https://a:s3cret@example.org",
            "no line for https://git.example.org",
        ),
        (
            "netrc_file: f",
            "machine example.org login a password s3cret",
            "no `machine git.example.org`",
        ),
    ] {
        let files = Files::new(&format!("auth: {{ {way} }}"));
        let missing = files.load().unwrap_err();
        assert!(
            missing.contains("cannot read `") && missing.contains("config.yaml:3:"),
            "{missing}"
        );
        files.write("f", content, 0o600);
        let shown = files.load().unwrap_err();
        assert!(shown.contains(expected) && !shown.contains("s3cret"), "{shown}");
        assert!(shown.contains(&format!("sources[0].auth.{}", &way[..way.len() - 3])), "{shown}");
    }
    let files = Files::new("auth: { credential: infra }");
    let shown = files.load().unwrap_err();
    assert!(shown.contains("auth.credential: CREDENTIALS_DIRECTORY is not set"), "{shown}");
    assert!(shown.contains("`LoadCredential=infra:PATH`"), "{shown}");
}

#[test]
fn a_file_that_others_may_read_is_warned_of() {
    let files = Files::new(
        "auth: { token_file: t }\n    proxy: http://p:1\n    proxy_auth: { username: u, password_file: p }",
    );
    files.write("t", "s3cret", 0o640);
    files.write("p", "s3cret", 0o604);
    let warnings = files.load().unwrap().sources[0].exposed_files();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].ends_with("/t`") && warnings[0].contains("chmod 600"), "{warnings:?}");
    assert!(warnings[1].ends_with("/p`"), "{warnings:?}");
}

#[test]
fn a_proxy_is_named_without_its_login() {
    let proxy = |more: &str| {
        let config = Config::parse(&text(URL, more), Path::new("c.yaml")).unwrap();
        config.sources[0].reach.proxy.clone()
    };
    assert_eq!(proxy(""), Through::Environment);
    assert_eq!(proxy("proxy: off"), Through::Nothing);
    let url = "http://proxy.example.org:3128".parse().unwrap();
    assert_eq!(proxy("proxy: http://proxy.example.org:3128"), Through::Proxy { url, login: None });
    for (more, expected) in [
        ("proxy: http://ann:s3cret@p:1", "12: sources[0].proxy: holds a login; write `proxy_auth:"),
        ("proxy: socks5://ann:s3cret@p:1", "12: sources[0].proxy: is no proxy; write http://HOST"),
        ("proxy: p:3128", "12: sources[0].proxy: is no proxy"),
        ("proxy: http://p/path", "12: sources[0].proxy: is no proxy"),
        (
            "proxy_auth: { username: u, password_file: p }",
            "17: sources[0].proxy_auth: there is no proxy to log in to",
        ),
    ] {
        let shown = error(URL, more);
        assert!(shown.starts_with(&format!("config.yaml:3:{expected}")), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let shown = error("git@h:a", "tls: { ca_file: a }");
    assert!(shown.contains("sources[0].tls: is for repositories over https"), "{shown}");
}

#[test]
fn a_source_has_bounds_of_its_own() {
    let limits = |more: &str| {
        let config = Config::parse(&text(URL, more), Path::new("c.yaml")).unwrap();
        (config.sources[0].limits.bytes, config.sources[0].limits.whole.as_secs())
    };
    assert_eq!(limits(""), (2 << 30, 900));
    assert_eq!(limits("limits: { max_size: 500m, timeout: 2m }"), (500 << 20, 120));
    assert_eq!(limits("limits: { max_size: 1000000 }"), (1_000_000, 900));
    for (more, expected) in [
        ("limits: { max_size: 5 }", "25: sources[0].limits.max_size: 5 bytes are too few"),
        ("limits: { max_size: big }", "25: sources[0].limits.max_size: invalid value"),
        ("limits: { timeout: 0s }", "24: sources[0].limits.timeout: is too short"),
    ] {
        let shown = error(URL, more);
        assert!(shown.starts_with(&format!("config.yaml:3:{expected}")), "{shown}");
    }
}
