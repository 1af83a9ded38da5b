//! Reading the ledger back: lists of traces, one trace whole.
//!
//! Written by [`crate::ledger`]; the tables are in [`crate::schema`].

use std::collections::{BTreeMap, HashMap};

use crate::call::Call;
use crate::limits;
use crate::ports::Storage;
use crate::problem::{Json, Problem, ProblemKind};
use crate::storage::{Order, Page, Query};
use crate::value::{Comparator, Comparison, Filter, Value};

/// Which traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceQuery {
    /// At most so many.
    pub limit: u32,
    /// From the page before.
    pub cursor: Option<String>,
    /// Only of this model.
    pub model: Option<String>,
    /// Only with this status: `ok`, `error` or `cancelled`.
    pub status: Option<String>,
}

/// One call in a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TraceSummary {
    /// 32 hex digits.
    pub trace_id: String,
    /// The call's own span, 16 hex digits.
    pub span_id: String,
    /// What its answer's header carried.
    pub request_id: String,
    /// `chat`, `text_completion` or `embeddings`.
    pub operation: String,
    /// As the caller named it.
    pub model: String,
    /// Who answered; absent where nobody was found.
    pub plugin: Option<String>,
    /// `ok`, `error` or `cancelled`.
    pub status: String,
    /// What went wrong.
    pub status_message: Option<String>,
    /// Microseconds of UTC since 1970.
    pub start_us: u64,
    /// From the first byte of the request to the end of the answer, in microseconds.
    pub total_us: u64,
    /// To the first chunk, in microseconds.
    pub first_chunk_us: Option<u64>,
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens said.
    pub output_tokens: Option<u64>,
}

/// Calls, newest first, and where the next ones start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TracePage {
    /// Newest first.
    pub traces: Vec<TraceSummary>,
    /// Absent at the end.
    pub next: Option<String>,
}

/// A span as it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSpan {
    /// 16 hex digits.
    pub span_id: String,
    /// Absent for a root.
    pub parent_span_id: Option<String>,
    /// E.g. `chat smollm2`, `provider.complete`.
    pub name: String,
    /// Microseconds of UTC since 1970.
    pub start_us: u64,
    /// Microseconds of UTC since 1970.
    pub end_us: u64,
    /// `ok`, `error` or `cancelled`.
    pub status: String,
    /// What went wrong.
    pub status_message: Option<String>,
    /// A JSON object.
    pub attributes: Json,
}

/// A message as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The call's.
    pub span_id: String,
    /// `input` or `output`.
    pub direction: String,
    /// Who speaks.
    pub role: String,
    /// Which answer, for outputs.
    pub choice: Option<u64>,
    /// A JSON array of parts.
    pub content: Json,
    /// Why it ended, for outputs.
    pub finish: Option<String>,
}

/// One trace, whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// The calls of this trace, oldest first; more than one where a caller sent its own trace id.
    pub calls: Vec<TraceSummary>,
    /// Oldest first.
    pub spans: Vec<StoredSpan>,
    /// Call after call, in order.
    pub messages: Vec<StoredMessage>,
    /// Whether the trace has more than one answer of the storage holds: what came first is here.
    pub cut: bool,
}

/// Hexadecimal digits of a whole trace id.
const ID_DIGITS: usize = 32;

/// A page of a tenant's calls.
///
/// # Errors
/// The storage's problem; `InvalidRequest` for a foreign cursor.
pub async fn list(storage: &dyn Storage, call: &Call, tenant: &str, query: &TraceQuery) -> Result<TracePage, Problem> {
    let mut group = vec![Comparison::equal("tenant", tenant), Comparison::equal("root", true)];
    group.extend(query.model.as_deref().map(|model| Comparison::equal("model", model)));
    group.extend(
        query
            .status
            .as_deref()
            .map(|status| Comparison::equal("status", status)),
    );
    let page = storage
        .read(
            call,
            &Query {
                table: "spans".to_owned(),
                columns: Vec::new(),
                filter: vec![group],
                order: vec![Order {
                    field: "start_us".to_owned(),
                    descending: true,
                }],
                limit: query.limit,
                cursor: query.cursor.clone(),
            },
        )
        .await?;
    let traces = rows(&page).map(|row| summary(&row)).collect();
    Ok(TracePage {
        traces,
        next: page.next,
    })
}

/// One trace of a tenant, by its id or by the unambiguous beginning of it.
///
/// # Errors
/// `NotFound`; `InvalidRequest` for an ambiguous beginning; the storage's problem.
pub async fn show(storage: &dyn Storage, call: &Call, tenant: &str, id: &str) -> Result<Trace, Problem> {
    let id = resolve(storage, call, tenant, id).await?;
    let of_trace = |tenant: &str, id: &str| -> Filter {
        vec![vec![
            Comparison::equal("trace_id", id),
            Comparison::equal("tenant", tenant),
        ]]
    };
    let spans = read(storage, call, "spans", of_trace(tenant, &id), "start_us").await?;
    if spans.rows.is_empty() {
        return Err(not_found(&id));
    }
    let mut trace = Trace::default();
    let mut commits: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows(&spans) {
        if row.flag("root") {
            trace.calls.push(summary(&row));
        }
        trace.spans.push(span(&row));
        // The group commit that wrote a call is shared by many; it is a trace of the server's own.
        if let Some(commit) = row.text("commit_id") {
            commits.entry(commit).or_default().extend(row.text("span_id"));
        }
    }
    let server = crate::Caller::server().tenant;
    for (commit, calls) in commits.into_iter().take(limits::TRACE_COMMITS) {
        let found = read(storage, call, "spans", of_trace(&server, &commit), "start_us").await?;
        for row in rows(&found) {
            trace.spans.extend(calls.iter().map(|parent| StoredSpan {
                parent_span_id: Some(parent.clone()),
                ..span(&row)
            }));
        }
    }
    trace.spans.sort_by_key(|span| span.start_us);
    let messages = read(storage, call, "messages", of_trace(tenant, &id), "position").await?;
    trace.messages = rows(&messages).map(|row| message(&row)).collect();
    // Each call's own, in the order of the calls; their positions are in order already.
    let places: HashMap<&str, usize> = (trace.calls.iter().enumerate())
        .map(|(place, call)| (call.span_id.as_str(), place))
        .collect();
    trace
        .messages
        .sort_by_key(|message| places.get(message.span_id.as_str()).copied());
    trace.cut = spans.next.is_some() || messages.next.is_some();
    Ok(trace)
}

