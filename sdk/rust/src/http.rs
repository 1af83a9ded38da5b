//! Requests to an upstream over `encaje:host/http`: build one, send it, and get an answer that is a success or a typed
//! failure with the wait that the upstream asked for.
//!
//! It retries nothing, follows no redirect and interprets no body: the first two are the host's business, the last the
//! plugin's. Plugins write their logic over [`Transport`], so that it runs in a native test over a transport made up there.
//!
//! ```no_run
//! use encaje_sdk::errors::Problem;
//! use encaje_sdk::http::{self, Host, Request};
//!
//! fn greeting() -> Result<Vec<u8>, Problem> {
//!     let request = Request::get("https://upstream.example/greeting").with_secret("UPSTREAM_KEY");
//!     let mut answer = http::send(&Host, &request, 4096)?;
//!     answer.bytes(1 << 20)
//! }
//! ```

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::errors::{Problem, ProblemKind};
use crate::host::http as wire;
use crate::retry_after;
use crate::sse::Events;

pub use crate::host::http::Request;

/// Bytes asked for at once: fewer crossings than a network packet a read, and little memory.
const PIECE: u32 = 64 * 1024;

impl Request {
    /// A request without headers, body, secret and timeouts. The method is in upper case, the URL absolute.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            secret: None,
            connect_timeout_ms: None,
            first_byte_timeout_ms: None,
            total_timeout_ms: None,
        }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` of JSON.
    pub fn post_json(url: impl Into<String>, body: Vec<u8>) -> Self {
        let mut request = Self::new("POST", url).with_header("content-type", "application/json");
        request.body = body;
        request
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Names the secret that the host puts into the header that the registry binds it to.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>) -> Self {
        self.secret = Some(name.into());
        self
    }

    /// How long to wait for a connection, for the first byte of the answer, and for all of it; whole milliseconds.
    #[must_use]
    pub fn with_timeouts(mut self, connect: Duration, first_byte: Duration, total: Duration) -> Self {
        let millis = |wait: Duration| Some(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX));
        self.connect_timeout_ms = millis(connect);
        self.first_byte_timeout_ms = millis(first_byte);
        self.total_timeout_ms = millis(total);
        self
    }
}

/// What sends requests: [`Host`] in a plugin, something made up in a test.
pub trait Transport {
    /// An answer whose head has come.
    type Answer: Answer;

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// `denied` for a host that is not allowed, `unavailable` where it cannot be reached, `timeout`. No status is an error.
    fn send(&self, request: &Request) -> Result<Self::Answer, Problem>;
}

/// An answer whose head has come. Dropping it ends the request.
pub trait Answer {
    /// The status.
    fn status(&self) -> u16;

    /// Names in lower case and values, in order.
    fn headers(&self) -> Vec<(String, String)>;

    /// Waits for some bytes, at most `max`; `None` at the end.
    ///
    /// # Errors
    /// Whatever keeps the rest from coming.
    fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Problem>;

    /// Waits for one line, without its end; `None` at the end.
    ///
    /// # Errors
    /// `too-large` for a line over the host's cap; whatever keeps the rest from coming.
    fn read_line(&mut self) -> Result<Option<String>, Problem>;
}

/// The host's own HTTP. A native test cannot call it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host;

impl Transport for Host {
    type Answer = wire::Response;

    fn send(&self, request: &Request) -> Result<Self::Answer, Problem> {
        wire::send(request)
    }
}

impl Answer for wire::Response {
    fn status(&self) -> u16 {
        Self::status(self)
    }

    fn headers(&self) -> Vec<(String, String)> {
        Self::headers(self)
    }

    fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Problem> {
        Self::read(self, max)
    }

    fn read_line(&mut self) -> Result<Option<String>, Problem> {
        Self::read_line(self)
    }
}

/// The headers of an answer; names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of a header, by its name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// The media type, in lower case and without its parameters.
    pub fn content_type(&self) -> Option<String> {
        let essence = self.get("content-type")?.split(';').next().unwrap_or_default().trim();
        (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
    }

    /// How long the upstream wants to be left alone, as [`retry_after`](crate::retry_after) reads it. A date is compared with
    /// the answer's own `date`, so that the two clocks need not agree, or with `now` where it has none.
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let since_1970 = || now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        // A date, seen from 1970, is the wait since then.
        let theirs = self.get("date").and_then(|date| retry_after::parse(date, 0));
        let now = theirs.map_or_else(since_1970, |millis| u128::from(millis) * 1_000);
        retry_after::from_headers(&self.0, u64::try_from(now).unwrap_or(u64::MAX)).map(Duration::from_millis)
    }
}

/// An answer with a status of success.
#[derive(Debug)]
pub struct Success<A> {
    /// 200 to 299.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    answer: A,
}

impl<A: Answer> Success<A> {
    /// The whole body. What is left of it beyond `max` stays unread.
    ///
    /// # Errors
    /// `unavailable` where it has more than `max` bytes; whatever keeps it from coming.
    pub fn bytes(&mut self, max: usize) -> Result<Vec<u8>, Problem> {
        let (body, whole) = read(&mut self.answer, &self.headers, max)?;
        if whole {
            return Ok(body);
        }
        Err(
            Problem::unavailable(format!("The upstream's answer has more than {max} bytes."))
                .with_code("answer_too_large"),
        )
    }

    /// The body as server-sent events, each of at most `max_event` bytes.
    pub fn events(self, max_event: usize) -> Events<A> {
        Events::new(self.answer, max_event)
    }
}

/// An answer over the host's caps is `too-large`, as if the caller had asked for too much; while it is read, that is the
/// upstream's fault.
pub(crate) fn sent_too_much(mut problem: Problem) -> Problem {
    if matches!(problem.kind, ProblemKind::TooLarge) {
        problem.kind = ProblemKind::Unavailable;
        problem.message = format!("The upstream sent more than it may. {}", problem.message);
    }
    problem
}

/// Reads a body up to `max` bytes; whether that was all of it.
fn read(answer: &mut impl Answer, headers: &Headers, max: usize) -> Result<(Vec<u8>, bool), Problem> {
    let length: usize = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = Vec::with_capacity(length.min(max));
    while let Some(piece) = answer.read(PIECE).map_err(sent_too_much)? {
        let room = max - body.len();
        if let Some(beyond) = piece.get(..room).filter(|_| piece.len() > room) {
            body.extend_from_slice(beyond);
            return Ok((body, false));
        }
        body.extend_from_slice(&piece);
    }
    Ok((body, true))
}

/// An answer with any other status.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Below 200 or from 300 on.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// The beginning of its body; empty where it could not be read. For the plugin to interpret, not to pass on.
    pub body: Vec<u8>,
}

impl Refused {
    /// The failure as the status alone tells it, with the wait that the headers ask for.
    pub fn problem(&self) -> Problem {
        let mut problem = Problem::new(
            kind_of(self.status),
            format!("The upstream answered with the status {}.", self.status),
        );
        problem.upstream_status = Some(self.status);
        match self.headers.retry_after(SystemTime::now()) {
            Some(wait) => problem.with_retry_after(wait),
            None => problem,
        }
    }
}

/// Whose fault a status is, where the upstream says no more than that.
pub fn kind_of(status: u16) -> ProblemKind {
    match status {
        // The key is the operator's, so a caller can do nothing about it; nor about an upstream that has moved or does not
        // know the method.
        300..=399 | 401 | 405 | 406 | 415 => ProblemKind::Misconfigured,
        402 => ProblemKind::QuotaExceeded,
        403 => ProblemKind::Denied,
        404 | 410 => ProblemKind::NotFound,
        408 | 504 => ProblemKind::Timeout,
        409 => ProblemKind::Conflict,
        413 => ProblemKind::TooLarge,
        429 => ProblemKind::RateLimited,
        // 499 is a gateway whose own caller left: nobody here did.
        400..=498 => ProblemKind::InvalidRequest,
        503 | 529 => ProblemKind::Overloaded,
        _ => ProblemKind::Unavailable,
    }
}

/// Why there is no success.
#[derive(Debug, Clone)]
pub enum Failure {
    /// No answer came: what the transport said.
    NoAnswer(Problem),
    /// An answer came that is no success.
    Refused(Box<Refused>),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoAnswer(problem) => problem,
            Failure::Refused(refused) => refused.problem(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(problem) => formatter.write_str(&problem.message),
            Self::Refused(refused) => write!(formatter, "the upstream answered with the status {}", refused.status),
        }
    }
}

impl std::error::Error for Failure {}

/// Sends a request. Of the body of an answer that is no success, at most `max_refusal` bytes are read; where all of it
/// was, the host can use the connection again.
///
/// # Errors
/// [`Failure`], which becomes a [`Problem`] with `?`.
pub fn send<T: Transport>(transport: &T, request: &Request, max_refusal: usize) -> Result<Success<T::Answer>, Failure> {
    let mut answer = transport.send(request).map_err(Failure::NoAnswer)?;
    let (status, headers) = (answer.status(), Headers(answer.headers()));
    if (200..300).contains(&status) {
        return Ok(Success {
            status,
            headers,
            answer,
        });
    }
    // The status is known; a body that is cut off takes nothing away from it.
    let body = read(&mut answer, &headers, max_refusal).map_or_else(|_| Vec::new(), |(body, _)| body);
    Err(Failure::Refused(Box::new(Refused { status, headers, body })))
}

#[cfg(test)]
mod tests {
    use super::{Answer, Failure, Headers, Problem, ProblemKind, Request, Transport, kind_of, send};
    use std::time::{Duration, UNIX_EPOCH};

    struct Canned(u16, Vec<(&'static str, &'static str)>, Vec<&'static [u8]>);

    struct Reading(u16, Vec<(String, String)>, Vec<Vec<u8>>);

    impl Transport for Canned {
        type Answer = Reading;

        fn send(&self, _: &Request) -> Result<Reading, Problem> {
            let headers = self
                .1
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let pieces = self.2.iter().rev().map(|piece| piece.to_vec());
            Ok(Reading(self.0, headers.collect(), pieces.collect()))
        }
    }

    impl Answer for Reading {
        fn status(&self) -> u16 {
            self.0
        }

        fn headers(&self) -> Vec<(String, String)> {
            self.1.clone()
        }

        fn read(&mut self, _: u32) -> Result<Option<Vec<u8>>, Problem> {
            match self.2.pop() {
                Some(piece) if piece == b"cut" => Err(Problem::unavailable("cut")),
                piece => Ok(piece),
            }
        }

        fn read_line(&mut self) -> Result<Option<String>, Problem> {
            Ok(None)
        }
    }

    fn headers(list: &[(&str, &str)]) -> Headers {
        Headers(
            list.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    fn refused(canned: &Canned) -> super::Refused {
        let sent = send(canned, &Request::get("https://u.example"), 8).map(|success| success.status);
        let Err(Failure::Refused(refused)) = sent else {
            unreachable!("{sent:?}");
        };
        *refused
    }

    #[test]
    fn a_request_says_what_it_was_told() {
        let request = Request::post_json("https://u.example/x", b"{}".to_vec())
            .with_header("accept", "text/plain")
            .with_secret("KEY")
            .with_timeouts(Duration::from_millis(5), Duration::from_secs(6), Duration::MAX);
        assert_eq!(
            (request.method.as_str(), request.body.as_slice()),
            ("POST", b"{}".as_slice())
        );
        assert_eq!(request.headers.len(), 2);
        assert_eq!(request.secret.as_deref(), Some("KEY"));
        let timeouts = (
            request.connect_timeout_ms,
            request.first_byte_timeout_ms,
            request.total_timeout_ms,
        );
        assert_eq!(timeouts, (Some(5), Some(6_000), Some(u32::MAX)));
    }

    #[test]
    fn a_body_is_read_whole_or_not_at_all() {
        let canned = Canned(200, vec![("content-length", "6")], vec![b"abc", b"def"]);
        let mut success = send(&canned, &Request::get("https://u.example"), 0).unwrap();
        assert_eq!(success.bytes(6).unwrap(), b"abcdef");
        let mut success = send(&canned, &Request::get("https://u.example"), 0).unwrap();
        let problem = success.bytes(5).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unavailable));
        assert_eq!(problem.message, "The upstream's answer has more than 5 bytes.");
    }

    #[test]
    fn a_refusal_keeps_status_wait_and_the_beginning_of_its_body() {
        let canned = Canned(429, vec![("retry-after", "2")], vec![b"12345", b"67890"]);
        let refused = refused(&canned);
        assert_eq!((refused.status, refused.body.as_slice()), (429, b"12345678".as_slice()));
        let problem = refused.problem();
        assert!(matches!(problem.kind, ProblemKind::RateLimited));
        assert_eq!(
            (problem.retry_after_ms, problem.upstream_status),
            (Some(2_000), Some(429))
        );
    }

    #[test]
    fn a_refusal_whose_body_is_cut_is_still_a_refusal() {
        let refused = refused(&Canned(503, vec![], vec![b"1", b"cut"]));
        assert_eq!((refused.status, refused.body.len()), (503, 0));
        assert!(matches!(
            Problem::from(Failure::Refused(Box::new(refused))).kind,
            ProblemKind::Overloaded
        ));
    }

    #[test]
    fn a_wait_is_read_in_every_form() {
        let wait = |list: &[(&str, &str)]| headers(list).retry_after(UNIX_EPOCH + Duration::from_secs(784_111_770));
        assert_eq!(wait(&[("retry-after", "1.5")]), Some(Duration::from_millis(1_500)));
        let both = [("retry-after", "9"), ("Retry-After-Ms", "250")];
        assert_eq!(wait(&both), Some(Duration::from_millis(250)));
        let at = ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(&[at]), Some(Duration::from_secs(7)));
        // The upstream's clock is what its date means.
        let theirs = ("date", "Sun, 06 Nov 1994 08:49:07 GMT");
        assert_eq!(wait(&[at, theirs]), Some(Duration::from_secs(30)));
        let past = ("date", "Sun, 06 Nov 1994 09:49:07 GMT");
        assert_eq!(wait(&[at, past]), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-1", "NaN", "1e300", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }

    #[test]
    fn every_class_of_status_has_its_kind() {
        let table = [
            (302, "Misconfigured"),
            (400, "InvalidRequest"),
            (401, "Misconfigured"),
            (402, "QuotaExceeded"),
            (403, "Denied"),
            (404, "NotFound"),
            (405, "Misconfigured"),
            (408, "Timeout"),
            (409, "Conflict"),
            (413, "TooLarge"),
            (418, "InvalidRequest"),
            (422, "InvalidRequest"),
            (429, "RateLimited"),
            (500, "Unavailable"),
            (502, "Unavailable"),
            (503, "Overloaded"),
            (504, "Timeout"),
            (529, "Overloaded"),
            (101, "Unavailable"),
        ];
        for (status, kind) in table {
            assert!(format!("{:?}", kind_of(status)).ends_with(kind), "{status}");
        }
    }

    #[test]
    fn a_content_type_loses_its_parameters() {
        let of = |value: &str| headers(&[("Content-Type", value)]).content_type();
        assert_eq!(
            of("Text/Event-Stream; charset=utf-8").as_deref(),
            Some("text/event-stream")
        );
        assert_eq!(of(" ; charset=utf-8"), None);
        assert_eq!(Headers::default().content_type(), None);
    }
}
