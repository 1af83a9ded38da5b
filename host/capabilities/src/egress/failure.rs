//! What went wrong on the way, told to the guest without addresses and to the log without secrets.
//!
//! It only translates and tells kinds apart; nothing is tried again here.

use std::error::Error;

use encaje_core::{Problem, ProblemKind};
use reqwest::Url;

use super::connect::{Refused, TooSlow};
use super::headers;
use super::policy::Checked;

/// The first error of a kind among an error and its causes.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // Such an error names the cause of what it wraps as its own cause, and so leaves out what it wraps.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|wrapped| find(wrapped)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error and its causes in one line. The address is left out, since a guest's own secrets may stand in its query.
fn told(error: reqwest::Error, policy: &Checked) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    policy.patterns.text(text.as_bytes()).into_owned()
}

/// Host and port of an address.
fn place(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// Whether the connection ended before the head of an answer was there.
pub(super) fn hung_up(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    if error.is_connect() {
        return false;
    }
    find::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message)
        || find::<std::io::Error>(error)
            .is_some_and(|error| matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset))
}

/// A request that got no answer.
pub(super) fn unanswered(error: reqwest::Error, url: &Url, policy: &Checked) -> Problem {
    if let Some(refused) = find::<Refused>(&error) {
        return policy.refused(url, refused.reach, refused);
    }
    let place = place(url);
    if let Some(TooSlow(within)) = find::<TooSlow>(&error) {
        let words = format!("No connection to `{place}` stood within {} ms.", within.as_millis());
        return Problem::new(ProblemKind::Timeout, words).with_code("connect_timeout");
    }
    if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse_too_large) {
        return headers::too_large();
    }
    let words = if error.is_builder() {
        let words = "The request cannot be sent as it is; is its address right?";
        return Problem::invalid("url", words).with_detail(told(error, policy));
    } else if find::<rustls::Error>(&error).is_some() {
        format!(
            "No secure connection to `{place}` could be made: its certificate is not valid here, or it speaks no TLS."
        )
    } else if error.is_dns() {
        format!("The name in `{place}` cannot be resolved.")
    } else if error.is_connect() {
        format!("`{place}` cannot be reached.")
    } else {
        format!("`{place}` broke off before its answer came, or answered with something else than HTTP.")
    };
    Problem::new(ProblemKind::Unavailable, words).with_detail(told(error, policy))
}

/// An answer whose body did not come to its end.
pub(super) fn broken(error: reqwest::Error, policy: &Checked) -> Problem {
    let words = "The other end broke off in the middle of its answer.";
    Problem::new(ProblemKind::Unavailable, words).with_detail(told(error, policy))
}

/// An answer that came compressed to a request that carried a secret and asked for none of that.
pub(super) fn encoded(url: &Url) -> Problem {
    let words = format!(
        "`{}` answered compressed, which was not asked for: no secret that it might repeat could be found in it.",
        place(url)
    );
    Problem::new(ProblemKind::Unavailable, words).with_code("encoded_answer")
}
