//! Bytes that come from a server, read on a thread of their own: so that a silent server delays neither
//! a cancellation nor a bound.

use super::super::error::Fault;
use super::super::limits::Attempt;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How often a wait looks whether it is still wanted.
const TICK: Duration = Duration::from_millis(20);
/// Bytes read at a time, and how many such parts wait at most.
const PART: usize = 64 << 10;
const PARTS: usize = 16;

/// Most of what lists references, in bytes.
const ADVERTISEMENT: u64 = 64 << 20;

/// What comes, by which it is bounded.
#[derive(Debug, Clone, Copy)]
pub(in crate::source) enum Bound {
    /// A list of references, of which so many bytes may still come.
    Listing(u64),
    /// Objects: what the whole attempt may bring.
    Objects,
}

impl Bound {
    pub(in crate::source) const LISTING: Self = Self::Listing(ADVERTISEMENT);
}

/// Some bytes, or why no more come.
type Part = Result<Vec<u8>, Fault>;

/// Hands on what comes from `reader` until its end, or until nobody listens any more.
pub(in crate::source) fn pump(
    mut reader: impl Read,
    parts: &SyncSender<Part>,
    fault: impl Fn(io::Error) -> Fault,
) {
    loop {
        let mut part = vec![0; PART];
        let sent = match reader.read(&mut part) {
            Ok(0) => return,
            Ok(count) => {
                part.truncate(count);
                parts.send(Ok(part))
            }
            Err(error) => {
                let _ = parts.send(Err(fault(error)));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// What comes next, or `None` when nothing will.
pub(in crate::source) fn wait<T>(
    from: &Receiver<T>,
    attempt: &Attempt<'_>,
    patience: Duration,
    during: &'static str,
) -> Result<Option<T>, Fault> {
    let began = Instant::now();
    loop {
        attempt.check()?;
        match from.recv_timeout(TICK) {
            Ok(item) => return Ok(Some(item)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if began.elapsed() >= patience => {
                return Err(Fault::TimedOut { during, after: patience });
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// What comes, within its bounds. Errors carry a [`Fault`].
pub(in crate::source) struct Incoming<'a> {
    parts: Receiver<Part>,
    part: io::Cursor<Vec<u8>>,
    bound: Bound,
    attempt: Attempt<'a>,
}

impl<'a> Incoming<'a> {
    /// What will be handed to the sender.
    pub(in crate::source) fn of(bound: Bound, attempt: Attempt<'a>) -> (SyncSender<Part>, Self) {
        let (sender, parts) = sync_channel(PARTS);
        (sender, Self { parts, part: io::Cursor::default(), bound, attempt })
    }

    /// From here on objects come.
    pub(in crate::source) fn expect_objects(&mut self) {
        self.bound = Bound::Objects;
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.part.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let idle = self.attempt.limits.idle;
        let next = wait(&self.parts, &self.attempt, idle, "waiting for the rest of an answer");
        let part = match next.map_err(Fault::into_io)? {
            None => return Ok(0),
            Some(Ok(part)) => part,
            Some(Err(fault)) => return Err(fault.into_io()),
        };
        let length = part.len() as u64;
        let taken = match &mut self.bound {
            Bound::Objects => self.attempt.take(length),
            Bound::Listing(left) => match left.checked_sub(length) {
                Some(rest) => {
                    *left = rest;
                    Ok(())
                }
                None => Err(Fault::TooLarge { limit: ADVERTISEMENT }),
            },
        };
        taken.map_err(Fault::into_io)?;
        self.part = io::Cursor::new(part);
        self.part.read(buffer)
    }
}
