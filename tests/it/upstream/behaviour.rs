//! What the upstream can be told to do with a request, instead of answering it well.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::Asked;
use super::answers::{self, Answer};
use super::encode;
use super::wire::{Connection, Then};

/// What a request gets.
#[derive(Debug, Clone, Default)]
pub enum Behaviour {
    /// What it asked for.
    #[default]
    Answer,
    /// A stream of exactly these data, whatever was asked; `[DONE]` behind them.
    Say(Vec<Value>),
    /// An error with a status.
    Refuse(Refusal),
    /// This many events of the answer, then an error object in the stream.
    ErrorInStream(usize, Value),
    /// This many events of the answer, then the connection is closed without an end of the body.
    Cut(usize),
    /// The connection is closed before any answer.
    Close,
    /// Nothing, until the client goes.
    Silence,
    /// This many events of the answer, then nothing until the client goes.
    Stall(usize),
    /// The answer, one byte at a time, with so much time between them.
    Drip(Duration),
    /// The answer, with so much time before each event.
    Slow(Duration),
    /// This many events of the answer, then one that is no JSON.
    Malformed(usize),
    /// A page of this content type with the status 200.
    ContentType(&'static str),
    /// A line that never ends.
    EndlessLine,
    /// Deltas without end.
    Endless,
    /// The answer without any count of tokens.
    WithoutUsage,
    /// The answer without `[DONE]`.
    WithoutDone,
    /// The answer, with chunks between its events that have no choices.
    EmptyChoices,
    /// The answer, with comments between its events.
    Comments,
    /// The count of tokens in the chunk that says why it ended, not behind it.
    UsageWithFinish,
    /// The answer, compressed, whatever the client accepts.
    Gzip,
    /// A redirect with this status to this address.
    Redirect(u16, String),
    /// An answer whose text is the `authorization` header that came.
    EchoAuthorization,
    /// A refusal of the key that repeats it, as some upstreams do.
    RefuseEchoingAuthorization,
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
}

/// An error with a status, as OpenAI tells it.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// Beside `content-type`.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Value,
}

impl Refusal {
    /// OpenAI's own words for a status.
    pub fn of(status: u16) -> Self {
        let (class, code, message) = match status {
            400 => (
                "invalid_request_error",
                json!("invalid_value"),
                "Invalid value for 'temperature'.",
            ),
            401 => (
                "invalid_request_error",
                json!("invalid_api_key"),
                "Incorrect API key provided: sk-te**st.",
            ),
            403 => (
                "permission_error",
                json!("unsupported_country_region_territory"),
                "Country not supported.",
            ),
            404 => (
                "invalid_request_error",
                json!("model_not_found"),
                "The model `missing` does not exist.",
            ),
            413 => (
                "invalid_request_error",
                json!("request_too_large"),
                "The request is too large.",
            ),
            422 => ("invalid_request_error", json!(null), "The request cannot be processed."),
            429 => (
                "requests",
                json!("rate_limit_exceeded"),
                "Rate limit reached for requests.",
            ),
            503 => (
                "server_error",
                json!(null),
                "The engine is currently overloaded, please try again later.",
            ),
            529 => ("overloaded_error", json!(null), "Overloaded."),
            _ => (
                "server_error",
                json!(null),
                "The server had an error while processing your request.",
            ),
        };
        Self {
            status,
            headers: Vec::new(),
            body: json!({"error": {"message": message, "type": class, "param": null, "code": code}}),
        }
    }

    /// The account is used up.
    pub fn quota() -> Self {
        Self::of(429)
            .with("type", json!("insufficient_quota"))
            .with("code", json!("insufficient_quota"))
            .with(
                "message",
                json!("You exceeded your current quota, please check your plan and billing details."),
            )
    }

    /// The prompt is too long.
    pub fn context() -> Self {
        Self::of(400)
            .with(
                "message",
                json!("This model's maximum context length is 8 tokens; your messages resulted in 9."),
            )
            .with("code", json!("context_length_exceeded"))
            .with("param", json!("messages"))
    }

    /// Changes one member of the error object.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.body["error"][name] = value;
        self
    }

    /// Adds a header, e.g. `retry-after`.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl From<Refusal> for Behaviour {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

impl Behaviour {
    /// Answers one request. `refusal` is what a faithful upstream would refuse it with. An error is a client that has gone.
    pub async fn answer(
        &self,
        connection: &mut Connection,
        asked: &Asked,
        refusal: Option<Refusal>,
    ) -> io::Result<Then> {
        match self {
            Self::Refuse(refusal) => refuse(connection, refusal).await,
            Self::Close => Ok(Then::Close),
            Self::Silence => Err(connection.gone().await),
            Self::Raw(bytes) => {
                connection.raw(bytes).await?;
                Ok(Then::Close)
            }
            Self::Redirect(status, to) => connection.whole(*status, &[header("location", to)], b"").await,
            Self::ContentType(kind) => {
                let page = b"<!doctype html><title>Sign in</title>";
                connection.whole(200, &[header("content-type", kind)], page).await
            }
            Self::EndlessLine => Box::pin(endless_line(connection)).await,
            Self::RefuseEchoingAuthorization => {
                let shown = asked.header("authorization").unwrap_or("nothing");
                let message = format!("Incorrect API key provided: {shown}. Find yours in the dashboard.");
                refuse(connection, &Refusal::of(401).with("message", json!(message))).await
            }
            _ => match refusal {
                Some(refusal) => refuse(connection, &refusal).await,
                None => self.changed(connection, asked).await,
            },
        }
    }

