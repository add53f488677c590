//! Servers that answer nonsense, nothing, or half of it: each fault is told apart, in time.

use super::upstream::follow;
use bowline::source::{Fault, Limits, Reference, SourceError};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// What a sync from a server says that treats every connection with `answer`.
fn sync_from(answer: impl Fn(TcpStream) + Send + 'static, limits: Limits) -> SourceError {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/a.git", listener.local_addr().unwrap()).parse().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
    let state = tempfile::tempdir().unwrap();
    let mut source = follow(location, Reference::Head, state.path()).with_limits(limits);
    source.sync(&AtomicBool::new(false)).unwrap_err()
}

fn answers(text: &str) -> impl Fn(TcpStream) + Send + 'static {
    let text = text.to_owned();
    move |mut stream| {
        hear(&mut stream);
        let _ = stream.write_all(text.as_bytes());
    }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Reads until the end of a request's head.
fn hear(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

const GIT: &str = "application/x-git-upload-pack-advertisement";

fn page(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

#[test]
fn a_web_page_is_not_git() {
    let error = sync_from(answers(&page("text/html", "<html>")), Limits::default());
    assert!(matches!(error.fault, Fault::NotGit { .. }), "{error}");
    assert!(error.to_string().contains("text/html"), "{error}");
    let error = sync_from(answers(&page(GIT, "<html>")), Limits::default());
    assert!(matches!(error.fault, Fault::NotGit { .. }), "{error}");
    let error = sync_from(answers("SSH-2.0-OpenSSH\r\n\r\n"), Limits::default());
    assert!(matches!(error.fault, Fault::NotGit { .. }), "{error}");
}

#[test]
fn a_server_that_breaks_off_is_unreachable() {
    let whole = page(GIT, "001e# service=git-upload-pack\n00000032");
    for text in [&whole[..whole.len() - 6], "HTTP/1.1 200", ""] {
        let error = sync_from(answers(text), Limits::default());
        assert!(matches!(error.fault, Fault::Unreachable { .. }), "{text:?}: {error}");
    }
}

#[test]
fn a_server_that_fails_is_unreachable() {
    let text = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let error = sync_from(answers(text), Limits::default());
    assert!(matches!(error.fault, Fault::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("503"), "{error}");
}

#[test]
fn a_silent_server_is_given_up() {
    let quick = Limits {
        connect: Duration::from_millis(100),
        idle: Duration::from_millis(200),
        ..Limits::default()
    };
    for start in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n001e",
    ] {
        let (keep, _kept) = channel();
        let hangs = move |mut stream: TcpStream| {
            hear(&mut stream);
            let _ = stream.write_all(start.as_bytes());
            keep.send(stream).unwrap();
        };
        let began = Instant::now();
        let error = sync_from(hangs, quick);
        assert!(matches!(error.fault, Fault::TimedOut { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_drip_of_bytes_does_not_outlast_the_whole() {
    let quick = Limits { whole: Duration::from_millis(400), ..Limits::default() };
    let drips = |mut stream: TcpStream| {
        hear(&mut stream);
        let _ = stream.write_all(page(GIT, "").replace(": 0", ": 99999").as_bytes());
        while stream.write_all(b"000e# service=").is_ok() {
            thread::park_timeout(Duration::from_millis(20));
        }
    };
    let error = sync_from(drips, quick);
    assert!(matches!(error.fault, Fault::TimedOut { .. }), "{error}");
}

#[test]
fn a_wait_for_a_silent_server_ends_on_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/a", listener.local_addr().unwrap()).parse().unwrap();
    let state = tempfile::tempdir().unwrap();
    let cancelled = AtomicBool::new(false);
    thread::scope(|scope| {
        let work = scope.spawn(|| {
            follow(location, Reference::Head, state.path()).sync(&cancelled).unwrap_err()
        });
        let _connected = listener.accept().unwrap();
        let began = Instant::now();
        cancelled.store(true, Ordering::Relaxed);
        let error = work.join().unwrap();
        assert!(matches!(error.fault, Fault::Cancelled), "{error}");
        assert!(began.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn a_port_where_nobody_listens_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let location = format!("http://127.0.0.1:{port}/a").parse().unwrap();
    let state = tempfile::tempdir().unwrap();
    let error = super::upstream::sync(&mut follow(location, Reference::Head, state.path()));
    let error = error.unwrap_err();
    assert!(matches!(error.fault, Fault::Unreachable { .. }), "{error}");
}

#[test]
fn redirects_in_a_circle_are_not_git() {
    let head = "HTTP/1.1 302 Found\r\nLocation: /login\r\nConnection: close";
    let error =
        sync_from(answers(&format!("{head}\r\nContent-Length: 0\r\n\r\n")), Limits::default());
    assert!(matches!(error.fault, Fault::NotGit { .. }), "{error}");
}

#[test]
fn a_login_does_not_follow_a_redirect_to_another_host() {
    let (elsewhere, here) = (listen(), listen());
    let target = format!("http://localhost:{}/stolen", elsewhere.local_addr().unwrap().port());
    let url = format!("http://{}/a.git", here.local_addr().unwrap());
    let (tell, heard) = channel();
    let says = format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nConnection: close\r\n\r\n");
    for (listener, answer) in [(here, says), (elsewhere, page("text/html", "thanks"))] {
        let tell = tell.clone();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            tell.send(hear(&mut stream).to_lowercase()).unwrap();
            let _ = stream.write_all(answer.as_bytes());
        });
    }
    let state = tempfile::tempdir().unwrap();
    let error =
        super::upstream::sync(&mut super::nginx::remote(&url, Some("s3cret"), state.path()));
    assert!(matches!(error.unwrap_err().fault, Fault::NotGit { .. }));
    let (first, second) = (heard.recv().unwrap(), heard.recv().unwrap());
    assert!(first.contains("authorization: basic"), "{first}");
    assert!(second.contains("get /stolen") && !second.contains("authorization"), "{second}");
}
