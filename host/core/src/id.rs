//! Identifiers: trace and span ids of W3C Trace Context, request ids.
//!
//! A trace id begins with its time, so that a store that orders by key writes neighbours together.

use std::fmt;
use std::str::FromStr;

/// 16 bytes, written as 32 lower-case hex digits; never all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(u128);

/// 8 bytes, written as 16 lower-case hex digits; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(u64);

/// Not the hex of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a trace or span id: lower-case hex of the right length, not all zero, is expected")]
pub struct BadId;

impl TraceId {
    /// A new id: 48 bits of milliseconds, 80 random ones.
    pub fn new() -> Self {
        let millis = u128::from(crate::time::now_us() / 1_000);
        Self((millis << 80) | (rand::random::<u128>() >> 48))
    }
}

impl Default for TraceId {
    fn default() -> Self {
        Self::new()
    }
}

impl SpanId {
    /// A new random id.
    pub fn new() -> Self {
        Self(rand::random::<u64>().max(1))
    }
}

impl Default for SpanId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn hex(text: &str, digits: usize) -> Result<u128, BadId> {
    let plain = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match plain.then(|| u128::from_str_radix(text, 16)) {
        Some(Ok(number)) if number != 0 => Ok(number),
        _ => Err(BadId),
    }
}

impl FromStr for TraceId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        hex(text, 32).map(Self)
    }
}

impl FromStr for SpanId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        hex(text, 16).and_then(|number| u64::try_from(number).map(Self).map_err(|_| BadId))
    }
}

/// The trace and parent span of a `traceparent` header; `None` where it is malformed, as the standard asks.
pub fn parse_traceparent(header: &str) -> Option<(TraceId, SpanId)> {
    let mut parts = header.trim().split('-');
    let version = parts.next()?;
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let known = version.len() == 2 && version != "ff" && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !known || flags.len() != 2 || (version == "00" && parts.next().is_some()) {
        return None;
    }
    Some((trace.parse().ok()?, span.parse().ok()?))
}

/// A fresh request id: a prefix and 24 hex digits.
pub fn request_id() -> String {
    format!("req_{:024x}", rand::random::<u128>() >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_print() {
        let (trace, span) = (TraceId::new(), SpanId::new());
        assert_eq!(trace.to_string().parse(), Ok(trace));
        assert_eq!(span.to_string().parse(), Ok(span));
        assert_eq!("0".repeat(32).parse::<TraceId>(), Err(BadId));
        assert_eq!("ABCDEF0123456789".parse::<SpanId>(), Err(BadId));
    }

    #[test]
    fn later_traces_sort_after_earlier_ones() {
        let first = TraceId::new();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(TraceId::new().to_string() > first.to_string());
    }

    #[test]
    fn a_malformed_traceparent_is_ignored() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(parse_traceparent(good).is_some());
        for bad in [
            "",
            "00-4bf9-00f067aa0ba902b7-01",
            &good.replace("00-", "ff-"),
            &format!("{good}-x"),
            &good.to_uppercase(),
        ] {
            assert_eq!(parse_traceparent(bad), None, "{bad}");
        }
    }
}
