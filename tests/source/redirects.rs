//! Servers that lead elsewhere: followed, with the login only where it was meant for.

use super::http::Served;
use super::nginx::{PASSWORD, Server, USER, remote};
use super::proxy::Tunnel;
use super::upstream::sync;
use crate::support::program::{command, run};
use bowline::source::{Fault, Repository};
use std::io::{Read, Write};
use std::net::TcpListener;

/// A follower of `url`, with the login and the authority.
fn source(server: &Server, served: &Served, url: &str) -> Repository {
    remote(url, Some(PASSWORD), &served.work.state()).with_authorities(server.authority())
}

#[test]
fn a_redirect_within_the_server_is_followed_with_the_login() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    let mut source = source(&server, &served, &server.tls_url("moved/a.git"));
    assert_eq!(sync(&mut source).unwrap().revision.0, served.work.head());
    // As git has it, what comes after the first answer is asked where that came from.
    let asked = server.requests_since(0, "POST ");
    assert!(
        asked.iter().any(|line| line.contains("POST /closed/a.git/git-upload-pack")),
        "{asked:?}"
    );
    assert!(!asked.iter().any(|line| line.contains("POST /moved/")), "{asked:?}");
}

#[test]
fn a_login_is_not_shown_at_another_port_of_the_host() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    for path in ["away/closed/a.git", "late/a.git"] {
        let error = sync(&mut source(&server, &served, &server.tls_url(path))).unwrap_err();
        assert!(matches!(error.fault, Fault::LoginLeftBehind { status: 401, .. }), "{error}");
        let expected = format!("https://localhost:{}, which asks for a login", server.other_port);
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let mut source = source(&server, &served, &server.tls_url("away/open/a.git"));
    assert_eq!(sync(&mut source).unwrap().revision.0, served.work.head());
    let asked = server.requests_elsewhere("POST /open/a.git/");
    assert!(asked.iter().any(|line| line.contains("GET /closed/a.git/")), "{asked:?}");
    assert!(asked.iter().any(|line| line.contains("POST /closed/a.git/")), "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains(USER)), "{asked:?}");
}

#[test]
fn https_never_leads_to_http() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    let error =
        sync(&mut source(&server, &served, &server.tls_url("down/open/a.git"))).unwrap_err();
    assert!(matches!(error.fault, Fault::NotGit { .. }), "{error}");
    assert!(error.to_string().contains("redirects from https to http"), "{error}");
    let asked = server.requests_since(0, "/down/");
    assert!(!asked.iter().any(|line| line.contains(" /open/")), "{asked:?}");
}

#[test]
fn a_login_goes_on_to_the_https_of_its_own_host() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    // The ports that everybody uses, which a test cannot have, are those of the server for the proxy.
    let (http, https) = (server.port, server.tls_port);
    let proxy = Tunnel::leading(
        |_| None,
        move |target| format!("127.0.0.1:{}", if target == "localhost:80" { http } else { https }),
    );
    let mut source = source(&server, &served, "http://localhost/up/closed/a.git");
    source = source.with_proxy(proxy.server(None));
    assert_eq!(sync(&mut source).unwrap().revision.0, served.work.head());
    let ways = proxy.asked();
    let to = |place: &str| ways.iter().filter(|head| head.contains(place)).count();
    assert!(to("localhost:80 ") > 0 && to("localhost:443 ") > 0, "{ways:?}");
    let asked = server.requests_since(0, "POST ");
    let posted = asked.iter().find(|line| line.contains("POST /closed/a.git/")).unwrap();
    assert!(posted.contains(USER), "{asked:?}");
}

#[test]
fn a_redirect_goes_by_the_way_that_the_environment_has_for_its_own_host() {
    let direct = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = direct.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in direct.incoming().map_while(Result::ok) {
            let _ = client.read(&mut [0; 4096]);
            let to = "http://git.beyond.invalid/a.git/info/refs?service=git-upload-pack";
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            let _ = client.write_all(head.as_bytes());
        }
    });
    let proxy = Tunnel::start(|_| Some(403));
    let state = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{port}/a.git");
    let mut plan = command(state.path(), &["plan", "--engine", "sim", &url]);
    plan.env("http_proxy", proxy.url()).env("no_proxy", "127.0.0.1");
    let told = format!("the proxy {} refuses the way to the server (HTTP 403)", proxy.url());
    run(&mut plan).expect(1).says(&[&told]);
    let asked = proxy.asked();
    assert!(
        asked.iter().all(|head| head.starts_with("CONNECT git.beyond.invalid:80 ")),
        "{asked:?}"
    );
}
