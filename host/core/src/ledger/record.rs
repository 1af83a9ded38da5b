//! From a finished exchange to rows: a root span, a span a crossing, a message a turn.
//!
//! Attribute names are OpenTelemetry's GenAI ones where those exist, `encaje.*` otherwise.

use serde_json::{Map, Value as JsonValue, json};

use crate::ProblemKind;
use crate::call::Call;
use crate::chat::ChatRequest;
use crate::id::SpanId;
use crate::ledger::messages;
use crate::limits::{MAX_ANNOTATIONS, MAX_ATTRIBUTE_BYTES, MAX_MESSAGE_BYTES};
use crate::storage::Mutation;
use crate::telemetry::Score;
use crate::trace::{Asked, Crossing, Exchange, Outcome};
use crate::value::{Fields, Value};

/// The rows of one call. The root waits for the id of the group commit that writes it.
pub(super) struct Record {
    root: Fields,
    rest: Vec<Mutation>,
    bytes: usize,
}

impl Record {
    pub(super) fn of(call: &Call, exchange: Exchange) -> Self {
        let mut rest: Vec<Mutation> = call
            .take_crossings()
            .iter()
            .map(|crossing| upsert("spans", crossing_span(call, crossing)))
            .collect();
        let root = root_span(call, &exchange);
        rest.extend(messages::rows(call, &exchange));
        rest.extend(scores(call, &exchange));
        let texts = |fields: &Fields| {
            fields
                .iter()
                .map(|(_, value)| value.as_text().map_or(8, str::len))
                .sum::<usize>()
        };
        let rows = rest.iter().map(|row| match row {
            Mutation::Upsert(_, fields) => texts(fields),
            _ => 0,
        });
        let bytes = texts(&root) + rows.sum::<usize>();
        Self { root, rest, bytes }
    }

    /// Bytes of its rows.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rows that it makes.
    pub(super) fn rows(&self) -> usize {
        self.rest.len() + 1
    }

    pub(super) fn into_mutations(mut self, commit_id: &str, batch: &mut Vec<Mutation>) {
        self.root.push(field("commit_id", commit_id));
        batch.push(upsert("spans", self.root));
        batch.append(&mut self.rest);
    }
}

/// Names another commit as the one that writes these rows of a call.
pub(super) fn written_by(rows: &mut [Mutation], commit_id: &str) {
    for row in rows {
        let (Mutation::Upsert(_, fields) | Mutation::Insert(_, fields)) = row else {
            continue;
        };
        for (name, value) in fields {
            if name == "commit_id" {
                *value = commit_id.into();
            }
        }
    }
}

/// The span of a group commit, once it has ended; `calls` is how many it wrote.
pub(super) fn commit_span(
    commit_id: &str,
    crossings: &[Crossing],
    start_us: u64,
    end_us: u64,
    calls: usize,
) -> Mutation {
    let mut attributes = Map::new();
    attributes.insert("encaje.group.calls".to_owned(), json!(calls));
    let plugin = crossings.first().map(|crossing| crossing.plugin.clone());
    if let Some(crossing) = crossings.first() {
        attributes.extend(crossing_attributes(crossing));
    }
    upsert(
        "spans",
        vec![
            field("tenant", crate::Caller::server().tenant),
            field("trace_id", commit_id),
            field("span_id", SpanId::new().to_string()),
            field("root", true),
            field("name", "storage.write"),
            field("start_us", start_us),
            field("end_us", end_us),
            field("status", "ok"),
            field("attributes", object(attributes)),
            field("plugin", plugin),
        ],
    )
}

/// A row of the server's own, written again and again, to see whether the storage takes one.
pub(super) fn probe() -> Mutation {
    let now = crate::time::now_us();
    upsert(
        "spans",
        vec![
            field("tenant", crate::Caller::server().tenant),
            field("trace_id", "0".repeat(32)),
            field("span_id", "0".repeat(16)),
            field("root", false),
            field("name", "storage.probe"),
            field("start_us", now),
            field("end_us", now),
            field("status", "ok"),
            field("attributes", object(Map::new())),
        ],
    )
}

