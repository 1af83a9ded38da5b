//! HTTP/1.1 as far as the upstream needs it: requests in, and answers out with or against the rules.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Asked;

/// The largest head and body that a test sends, with room to spare.
const MAX_HEAD: usize = 64 << 10;
const MAX_BODY: usize = 64 << 20;

/// What happens to a connection behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next request may come.
    KeepAlive,
    /// It is closed.
    Close,
}

/// A client's connection.
pub struct Connection {
    stream: TcpStream,
    /// Bytes that came behind the last request.
    ahead: Vec<u8>,
}

impl Connection {
    /// Takes over a connection.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// The next request; `None` when there is none, or nothing that is one.
    pub async fn request(&mut self, connection: usize) -> Option<Asked> {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if self.ahead.len() > MAX_HEAD || !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&self.ahead[..end]).into_owned();
        self.ahead.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut asked = Asked {
            method,
            path,
            headers,
            body: Vec::new(),
            connection,
        };
        asked.body = match asked.header("transfer-encoding") {
            Some("chunked") => self.chunked().await?,
            _ => {
                let length = asked.header("content-length").and_then(|length| length.parse().ok());
                self.exactly(length.unwrap_or(0)).await?
            }
        };
        Some(asked)
    }

    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.ahead).await, Ok(1..))
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        if length > MAX_BODY {
            return None;
        }
        while self.ahead.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.ahead.drain(..length).collect())
    }

    async fn chunked(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                    break at;
                }
                if !self.more().await {
                    return None;
                }
            };
            let size = String::from_utf8_lossy(&self.ahead[..end]).trim().to_owned();
            let size = usize::from_str_radix(&size, 16).ok()?;
            self.ahead.drain(..end + 2);
            let piece = self.exactly(size + 2).await?;
            if size == 0 {
                return Some(body);
            }
            body.extend_from_slice(&piece[..size]);
            if body.len() > MAX_BODY {
                return None;
            }
        }
    }

    /// Writes bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Writes a head; `chunked` or a length says how the body comes.
    pub async fn head(&mut self, status: u16, headers: &[(String, String)], length: Option<usize>) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status} {}\r\nx-request-id: req_test\r\n", reason(status));
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match length {
            Some(length) => head.push_str(&format!("content-length: {length}\r\n\r\n")),
            None => head.push_str("transfer-encoding: chunked\r\n\r\n"),
        }
        self.raw(head.as_bytes()).await
    }

    /// Writes a whole answer.
    pub async fn whole(&mut self, status: u16, headers: &[(String, String)], body: &[u8]) -> io::Result<Then> {
        self.head(status, headers, Some(body.len())).await?;
        self.raw(body).await?;
        Ok(Then::KeepAlive)
    }

    /// Writes one piece of a chunked body. A client that has gone is noticed here, or by [`Self::gone`].
    pub async fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.raw(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
            .await
    }

    /// Ends a chunked body.
    pub async fn end(&mut self) -> io::Result<Then> {
        self.raw(b"0\r\n\r\n").await?;
        Ok(Then::KeepAlive)
    }

    /// Waits, but no longer than the client is there: what it sends meanwhile is kept, and its going is an error.
    pub async fn wait(&mut self, time: Duration) -> io::Result<()> {
        let going = async {
            while self.ahead.len() < MAX_HEAD {
                if !matches!(self.stream.read_buf(&mut self.ahead).await, Ok(1..)) {
                    return;
                }
            }
        };
        match tokio::time::timeout(time, going).await {
            Err(_) => Ok(()),
            Ok(()) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Waits until the client goes.
    pub async fn gone(&mut self) -> io::Error {
        loop {
            if let Err(error) = self.wait(Duration::from_secs(3_600)).await {
                return error;
            }
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Whatever",
    }
}
