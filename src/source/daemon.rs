//! A repository behind `git://` (gitprotocol-pack, "Git Transport"). Nothing of it is encrypted, and nobody
//! proves who he is: what comes is as good as the network, unless the source is verified.

use super::error::Fault;
use super::limits::{Attempt, Limits};
use super::mirror::{Known, Mirror};
use super::select::{Offer, Wanted};
use super::smart::{
    Advertised, Bound, Incoming, end, pump, read_advertised, receive, request, write,
};
use git2::Oid;
use percent_encoding::percent_decode_str;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::mpsc::sync_channel;
use std::thread;
use url::Url;

const PORT: u16 = 9418;

/// A repository that a `git daemon` serves.
pub(super) struct Server<'a> {
    url: &'a Url,
}

/// What a server that was asked says first, and what will follow.
struct Talk<'a> {
    advertised: Advertised,
    incoming: Incoming<'a>,
    stream: Stream,
}

/// Ends the connection when it is dropped.
struct Stream(TcpStream);

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl<'s> Server<'s> {
    pub(super) fn new(url: &'s Url) -> Self {
        Self { url }
    }

    /// What the repository offers.
    pub(super) fn list(&self, attempt: &Attempt<'_>) -> Result<Offer, Fault> {
        let mut talk = self.begin(attempt)?;
        let mut nothing = Vec::new();
        end(&mut nothing);
        let _ = talk.stream.0.write_all(&nothing);
        Ok(talk.advertised.offer)
    }

    /// Fetches `wanted` into `mirror`, where `known` is.
    pub(super) fn fetch(
        &self,
        wanted: &Wanted,
        known: &Known,
        mirror: &Mirror,
        attempt: &Attempt<'_>,
    ) -> Result<Oid, Fault> {
        let Talk { advertised, mut incoming, stream } = self.begin(attempt)?;
        incoming.expect_objects();
        let request = request(&advertised, wanted, known)?;
        let (mut to, body) =
            (stream.0.try_clone().map_err(|error| unreachable(&error))?, request.body);
        // On a thread of its own, as over ssh. It ends with the connection, which ends with `stream`.
        thread::spawn(move || {
            let _ = to.write_all(&body);
        });
        receive(&mut incoming, request.shallow, known, mirror)?;
        Ok(wanted.id)
    }

    /// Asks for `git-upload-pack` there, and reads what it offers.
    fn begin<'a>(&self, attempt: &Attempt<'a>) -> Result<Talk<'a>, Fault> {
        attempt.check()?;
        let (host, port) = (self.host(), self.url.port().unwrap_or(PORT));
        let mut hello = Vec::new();
        write(&mut hello, &format!("git-upload-pack {}\0host={host}:{port}\0", self.path()?));
        let (parts, mut incoming) = Incoming::of(Bound::LISTING, attempt.clone());
        let (hand, stream) = sync_channel(1);
        let limits = attempt.limits;
        // It ends within the limits, or when the connection is ended here.
        thread::spawn(move || {
            let connected = connect(&host, port, limits.connect).and_then(|mut stream| {
                stream.set_read_timeout(Some(limits.idle))?;
                stream.set_write_timeout(Some(limits.idle))?;
                stream.write_all(&hello)?;
                Ok((stream.try_clone()?, stream))
            });
            match connected {
                Ok((ours, reader)) => {
                    if hand.send(Stream(ours)).is_ok() {
                        pump(reader, &parts, |error| silent_or_broken(&error, limits));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    let fault = Fault::TimedOut { during: "connecting", after: limits.connect };
                    let _ = parts.send(Err(fault));
                }
                Err(error) => drop(parts.send(Err(unreachable(&error)))),
            }
        });
        let advertised = read_advertised(&mut incoming)?;
        let stream = stream.recv().map_err(|error| unreachable(&io::Error::other(error)))?;
        Ok(Talk { advertised, incoming, stream })
    }

    fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }

    /// As git sends it: of `/~ann/a` the slash is no part.
    fn path(&self) -> Result<String, Fault> {
        let path = percent_decode_str(self.url.path()).decode_utf8_lossy().into_owned();
        if path.chars().any(char::is_control) {
            return Err(Fault::Unsupported { what: "a path with characters of control".into() });
        }
        Ok(path.strip_prefix('/').filter(|path| path.starts_with('~')).unwrap_or(&path).to_owned())
    }
}

/// A connection to the first address that answers.
fn connect(host: &str, port: u16, patience: std::time::Duration) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = io::Error::other("the host's name is not known");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Of an error while bytes are waited for.
fn silent_or_broken(error: &io::Error, limits: Limits) -> Fault {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Fault::TimedOut { during: "waiting for an answer", after: limits.idle }
        }
        _ => unreachable(error),
    }
}

fn unreachable(error: &io::Error) -> Fault {
    Fault::Unreachable { why: error.to_string() }
}
