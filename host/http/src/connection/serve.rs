//! The accept loop, one driver a connection, and the shutdown.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{Request, Response};
use bytes::Bytes;
use encaje_core::{Problem, ProblemKind};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::EdgeConfig;
use crate::connection::clock::{Clock, Verdict};
use crate::connection::watched::{Watched, on_the_wire};
use crate::limits;
use crate::openai::error::Refusal;

/// Serves a router on a listener until `shutdown` is ready; then takes no new connection, lets every request that runs come
/// to its end, streams too, for at most [`EdgeConfig::drain_time`], cuts what is left, and returns.
///
/// # Errors
/// None at present: a listener that fails for a moment is asked again.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: EdgeConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let config = Arc::new(config);
    let places = Arc::new(Semaphore::new(config.connections.min(Semaphore::MAX_PERMITS)));
    let turned_away = Arc::new(Semaphore::new(limits::TURNED_AWAY));
    let (drain, cut, running) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                wait_after(&error).await;
                continue;
            }
        };
        // Small writes are whole events; nobody gains from holding them back.
        let _ = socket.set_nodelay(true);
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let driver = drive(socket, router.clone(), Arc::clone(&config), drain.clone());
            let cut = cut.clone();
            running.spawn(async move {
                let _place = place;
                tokio::select! {
                    () = driver => {}
                    () = cut.cancelled() => {}
                }
            });
        } else if let Ok(place) = Arc::clone(&turned_away).try_acquire_owned() {
            running.spawn(async move {
                let _place = place;
                let problem = Problem::new(
                    ProblemKind::Overloaded,
                    "The server has too many connections at the moment.",
                );
                tell(socket, Refusal::from(problem).closing()).await;
            });
        }
    }
    drop(listener);
    drain.cancel();
    running.close();
    if tokio::time::timeout(config.drain_time, running.wait()).await.is_err() {
        tracing::warn!(
            left = running.len(),
            "the time to drain is over; what still runs is cut off"
        );
        cut.cancel();
        running.wait().await;
    }
    Ok(())
}

/// A connection that failed before it was accepted says nothing about the next one; anything else, such as a want of file
/// descriptors, may last.
async fn wait_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(limits::ACCEPT_PAUSE).await;
    }
}

/// Serves one connection to its end.
async fn drive(socket: TcpStream, router: Router, config: Arc<EdgeConfig>, drain: CancellationToken) {
    let clock = Arc::new(Clock::new());
    let service = {
        let clock = Arc::clone(&clock);
        service_fn(move |request: Request<Incoming>| {
            clock.serving();
            answer(router.clone(), Arc::clone(&clock), request.map(Body::new))
        })
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(limits::HEADERS)
        .max_buf_size(limits::HEAD_BYTES)
        .serve_connection(TokioIo::new(Watched::new(socket, Arc::clone(&clock))), service);
    let mut tick = tokio::time::interval(limits::CLOCK_TICK.min(config.head_time).max(limits::SHORTEST_TICK));
    let mut draining = false;
    let verdict = loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                break Verdict::Fine;
            }
            () = drain.cancelled(), if !draining => {
                draining = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            _ = tick.tick() => match clock.verdict(&config) {
                Verdict::Fine => {}
                late => break late,
            },
        }
    };
    let socket = connection.into_parts().io.into_inner().into_socket();
    match verdict {
        Verdict::SlowHead => {
            tell(
                socket,
                Refusal::request_timeout("The request's head did not come in time."),
            )
            .await
        }
        // A connection that was idle when the server began to drain was told nothing that could be lost.
        Verdict::Fine if !draining || clock.is_closing() => linger(socket).await,
        Verdict::Fine | Verdict::Idle | Verdict::Stalled => {}
    }
}

/// One request through the router.
async fn answer(router: Router, clock: Arc<Clock>, request: Request<Body>) -> Result<Response<Watch>, Infallible> {
    let response = router.oneshot(request).await?;
    clock.answered(response.headers().get(CONNECTION).is_some_and(|value| value == "close"));
    Ok(response.map(|body| Watch { body, clock }))
}

/// Writes a refusal to a connection that hyper does not serve, and closes it.
async fn tell(mut socket: TcpStream, refusal: Refusal) {
    let told = tokio::time::timeout(limits::LINGER_TIME, socket.write_all(&on_the_wire(refusal))).await;
    if matches!(told, Ok(Ok(()))) && socket.shutdown().await.is_ok() {
        linger(socket).await;
    }
}

/// Reads and forgets what still comes. A socket that is closed with bytes unread resets the connection, and a reset may
/// overtake the answer.
async fn linger(mut socket: TcpStream) {
    let mut left = limits::LINGER_BYTES;
    let mut buffer = vec![0_u8; 16 << 10];
    let _ = tokio::time::timeout(limits::LINGER_TIME, async {
        while left > 0 {
            match socket.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    })
    .await;
}

/// A body that tells its connection's clock when it is done.
struct Watch {
    body: Body,
    clock: Arc<Clock>,
}

impl HttpBody for Watch {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.clock.served();
    }
}
