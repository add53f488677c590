//! Where a server leads who asks it, and what may be shown there. No IO.

use super::super::error::Fault;
use url::Url;

/// What is asked, and with what.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) url: Url,
    /// The login. It is gone for good once the way led to who may not see it.
    pub(super) authorization: Option<Authorization>,
}

/// A login as it is shown.
#[derive(Clone)]
pub(super) struct Authorization {
    /// The value of the header `Authorization`.
    pub(super) header: String,
    /// The path of the one repository that it is for, without slashes around it; empty: for all.
    pub(super) path: String,
}

impl Authorization {
    /// Whether what lies at `url` is in the repository that it is for, with `.git` at its end or without: servers
    /// that know both lead from the one to the other.
    fn is_for(&self, url: &Url) -> bool {
        let named = |path: &&str| !path.is_empty() && !path.ends_with('/');
        let path = self.path.strip_suffix(".git").filter(named).unwrap_or(&self.path);
        let below = url.path().trim_start_matches('/').strip_prefix(path);
        let below = below.map(|rest| rest.strip_prefix(".git").unwrap_or(rest));
        self.path.is_empty() || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Place {
    /// Where the header `Location` of a redirect leads from here. Never from https to http.
    pub(super) fn led_to(&self, location: &str) -> Result<Self, Fault> {
        let no = |why: &str| Err(Fault::NotGit { why: why.to_owned() });
        let Ok(mut url) = self.url.join(location) else {
            return no("it redirects to what is no url");
        };
        match (self.url.scheme(), url.scheme()) {
            ("https", "http") => {
                return no("it redirects from https to http, which is not followed");
            }
            (_, "http" | "https") => {}
            _ => return no("it redirects to what is neither http nor https"),
        }
        // A login that the server itself writes there is nobody's.
        if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
            return no("it redirects to what is no url");
        }
        url.set_fragment(None);
        let authorization = self.authorization.clone();
        let authorization = authorization.filter(|it| may_see(&self.url, &url) && it.is_for(&url));
        Ok(Self { url, authorization })
    }
}

/// Whether a login that was shown at `from` may be shown at `to`: at the same scheme, host and port, or at
/// the same host's own https.
fn may_see(from: &Url, to: &Url) -> bool {
    let has_default_ports = from.port().is_none() && to.port().is_none();
    let is_upgrade = from.scheme() == "http" && to.scheme() == "https" && has_default_ports;
    from.origin() == to.origin() || (is_upgrade && from.host() == to.host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str, path: &str) -> Place {
        let authorization = Authorization { header: "x".into(), path: path.into() };
        Place { url: url.parse().unwrap(), authorization: Some(authorization) }
    }

    fn led(from: &str, location: &str) -> Result<(String, bool), String> {
        led_with("", from, location)
    }

    fn led_with(path: &str, from: &str, location: &str) -> Result<(String, bool), String> {
        let place = place(from, path);
        let led = place.led_to(location).map_err(|fault| fault.to_string())?;
        Ok((led.url.to_string(), led.authorization.is_some()))
    }

    #[test]
    fn a_login_goes_on_to_the_same_server_and_to_its_https() {
        for (from, location, url, is_shown) in [
            ("https://h/a", "/b?c=d", "https://h/b?c=d", true),
            ("https://h/a", "https://h:443/b", "https://h/b", true),
            ("http://h/a", "https://h/b", "https://h/b", true),
            ("http://h:80/a", "https://H:443/b", "https://h/b", true),
            ("http://h:8080/a", "http://h:8080/b", "http://h:8080/b", true),
            ("https://h/a", "https://h:8443/b", "https://h:8443/b", false),
            ("http://h:8080/a", "https://h/b", "https://h/b", false),
            ("http://h/a", "https://h:8443/b", "https://h:8443/b", false),
            ("http://h:443/a", "https://h/b", "https://h/b", false),
            ("http://h/a", "http://h:443/b", "http://h:443/b", false),
            ("https://h/a", "//g/b", "https://g/b", false),
            ("https://h/a", "https://ann:s3cret@h/b#c", "https://h/b", true),
            ("https://h/a", "https://h.example.org/b", "https://h.example.org/b", false),
        ] {
            assert_eq!(led(from, location), Ok((url.into(), is_shown)), "{from} {location}");
        }
    }

    #[test]
    fn the_login_of_one_repository_goes_on_within_that_one_alone() {
        for (location, is_shown) in [
            ("https://h/team/a.git/info/refs?service=x", true),
            ("/team/a.git/y", true),
            ("/team/a.git", true),
            ("/team/b.git/info/refs", false),
            ("/team/a.git.other/info/refs", false),
            ("/team/a.git/../b.git/info/refs", false),
            ("/other/team/a.git/info/refs", false),
            ("https://g/team/a.git/info/refs", false),
        ] {
            let led = led_with("team/a.git", "https://h/team/a.git/info/refs", location);
            assert_eq!(led.map(|(_, is_shown)| is_shown), Ok(is_shown), "{location}");
        }
    }

    #[test]
    fn the_login_of_one_repository_goes_on_to_its_name_with_git_at_the_end_and_without() {
        for (path, location, is_shown) in [
            ("team/a", "/team/a.git/info/refs", true),
            ("team/a.git", "/team/a/info/refs", true),
            ("team/a", "/team/a/info/refs", true),
            ("team/a", "/team/a.git", true),
            ("team/a", "/team/a.github/info/refs", false),
            ("team/a", "/team/ab.git/info/refs", false),
            ("team/a", "/team/a.git.git/info/refs", false),
            ("team/a.git", "/team/a.gitb/info/refs", false),
            ("team/.git", "/team/.git/info/refs", true),
            ("team/.git", "/team//b/info/refs", false),
            (".git", "/b/info/refs", false),
        ] {
            let led = led_with(path, &format!("https://h/{path}/info/refs"), location);
            assert_eq!(led.map(|(_, is_shown)| is_shown), Ok(is_shown), "{path} {location}");
        }
    }

    #[test]
    fn a_login_that_was_left_behind_does_not_come_back() {
        let place = place("https://h/a", "");
        let back = place.led_to("https://g/").unwrap().led_to("https://h/a").unwrap();
        assert!(back.url == place.url && back.authorization.is_none());
    }

    #[test]
    fn nothing_leads_to_what_is_less_safe() {
        for (location, expected) in [
            ("http://h/a", "from https to http"),
            ("ftp://h/a", "neither http nor https"),
            ("file:///etc/passwd", "neither http nor https"),
            ("https://", "no url"),
        ] {
            let error = led("https://h/a", location).unwrap_err();
            assert!(error.contains(expected), "{location}: {error}");
        }
    }
}
