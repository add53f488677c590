//! Servers that are reached through a proxy, and proxies that let nobody through.

use super::http::Served;
use super::nginx::{PASSWORD, Server, remote};
use super::upstream::{follow, sync};
use base64::Engine as _;
use bowline::model::Sensitive;
use bowline::source::{Credentials, Limits, Proxy, Reference, Repository};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A proxy that connects whom it likes (RFC 9110, CONNECT).
pub(crate) struct Tunnel {
    pub(crate) port: u16,
    /// The heads of the requests that came.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    /// One that lets through whose head `likes` gives no status for.
    pub(crate) fn start(likes: impl Fn(&str) -> Option<u16> + Send + 'static) -> Self {
        Self::leading(likes, str::to_owned)
    }

    /// The same, to the address that `to` gives for the one that is asked for.
    pub(crate) fn leading(
        likes: impl Fn(&str) -> Option<u16> + Send + 'static,
        to: impl Fn(&str) -> String + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let head = head(&client);
                heads.lock().unwrap().push(head.clone());
                match likes(&head) {
                    Some(status) => say(&client, &format!("{status} No")),
                    None => join(client, &to(head.split_whitespace().nth(1).unwrap_or_default())),
                }
            }
        });
        Self { port, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn server(&self, login: Option<(&str, &str)>) -> Proxy {
        let login = login.map(|(username, password)| Credentials {
            username: username.into(),
            password: Sensitive::new(password.into()),
        });
        Proxy::Server { url: self.url().parse().unwrap(), login }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn head(mut client: &TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn say(mut client: &TcpStream, status: &str) {
    let _ = client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
}

fn join(client: TcpStream, target: &str) {
    let Ok(server) = TcpStream::connect(target) else { return say(&client, "502 Bad Gateway") };
    say(&client, "200 Connection established");
    for (mut from, mut to) in
        [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
    {
        thread::spawn(move || {
            // It ends with either side.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

fn fault(source: Repository) -> String {
    let quick = Limits { connect: Duration::from_millis(500), ..Limits::default() };
    sync(&mut source.with_limits(quick)).unwrap_err().to_string()
}

/// A server that only the proxy would reach.
fn beyond(state: &Path) -> Repository {
    follow("https://git.beyond.invalid/a.git".parse().unwrap(), Reference::Head, state)
}

#[test]
fn a_server_is_reached_through_a_proxy_that_sees_no_login() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    let tunnel = Tunnel::start(|_| None);
    let (url, state) = (server.tls_url("closed/a.git"), served.work.state());
    let source = remote(&url, Some(PASSWORD), &state).with_authorities(server.authority());
    let mut source = source.with_proxy(tunnel.server(None));
    assert_eq!(sync(&mut source).unwrap().revision.0, served.work.head());
    let asked = tunnel.asked();
    let first = format!("CONNECT localhost:{} HTTP/1.1\r\n", server.tls_port);
    assert!(asked.iter().all(|head| head.starts_with(&first)), "{asked:?}");
    assert!(!asked.is_empty() && !asked.concat().to_lowercase().contains("authorization"));
}

#[test]
fn a_proxy_gets_its_own_login() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("a", "one")]);
    let pair = base64::engine::general_purpose::STANDARD.encode("ann:p:w%");
    let wanted = format!("Proxy-Authorization: Basic {pair}\r\n");
    let tunnel = Tunnel::start(move |head| (!head.contains(&wanted)).then_some(407));
    let (url, state) = (server.tls_url("open/a.git"), served.work.state());
    let through = |login| {
        let source = remote(&url, None, &state).with_authorities(server.authority());
        source.with_proxy(tunnel.server(login))
    };
    let error = fault(through(None));
    assert!(
        error.contains("asks for a login (HTTP 407); set the source's `proxy_auth`"),
        "{error}"
    );
    let error = fault(through(Some(("ann", "wr0ng"))));
    assert!(error.contains("does not accept the login (HTTP 407)"), "{error}");
    assert!(!error.contains("wr0ng") && !error.contains("ann"), "{error}");
    assert!(sync(&mut through(Some(("ann", "p:w%")))).unwrap().moved);
}

#[test]
fn a_proxy_that_refuses_or_is_away_is_named() {
    let state = tempfile::tempdir().unwrap();
    let named = |tunnel: &Tunnel, what: &str| {
        let error = fault(beyond(state.path()).with_proxy(tunnel.server(Some(("ann", "s3cret")))));
        let place = format!("the proxy {} {what}", tunnel.url());
        assert!(error.contains(&place) && !error.contains("s3cret"), "{error}");
    };
    named(&Tunnel::start(|_| Some(403)), "refuses the way to the server (HTTP 403); allow it");
    named(&Tunnel::start(|_| None), "cannot reach the server (HTTP 502)");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    named(&Tunnel { port, asked: Arc::default() }, "cannot be reached: Connection refused");
    // It takes the connection, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    named(&Tunnel { port, asked: Arc::default() }, "gave no way to the server within 0.5 s");
}
