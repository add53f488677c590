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

#[cfg(test)]
mod tests {
    use super::*;

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
