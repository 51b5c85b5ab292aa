//! Serving HTTP: so many connections and no more, each with a limit on its silence.

use super::access::{Door, guard};
use super::api;
use super::control::ControlHandle;
use super::dashboard;
use super::live::{Feed, HangUp};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
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
            .merge(dashboard::routes())
            .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
            .with_state(api::ApiState {
                feed: Feed::new(control.clone()),
                control,
            });
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
    let hang_up = HangUp::default();
    let router = TowerToHyperService::new(router);
    let wanted = hang_up.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(hang_up.clone());
        router.call(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    let served = tokio::select! {
        served = serving => served,
        () = wanted.wanted() => {
            debug!("a connection to the admin interface was ended: its other side watches and does not read");
            Ok(())
        }
    };
    if let Err(error) = served {
        debug!(%error, "a connection to the admin interface ended early");
    }
    drop(place);
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Extension;
    use axum::routing::get;
    use tokio::io::AsyncWriteExt as _;

    /// Goal: a connection whose other side does not read ends when that is wanted, although an answer is under way. Method: the
    /// answer is larger than what lies between the two, and its maker asks for the end.
    #[test]
    fn who_does_not_read_is_hung_up_on() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let answer = |Extension(hang_up): Extension<HangUp>| async move {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    hang_up.ask();
                });
                "x".repeat(1 << 20)
            };
            let router = Router::new().route("/", get(answer));
            let (mut near, far) = tokio::io::duplex(64);
            let place = Arc::new(Semaphore::new(1))
                .acquire_owned()
                .await
                .expect("it is open");
            let serving = tokio::spawn(converse(far, router, place));
            near.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .expect("it is read");
            let ended = tokio::time::timeout(Duration::from_secs(10), serving).await;
            assert!(ended.is_ok(), "it goes on although the end was wanted");
        });
    }
}
