//! Certificates that are accepted, and why others are not.

use super::http::Served;
use super::nginx::{Server, remote};
use super::upstream::{follow, sync};
use bowline::source::{Fault, Reference, check_authorities};
use std::fs;
use std::path::Path;

/// What a sync from `url` says that trusts the authorities in `ca_file`.
fn told(url: &str, ca_file: Option<&Path>, state: &Path) -> String {
    let source = follow(url.parse().unwrap(), Reference::Head, state);
    let mut source = match ca_file {
        Some(pem) => source.with_authorities(pem.to_owned()),
        None => source,
    };
    sync(&mut source).unwrap_err().to_string()
}

#[test]
fn an_authority_that_is_named_is_trusted_and_others_are_not() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    let (url, state) = (server.tls_url("open/a.git"), served.work.state());
    let mut source = remote(&url, None, &state).with_authorities(server.authority());
    assert_eq!(sync(&mut source).unwrap().revision.0, served.work.head());
    let error = told(&url, None, &state);
    assert!(error.contains("from an authority that is not among the trusted ones"), "{error}");
    assert!(error.contains("as `tls.ca_file`"), "{error}");
}

#[test]
fn an_expired_certificate_and_one_of_another_name_are_told_apart() {
    let Some(server) = Server::start() else { return };
    let (ca, state) = (server.authority(), server.place("state"));
    let expired = format!("https://localhost:{}/open/a.git", server.expired_port);
    let error = told(&expired, Some(&ca), &state);
    assert!(error.contains("ended on 2025-02-01T00:00:00Z; have it renewed"), "{error}");
    let other_name = server.tls_url("open/a.git").replacen("localhost", "127.0.0.1", 1);
    let error = told(&other_name, Some(&ca), &state);
    assert!(error.contains("is for localhost and not for 127.0.0.1; correct"), "{error}");
    let no_tls = server.url("open/a.git").replacen("http:", "https:", 1);
    let error = told(&no_tls, Some(&ca), &state);
    assert!(error.contains("does not speak TLS on this port"), "{error}");
}

/// What people make in a hurry: `openssl req -x509` makes an authority.
#[test]
fn a_certificate_that_signed_itself_as_an_authority_is_said() {
    let Some(server) = Server::start() else { return };
    let url = format!("https://localhost:{}/open/a.git", server.own_port);
    let error = told(&url, Some(&server.place("own.pem")), &server.place("state"));
    assert!(error.contains("shows an authority's certificate for its own"), "{error}");
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let (begin, end) = ("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n");
    for (text, expected) in [
        (None, "No such file or directory"),
        (Some(String::new()), "it holds no certificate; write them as PEM"),
        (Some("\u{1}\u{2}".into()), "it holds no certificate"),
        (Some(format!("{begin}!!\n{end}")), "its part 1 is no PEM"),
        (Some(format!("{begin}AAAA\n")), "its part 1 is no PEM"),
        (Some(format!("{begin}AAAA\n{end}")), "its certificate 1 cannot be used"),
    ] {
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let fault = check_authorities(&path).unwrap_err();
        assert!(matches!(fault, Fault::Authorities { .. }), "{fault}");
        let shown = fault.to_string();
        assert!(shown.contains("ca.pem: ") && shown.contains(expected), "{shown}");
        let told = told("https://localhost:1/a", Some(&path), directory.path());
        assert!(told.contains(&shown), "{told}");
    }
}
