//! A socket before the engine's that can be cut: how an engine goes away in the middle of work.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A way to the engine that ends when a certain request comes.
pub struct Proxy {
    pub path: PathBuf,
}

#[derive(Default)]
struct Line {
    cut: bool,
    streams: Vec<UnixStream>,
}

impl Proxy {
    /// Listens at `path`. The first request that holds `last` gets no answer: from then on every
    /// connection is closed, and there is no socket any more.
    pub fn cut_at(path: &Path, last: &'static str) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let line = Arc::new(Mutex::new(Line::default()));
        let socket = path.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if line.lock().unwrap().cut {
                    return;
                }
                join(&stream, &line, last, &socket);
            }
        });
        Self { path: path.to_owned() }
    }

    /// Its address, as `--host` takes it.
    pub fn url(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}

fn join(client: &UnixStream, line: &Arc<Mutex<Line>>, last: &'static str, socket: &Path) {
    let engine = super::api::connect();
    line.lock()
        .unwrap()
        .streams
        .extend([client.try_clone(), engine.try_clone()].map(Result::unwrap));
    let (mut from, mut to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
    let (line, socket) = (Arc::clone(line), socket.to_owned());
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if String::from_utf8_lossy(&buffer[..length]).contains(last) {
                let mut line = line.lock().unwrap();
                line.cut = true;
                // The socket is gone already if two requests come at once.
                let _ = std::fs::remove_file(&socket);
                for stream in &line.streams {
                    let _ = stream.shutdown(Shutdown::Both);
                }
                return;
            }
            if to.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (engine, client.try_clone().unwrap());
    std::thread::spawn(move || {
        // Ends with either side.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
