//! What a file of allowed signers means and what its errors say.

use super::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

fn parse_at(text: &str) -> Result<Vec<Allowed>, String> {
    parse(text, &TimeZone::fixed(jiff::tz::offset(2)))
}

fn one(options: &str) -> Options {
    let mut read = parse_at(&format!("a@example.org {options} {KEY}")).unwrap();
    assert_eq!(read.len(), 1);
    read.remove(0).options
}

fn error(line: &str) -> String {
    parse_at(&format!("# first\n{line}\n")).unwrap_err()
}

#[test]
fn a_line_holds_principals_options_and_a_key() {
    let text = format!(
        "# who may sign\n\n  a@example.org,*@b.org {KEY} a comment\n\"c d\" namespaces=\"git\"\t{KEY}\n"
    );
    let read = parse_at(&text).unwrap();
    let principals: Vec<_> = read.iter().map(|signer| signer.principals.as_str()).collect();
    assert_eq!(principals, ["a@example.org,*@b.org", "c d"]);
    assert_eq!(read[0].key, read[1].key);
    assert_eq!(read[0].options, Options::default());
}

#[test]
fn namespaces_are_patterns_and_one_that_is_excluded_excludes() {
    let allows = |patterns: &str| one(&format!("namespaces=\"{patterns}\"")).allows("git");
    for good in ["git", "file,git", "g*", "*", "g?t", "*t", "!file,*", "*g*i*t*"] {
        assert!(allows(good), "{good}");
    }
    for bad in ["file", "!git,*", "*,!g*", "gi", "g?", "", "!file", "*x", "git?", "Git"] {
        assert!(!allows(bad), "{bad}");
    }
    assert!(one("").allows("git"));
}

#[test]
fn times_are_local_unless_they_say_utc() {
    let before = |time: &str| one(&format!("valid-before=\"{time}\"")).before.unwrap().to_string();
    assert_eq!(before("20240301"), "2024-02-29T22:00:00Z");
    assert_eq!(before("20240301Z"), "2024-03-01T00:00:00Z");
    assert_eq!(before("202403011530z"), "2024-03-01T15:30:00Z");
    assert_eq!(before("20240301153059Z"), "2024-03-01T15:30:59Z");
    let both = one("Valid-After=\"20230101Z\",valid-before=\"20240101Z\",namespaces=\"git\"");
    assert_eq!(both.after.unwrap().to_string(), "2023-01-01T00:00:00Z");
}

#[test]
fn what_cannot_be_used_is_an_error_with_its_line() {
    for (line, expected) in [
        ("a@example.org", "write PRINCIPALS"),
        ("ssh-ed25519 AAAA", "write PRINCIPALS"),
        ("ssh-ed25519 AAAA a comment here", "write PRINCIPALS"),
        ("a ssh-ed25519 AAAA", "the key cannot be read"),
        (
            "a ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti",
            "the key",
        ),
        ("a cert-authority KEY", "certificates are not supported"),
        ("a namespaces=\"git\",cert-authority KEY", "certificates are not supported"),
        ("a no-touch KEY", "unknown option `no-touch`"),
        ("a namespaces=git KEY", "write namespaces=\"…\""),
        ("a valid-after KEY", "write valid-after=\"…\""),
        ("a namespaces=\"git\"x KEY", "expected a comma after the option `namespaces`"),
        ("a namespaces=\"git\",namespaces=\"x\" KEY", "the option `namespaces` is there twice"),
        ("a namespaces=\"git KEY", "a quote is not closed"),
        ("a valid-before=\"2024\" KEY", "`2024` is no time"),
        ("a valid-before=\"20241301\" KEY", "`20241301` is no time"),
        ("a valid-after=\"20240101\",valid-before=\"20230101\" KEY", "`valid-before` is not after"),
    ] {
        let shown = error(&line.replace("KEY", KEY));
        assert!(shown.starts_with(&format!("line 2: {expected}")), "{line}: {shown}");
    }
    assert_eq!(parse_at("\n# nobody\n").unwrap_err(), "it holds no key");
}
