//! Who asks at the socket: the system tells which user a process at the other end is.

use axum::Router;
use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected, IntoMakeServiceWithConnectInfo};
use axum::middleware::{Next, from_fn};
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

tokio::task_local! {
    static CALLER: Option<Caller>;
}

/// A user of this host, by id.
#[derive(Debug, Clone, Copy)]
struct Caller(u32);

impl Caller {
    fn name(self) -> String {
        user(self.0)
    }
}

/// Whoever this task acts for; `None` if nobody knows.
pub fn caller() -> Option<String> {
    CALLER.try_with(Clone::clone).ok().flatten().map(Caller::name)
}

/// Does `work` for the user who runs this process.
pub async fn for_ourselves<T>(work: impl Future<Output = T>) -> T {
    CALLER.scope(Some(Caller(rustix::process::getuid().as_raw())), work).await
}

/// The user with this id by name, or else by the id.
pub fn user(id: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name(&users, id).unwrap_or_else(|| format!("uid {id}"))
}

/// The name of a user in the form of passwd(5): `name:password:uid:...`.
fn name(users: &str, id: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

/// Whoever opened a connection.
#[derive(Clone)]
pub(super) struct Peer(Option<Caller>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| Caller(peer.uid())))
    }
}

/// `router`, whose answers know who asks.
pub(super) fn told(router: Router) -> IntoMakeServiceWithConnectInfo<Router, Peer> {
    let scoped =
        async |ConnectInfo(Peer(caller)): ConnectInfo<Peer>, request: Request, next: Next| {
            CALLER.scope(caller, next.run(request)).await
        };
    router.layer(from_fn(scoped)).into_make_service_with_connect_info::<Peer>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_as_the_system_names_them() {
        let users =
            "root:x:0:0:root:/root:/bin/bash\n\n#odd\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(name(users, 0).as_deref(), Some("root"));
        assert_eq!(name(users, 1000).as_deref(), Some("anna"));
        assert_eq!(name(users, 1), None);
    }

    #[tokio::test]
    async fn nobody_is_named_but_who_is_known() {
        assert_eq!(caller(), None);
        let ourselves = Some(user(rustix::process::getuid().as_raw()));
        assert_eq!(for_ourselves(async { caller() }).await, ourselves);
    }
}
