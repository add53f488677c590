//! Connections to a local socket that are kept open between requests. bollard's own opens one a
//! request, which is a third of the time of a pass over many containers.

use bollard::BollardRequest;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyperlocal::UnixConnector;
use std::time::Duration;

/// Connections kept; more than requests are under way at once.
const KEPT: usize = 16;
/// How long one is kept without a request.
const IDLE: Duration = Duration::from_secs(5);

/// A client for the engine at the socket `path`; `timeout` is in seconds.
pub(super) fn unix(
    path: &str,
    timeout: u64,
    version: &bollard::ClientVersion,
) -> Result<bollard::Docker, bollard::errors::Error> {
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(KEPT)
        .build(UnixConnector);
    let send = move |request: BollardRequest| {
        let answer = client.request(request);
        async { answer.await.map_err(bollard::errors::Error::from) }
    };
    // The connector finds the path in the place of a host name, in hexadecimal.
    let address = format!("unix://{}", hex::encode(path));
    bollard::Docker::connect_with_custom_transport(send, Some(address), timeout, version)
}
