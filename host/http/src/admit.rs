//! Who asks, and whether it may: keys, and where there are none, protection from a browser's other pages.
//!
//! A server without keys listens on a loopback address alone, yet a web page can reach it from the browser on the same
//! machine: by a request to `127.0.0.1` (stopped by its `Origin`), or by a name of its own that it lets point there
//! (stopped by the `Host`). No answer carries a CORS header.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use encaje_core::call::CallParts;
use encaje_core::generation::{Access, Generation};
use encaje_core::{Call, Caller, Problem, ProblemKind};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::edge::{Edge, RequestId, plain_id};
use crate::limits;
use crate::openai::error::Refusal;

/// Names the conversation that a call belongs to.
const SESSION: HeaderName = HeaderName::from_static("x-session-id");
/// W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What a client uses to repeat a call safely.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request that may be answered, before its body is read.
pub(crate) struct Admitted {
    /// What let it in answers it, to its end: however long its body takes, and however many prompts it has.
    pub(crate) generation: Arc<Generation>,
    parts: CallParts,
}

impl Admitted {
    /// The call starts now.
    pub(crate) fn begin(self) -> (Arc<Generation>, Call) {
        (self.generation, Call::new(self.parts))
    }
}

impl FromRequestParts<Edge> for Admitted {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Refusal> {
        let generation = edge.server().generation();
        let caller = match &generation.access {
            Access::Anonymous => {
                check_origin(parts)?;
                Caller::anonymous()
            }
            Access::Keys(_) => caller_of_key(&generation.access, &parts.headers)?,
        };
        let request_id = match parts.extensions.get::<RequestId>() {
            Some(RequestId(id)) => id.clone(),
            None => encaje_core::id::request_id(),
        };
        let traceparent = parts.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let parts = CallParts {
            caller,
            request_id,
            parent: traceparent.and_then(encaje_core::id::parse_traceparent),
            session: session(&parts.headers)?,
            idempotency_key: idempotency_key(&parts.headers)?,
            time_limit: edge.config().call_time,
        };
        Ok(Self { generation, parts })
    }
}

/// The caller whose key was shown. Every key is compared, so that the time tells nothing.
fn caller_of_key(access: &Access, headers: &HeaderMap) -> Result<Caller, Problem> {
    let refused = |message: &str| Problem::new(ProblemKind::Unauthenticated, message);
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(
            refused("This server asks for an API key: send it as `Authorization: Bearer <key>`.")
                .with_code("missing_api_key"),
        );
    };
    let shown = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .and_then(|(scheme, key)| {
            let key = key.trim();
            (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
        });
    let Some(shown) = shown else {
        return Err(refused("The `Authorization` header is not `Bearer <key>`."));
    };
    let digest: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
    let Access::Keys(keys) = access else {
        return Ok(Caller::anonymous());
    };
    let mut found = None;
    for key in keys {
        if bool::from(key.sha256.ct_eq(&digest)) {
            found = Some(key);
        }
    }
    let key = found.ok_or_else(|| refused("This API key is not known here."))?;
    Ok(Caller {
        tenant: key.tenant.clone(),
        user: Some(key.name.clone()),
    })
}

/// Refuses what a foreign web page could have sent.
fn check_origin(parts: &Parts) -> Result<(), Problem> {
    let denied = |what: &str, code: &str| {
        let message = format!(
            "A server without API keys answers only requests to and from this machine's own names; {what} is another. \
             Ask it by its address, or give the server keys."
        );
        Problem::new(ProblemKind::Denied, message).with_code(code)
    };
    let header = parts
        .headers
        .get_all(HOST)
        .iter()
        .map(|value| value.to_str().unwrap_or_default());
    for host in header.chain(parts.uri.authority().map(|authority| authority.as_str())) {
        if !is_local(host) {
            return Err(denied("the `Host` of this one", "host_not_allowed"));
        }
    }
    for origin in parts.headers.get_all(ORIGIN) {
        let host = origin
            .to_str()
            .ok()
            .and_then(|text| text.split_once("://"))
            .map(|(_, host)| host);
        if !host.is_some_and(is_local) {
            return Err(denied("the `Origin` of this one", "origin_not_allowed"));
        }
    }
    Ok(())
}

/// Whether a host, with or without its port, is a loopback one.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn session(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let given = headers.contains_key(SESSION);
    let session = plain_id(headers, &SESSION);
    if given && session.is_none() {
        let message = format!(
            "`x-session-id` must be 1 to {} letters, digits and `-_.:/`.",
            limits::ID_CHARS
        );
        return Err(Problem::invalid("x-session-id", message).with_code("invalid_header"));
    }
    Ok(session)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=limits::IDEMPOTENCY_CHARS).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => {
            let most = limits::IDEMPOTENCY_CHARS;
            let message = format!("`Idempotency-Key` must be 1 to {most} printable ASCII characters.");
            Err(Problem::invalid("Idempotency-Key", message).with_code("invalid_header"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_names_are_local() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "app.localhost:1",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:80",
            "localhost.",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "[::2]",
            "notlocalhost",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
