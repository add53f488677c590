//! Git's smart HTTP protocol, version 0, as far as fetching needs it (git's documentation,
//! `gitprotocol-http` and `gitprotocol-pack`). TLS is rustls with the roots of the Mozilla set.

mod advertisement;
mod client;
mod pack;
mod pkt_line;

pub(super) use advertisement::Advertisement;
pub(super) use client::Client;
pub(super) use pack::receive;
pub(super) use pkt_line::{FLUSH, line};
