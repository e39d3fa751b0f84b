//! The accept loop. axum's own has no deadline for request heads, so a client that dribbles them keeps its
//! socket for ever; here a head has a deadline, a client that takes nothing another one, connections are capped, and a
//! stop drains.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokenx_config::Server;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::metrics;

/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a client may take no byte of what there is for it. Then it is let go: what it did not take costs a
/// connection and the memory of its buffers.
const STALL: Duration = Duration::from_secs(20);

/// Serves a router on a listener until told to stop, then drains: no new connections, answers under way finish.
/// Connections above the settings' cap wait in the kernel's backlog.
///
/// # Errors
/// Never for one connection's sake; only when the listener itself is unusable.
pub async fn serve(
    router: Router,
    listener: TcpListener,
    settings: &Server,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let header_read_timeout = settings.header_read_timeout();
    // The deadline does nothing without the timer.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_read_timeout);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(header_read_timeout));
    let slots = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    let abandon = CancellationToken::new();

    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = async {
                // Never closed, so acquiring cannot fail; the slot comes first, then the socket.
                let slot = slots.clone().acquire_owned().await;
                (slot, listener.accept().await)
            } => accepted,
        };
        let (slot, (stream, address)) = match accepted {
            (Ok(slot), Ok(accepted)) => (slot, accepted),
            (_, Err(error)) => {
                tracing::warn!(error = %error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
            (Err(_), _) => break,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "nodelay refused");
        }
        let router = router.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(address));
            router.clone().oneshot(request)
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(STALL));
        let io = TokioIo::new(Box::pin(stream));
        let connection = builder.serve_connection_with_upgrades(io, service).into_owned();
        let connection = graceful.watch(connection);
        let abandon = abandon.clone();
        tokio::spawn(async move {
            let _slot = slot;
            let _counted = metrics::connection();
            tokio::select! {
                result = connection => if let Err(error) = result {
                    tracing::debug!(error = %error, "connection ended");
                },
                () = abandon.cancelled() => {}
            }
        });
    }

    drop(listener);
    let grace = settings.shutdown_grace();
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(after_s = grace.as_secs_f64(), "gave up on connections that did not finish");
    }
    abandon.cancel();
    Ok(())
}
