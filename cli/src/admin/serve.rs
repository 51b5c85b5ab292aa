//! Serving HTTP: so many connections and no more, each with a limit on its silence.

use super::access::{Door, guard};
use super::api;
use super::control::ControlHandle;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tracing::debug;

/// Connections of each door at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 128;

/// How long a connection may take to send the head of its next request.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// Octets of a request's body at most.
const BODY_OCTETS_MAX: usize = 64 * 1024;

/// The pause after an accept that failed, so that a lack of file descriptors does not become a busy loop.
const REST: Duration = Duration::from_millis(100);

/// Serves both doors for ever.
pub(super) fn run(
    tcp: Option<(TcpListener, Door)>,
    unix: Option<UnixListener>,
    control: ControlHandle,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let (router, _) = api::router_and_description();
        let router: Router = router
            .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
            .with_state(api::ApiState { control });
        let guarded = |door: Door| {
            router
                .clone()
                .layer(axum::middleware::from_fn_with_state(door, guard))
        };
        if let Some((listener, door)) = tcp {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(serve_tcp(listener, guarded(door)));
        }
        if let Some(listener) = unix {
            let listener = tokio::net::UnixListener::from_std(listener)?;
            tokio::spawn(serve_unix(listener, guarded(Door::Socket)));
        }
        std::future::pending().await
    })
}

async fn serve_tcp(listener: tokio::net::TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // The semaphore is never closed, so there is always a permit at some time.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, router.clone(), place))),
            Err(error) => rest(&error).await,
        }
    }
}

async fn serve_unix(listener: tokio::net::UnixListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, router.clone(), place))),
            Err(error) => rest(&error).await,
        }
    }
}

async fn rest(error: &io::Error) {
    debug!(%error, "the admin interface could not accept a connection");
    tokio::time::sleep(REST).await;
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    place: tokio::sync::OwnedSemaphorePermit,
) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection to the admin interface ended early");
    }
    drop(place);
}