    /// The answer that was asked for, changed as it was demanded.
    async fn changed(&self, connection: &mut Connection, asked: &Asked) -> io::Result<Then> {
        let answer = match self {
            Self::Say(events) => Answer::Events(events.clone()),
            Self::EchoAuthorization => answers::saying(asked, asked.header("authorization").unwrap_or("nothing")),
            Self::WithoutUsage => answers::answer(asked).without_usage(),
            Self::UsageWithFinish => answers::answer(asked).with_usage_at_finish(),
            _ => answers::answer(asked),
        };
        match answer {
            Answer::Whole(body) => self.whole(connection, body.to_string().as_bytes()).await,
            Answer::Events(events) => self.events(connection, &events).await,
        }
    }

    async fn whole(&self, connection: &mut Connection, body: &[u8]) -> io::Result<Then> {
        let kind = header("content-type", "application/json");
        match self {
            Self::Gzip => {
                let headers = [kind, header("content-encoding", "gzip")];
                connection.whole(200, &headers, &encode::gzip(body)).await
            }
            Self::Drip(pause) => {
                connection.head(200, &[kind], Some(body.len())).await?;
                drip(connection, body, *pause).await?;
                Ok(Then::KeepAlive)
            }
            Self::Cut(_) => {
                connection.head(200, &[kind], Some(body.len())).await?;
                connection.raw(&body[..body.len() / 2]).await?;
                Ok(Then::Close)
            }
            Self::Malformed(_) => connection.whole(200, &[kind], &body[..body.len() - 1]).await,
            Self::Slow(pause) => {
                connection.wait(*pause).await?;
                connection.whole(200, &[kind], body).await
            }
            _ => connection.whole(200, &[kind], body).await,
        }
    }

    async fn events(&self, connection: &mut Connection, events: &[Value]) -> io::Result<Then> {
        let mut headers = vec![header("content-type", "text/event-stream; charset=utf-8")];
        if matches!(self, Self::Gzip) {
            headers.push(header("content-encoding", "gzip"));
            let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
            return connection.whole(200, &headers, &encode::gzip(text.as_bytes())).await;
        }
        connection.head(200, &headers, None).await?;
        for (index, event) in events.iter().enumerate() {
            if let Some(ended) = self.before(connection, index, event).await? {
                return Ok(ended);
            }
            let text = format!("data: {event}\n\n");
            match self {
                Self::Drip(pause) => {
                    for byte in text.as_bytes() {
                        connection.wait(*pause).await?;
                        connection.piece(&[*byte]).await?;
                    }
                }
                _ => connection.piece(text.as_bytes()).await?,
            }
        }
        // Whatever was to happen behind more events than there are happens behind the last one.
        if let Some(ended) = self.before(connection, usize::MAX, &Value::Null).await? {
            return Ok(ended);
        }
        if !matches!(self, Self::WithoutDone) {
            connection.piece(b"data: [DONE]\n\n").await?;
        }
        connection.end().await
    }

    /// What happens before an event; some things end the answer there.
    async fn before(&self, connection: &mut Connection, index: usize, event: &Value) -> io::Result<Option<Then>> {
        match self {
            Self::Cut(after) if index >= *after => return Ok(Some(Then::Close)),
            Self::Stall(after) if index >= *after => return Err(connection.gone().await),
            Self::ErrorInStream(after, error) if index >= *after => {
                connection.piece(format!("data: {error}\n\n").as_bytes()).await?;
                return connection.end().await.map(Some);
            }
            Self::Malformed(after) if index >= *after => {
                connection
                    .piece(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"con\n\n")
                    .await?;
                return connection.end().await.map(Some);
            }
            Self::Endless if index > 0 => loop {
                // Waiting notices a client that has gone before the buffers of the system are full.
                connection.wait(Duration::from_millis(1)).await?;
                connection.piece(format!("data: {event}\n\n").as_bytes()).await?;
            },
            Self::Slow(pause) => connection.wait(*pause).await?,
            Self::Comments => connection.piece(b": keep-alive\n\n:\n\n").await?,
            Self::EmptyChoices => connection.piece(b"data: {\"choices\":[]}\n\n").await?,
            _ => {}
        }
        Ok(None)
    }
}

async fn refuse(connection: &mut Connection, refusal: &Refusal) -> io::Result<Then> {
    let mut headers = refusal.headers.clone();
    headers.push(header("content-type", "application/json"));
    connection
        .whole(refusal.status, &headers, refusal.body.to_string().as_bytes())
        .await
}

async fn drip(connection: &mut Connection, bytes: &[u8], pause: Duration) -> io::Result<()> {
    for byte in bytes {
        connection.wait(pause).await?;
        connection.raw(&[*byte]).await?;
    }
    Ok(())
}

async fn endless_line(connection: &mut Connection) -> io::Result<Then> {
    connection
        .head(200, &[header("content-type", "text/event-stream")], None)
        .await?;
    connection
        .piece(b"data: {\"choices\":[{\"delta\":{\"content\":\"")
        .await?;
    let piece = [b'a'; 16 << 10];
    loop {
        connection.piece(&piece).await?;
    }
}
