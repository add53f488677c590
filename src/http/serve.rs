//! Takes connections and bounds them: how many there are, how long a request may take to come, and how
//! long a connection lasts, so that nobody who is slow keeps others out.

use super::guard::Ends;
use super::{DRAIN_BOUND, HttpError, Shared, router};
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Connections at once; more wait until one ends.
const AT_ONCE: usize = 256;
/// How long the head of a request may take to come, and how long a connection may be silent.
const HEAD_BOUND: Duration = Duration::from_secs(15);
/// How large the head of a request may be, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;
/// How long a connection takes requests.
const AGE: Duration = Duration::from_secs(60);
/// How long the last answer may take, to be made and to be read.
const LAST_ANSWER: Duration = Duration::from_secs(30);
/// The wait after a connection could not be taken: there may be too many files open.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until `cancel`, then lets answers under way end within [`DRAIN_BOUND`].
pub async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    cancel: CancellationToken,
) -> Result<(), HttpError> {
    let (router, permits) = (router(shared), Arc::new(Semaphore::new(AT_ONCE)));
    let (connections, dropped) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let taken = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, taken) = tokio::select! {
            () = cancel.cancelled() => break,
            taken = taken => taken,
        };
        let stream = match taken {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("cannot take a connection: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (router, end) = (router.clone(), cancel.clone());
        let connection = dropped.clone().run_until_cancelled_owned(async move {
            answer(stream, router, end).await;
            drop(permit);
        });
        connections.spawn(connection);
    }
    drop(listener);
    connections.close();
    if timeout(DRAIN_BOUND, connections.wait()).await.is_err() {
        dropped.cancel();
    }
    Ok(())
}

/// Answers on one connection.
async fn answer(stream: TcpStream, router: Router, end: CancellationToken) {
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Ends { peer, local });
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_BOUND)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A client that breaks off harms nobody but itself.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = end.cancelled() => {}
        () = sleep(AGE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER, connection).await;
}
