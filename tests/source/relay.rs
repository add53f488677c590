//! A port before a server that can be led elsewhere, fall silent, or break off.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of a connection.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// It leads to this port.
    To(u16),
    /// The same, but it ends when so many bytes came back.
    Cut(u16, usize),
    /// Nothing comes.
    Silence,
    /// What no server says.
    Garbage,
}

/// A port that leads where the test wants.
pub(crate) struct Relay {
    pub(crate) port: u16,
    way: Arc<Mutex<Way>>,
}

impl Relay {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let way = Arc::new(Mutex::new(Way::To(port)));
        let now = Arc::clone(&way);
        thread::spawn(move || {
            let mut silent = Vec::new();
            for mut client in listener.incoming().map_while(Result::ok) {
                match *now.lock().unwrap() {
                    Way::To(port) => lead(client, port, usize::MAX),
                    Way::Cut(port, bytes) => lead(client, port, bytes),
                    Way::Silence => silent.push(client),
                    Way::Garbage => drop(client.write_all(&[b'x'; 4096])),
                }
            }
        });
        Self { port: own, way }
    }

    pub(crate) fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }
}

fn lead(client: TcpStream, port: u16, bytes: usize) {
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let back = (server.try_clone().unwrap(), client.try_clone().unwrap(), bytes);
    for (mut from, mut to, mut left) in [(client, server, usize::MAX), back] {
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let length = length.min(left);
                left -= length;
                if to.write_all(&buffer[..length]).is_err() || left == 0 {
                    break;
                }
            }
            for stream in [from, to] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}
