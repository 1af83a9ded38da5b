//! The error object of the OpenAI wire, and the status of each class of problem. Every answer of the server that is not
//! a success has this shape, the native routes' ones too.
//!
//! It holds no rule of its own about what is an error: that is decided where a [`Problem`] is made.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use encaje_core::{Problem, ProblemKind};
use serde::Serialize;

/// The header that tells OpenAI's clients whether to try again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// [`RETRY_AFTER`] in milliseconds; OpenAI's clients look here first.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The error object.
#[derive(Debug, Serialize)]
struct Envelope<'a> {
    error: ErrorObject<'a>,
}

#[derive(Debug, Serialize)]
struct ErrorObject<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// How the wire tells a class of problem.
struct Class {
    status: u16,
    kind: &'static str,
    /// Unless the problem has its own.
    code: Option<&'static str>,
    /// What `x-should-retry` says; `None` leaves it to the client.
    retry: Option<bool>,
}

const fn class(status: u16, kind: &'static str, code: Option<&'static str>, retry: Option<bool>) -> Class {
    Class {
        status,
        kind,
        code,
        retry,
    }
}

/// The one table from a class of problem to the wire.
fn class_of(problem: &Problem) -> Class {
    const INVALID: &str = "invalid_request_error";
    const SERVER: &str = "server_error";
    match problem.kind {
        ProblemKind::InvalidRequest => class(400, INVALID, None, Some(false)),
        ProblemKind::Unauthenticated => class(401, INVALID, Some("invalid_api_key"), Some(false)),
        ProblemKind::Denied => class(403, "permission_error", Some("permission_denied"), Some(false)),
        ProblemKind::NotFound => class(404, INVALID, Some("not_found"), Some(false)),
        ProblemKind::Conflict => class(409, "conflict_error", Some("conflict"), Some(false)),
        ProblemKind::TooLarge => class(413, INVALID, Some("request_too_large"), Some(false)),
        ProblemKind::ContextExceeded => class(400, INVALID, Some("context_length_exceeded"), Some(false)),
        ProblemKind::ContentBlocked => class(400, INVALID, Some("content_filter"), Some(false)),
        ProblemKind::Unsupported if problem.param.is_some() => {
            class(400, INVALID, Some("unsupported_parameter"), Some(false))
        }
        ProblemKind::Unsupported => class(400, INVALID, Some("unsupported"), Some(false)),
        ProblemKind::RateLimited => class(429, "rate_limit_error", Some("rate_limit_exceeded"), Some(true)),
        ProblemKind::QuotaExceeded => class(429, "insufficient_quota", Some("insufficient_quota"), Some(false)),
        ProblemKind::Overloaded => class(503, SERVER, Some("overloaded"), Some(true)),
        ProblemKind::Unavailable => class(503, SERVER, Some("unavailable"), Some(true)),
        ProblemKind::Timeout => class(504, SERVER, Some("timeout"), Some(true)),
        ProblemKind::Cancelled => class(499, SERVER, Some("cancelled"), Some(false)),
        ProblemKind::Misconfigured => class(500, SERVER, Some("misconfigured"), Some(false)),
        ProblemKind::Internal | ProblemKind::Other(_) => class(500, SERVER, Some("internal_error"), None),
    }
}

/// What HTTP itself has a status for and no flow knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    MethodNotAllowed,
    RequestTimeout,
    UnsupportedMediaType,
    UriTooLong,
    HeadTooLarge,
    BadHead,
}

/// An answer that refuses. It becomes a response with the error object.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: Problem,
    protocol: Option<Protocol>,
    allow: Option<&'static str>,
    close: bool,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            protocol: None,
            allow: None,
            close: false,
        }
    }
}

impl Refusal {
    fn protocol(protocol: Protocol, code: &str, message: impl Into<String>) -> Self {
        let problem = Problem::new(ProblemKind::InvalidRequest, message).with_code(code);
        Self {
            protocol: Some(protocol),
            ..Self::from(problem)
        }
    }

    /// 405 with the methods that the path has.
    pub(crate) fn method_not_allowed(method: &str, path: &str, allow: &'static str) -> Self {
        let message = format!("The method {method} is not allowed for {path}; allowed: {allow}.");
        Self {
            allow: Some(allow),
            ..Self::protocol(Protocol::MethodNotAllowed, "method_not_allowed", message)
        }
    }

    /// 408, after which the connection is closed.
    pub(crate) fn request_timeout(message: impl Into<String>) -> Self {
        Self::protocol(Protocol::RequestTimeout, "request_timeout", message).closing()
    }

    /// 415.
    pub(crate) fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::protocol(Protocol::UnsupportedMediaType, "unsupported_media_type", message)
    }

    /// What hyper refused before any route saw it, by the status that it chose.
    pub(crate) fn of_head(status: u16) -> Self {
        match status {
            431 => Self::protocol(
                Protocol::HeadTooLarge,
                "headers_too_large",
                "The request's headers are too many or too long.",
            ),
            414 => Self::protocol(
                Protocol::UriTooLong,
                "uri_too_long",
                "The request's address is too long.",
            ),
            _ => Self::protocol(Protocol::BadHead, "bad_http", "The request is not valid HTTP/1.1."),
        }
        .closing()
    }

    /// The connection is not used again, because the request was not read to its end.
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// What is refused and why.
    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The status, as a number.
    pub(crate) fn status(&self) -> u16 {
        match self.protocol {
            None => class_of(&self.problem).status,
            Some(Protocol::MethodNotAllowed) => 405,
            Some(Protocol::RequestTimeout) => 408,
            Some(Protocol::UnsupportedMediaType) => 415,
            Some(Protocol::UriTooLong) => 414,
            Some(Protocol::HeadTooLarge) => 431,
            Some(Protocol::BadHead) => 400,
        }
    }
}

/// The error object of a problem, as one line of JSON.
pub(crate) fn body(problem: &Problem) -> Vec<u8> {
    let class = class_of(problem);
    let error = ErrorObject {
        message: &problem.message,
        r#type: class.kind,
        param: problem.param.as_deref(),
        code: problem.code.as_deref().or(class.code),
    };
    // Strings and nulls alone: there is nothing that could fail.
    serde_json::to_vec(&Envelope { error }).unwrap_or_default()
}

/// What a client is told about trying again: the header's word and the wait.
fn retry(refusal: &Refusal) -> (Option<bool>, Option<Duration>) {
    let class = class_of(&refusal.problem);
    let again = match refusal.protocol {
        Some(Protocol::RequestTimeout) => Some(true),
        _ => class.retry,
    };
    let customary = (again == Some(true) && class.status >= 429).then_some(Duration::from_secs(1));
    (again, refusal.problem.retry_after.or(customary))
}

/// A problem that an answer tells, for the log.
#[derive(Debug, Clone)]
pub(crate) struct Told(pub(crate) Problem);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(body(&self.problem)));
        *response.status_mut() = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (again, wait) = retry(&self);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(again) = again {
            headers.insert(
                SHOULD_RETRY,
                HeaderValue::from_static(if again { "true" } else { "false" }),
            );
        }
        if let Some(wait) = wait {
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            headers.insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1_000)));
            headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.problem.kind == ProblemKind::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(Told(self.problem));
        response
    }
}
