//! The port to the web, and what an answer means: a text, nothing new, or a problem of the right class. Which address it is
//! and what becomes of the text is `fetch.rs`.

use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::retry_after;

use crate::config::Config;
use crate::limits::READ_AT_ONCE;

/// A question: an address and the headers that go with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout_ms: u32,
}

/// Asks the web. Meaning and problems are those of `encaje:host/http`.
pub(crate) trait Web {
    /// Waits for the head of an answer.
    fn get(&self, question: Question) -> Result<Box<dyn Answer>, Problem>;
    /// Microseconds of UTC since 1970.
    fn now_us(&self) -> u64;
}

/// An answer whose head has come.
pub(crate) trait Answer {
    fn status(&self) -> u16;
    fn headers(&self) -> Vec<(String, String)>;
    fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Problem>;
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing new since the last time.
    Unchanged,
    /// A text, and the media type that it was sent as.
    Text { text: String, media_type: String },
}

/// The head and what it brought.
pub(crate) struct Response {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) outcome: Outcome,
}

/// Asks, and reads the answer.
///
/// # Errors
/// `not-found`, `denied`, `rate-limited`, `unavailable` and so on by the status, `unsupported` for what is no text in UTF-8,
/// `too-large` over the cap.
pub(crate) fn ask(web: &impl Web, question: Question, config: &Config) -> Result<Response, Problem> {
    let mut answer = web.get(question)?;
    let headers = answer.headers();
    let outcome = match answer.status() {
        200 | 203 => {
            let media_type = media_type(&headers)?;
            let bytes = read(answer.as_mut(), &headers, config.max_bytes)?;
            Outcome::Text {
                text: decode(bytes)?,
                media_type,
            }
        }
        304 => Outcome::Unchanged,
        status => return Err(problem(status, &headers, web.now_us())),
    };
    Ok(Response { headers, outcome })
}

/// The value of a header.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

fn problem(status: u16, headers: &[(String, String)], now_us: u64) -> Problem {
    let (kind, why) = match status {
        300..=399 => (ProblemKind::Unsupported, "leads elsewhere, and was not followed"),
        401 | 403 | 407 | 451 => (ProblemKind::Denied, "is not for everybody"),
        404 | 410 => (ProblemKind::NotFound, "is not there"),
        408 | 504 => (ProblemKind::Timeout, "took the server too long"),
        429 => (ProblemKind::RateLimited, "was asked for too often"),
        500..=599 => (ProblemKind::Unavailable, "cannot be had from the server now"),
        400..=499 => (ProblemKind::InvalidRequest, "was refused by the server"),
        _ => (ProblemKind::Unsupported, "came with an answer that means no text"),
    };
    let mut problem = Problem::new(kind, format!("the page {why} (status {status})"));
    problem.upstream_status = Some(status);
    problem.retry_after_ms = retry_after::from_headers(headers, now_us);
    problem
}

/// The media type, where this plugin reads it.
fn media_type(headers: &[(String, String)]) -> Result<String, Problem> {
    let Some(value) = header(headers, "content-type").filter(|value| !value.is_empty()) else {
        // A server that does not say often serves plain files; what is no UTF-8 shows when it is read.
        return Ok("text/plain".to_owned());
    };
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    if media_type == "text/html" {
        let message = "the page is HTML; this source reads plain text and leaves HTML to one that knows it";
        return Err(Problem::unsupported(message).with_code("html"));
    }
    if !media_type.starts_with("text/") {
        return Err(Problem::unsupported(format!("`{media_type}` is no text")).with_code("media_type"));
    }
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    });
    let is_utf8 =
        |charset: &str| ["utf-8", "utf8", "us-ascii", "ascii"].contains(&charset.to_ascii_lowercase().as_str());
    match charset {
        Some(charset) if !is_utf8(charset) => Err(Problem::unsupported(format!(
            "the text is in `{charset}`, and UTF-8 alone is read"
        ))
        .with_code("charset")),
        _ => Ok(media_type),
    }
}

fn read(answer: &mut dyn Answer, headers: &[(String, String)], most: u64) -> Result<Vec<u8>, Problem> {
    let refuse = || {
        Problem::too_large(format!(
            "the text has more than {most} bytes; raise `max_bytes` to fetch it"
        ))
    };
    let announced = header(headers, "content-length").and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(refuse());
    }
    let mut bytes = Vec::new();
    while let Some(more) = answer.read(READ_AT_ONCE)? {
        bytes.extend(more);
        if bytes.len() as u64 > most {
            return Err(refuse());
        }
    }
    Ok(bytes)
}

fn decode(bytes: Vec<u8>) -> Result<String, Problem> {
    let refuse = |message| Problem::unsupported(message).with_code("charset");
    let text = String::from_utf8(bytes).map_err(|_| refuse("the text is not UTF-8"))?;
    if text.contains('\0') {
        return Err(refuse("the text has zero bytes: it is no text"));
    }
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}