/// The trace that a row belongs to.
pub(super) fn trace_of(row: &Mutation) -> Option<&str> {
    let (Mutation::Upsert(_, fields) | Mutation::Insert(_, fields)) = row else {
        return None;
    };
    let (_, trace) = fields.iter().find(|(name, _)| name == "trace_id")?;
    trace.as_text()
}

fn root_span(call: &Call, exchange: &Exchange) -> Fields {
    let operation = exchange.asked.operation();
    let (status, message) = match &exchange.outcome {
        Outcome::Completed => ("ok", None),
        Outcome::Cancelled => ("cancelled", Some("the caller went away".to_owned())),
        // What is for the log alone stays there: the caller reads its own traces.
        Outcome::Failed(problem) => ("error", Some(format!("{}: {}", problem.kind, problem.message))),
    };
    let usage = exchange.usage.as_ref();
    vec![
        field("tenant", call.caller().tenant.as_str()),
        field("trace_id", call.trace().to_string()),
        field("span_id", call.span().to_string()),
        field("parent_span_id", call.parent().map(|parent| parent.to_string())),
        field("root", true),
        field("name", format!("{operation} {}", exchange.asked.model())),
        field("start_us", exchange.start_us),
        field("end_us", exchange.end_us),
        field("status", status),
        field("status_message", message.map(|text| cut(text, MAX_MESSAGE_BYTES))),
        field("attributes", object(root_attributes(exchange))),
        field("operation", operation),
        field("model", exchange.asked.model()),
        field("plugin", exchange.plugin.clone()),
        field("input_tokens", usage.map(|usage| usage.input_tokens)),
        field("output_tokens", usage.map(|usage| usage.output_tokens)),
        field("first_chunk_us", exchange.first_chunk_us),
        field("user_id", call.caller().user.clone()),
        field("session_id", call.session().map(str::to_owned)),
        field("request_id", call.request_id()),
    ]
}

fn root_attributes(exchange: &Exchange) -> Map<String, JsonValue> {
    let mut attributes = Map::new();
    let mut put = |name: &str, value: JsonValue| {
        if !value.is_null() {
            attributes.insert(name.to_owned(), value);
        }
    };
    put("gen_ai.operation.name", json!(exchange.asked.operation()));
    put("gen_ai.request.model", json!(exchange.asked.model()));
    put("gen_ai.response.model", json!(exchange.plugin_model));
    put("encaje.plugin", json!(exchange.plugin));
    if exchange.degraded {
        put("encaje.degraded", json!(true));
    }
    if let Some(usage) = &exchange.usage {
        put("gen_ai.usage.input_tokens", json!(usage.input_tokens));
        put("gen_ai.usage.output_tokens", json!(usage.output_tokens));
        if usage.cached_input_tokens > 0 {
            put("gen_ai.usage.cache_read.input_tokens", json!(usage.cached_input_tokens));
        }
        if usage.reasoning_tokens > 0 {
            put("encaje.usage.reasoning_tokens", json!(usage.reasoning_tokens));
        }
    }
    if let Asked::Chat(ChatRequest { sampling, .. }) = &exchange.asked {
        put("gen_ai.request.temperature", json!(sampling.temperature));
        put("gen_ai.request.top_p", json!(sampling.top_p));
        put("gen_ai.request.top_k", json!(sampling.top_k));
        put("gen_ai.request.max_tokens", json!(sampling.max_tokens));
        put("gen_ai.request.seed", json!(sampling.seed));
    }
    if let Outcome::Failed(problem) = &exchange.outcome {
        put("error.type", json!(problem.kind.as_str()));
    }
    let tags = exchange.annotations.iter().flat_map(|(_, added)| &added.tags);
    let tags: Vec<&str> = tags.take(MAX_ANNOTATIONS).map(String::as_str).collect();
    if !tags.is_empty() {
        put("encaje.tags", json!(tags));
    }
    // An instrument adds, and never says what the server itself knows better.
    let added = exchange.annotations.iter().flat_map(|(_, added)| &added.attributes);
    for (name, value) in added.take(MAX_ANNOTATIONS) {
        attributes.entry(name.clone()).or_insert_with(|| attribute(value));
    }
    attributes
}

