//! A door before several servers of one name: each connection is led to one that is well at that
//! moment. It reads nothing of what passes through, and sends nothing twice.

use super::{ask, is_well};
use anyhow::Context;
use std::process::ExitCode;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::signal::unix::{SignalKind, signal};

/// Leads connections on until SIGTERM.
pub(super) async fn keep(address: &str, name: &str) -> anyhow::Result<ExitCode> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let mut terminate = signal(SignalKind::terminate())?;
    println!("the door of {name} listens on {address}");
    for turn in 0.. {
        tokio::select! {
            visitor = listener.accept() => {
                drop(tokio::spawn(lead(visitor?.0, name.to_owned(), turn)));
            }
            _ = terminate.recv() => break,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where nobody is well the visitor is turned away.
async fn lead(mut visitor: TcpStream, name: String, turn: usize) {
    if let Some(mut server) = reach(&name, turn).await {
        // Either side may end as it likes.
        let _ = copy_bidirectional(&mut visitor, &mut server).await;
    }
}

/// A connection to one that is well. The name is looked up each time, for those who came and went
/// since; by turns another one is asked first.
async fn reach(name: &str, turn: usize) -> Option<TcpStream> {
    let mut addresses: Vec<_> = lookup_host(name).await.ok()?.collect();
    addresses.sort_unstable();
    let first = turn.checked_rem(addresses.len())?;
    addresses.rotate_left(first);
    for address in addresses {
        let Ok(answer) = ask(&address.to_string()).await else { continue };
        if !is_well(&answer) {
            continue;
        }
        if let Ok(server) = TcpStream::connect(address).await {
            return Some(server);
        }
    }
    None
}
