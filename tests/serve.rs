//! The page of the demo and the example stacks: how it ends.

#![allow(clippy::unwrap_used)]

mod support;

use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;
use support::agent::{free_port, get};
use support::program::{command, signal, wait};
use support::wait::until;

/// How long its end may take.
const END_BOUND: Duration = Duration::from_secs(20);

/// The page, at an address.
struct Page {
    child: Child,
    address: String,
}

impl Page {
    fn start(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let arguments = [&["serve", "--listen", &address], more].concat();
        let child = command(dir.path(), &arguments).stdout(Stdio::null()).spawn().unwrap();
        let page = Self { child, address };
        until("the page", || get(&page.address, "/"));
        page
    }

    fn ends_well(mut self) {
        let status = wait(&mut self.child, END_BOUND).expect("it ends");
        assert!(status.success(), "{status}");
        assert!(TcpStream::connect(&self.address).is_err());
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The head of the answer to a request on a connection that is kept.
fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"POST / HTTP/1.1\r\nHost: page\r\nContent-Length: 1\r\n\r\n.").unwrap();
    let mut answer = String::new();
    while !answer.contains("</html>") {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).unwrap();
        assert!(length > 0, "the answer ends: {answer}");
        answer += &String::from_utf8_lossy(&bytes[..length]);
    }
    answer.split("\r\n\r\n").next().unwrap().to_lowercase()
}

#[test]
fn a_page_that_is_told_to_end_serves_on_for_a_while_and_says_that_it_leaves() {
    let page = Page::start(&["--linger", "4s"]);
    let mut kept = TcpStream::connect(&page.address).unwrap();
    assert!(!ask(&mut kept).contains("connection: close"));
    assert_eq!(get(&page.address, "/healthz"), Some((200, "well\n".to_owned())));
    signal(&page.child, Signal::TERM);
    until("the health check to fail", || {
        (get(&page.address, "/healthz")? == (503, "leaving\n".to_owned())).then_some(())
    });
    let last = ask(&mut kept);
    assert!(last.starts_with("http/1.1 200 ") && last.contains("connection: close"), "{last}");
    assert_eq!(kept.read(&mut [0]).unwrap(), 0, "the connection ends");
    page.ends_well();
}

#[test]
fn a_page_that_does_not_linger_ends_at_once_though_connections_are_kept() {
    let page = Page::start(&[]);
    let mut kept = TcpStream::connect(&page.address).unwrap();
    ask(&mut kept);
    signal(&page.child, Signal::TERM);
    page.ends_well();
}