async fn resolve(storage: &dyn Storage, call: &Call, tenant: &str, id: &str) -> Result<String, Problem> {
    if id.is_empty() || id.len() > ID_DIGITS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(not_found(id));
    }
    let id = id.to_ascii_lowercase();
    if id.len() == ID_DIGITS {
        return Ok(id);
    }
    let starts = Comparison {
        field: "trace_id".to_owned(),
        by: Comparator::StartsWith,
        values: vec![Value::Text(id.clone())],
    };
    // The first trace and the last one: where they are the same, there is one.
    let mut ends = Vec::new();
    for descending in [false, true] {
        let query = Query {
            table: "spans".to_owned(),
            columns: vec!["trace_id".to_owned()],
            filter: vec![vec![Comparison::equal("tenant", tenant), starts.clone()]],
            order: vec![Order {
                field: "trace_id".to_owned(),
                descending,
            }],
            limit: 1,
            cursor: None,
        };
        let page = storage.read(call, &query).await?;
        ends.extend(rows(&page).filter_map(|row| row.text("trace_id")));
    }
    match ends.as_slice() {
        [first, last] if first == last => Ok(first.clone()),
        [] => Err(not_found(&id)),
        _ => Err(Problem::invalid(
            "id",
            format!("Several traces begin with `{id}`; give more of it."),
        )),
    }
}

fn not_found(id: &str) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("There is no trace `{id}`.")).with_code("trace_not_found")
}

async fn read(storage: &dyn Storage, call: &Call, table: &str, filter: Filter, order: &str) -> Result<Page, Problem> {
    let query = Query {
        table: table.to_owned(),
        columns: Vec::new(),
        filter,
        order: vec![Order {
            field: order.to_owned(),
            descending: false,
        }],
        limit: limits::TRACE_ROWS,
        cursor: None,
    };
    storage.read(call, &query).await
}

/// A row with its columns' names.
struct Row<'a> {
    columns: &'a [String],
    values: &'a [Value],
}

impl Row<'_> {
    fn get(&self, column: &str) -> Option<&Value> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.values.get(index)
    }

    fn text(&self, column: &str) -> Option<String> {
        self.get(column).and_then(Value::as_text).map(str::to_owned)
    }

    fn number(&self, column: &str) -> Option<u64> {
        self.get(column)
            .and_then(Value::as_integer)
            .and_then(|number| u64::try_from(number).ok())
    }

    fn flag(&self, column: &str) -> bool {
        self.number(column) == Some(1)
    }
}

fn rows(page: &Page) -> impl Iterator<Item = Row<'_>> {
    page.rows.iter().map(|values| Row {
        columns: &page.columns,
        values,
    })
}

fn summary(row: &Row<'_>) -> TraceSummary {
    let start_us = row.number("start_us").unwrap_or_default();
    TraceSummary {
        trace_id: row.text("trace_id").unwrap_or_default(),
        span_id: row.text("span_id").unwrap_or_default(),
        request_id: row.text("request_id").unwrap_or_default(),
        operation: row.text("operation").unwrap_or_default(),
        model: row.text("model").unwrap_or_default(),
        plugin: row.text("plugin"),
        status: row.text("status").unwrap_or_default(),
        status_message: row.text("status_message"),
        start_us,
        total_us: row.number("end_us").unwrap_or_default().saturating_sub(start_us),
        first_chunk_us: row.number("first_chunk_us"),
        input_tokens: row.number("input_tokens"),
        output_tokens: row.number("output_tokens"),
    }
}

fn span(row: &Row<'_>) -> StoredSpan {
    StoredSpan {
        span_id: row.text("span_id").unwrap_or_default(),
        parent_span_id: row.text("parent_span_id"),
        name: row.text("name").unwrap_or_default(),
        start_us: row.number("start_us").unwrap_or_default(),
        end_us: row.number("end_us").unwrap_or_default(),
        status: row.text("status").unwrap_or_default(),
        status_message: row.text("status_message"),
        attributes: row.text("attributes").unwrap_or_else(|| "{}".to_owned()),
    }
}

fn message(row: &Row<'_>) -> StoredMessage {
    StoredMessage {
        span_id: row.text("span_id").unwrap_or_default(),
        direction: row.text("direction").unwrap_or_default(),
        role: row.text("role").unwrap_or_default(),
        choice: row.number("choice"),
        content: row.text("content").unwrap_or_else(|| "[]".to_owned()),
        finish: row.text("finish"),
    }
}
