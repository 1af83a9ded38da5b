//! Where a request goes, first and after each redirect: addresses are read here, and what goes along is decided.
//!
//! Whether an address is allowed is the policy's to say, hop by hop, and nothing is sent from here.

use bytes::Bytes;
use encaje_core::{Problem, ProblemKind};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::headers;
use super::scrub::Patterns;
use crate::limits;

/// One request of a chain.
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    /// The guest's own; a secret is added when it is sent.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The secret that goes along; gone for good once the chain has left its first origin.
    pub(super) secret: Option<String>,
}

/// Reads a guest's address; what two readers could understand differently is refused.
pub(super) fn parse(text: &str) -> Result<Url, Problem> {
    let invalid = |words: &str| Problem::invalid("url", words);
    if text.len() > limits::URL_BYTES {
        let words = format!("An address has {} bytes at most.", limits::URL_BYTES);
        return Err(Problem::new(ProblemKind::TooLarge, words).with_param("url"));
    }
    if is_odd(text) {
        return Err(invalid(
            "An address holds no spaces, control characters or `\\`; encode them.",
        ));
    }
    let url = Url::parse(text).map_err(|error| invalid(&format!("The address cannot be read: {error}.")))?;
    checked(url).map_err(invalid)
}

fn is_odd(text: &str) -> bool {
    text.chars()
        .any(|each| each == '\\' || each.is_control() || each.is_whitespace())
}

/// The fragment is not sent, so it goes.
fn checked(mut url: Url) -> Result<Url, &'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("The address must begin with `https://` or `http://`.");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("An address holds no user name or password; send them in a header.");
    }
    // Longer than a name can be, so it is none.
    if url.host_str().is_none_or(|host| host.len() > limits::HOST_NAME) {
        return Err("The address names no host.");
    }
    url.set_fragment(None);
    Ok(url)
}

/// The next hop, if an answer is a redirect that says where to.
pub(super) fn next(
    hop: &Hop,
    status: StatusCode,
    answered: &HeaderMap,
    patterns: &Patterns,
) -> Result<Option<Hop>, Problem> {
    let method = match (status.as_u16(), &hop.method) {
        (303, &Method::HEAD) => Method::HEAD,
        (303, _) | (301 | 302, &Method::POST) => Method::GET,
        (301 | 302 | 307 | 308, same) => same.clone(),
        _ => return Ok(None),
    };
    let Some(location) = answered.get(LOCATION) else {
        return Ok(None);
    };
    let url = target(&hop.url, location.as_bytes(), patterns)?;
    if hop.url.scheme() == "https" && url.scheme() == "http" {
        let words = "The other end redirects from https to plain http, which is not followed.";
        return Err(Problem::new(ProblemKind::Denied, words).with_code("redirect_refused"));
    }
    let mut next = Hop {
        headers: hop.headers.clone(),
        body: hop.body.clone(),
        secret: hop.secret.clone(),
        method,
        url,
    };
    if next.method != hop.method || status == StatusCode::SEE_OTHER {
        next.body = Bytes::new();
        headers::drop_content(&mut next.headers);
    }
    if next.url.origin() != hop.url.origin() {
        headers::keep_safe(&mut next.headers);
        next.secret = None;
    }
    Ok(Some(next))
}

/// What a `location` names. One that holds a secret is not followed: the address would carry it to another place, or into
/// a message.
fn target(from: &Url, location: &[u8], patterns: &Patterns) -> Result<Url, Problem> {
    let unreadable = || unusable("The other end redirects to an address that cannot be read.");
    let text = std::str::from_utf8(location).map_err(|_| unreadable())?;
    if text.len() > limits::URL_BYTES || is_odd(text) {
        return Err(unreadable());
    }
    let url = from.join(text).map_err(|_| unreadable())?;
    if patterns.holds(location) || patterns.holds(url.as_str().as_bytes()) {
        return Err(unusable("The other end redirects to an address that holds a secret."));
    }
    checked(url)
        .map_err(|_| unusable("The other end redirects to an address that is neither http nor https, or names a user."))
}

/// More redirects than anybody needs.
pub(super) fn too_many() -> Problem {
    unusable(&format!(
        "The other end redirects more than {} times.",
        limits::REDIRECTS
    ))
}

fn unusable(words: &str) -> Problem {
    Problem::new(ProblemKind::Unavailable, words).with_code("redirect_refused")
}
