//! Headers, both ways: which ones a guest may set, which ones go along to another origin, and what it gets to see.
//!
//! It does not know what they mean.

use encaje_core::{Problem, ProblemKind};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};

use super::policy::Checked;
use super::scrub::Patterns;
use crate::limits;

/// What goes along when a redirect leads to another origin; all else may carry what only the first one should know.
const SAFE: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];

/// Headers that frame the message, steer the connection, or ask for another path or method than the one that was checked:
/// two readings of them let a guest smuggle a request past the checks.
const HOSTS_OWN: [&str; 15] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-rewrite-url",
];

/// Whether a header is the host's to set, never a guest's nor a secret's.
pub(super) fn is_hosts_own(name: &HeaderName) -> bool {
    HOSTS_OWN.contains(&name.as_str()) || name.as_str().starts_with("proxy-")
}

/// Whether a body is told to be something else than what it says.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let all = headers.get_all(CONTENT_ENCODING).iter();
    let mut all = all.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    all.any(|one| {
        let one = one.trim_ascii();
        !one.is_empty() && !one.eq_ignore_ascii_case(b"identity")
    })
}

/// A guest's headers, checked; compression is only what the guest asks for, since it gets the bytes as they come.
pub(super) fn of_guest(given: Vec<(String, String)>, policy: &Checked) -> Result<HeaderMap, Problem> {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > limits::REQUEST_HEADERS || bytes > limits::REQUEST_HEADER_BYTES {
        let words = format!(
            "A request has {} headers of {} bytes at most, all together.",
            limits::REQUEST_HEADERS,
            limits::REQUEST_HEADER_BYTES
        );
        return Err(Problem::new(ProblemKind::TooLarge, words).with_param("headers"));
    }
    let mut headers = HeaderMap::with_capacity(given.len() + 2);
    for (position, (name, value)) in given.into_iter().enumerate() {
        let at = || format!("headers[{position}]");
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Problem::invalid(at(), "This is not the name of a header."))?;
        if is_hosts_own(&name) {
            let words = format!(
                "The header `{name}` is not for plugins: it frames the request, or asks for another one than was checked."
            );
            return Err(Problem::invalid(at(), words));
        }
        if policy.binds(&name) {
            let words =
                format!("The header `{name}` carries a secret; name the secret in the request instead of setting it.");
            let problem = Problem::new(ProblemKind::Denied, words);
            return Err(problem.with_code("secret_header").with_param(at()));
        }
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            Problem::invalid(
                at(),
                "The value of a header holds no line breaks or control characters.",
            )
        })?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    if !headers.contains_key(ACCEPT_ENCODING) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(headers)
}

/// Drops what another origin has no business to see.
pub(super) fn keep_safe(headers: &mut HeaderMap) {
    let kept: Vec<_> = headers
        .iter()
        .filter(|(name, _)| SAFE.contains(&name.as_str()))
        .collect();
    let mut safe: HeaderMap = kept
        .into_iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    safe.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    *headers = safe;
}

/// Drops what describes a body that is no longer there.
pub(super) fn drop_content(headers: &mut HeaderMap) {
    let names: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("content-"))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

/// Bytes of the headers as they are on the wire.
pub(super) fn bytes(headers: &HeaderMap) -> u64 {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64)
        .sum()
}

/// An upstream's headers as the guest sees them, without secrets.
pub(super) fn of_upstream(headers: &HeaderMap, patterns: &Patterns) -> Result<Vec<(String, String)>, Problem> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > limits::RESPONSE_HEADERS || bytes > limits::RESPONSE_HEADER_BYTES {
        return Err(too_large());
    }
    let seen = headers
        .iter()
        .filter(|(name, _)| !patterns.holds(name.as_str().as_bytes()));
    let text = |value: &HeaderValue| patterns.text(value.as_bytes()).into_owned();
    Ok(seen
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect())
}

/// The head of an answer is over its caps.
pub(super) fn too_large() -> Problem {
    let words = format!(
        "The other end sent more headers than an answer may have: {} of {} bytes, all together.",
        limits::RESPONSE_HEADERS,
        limits::RESPONSE_HEADER_BYTES
    );
    Problem::new(ProblemKind::TooLarge, words)
}
