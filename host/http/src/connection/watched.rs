//! A socket that tells its clock what it does, and gives a body to the refusals that hyper makes without one.
//!
//! hyper answers a head that it cannot read by itself, with a status and nothing else; no hook changes that. Every answer of
//! ours has a request id, so an error without one is hyper's, and it is replaced on its way out.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::header::HeaderMap;
use axum::response::IntoResponse as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::connection::clock::Clock;
use crate::edge::REQUEST_ID;
use crate::openai::error::{Refusal, body};

/// The socket of one connection.
pub(crate) struct Watched {
    socket: TcpStream,
    clock: Arc<Clock>,
    /// What is written instead of what hyper wants to write, and how much of it was.
    instead: Option<(Vec<u8>, usize)>,
}

impl Watched {
    pub(crate) fn new(socket: TcpStream, clock: Arc<Clock>) -> Self {
        Self {
            socket,
            clock,
            instead: None,
        }
    }

    /// The socket alone.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Writes the rest of the replacement, then says that `length` bytes were written.
    fn write_instead(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        while let Some((bytes, written)) = &mut self.instead {
            let rest = bytes.get(*written..).unwrap_or_default();
            if rest.is_empty() {
                self.instead = None;
                break;
            }
            let taken = ready!(Pin::new(&mut self.socket).poll_write(cx, rest))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += taken;
        }
        Poll::Ready(Ok(length))
    }

    /// Notes whether the client takes what is written.
    fn noted<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.clock.wrote(written.is_ready());
        written
    }
}

/// The status of an error that hyper made by itself.
fn bare_refusal(bytes: &[u8]) -> Option<u16> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 4")?;
    let text = std::str::from_utf8(bytes).ok()?;
    let bare =
        text.ends_with("\r\n\r\n") && text.contains("content-length: 0\r\n") && !text.contains(REQUEST_ID.as_str());
    let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
    if bare {
        digits.parse::<u16>().ok().map(|digits| 400 + digits)
    } else {
        None
    }
}

/// A refusal as it stands on the connection, for where there is no hyper to write it.
pub(crate) fn on_the_wire(refusal: Refusal) -> Vec<u8> {
    let body = body(refusal.problem());
    let response = refusal.into_response();
    let mut headers: HeaderMap = response.headers().clone();
    headers.insert("content-length", body.len().into());
    if let Ok(id) = encaje_core::id::request_id().parse() {
        headers.insert(REQUEST_ID, id);
    }
    let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in &headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.clock.read();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none()
            && let Some(status) = bare_refusal(buf)
        {
            self.clock.answered(true);
            self.instead = Some((on_the_wire(Refusal::of_head(status)), 0));
        }
        let written = if self.instead.is_some() {
            self.write_instead(cx, buf.len())
        } else {
            Pin::new(&mut self.socket).poll_write(cx, buf)
        };
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = bufs.first()
            && (self.instead.is_some() || bare_refusal(first).is_some())
        {
            return self.poll_write(cx, first);
        }
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hypers_own_errors_are_replaced() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal(bare), Some(431));
        let ours = b"HTTP/1.1 404 Not Found\r\nx-request-id: a\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal(ours), None);
        assert_eq!(bare_refusal(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(bare_refusal(b"HTTP/1.1 4"), None);
    }
}
