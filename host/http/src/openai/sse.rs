//! Server-sent events: how a stream of chunks travels, whatever the chunks look like.
//!
//! `[DONE]` is said only after the flow's own end, when the trace is committed. What fails after the first chunk is told in
//! an event with the error object, and then there is no `[DONE]`. A stream that is silent says a comment now and then.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Response};
use bytes::Bytes;
use encaje_core::Problem;
use encaje_core::chat::Chunk;
use futures::FutureExt as _;
use serde::Serialize;

use crate::limits;
use crate::openai::answers::{Answers, Next};
use crate::openai::error;

/// Asks proxies not to gather events before they pass them on.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A comment; clients pass over it.
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Writes chunks as events of one wire format.
pub(crate) trait Encoder: Send + 'static {
    /// Appends the events for chunks of the answer to one prompt.
    ///
    /// # Errors
    /// When the format cannot express what was said.
    fn chunks(&mut self, prompt: usize, chunks: &[Chunk], out: &mut Vec<u8>) -> Result<(), Problem>;

    /// Appends what comes after the last chunk.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// Appends one event.
pub(crate) fn event(out: &mut Vec<u8>, data: &impl Serialize) {
    let before = out.len();
    out.extend_from_slice(b"data: ");
    if let Err(failure) = serde_json::to_writer(&mut *out, data) {
        // Writing to memory does not fail, and the types that are written have no maps with odd keys.
        tracing::error!(%failure, "an event could not be written");
        out.truncate(before);
        return;
    }
    out.extend_from_slice(b"\n\n");
}

struct State<E> {
    answers: Answers,
    said: Option<Next>,
    encoder: E,
    keep_alive: Duration,
    /// A comment is due before anything else.
    silent: bool,
    ended: bool,
}

/// The response to a request for a stream: `first` is what was said first, `None` where the caller was kept waiting for it.
pub(crate) fn response<E: Encoder>(
    answers: Answers,
    first: Option<Next>,
    encoder: E,
    keep_alive: Duration,
) -> Response<Body> {
    let state = State {
        answers,
        silent: first.is_none(),
        said: first,
        encoder,
        keep_alive,
        ended: false,
    };
    let body = Body::from_stream(futures::stream::unfold(state, |mut state| async move {
        let piece = state.piece().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), state))
    }));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

impl<E: Encoder> State<E> {
    /// The next bytes to send; `None` at the end.
    async fn piece(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.silent) {
            return Some(Bytes::from_static(KEEP_ALIVE));
        }
        let mut out = Vec::new();
        while out.is_empty() {
            if self.ended {
                return None;
            }
            let next = match self.said.take() {
                Some(said) => said,
                None => match tokio::time::timeout(self.keep_alive, self.answers.next()).await {
                    Ok(said) => said,
                    Err(_) => return Some(Bytes::from_static(KEEP_ALIVE)),
                },
            };
            self.write(next, &mut out);
            while !self.ended && out.len() < limits::SSE_BATCH_BYTES {
                let Some(more) = self.answers.next().now_or_never() else {
                    break;
                };
                self.write(more, &mut out);
            }
        }
        Some(Bytes::from(out))
    }

    fn write(&mut self, said: Next, out: &mut Vec<u8>) {
        let written = match said {
            Next::Started { .. } => Ok(()),
            Next::Chunks(prompt, chunks) => self.encoder.chunks(prompt, &chunks, out),
            Next::Failed(problem) => Err(problem),
            Next::End => {
                self.encoder.end(out);
                out.extend_from_slice(b"data: [DONE]\n\n");
                self.ended = true;
                Ok(())
            }
        };
        if let Err(problem) = written {
            let call = self.answers.call();
            tracing::warn!(request_id = call.request_id(), trace = %call.trace(), %problem, "a stream ended badly");
            call.cancel();
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&error::body(&problem));
            out.extend_from_slice(b"\n\n");
            self.ended = true;
        }
    }
}
