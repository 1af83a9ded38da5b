//! What an operator may set of the edge. Where the values come from is the binary's matter.

use std::time::Duration;

use crate::limits;

/// The edge's settings; [`Default`] has those of `limits.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeConfig {
    /// Bytes of one request's body; more is answered 413.
    pub body_bytes: usize,
    /// Bytes of all bodies held at a time; more is answered 503.
    pub body_budget: usize,
    /// Connections at a time; one more is answered 503 and closed.
    pub connections: usize,
    /// From the first byte of a request's head to its last; then 408.
    pub head_time: Duration,
    /// How long a connection may be without a request.
    pub idle_time: Duration,
    /// Between two pieces of a body; then 408.
    pub body_stall: Duration,
    /// For a whole body; then 408.
    pub body_time: Duration,
    /// How long a client may take nothing of its answer; then the connection is cut.
    pub write_stall: Duration,
    /// The deadline of one call.
    pub call_time: Duration,
    /// How long what runs may still run after a shutdown was asked for.
    pub drain_time: Duration,
    /// How long a stream may be silent before it says a comment.
    pub keep_alive: Duration,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            body_bytes: limits::BODY_BYTES,
            body_budget: limits::BODY_BUDGET,
            connections: limits::CONNECTIONS,
            head_time: limits::HEAD_TIME,
            idle_time: limits::IDLE_TIME,
            body_stall: limits::BODY_STALL,
            body_time: limits::BODY_TIME,
            write_stall: limits::WRITE_STALL,
            call_time: limits::CALL_TIME,
            drain_time: limits::DRAIN_TIME,
            keep_alive: limits::KEEP_ALIVE,
        }
    }
}
