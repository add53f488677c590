//! Who asks at the socket: the kernel knows.

use crate::status::Caller;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

/// The list of this host's users.
const USERS: &str = "/etc/passwd";

/// The user at the other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|it| it.uid()))
    }
}

/// `router`, told who asks.
pub(super) fn named(router: Router) -> Router {
    router.layer(from_fn(async |mut request: Request, next: Next| {
        let peer = request.extensions().get::<ConnectInfo<Peer>>();
        if let Some(uid) = peer.and_then(|ConnectInfo(Peer(uid))| *uid) {
            request.extensions_mut().insert(user(uid));
        }
        next.run(request).await
    }))
}

/// A user of this host, by name where the list of users has one.
pub fn user(uid: u32) -> Caller {
    let users = std::fs::read_to_string(USERS).unwrap_or_default();
    Caller(name_in(&users, uid).map_or_else(|| format!("uid {uid}"), ToOwned::to_owned))
}

/// The name of `uid` in lines of `name:password:uid:...`.
fn name_in(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid) && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_of_the_list() {
        let users = "root:x:0:0:root:/root:/bin/sh\n# none\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(name_in(users, 0), Some("root"));
        assert_eq!(name_in(users, 1000), Some("anna"));
        assert_eq!(name_in(users, 1001), None);
        assert_eq!(user(u32::MAX - 7), Caller("uid 4294967288".to_owned()));
    }
}
