//! Where a submodule's repository is, from what `.gitmodules` says and where the repository around it is:
//! what could be an option, a program to run or a place on this host is refused. No IO.

use super::super::location::{Location, SshAddress};
use url::Url;

/// The repository of a submodule with `url`, in the repository at `around`; or what is wrong.
pub(super) fn resolve(url: &str, around: &Location) -> Result<Location, String> {
    if url.starts_with('-') {
        return Err("its url begins with `-`, like an option".to_owned());
    }
    if url.chars().any(char::is_control) {
        return Err("its url holds characters that are no part of a url".to_owned());
    }
    let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if url.split_once("::").is_some_and(|(helper, _)| is_word(helper)) {
        return Err("its url asks for a program to be run, and none is".to_owned());
    }
    if url.starts_with("./") || url.starts_with("../") {
        return beside(url, around);
    }
    // Forges show urls with a user's name in them; the password would be the secret.
    let plain = Url::parse(url).ok().filter(|it| it.scheme().starts_with("http"));
    let plain = plain.filter(|it| it.password().is_none()).and_then(|mut it| {
        it.set_username("").ok()?;
        Some(it.to_string())
    });
    let location = plain.as_deref().unwrap_or(url).parse();
    match location.map_err(|error| format!("its url cannot be used: {error}"))? {
        Location::Local(_) if !matches!(around, Location::Local(_)) => Err(
            "its url is a path on this host, and the repository that says so is elsewhere; write a url, or \
             `../NAME.git` for one beside it"
                .to_owned(),
        ),
        Location::Local(path) if !path.is_absolute() => {
            Err("its path is relative to nothing; write `../NAME.git` for one beside it".to_owned())
        }
        location => Ok(location),
    }
}

/// Whether a login for the repository at `one` may be shown to the host of `other`.
pub(super) fn is_same_host(one: &Location, other: &Location) -> bool {
    match (one, other) {
        (Location::Remote(one), Location::Remote(other)) => one.origin() == other.origin(),
        (Location::Ssh(one), Location::Ssh(other)) => {
            (&one.user, &one.host, one.port) == (&other.user, &other.host, other.port)
        }
        _ => false,
    }
}

/// `relative` to the repository at `around`, as git takes it: that one is like a directory.
fn beside(relative: &str, around: &Location) -> Result<Location, String> {
    match around {
        Location::Local(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let path = path.to_str().ok_or("the path of the repository around it is not UTF-8")?;
            joined(path, relative).map(|path| Location::Local(path.into()))
        }
        Location::Remote(url) => {
            let path = joined(url.path(), relative)?;
            let mut url = url.clone();
            url.set_path(&path);
            Ok(Location::Remote(url))
        }
        Location::Ssh(address) => {
            let path = joined(&address.path, relative)?;
            Ok(Location::Ssh(SshAddress { path, ..address.clone() }))
        }
    }
}

fn joined(around: &str, relative: &str) -> Result<String, String> {
    let above = || format!("its url `{relative}` leads above where repositories are");
    let (root, rest) = around.strip_prefix('/').map_or(("", around), |rest| ("/", rest));
    let mut parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(above)?),
            part => parts.push(part),
        }
    }
    match parts.first() {
        None => Err(above()),
        // A path of ssh would be an option, or another user's home.
        Some(first)
            if root.is_empty() && first.starts_with(['-', '~']) && !rest.starts_with(first) =>
        {
            Err(above())
        }
        Some(_) => Ok(format!("{root}{}", parts.join("/"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn a_relative_url_begins_at_the_repository_around_it() {
        for (around, url, expected) in [
            ("https://h/team/infra.git", "../common.git", "https://h/team/common.git"),
            ("https://h:8443/team/infra.git/", "../../other/x", "https://h:8443/other/x"),
            ("https://h/team/infra.git", "./sub.git", "https://h/team/infra.git/sub.git"),
            ("git@h:team/infra.git", "../common.git", "git@h:team/common.git"),
            ("ssh://git@h:2222/srv/infra.git", "../x.git", "ssh://git@h:2222/srv/x.git"),
            ("/srv/git/infra.git", "../common.git", "/srv/git/common.git"),
            ("https://h/infra.git", "../a/../common.git", "https://h/common.git"),
        ] {
            assert_eq!(resolve(url, &at(around)), Ok(at(expected)), "{url} in {around}");
        }
        for (around, url) in [
            ("https://h/infra.git", "../../x.git"),
            ("git@h:infra.git", "../../x.git"),
            ("git@h:infra.git", "../-x.git"),
            ("git@h:infra.git", "../~root/x.git"),
            ("/infra.git", "../../x"),
            ("https://h/infra.git", "../"),
        ] {
            assert!(resolve(url, &at(around)).unwrap_err().contains("leads above"), "{url}");
        }
    }

    #[test]
    fn a_url_is_taken_as_it_is_without_the_name_of_a_user() {
        let around = at("https://h/infra.git");
        for (url, expected) in [
            ("https://other/x.git", "https://other/x.git"),
            ("https://ann@bitbucket.example/t/x.git", "https://bitbucket.example/t/x.git"),
            ("git@h:x.git", "git@h:x.git"),
            ("ssh://git@[::1]:22/x.git", "ssh://git@[::1]:22/x.git"),
        ] {
            assert_eq!(resolve(url, &around), Ok(at(expected)));
        }
        assert_eq!(resolve("/srv/x.git", &at("/srv/infra.git")), Ok(at("/srv/x.git")));
    }

    #[test]
    fn what_would_run_a_program_or_read_this_host_is_refused() {
        let around = at("https://h/infra.git");
        for (url, part) in [
            ("ext::sh -c touch% /tmp/x", "program"),
            ("fd::17", "program"),
            ("h::x", "program"),
            ("--upload-pack=touch x", "option"),
            ("-u./x", "option"),
            ("ssh://-oProxyCommand=x/r", "cannot be used"),
            ("-oProxyCommand=x:r", "option"),
            ("https://h/x\n[core]", "characters"),
            ("https://h/x\r", "characters"),
            ("/etc", "on this host"),
            ("file:///srv/x.git", "on this host"),
            ("x.git", "on this host"),
            ("https://ann:s3cret@h/x.git", "holds a login"),
            ("ftp://h/x", "not supported"),
            ("", "cannot be used"),
        ] {
            let refused = resolve(url, &around).unwrap_err();
            assert!(refused.contains(part), "{url}: {refused}");
            assert!(!refused.contains("s3cret"), "{refused}");
        }
        assert!(resolve("x.git", &at("/srv/infra.git")).unwrap_err().contains("relative"));
    }

    #[test]
    fn a_login_is_for_its_own_host_port_and_scheme() {
        let same = |one: &str, other: &str| is_same_host(&at(one), &at(other));
        assert!(same("https://h/a.git", "https://h:443/b.git"));
        assert!(!same("https://h/a.git", "http://h/b.git"));
        assert!(!same("https://h/a.git", "https://h:8443/b.git"));
        assert!(!same("https://h/a.git", "https://h.evil/b.git"));
        assert!(same("git@h:a.git", "git@h:b.git"));
        assert!(!same("git@h:a.git", "ann@h:b.git"));
        assert!(!same("git@h:a.git", "https://h/b.git"));
    }
}
