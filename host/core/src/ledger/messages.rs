//! The message rows of one call: what was asked and what was answered, in order, within a bound. Where not all of it fits,
//! the last question and the answer come before what led to them.

use serde_json::{Value as JsonValue, json};

use crate::call::Call;
use crate::chat::{Input, Message, Part, PartBody};
use crate::embeddings::EmbedInput;
use crate::ledger::record::{cut, field, upsert};
use crate::limits::{MAX_MESSAGE_BYTES, MAX_RECORD_BYTES, MAX_RECORD_MESSAGES};
use crate::storage::Mutation;
use crate::trace::{Asked, Exchange};
use crate::transcript::ChoiceTranscript;
use crate::value::Value;

/// The rows, the input's first.
pub(super) fn rows(call: &Call, exchange: &Exchange) -> Vec<Mutation> {
    let mut turns = asked(&exchange.asked);
    let inputs = turns.len();
    let said = |(choice, said): (&u32, &ChoiceTranscript)| answered(*choice, said);
    turns.extend(exchange.transcript.choices.iter().map(said));

    let mut order: Vec<&mut Turn> = turns.iter_mut().collect();
    let outputs = order.split_off(inputs);
    let last = order.pop();
    let mut room = MAX_RECORD_BYTES;
    for turn in last.into_iter().chain(outputs).chain(order.into_iter().rev()) {
        turn.fit(MAX_MESSAGE_BYTES.min(room));
        room = room.saturating_sub(turn.content.len());
    }
    let row = |(position, turn): (usize, Turn)| turn.into_row(call, position);
    turns.into_iter().enumerate().map(row).collect()
}

struct Turn {
    direction: &'static str,
    role: String,
    choice: Option<u32>,
    /// JSON.
    content: String,
    finish: Option<String>,
}

impl Turn {
    fn input(role: &str, content: &JsonValue) -> Self {
        Self {
            direction: "input",
            role: role.to_owned(),
            choice: None,
            content: content.to_string(),
            finish: None,
        }
    }

    /// A content that is too large to keep is replaced by its beginning, and says so.
    fn fit(&mut self, room: usize) {
        let original = self.content.len();
        if original > room {
            let kept = cut(std::mem::take(&mut self.content), room);
            self.content = json!([{ "type": "cut", "original_bytes": original, "content": kept }]).to_string();
        }
    }

    fn into_row(self, call: &Call, position: usize) -> Mutation {
        upsert(
            "messages",
            vec![
                field("tenant", call.caller().tenant.as_str()),
                field("trace_id", call.trace().to_string()),
                field("span_id", call.span().to_string()),
                field("position", u64::try_from(position).unwrap_or(u64::MAX)),
                field("direction", self.direction),
                field("role", self.role),
                field("choice", self.choice.map(u64::from)),
                field("content", Value::Json(self.content)),
                field("finish", self.finish),
            ],
        )
    }
}

/// Of more messages than are kept, the last ones.
fn asked(asked: &Asked) -> Vec<Turn> {
    let user = |content: &JsonValue| Turn::input("user", content);
    match asked {
        Asked::Chat(request) => match &request.input {
            Input::Messages(messages) => last_of(messages, "system", |message| {
                Turn::input(message.role.as_str(), &message_json(message))
            }),
            Input::Prompt(prompt) => vec![user(&text_json(prompt))],
            Input::Tokens(tokens) => vec![user(&tokens_json(tokens))],
        },
        Asked::Embed(request) => last_of(&request.inputs, "user", |input| match input {
            EmbedInput::Text(text) => user(&text_json(text)),
            EmbedInput::Tokens(tokens) => user(&tokens_json(tokens)),
        }),
    }
}

/// The last of them; before those one that says, in this role, how many are missing.
fn last_of<T>(all: &[T], role: &str, turn: impl Fn(&T) -> Turn) -> Vec<Turn> {
    let skipped = all.len().saturating_sub(MAX_RECORD_MESSAGES);
    let missing = (skipped > 0).then(|| Turn::input(role, &json!([{ "type": "cut", "messages": skipped }])));
    missing.into_iter().chain(all.iter().skip(skipped).map(turn)).collect()
}

fn answered(choice: u32, said: &ChoiceTranscript) -> Turn {
    let mut parts = Vec::new();
    for (kind, text) in [
        ("reasoning", &said.reasoning),
        ("text", &said.text),
        ("refusal", &said.refusal),
    ] {
        if !text.is_empty() {
            parts.push(json!({ "type": kind, "content": text }));
        }
    }
    for call in &said.tool_calls {
        parts.push(json!({ "type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments }));
    }
    Turn {
        direction: "output",
        role: "assistant".to_owned(),
        choice: Some(choice),
        content: JsonValue::Array(parts).to_string(),
        finish: said.finish.as_ref().map(|reason| reason.as_str().to_owned()),
    }
}

fn text_json(text: &str) -> JsonValue {
    json!([{ "type": "text", "content": text }])
}

fn tokens_json(tokens: &[u32]) -> JsonValue {
    json!([{ "type": "tokens", "content": tokens }])
}

fn message_json(message: &Message) -> JsonValue {
    let mut parts: Vec<JsonValue> = message.content.iter().map(part_json).collect();
    if let Some(id) = &message.tool_call_id {
        parts.push(json!({ "type": "tool_call_id", "content": id }));
    }
    JsonValue::Array(parts)
}

/// Media are remembered by type and size: their bytes would fill the store.
fn part_json(part: &Part) -> JsonValue {
    match &part.body {
        PartBody::Text(text) => json!({ "type": "text", "content": text }),
        PartBody::Reasoning(text) => json!({ "type": "reasoning", "content": text }),
        PartBody::Refusal(text) => json!({ "type": "refusal", "content": text }),
        PartBody::Link(url) => json!({ "type": "link", "content": url }),
        PartBody::Media(media) => json!({ "type": "media", "mime": media.mime, "bytes": media.bytes.len() }),
        PartBody::ToolCall(call) => {
            json!({ "type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments })
        }
        PartBody::Other(name, content) => json!({ "type": name, "content": content }),
    }
}
