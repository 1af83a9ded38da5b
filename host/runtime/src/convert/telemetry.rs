//! Spans, exchanges and annotations.

use encaje_bindings::base::encaje::common::{chat as guest_chat, telemetry as guest};
use encaje_bindings::instrumentor::exports::encaje::instrumentor::instrumentor as hooks;
use encaje_core::chat::{ChatEvent, ChatRequest, Chunk, ToolCallDelta, Usage};
use encaje_core::telemetry::{Annotation, Span, SpanEvent, SpanLink, SpanStatus};
use encaje_core::trace::{Asked, Exchange, Outcome};
use encaje_core::transcript::Transcript;
use encaje_core::{Problem, ProblemKind};

use super::{chat, knowledge, problem, value};

/// The call as `after` hears of it; `None` for a call that was no chat.
pub(crate) fn exchange_to_guest(exchange: &Exchange) -> Option<guest::Exchange> {
    let Asked::Chat(request) = &exchange.asked else {
        return None;
    };
    let problem = match &exchange.outcome {
        Outcome::Completed => None,
        Outcome::Cancelled => Some(Problem::new(ProblemKind::Cancelled, "The caller went away.")),
        Outcome::Failed(problem) => Some(problem.clone()),
    };
    Some(guest::Exchange {
        request: request_to_guest(request),
        chunks: chunks_of(&exchange.transcript, exchange.usage.as_ref()),
        usage: exchange.usage.clone().map(chat::usage_to_guest),
        problem: problem.map(problem::to_guest),
        first_chunk_us: exchange.first_chunk_us,
        total_us: exchange.end_us.saturating_sub(exchange.start_us),
        extra: Vec::new(),
    })
}

fn request_to_guest(request: &ChatRequest) -> guest_chat::ChatRequest {
    chat::request_to_guest(request.clone())
}

/// What was said, one text, reasoning and refusal a choice.
fn chunks_of(transcript: &Transcript, usage: Option<&Usage>) -> Vec<guest_chat::Chunk> {
    let mut chunks = Vec::new();
    for (choice, said) in &transcript.choices {
        let mut push = |event| chunks.push(Chunk { choice: *choice, event });
        let texts = [
            ChatEvent::Reasoning(said.reasoning.clone()),
            ChatEvent::Text(said.text.clone()),
            ChatEvent::Refusal(said.refusal.clone()),
        ];
        let empty = [&said.reasoning, &said.text, &said.refusal].map(String::is_empty);
        texts
            .into_iter()
            .zip(empty)
            .filter(|(_, empty)| !empty)
            .for_each(|(event, _)| push(event));
        for (index, call) in (0..).zip(&said.tool_calls) {
            push(ChatEvent::ToolCall(ToolCallDelta {
                index,
                id: Some(call.id.clone()),
                name: Some(call.name.clone()),
                arguments: call.arguments.clone(),
            }));
        }
        if !said.logprobs.is_empty() {
            push(ChatEvent::Logprobs(said.logprobs.clone()));
        }
        for (name, json) in &said.other {
            push(ChatEvent::Other(name.clone(), json.clone()));
        }
        if let Some(reason) = &said.finish {
            push(ChatEvent::Finish(reason.clone()));
        }
    }
    chunks.extend(usage.map(|usage| Chunk {
        choice: 0,
        event: ChatEvent::Usage(usage.clone()),
    }));
    chunks.into_iter().map(chat::chunk_to_guest).collect()
}

pub(crate) fn annotation_to_core(annotation: hooks::Annotation) -> Annotation {
    Annotation {
        attributes: knowledge::fields_to_core(annotation.attributes),
        scores: annotation.scores.into_iter().map(knowledge::score_to_core).collect(),
        tags: annotation.tags,
    }
}

pub(crate) fn span_to_guest(span: &Span) -> guest::Span {
    let fields = value::fields_to_guest;
    guest::Span {
        trace_id: span.trace_id.clone(),
        span_id: span.span_id.clone(),
        parent_span_id: span.parent_span_id.clone(),
        name: span.name.clone(),
        kind: span.kind.clone(),
        start_us: span.start_us,
        end_us: span.end_us,
        status: match span.status {
            SpanStatus::Unset => guest::SpanStatus::Unset,
            SpanStatus::Ok => guest::SpanStatus::Ok,
            SpanStatus::Error => guest::SpanStatus::Error,
        },
        status_message: span.status_message.clone(),
        attributes: fields(&span.attributes),
        events: span
            .events
            .iter()
            .map(|event| guest::SpanEvent {
                name: event.name.clone(),
                at_us: event.at_us,
                attributes: fields(&event.attributes),
            })
            .collect(),
        links: span
            .links
            .iter()
            .map(|link| guest::SpanLink {
                trace_id: link.trace_id.clone(),
                span_id: link.span_id.clone(),
                attributes: fields(&link.attributes),
            })
            .collect(),
        resource_attributes: fields(&span.resource_attributes),
        scope: span.scope.clone(),
    }
}

pub(crate) fn span_to_core(span: guest::Span) -> Span {
    let fields = knowledge::fields_to_core;
    Span {
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_span_id: span.parent_span_id,
        name: span.name,
        kind: span.kind,
        start_us: span.start_us,
        end_us: span.end_us,
        status: match span.status {
            guest::SpanStatus::Unset => SpanStatus::Unset,
            guest::SpanStatus::Ok => SpanStatus::Ok,
            guest::SpanStatus::Error => SpanStatus::Error,
        },
        status_message: span.status_message,
        attributes: fields(span.attributes),
        events: span
            .events
            .into_iter()
            .map(|event| SpanEvent {
                name: event.name,
                at_us: event.at_us,
                attributes: fields(event.attributes),
            })
            .collect(),
        links: span
            .links
            .into_iter()
            .map(|link| SpanLink {
                trace_id: link.trace_id,
                span_id: link.span_id,
                attributes: fields(link.attributes),
            })
            .collect(),
        resource_attributes: fields(span.resource_attributes),
        scope: span.scope,
    }
}
