//! `GET /api/v1/traces` and `GET /api/v1/traces/{id}`: the ledger of the caller's tenant as JSON.
//!
//! The bodies can be read as well as written, so that the command line reads a running server through them.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use encaje_core::Problem;
use encaje_core::traces::{StoredMessage, StoredSpan, Trace, TracePage, TraceQuery, TraceSummary};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::admit::Admitted;
use crate::edge::{Edge, segment};
use crate::json::clip;
use crate::limits;
use crate::openai::error::Refusal;

/// A page of calls, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraceListBody {
    /// Newest first.
    pub traces: Vec<CallBody>,
    /// What `cursor` of the next page is; null at the end.
    pub next: Option<String>,
}

/// One call; see [`TraceSummary`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are those of `TraceSummary`, by the same names")]
pub struct CallBody {
    pub trace_id: String,
    pub span_id: String,
    pub request_id: String,
    pub operation: String,
    pub model: String,
    pub plugin: Option<String>,
    pub status: String,
    pub status_message: Option<String>,
    pub start_us: u64,
    pub total_us: u64,
    pub first_chunk_us: Option<u64>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
}

/// One trace, whole; see [`Trace`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraceBody {
    /// Oldest first.
    pub calls: Vec<CallBody>,
    /// Oldest first.
    pub spans: Vec<SpanBody>,
    /// Call after call, in order.
    pub messages: Vec<MessageBody>,
    /// Whether there is more of it than is shown.
    pub cut: bool,
}

/// A span; see [`StoredSpan`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are those of `StoredSpan`, by the same names")]
pub struct SpanBody {
    pub span_id: String,
    pub parent_span_id: Option<String>,
    pub name: String,
    pub start_us: u64,
    pub end_us: u64,
    pub status: String,
    pub status_message: Option<String>,
    pub attributes: Box<RawValue>,
}

/// A message; see [`StoredMessage`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are those of `StoredMessage`, by the same names")]
pub struct MessageBody {
    pub span_id: String,
    pub direction: String,
    pub role: String,
    pub choice: Option<u64>,
    pub content: Box<RawValue>,
    pub finish: Option<String>,
}

/// What a page is asked by.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParameters {
    limit: Option<String>,
    cursor: Option<String>,
    model: Option<String>,
    status: Option<String>,
}

/// `GET /api/v1/traces?limit&cursor&model&status`
pub(crate) async fn list(
    State(edge): State<Edge>,
    admitted: Admitted,
    parameters: Result<Query<ListParameters>, QueryRejection>,
) -> Result<Json<TraceListBody>, Refusal> {
    let Query(parameters) = parameters.map_err(|rejection| {
        let why = rejection.body_text();
        let why = why.strip_prefix("Failed to deserialize query string: ").unwrap_or(&why);
        let why = clip(why.split(", expected").next().unwrap_or_default());
        let message = format!("The query cannot be read: {why}; known are `limit`, `cursor`, `model` and `status`.");
        Problem::new(encaje_core::ProblemKind::InvalidRequest, message).with_code("invalid_query")
    })?;
    let query = query(parameters)?;
    let (generation, call) = admitted.begin();
    let page = edge.server().traces(&generation, &call, &query).await?;
    Ok(Json(page.into()))
}

fn query(parameters: ListParameters) -> Result<TraceQuery, Problem> {
    let (most, usual) = limits::TRACE_PAGE;
    let limit = match parameters.limit {
        None => usual,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=most).contains(limit))
            .ok_or_else(|| {
                Problem::invalid("limit", format!("`limit` must be a whole number from 1 to {most}."))
                    .with_code("invalid_value")
            })?,
    };
    if let Some(status) = &parameters.status
        && !["ok", "error", "cancelled"].contains(&status.as_str())
    {
        let message = "`status` must be one of `ok`, `error`, `cancelled`.";
        return Err(Problem::invalid("status", message).with_code("invalid_value"));
    }
    Ok(TraceQuery {
        limit,
        cursor: parameters.cursor,
        model: parameters.model,
        status: parameters.status,
    })
}

/// `GET /api/v1/traces/{id}`; the unambiguous beginning of an id is enough.
pub(crate) async fn show(
    State(edge): State<Edge>,
    admitted: Admitted,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<TraceBody>, Refusal> {
    let id = segment(id)?;
    let (generation, call) = admitted.begin();
    Ok(Json(edge.server().trace(&generation, &call, &id).await?.into()))
}

/// JSON of the store; what is none is shown as a string rather than lost.
fn raw(json: String) -> Box<RawValue> {
    let valid = serde_json::from_str::<&RawValue>(&json).is_ok();
    let text = if valid {
        RawValue::from_string(json)
    } else {
        serde_json::value::to_raw_value(&json)
    };
    text.unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl From<TracePage> for TraceListBody {
    fn from(page: TracePage) -> Self {
        Self {
            traces: page.traces.into_iter().map(CallBody::from).collect(),
            next: page.next,
        }
    }
}

impl From<TraceListBody> for TracePage {
    fn from(body: TraceListBody) -> Self {
        Self {
            traces: body.traces.into_iter().map(TraceSummary::from).collect(),
            next: body.next,
        }
    }
}

/// Two structs with the same members, each way.
macro_rules! same_members {
    ($one:ident, $other:ident, $($member:ident),+) => {
        impl From<$one> for $other {
            fn from(from: $one) -> Self {
                Self { $($member: from.$member),+ }
            }
        }
        impl From<$other> for $one {
            fn from(from: $other) -> Self {
                Self { $($member: from.$member),+ }
            }
        }
    };
}

same_members!(
    TraceSummary,
    CallBody,
    trace_id,
    span_id,
    request_id,
    operation,
    model,
    plugin,
    status,
    status_message,
    start_us,
    total_us,
    first_chunk_us,
    input_tokens,
    output_tokens
);

impl From<Trace> for TraceBody {
    fn from(trace: Trace) -> Self {
        let span = |span: StoredSpan| SpanBody {
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            name: span.name,
            start_us: span.start_us,
            end_us: span.end_us,
            status: span.status,
            status_message: span.status_message,
            attributes: raw(span.attributes),
        };
        let message = |message: StoredMessage| MessageBody {
            span_id: message.span_id,
            direction: message.direction,
            role: message.role,
            choice: message.choice,
            content: raw(message.content),
            finish: message.finish,
        };
        Self {
            calls: trace.calls.into_iter().map(CallBody::from).collect(),
            spans: trace.spans.into_iter().map(span).collect(),
            messages: trace.messages.into_iter().map(message).collect(),
            cut: trace.cut,
        }
    }
}

impl From<TraceBody> for Trace {
    fn from(body: TraceBody) -> Self {
        let span = |span: SpanBody| StoredSpan {
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            name: span.name,
            start_us: span.start_us,
            end_us: span.end_us,
            status: span.status,
            status_message: span.status_message,
            attributes: span.attributes.get().to_owned(),
        };
        let message = |message: MessageBody| StoredMessage {
            span_id: message.span_id,
            direction: message.direction,
            role: message.role,
            choice: message.choice,
            content: message.content.get().to_owned(),
            finish: message.finish,
        };
        Self {
            calls: body.calls.into_iter().map(TraceSummary::from).collect(),
            spans: body.spans.into_iter().map(span).collect(),
            messages: body.messages.into_iter().map(message).collect(),
            cut: body.cut,
        }
    }
}