fn attribute(value: &Value) -> JsonValue {
    match value {
        Value::Null | Value::Blob(_) => JsonValue::Null,
        Value::Boolean(flag) => json!(flag),
        Value::Integer(number) => json!(number),
        Value::Real(number) => json!(number),
        Value::Text(text) => json!(cut(text.clone(), MAX_ATTRIBUTE_BYTES)),
        Value::Json(text) => serde_json::from_str(text)
            .ok()
            .filter(|_| text.len() <= MAX_ATTRIBUTE_BYTES)
            .unwrap_or(JsonValue::Null),
    }
}

/// What instruments gave the answer, each name of each instrument once.
fn scores(call: &Call, exchange: &Exchange) -> Vec<Mutation> {
    let given = exchange.annotations.iter();
    let given = given.flat_map(|(source, added)| added.scores.iter().map(move |score| (source, score)));
    let row = |(source, score): (&String, &Score)| {
        let text = |text: &Option<String>| text.clone().map(|text| cut(text, MAX_ATTRIBUTE_BYTES));
        upsert(
            "scores",
            vec![
                field("tenant", call.caller().tenant.as_str()),
                field("trace_id", call.trace().to_string()),
                field("span_id", call.span().to_string()),
                field("source", source.as_str()),
                field("name", cut(score.name.clone(), MAX_ATTRIBUTE_BYTES)),
                field("at_us", exchange.end_us),
                field("value", score.value.filter(|value| value.is_finite()).map(Value::Real)),
                field("label", text(&score.label)),
                field("explanation", text(&score.explanation)),
            ],
        )
    };
    given.take(MAX_ANNOTATIONS).map(row).collect()
}

fn crossing_span(call: &Call, crossing: &Crossing) -> Fields {
    let failed = crossing.failure.as_ref();
    let status = match failed {
        None => "ok",
        Some(ProblemKind::Cancelled) => "cancelled",
        Some(_) => "error",
    };
    vec![
        field("tenant", call.caller().tenant.as_str()),
        field("trace_id", call.trace().to_string()),
        field("span_id", crossing.span.to_string()),
        field("parent_span_id", crossing.within.unwrap_or(call.span()).to_string()),
        field("root", false),
        field("name", format!("{}.{}", crossing.kind.as_str(), crossing.function)),
        field("start_us", crossing.start_us),
        field("end_us", crossing.end_us),
        field("status", status),
        field("status_message", failed.map(|kind| kind.as_str().to_owned())),
        field("attributes", object(crossing_attributes(crossing))),
        field("plugin", crossing.plugin.as_str()),
    ]
}

fn crossing_attributes(crossing: &Crossing) -> Map<String, JsonValue> {
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut attributes = Map::new();
    attributes.insert("encaje.plugin".to_owned(), json!(crossing.plugin));
    attributes.insert("encaje.cpu_us".to_owned(), json!(micros(crossing.cpu)));
    attributes.insert("encaje.peak_memory_bytes".to_owned(), json!(crossing.peak_memory));
    attributes.insert(
        "encaje.instance_age_us".to_owned(),
        json!(micros(crossing.instance_age)),
    );
    attributes.insert("encaje.calls".to_owned(), json!(crossing.calls));
    if crossing.egress_bytes > 0 {
        attributes.insert("encaje.egress_bytes".to_owned(), json!(crossing.egress_bytes));
    }
    if crossing.attempt > 1 {
        attributes.insert("encaje.attempt".to_owned(), json!(crossing.attempt));
    }
    attributes
}

pub(super) fn cut(mut text: String, room: usize) -> String {
    text.truncate(text.floor_char_boundary(room));
    text
}

pub(super) fn upsert(table: &str, fields: Fields) -> Mutation {
    Mutation::Upsert(table.to_owned(), fields)
}

pub(super) fn field(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
}

fn object(attributes: Map<String, JsonValue>) -> Value {
    Value::Json(JsonValue::Object(attributes).to_string())
}
