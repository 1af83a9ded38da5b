//! A small HTTP client for a server of our own, over one connection: `trace --url`, `chat` and `bench`.
//!
//! Plain HTTP only; it is no way out for plugins, which have `encaje-capabilities`.

use std::path::Path;

use crate::limits;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use encaje_registry::{Environment, Secrets};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The secret that holds the key.
const KEY: &str = "ENCAJE_API_KEY";

/// Where a server is, and the key for it.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    authority: String,
    key: Option<String>,
}

impl Address {
    /// Reads `http://host:port`; without a key of its own it takes the one of `.env`.
    pub(crate) fn parse(url: &str, key: Option<String>) -> Result<Self> {
        let address = Self::without_key(url)?;
        let key = match key {
            Some(key) => Some(key),
            None => key_of_dotenv()?,
        };
        Ok(Self { key, ..address })
    }

    /// Reads `http://host:port` of a server that is sent no key.
    pub(crate) fn without_key(url: &str) -> Result<Self> {
        let Some(authority) = url.trim_end_matches('/').strip_prefix("http://") else {
            bail!("`{url}` is no address of a running server: write http://HOST:PORT");
        };
        if authority.is_empty() || authority.contains(['/', '@', ' ', '?', '#']) {
            bail!("`{url}` is no address of a running server: write http://HOST:PORT");
        }
        Ok(Self {
            authority: authority.to_owned(),
            key: None,
        })
    }
}

/// The key that `.env` in this folder has, for who set none by flag or environment.
fn key_of_dotenv() -> Result<Option<String>> {
    let secrets = Secrets::load([KEY], &Environment::of_process(), Path::new(".env"))?;
    Ok(secrets.get(KEY).map(str::to_owned))
}

/// One connection.
pub(crate) struct Connection {
    address: Address,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(address: &Address) -> Result<Self> {
        let target = if address.authority.contains(':') {
            address.authority.clone()
        } else {
            format!("{}:80", address.authority)
        };
        let stream = TcpStream::connect(&target).await.with_context(|| {
            format!(
                "no server answers at http://{}: start one with `encaje serve`",
                address.authority
            )
        })?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            address: address.clone(),
            sender,
        })
    }

    /// Sends one request; the answer's body comes as it is read.
    pub(crate) async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>> {
        self.sender.ready().await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address.authority)
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.address.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        Ok(self.sender.send_request(request.body(Full::new(body))?).await?)
    }

    /// Asks and reads the whole answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        whole(response).await
    }
}

/// The whole body of an answer that went well.
pub(crate) async fn whole(response: Response<Incoming>) -> Result<Bytes> {
    let status = response.status();
    let body = Limited::new(response.into_body(), limits::ANSWER_BYTES);
    let body = body
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))?
        .to_bytes();
    if !status.is_success() {
        bail!("{}", said(status, &body));
    }
    Ok(body)
}

/// What the server's error object says.
fn said(status: hyper::StatusCode, body: &[u8]) -> String {
    let object: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = object
        .as_ref()
        .and_then(|object| object.pointer("/error/message"))
        .and_then(|text| text.as_str());
    format!(
        "the server answers {status}: {}",
        message.unwrap_or("(no reason given)")
    )
}
