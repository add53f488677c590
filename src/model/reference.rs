//! References to images, in the ways that people and the engine write them.

/// A reference as the engine shows it: without the default registry, with its tag, and by content
/// alone where it says so.
pub fn familiar(reference: &str) -> String {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    let short = short.strip_prefix("library/").unwrap_or(short);
    match short.split_once('@') {
        Some((_, digest)) => format!("{}@{digest}", repository(short)),
        None if repository(short) == short && !short.starts_with("sha256:") => {
            format!("{short}:latest")
        }
        None => short.to_owned(),
    }
}

/// A reference without its tag and digest: those change with every version.
pub fn repository(reference: &str) -> &str {
    let named = reference.split('@').next().unwrap_or(reference);
    let last = named.rfind('/').map_or(0, |slash| slash + 1);
    named[last..].find(':').map_or(named, |colon| &named[..last + colon])
}

/// The longest tag, and the longest name of a repository, in characters.
const LONGEST_TAG: usize = 128;
const LONGEST_NAME: usize = 255;

/// The rule that `reference` breaks, where no engine takes it: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`
/// (the grammar of github.com/distribution/reference).
pub fn broken_rule(reference: &str) -> Option<&'static str> {
    let (named, digest) = match reference.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (reference, None),
    };
    let name = repository(named);
    let tag = named[name.len()..].strip_prefix(':');
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if is_meant_as_host(host) => (Some(host), path),
        _ => (None, name),
    };
    if host.is_some_and(|host| !is_host(host)) {
        return Some("a registry is `HOST` or `HOST:PORT`");
    }
    if path.len() > LONGEST_NAME || !path.split('/').all(is_component) {
        return Some(
            "the name of a repository has lower-case letters and digits, with `.`, `_`, `__` or \
             `-` only between them",
        );
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Some(
            "a tag has up to 128 letters, digits, `_`, `.` and `-`, and begins with neither `.` \
             nor `-`",
        );
    }
    let is_wrong = digest.is_some_and(|digest| !is_digest(digest));
    is_wrong.then_some("a digest is `sha256:` and 64 of `0-9a-f`")
}

/// What stands before the first slash is a registry where it cannot be a part of a path.
fn is_meant_as_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.contains(|c: char| c.is_uppercase())
}

fn is_host(text: &str) -> bool {
    let end = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match text[end..].split_once(':') {
        Some((rest, port)) => (&text[..end + rest.len()], Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        !label.starts_with('-')
            && !label.ends_with('-')
            && !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let is_named = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    let is_number = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    is_named && port.is_none_or(is_number)
}

/// A part of a path: words of letters and digits with one separator between two of them.
fn is_component(text: &str) -> bool {
    let is_of_a_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = text.split(is_of_a_word).filter(|between| !between.is_empty());
    let is_separator =
        |text: &str| matches!(text, "." | "_" | "__") || text.chars().all(|c| c == '-');
    text.starts_with(is_of_a_word) && text.ends_with(is_of_a_word) && separators.all(is_separator)
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(is_word)
        && text.len() <= LONGEST_TAG
        && text.chars().all(|c| is_word(c) || ".-".contains(c))
}

fn is_digest(text: &str) -> bool {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    match text.split_once(':') {
        Some(("sha256", hex)) => hex.len() == 64 && hex.chars().all(is_hex),
        Some(("sha512", hex)) => hex.len() == 128 && hex.chars().all(is_hex),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_takes_breaks_no_rule() {
        let (digest, id) = ("0a".repeat(32), "e".repeat(64));
        for reference in [
            "nginx",
            "a/b/c",
            "x/a.b_c__d---e/f:1",
            "Registry.Example:5000/a:Tag_1.2-x",
            "localhost/a",
            "HOST/a",
            "[::1]:5000/a",
            "a:5",
            &id,
            &format!("sha256:{id}"),
            &format!("a:1@sha256:{digest}"),
            &format!("h:1/a@sha512:{digest}{digest}"),
            &format!("a:{}", "t".repeat(128)),
        ] {
            assert_eq!(broken_rule(reference), None, "{reference}");
        }
    }

    #[test]
    fn what_no_engine_takes_breaks_a_rule() {
        for (reference, rule) in [
            ("", "name of a repository"),
            ("Trial:2", "name of a repository"),
            ("a/B", "name of a repository"),
            ("HOST/A", "name of a repository"),
            ("a..b", "name of a repository"),
            ("a___b", "name of a repository"),
            ("a-", "name of a repository"),
            ("_a", "name of a repository"),
            ("a//b", "name of a repository"),
            ("a b", "name of a repository"),
            ("ä", "name of a repository"),
            (&"a".repeat(256), "name of a repository"),
            ("h:/a", "a registry is"),
            ("h:port/a", "a registry is"),
            ("-h.x/a", "a registry is"),
            ("h..x/a", "a registry is"),
            ("[::g]:1/a", "a registry is"),
            ("https://h/a", "a registry is"),
            ("a:", "a tag has"),
            ("a:-1", "a tag has"),
            ("a:1:2", "a tag has"),
            (&format!("a:{}", "t".repeat(129)), "a tag has"),
            ("a@", "a digest is"),
            ("a@sha256:00", "a digest is"),
            (&format!("a@sha256:{}", "A".repeat(64)), "a digest is"),
            (&format!("a@md5:{}", "0".repeat(32)), "a digest is"),
        ] {
            let broken = broken_rule(reference).unwrap_or_default();
            assert!(broken.contains(rule), "{reference}: {broken}");
        }
    }

    #[test]
    fn a_reference_is_compared_as_the_engine_shows_it() {
        for (written, shown) in [
            ("nginx", "nginx:latest"),
            ("docker.io/library/nginx:1", "nginx:1"),
            ("h:5000/a", "h:5000/a:latest"),
            ("a:1@sha256:00", "a@sha256:00"),
        ] {
            assert_eq!(familiar(written), shown);
        }
    }
}
