//! Which lints are found, where, and how each is switched off.

use crate::manifest::{Diagnostics, DigestKey, Loaded, Request, load};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn try_load(text: &str, allow: &[&str]) -> Result<Loaded, Diagnostics> {
    let files = vec![PathBuf::from("/s/compose.yaml")];
    let mut request = Request::new(files, DigestKey::new([0; 32]));
    request.allow = allow.iter().map(|&name| name.to_owned()).collect();
    load(&request, &|path| {
        let known = path.ends_with("compose.yaml");
        known.then(|| text.as_bytes().to_vec()).ok_or(std::io::ErrorKind::NotFound.into())
    })
}

/// The names of what is found, and the lines.
fn found(text: &str) -> Vec<(&'static str, u32)> {
    found_but(text, &[])
}

fn found_but(text: &str, allow: &[&str]) -> Vec<(&'static str, u32)> {
    let loaded = try_load(text, allow).unwrap();
    let all = loaded.warnings.0.into_iter().chain(loaded.lints.0);
    all.map(|one| (one.lint.unwrap(), one.place.unwrap().line)).collect()
}

#[test]
fn each_lint_is_found_at_its_line() {
    for (attribute, lint) in [
        ("image: db", Some("image-tag")),
        ("image: db:latest", Some("image-tag")),
        ("image: registry:5000/db", Some("image-tag")),
        ("image: registry:5000/db:1", None),
        (
            "image: 'db@sha256:cafecafecafecafecafecafecafecafecafecafecafecafecafecafecafecafe'",
            None,
        ),
        ("ports: ['8080:80']", Some("open-port")),
        ("ports: ['0.0.0.0:8080:80']", Some("open-port")),
        ("ports: ['127.0.0.1:8080:80', '80']", None),
        ("volumes: [/data]", Some("anonymous-volume")),
        ("volumes: ['/a:/data', 'vol:/v']", None),
        ("links: [other]", Some("deprecated")),
        ("command: a && b", Some("shell-syntax")),
        ("command: [sh, -c, 'a && b']", None),
        (
            "healthcheck: {test: x, interval: 5s, timeout: 5s}, \
             deploy: {update_config: {monitor: 10s}}",
            Some("short-monitor"),
        ),
        (
            "healthcheck: {test: x, interval: 5s, timeout: 5s, retries: 1}, \
             deploy: {update_config: {monitor: 10s}}",
            None,
        ),
        ("deploy: {update_config: {monitor: 1s}}", None),
        ("scale: 2, x-bowline: {canary: {slots: 2, hold: 1s}}", Some("canary-of-all")),
        ("deploy: {replicas: 3}, x-bowline: {canary: {slots: 9, hold: 1s}}", Some("canary-of-all")),
        ("x-bowline: {canary: {hold: 1s}}", Some("canary-of-all")),
        ("scale: 2, x-bowline: {canary: {hold: 1s}}", None),
    ] {
        let own = attribute.starts_with("image");
        let both = if own { attribute.to_owned() } else { format!("image: db:1, {attribute}") };
        let text = format!(
            "services:\n  web: {{ {both} }}\n  other: {{image: x:1}}\nvolumes: {{vol: }}\n"
        );
        let names: BTreeSet<_> = try_load(&text, &[])
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
            .lints
            .0
            .iter()
            .chain(&try_load(&text, &[]).unwrap().warnings.0)
            .filter_map(|one| one.lint)
            .collect();
        assert_eq!(names, lint.into_iter().collect(), "{text}");
    }
    assert_eq!(
        found("version: '3'\nservices:\n  a:\n    image: x\n"),
        [("deprecated", 1), ("image-tag", 4)]
    );
}

#[test]
fn a_lint_is_switched_off_everywhere_in_a_service_or_by_hand() {
    let text = |top: &str, service: &str| {
        format!("{top}services:\n  a:\n    image: x\n{service}  b:\n    image: y\n")
    };
    let allow = "x-bowline: { allow: [image-tag] }\n";
    assert_eq!(found(&text("", "")).len(), 2);
    assert!(found(&text(allow, "")).is_empty());
    assert_eq!(found(&text("", &format!("    {allow}"))), [("image-tag", 6)]);
    assert!(found_but(&text("", ""), &["image-tag"]).is_empty());
    assert_eq!(found_but(&text("", ""), &["open-port"]).len(), 2);
}

#[test]
fn a_host_port_of_a_service_with_replicas_is_an_error() {
    let ports = |more: &str| {
        let text = format!("services:\n  a: {{image: x:1, {more}}}\n");
        try_load(&text, &[]).unwrap_err().to_string()
    };
    let twice = ports("ports: ['1.2.3.4:80:80', '80:81']");
    assert!(twice.contains("host port 80 is published twice"), "{twice}");
    assert!(ports("ports: ['80:80'], scale: 2").contains("several replicas"));
    assert!(ports("deploy: {replicas: 4000000000}").contains("at most 10000"));
}
