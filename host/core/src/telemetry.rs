//! Spans, scores and annotations, as `encaje:common/telemetry` has them: what is exchanged with instruments.
//!
//! The ledger's own spans are rows (`ledger/record.rs`); these are the ones that come from and go to other places.

use crate::problem::Extra;
use crate::value::Fields;

/// How a span ended, as in OpenTelemetry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nobody said.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// With an error.
    Error,
}

/// Something that happened at one moment of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    /// What happened.
    pub name: String,
    /// When, in microseconds of UTC since 1970.
    pub at_us: u64,
    /// What is known of it.
    pub attributes: Fields,
}

/// A span of another place that a span belongs with.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanLink {
    /// 32 lower-case hex digits.
    pub trace_id: String,
    /// 16 lower-case hex digits.
    pub span_id: String,
    /// What is known of the link.
    pub attributes: Fields,
}

/// A piece of work with a beginning and an end. Ids are lower-case hex as in W3C Trace Context.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// 32 hex digits, not all zero.
    pub trace_id: String,
    /// 16 hex digits, not all zero.
    pub span_id: String,
    /// Absent for the root of a trace.
    pub parent_span_id: Option<String>,
    /// What was done.
    pub name: String,
    /// OpenTelemetry's span kind in lower case.
    pub kind: String,
    /// Microseconds of UTC since 1970.
    pub start_us: u64,
    /// Microseconds of UTC since 1970; not before `start_us`.
    pub end_us: u64,
    /// How it ended.
    pub status: SpanStatus,
    /// What went wrong, in words.
    pub status_message: Option<String>,
    /// What is known of it.
    pub attributes: Fields,
    /// What happened during it, oldest first.
    pub events: Vec<SpanEvent>,
    /// What it belongs with.
    pub links: Vec<SpanLink>,
    /// What is known of the program that made it.
    pub resource_attributes: Fields,
    /// The instrumentation scope that made it.
    pub scope: String,
}

/// A number, a word or both, from a person, a rule or an evaluator.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The metric's name.
    pub name: String,
    /// In the metric's own range; finite.
    pub value: Option<f64>,
    /// A word, e.g. `pass`.
    pub label: Option<String>,
    /// Why, in words.
    pub explanation: Option<String>,
    /// What else is known of it.
    pub extra: Extra,
}

/// What an instrument adds to the trace of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Annotation {
    /// Attributes of the call's own span.
    pub attributes: Fields,
    /// Scores of the answer.
    pub scores: Vec<Score>,
    /// Words to find the call by.
    pub tags: Vec<String>,
}

impl Annotation {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.scores.is_empty() && self.tags.is_empty()
    }
}
