//! Git's smart protocol, version 0 (Documentation/gitprotocol-pack), whatever carries it: what a server
//! offers, and the pack with one commit, without its history where the server can. Never pushes.

mod advertise;
mod fetch;
mod pktline;
mod stream;

pub(super) use advertise::{Advertised, read as read_advertised};
pub(super) use fetch::{receive, request};
pub(super) use pktline::{flush as end, words, write};
pub(super) use stream::{Bound, Incoming, pump, wait};
