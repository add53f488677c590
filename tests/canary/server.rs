//! A server on the loopback that answers as a test says, question by question.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// It serves until the test's process ends.
pub struct Server {
    pub port: u16,
    asked: Arc<AtomicUsize>,
}

/// What it says: a status and a body, or nothing.
pub type Answer = Option<(u16, &'static str)>;

impl Server {
    /// One that answers each question, counted from 1, with what `answer` says.
    pub fn answering(answer: impl Fn(usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                read(&stream);
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                let Some((status, body)) = answer(number) else { continue };
                let length = body.len();
                // Whoever asked may be gone.
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { port, asked }
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn read(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        let read = reader.read_line(&mut line).unwrap();
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
        if read == 0 || line == "\r\n" {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}
