//! From a stream of chunks to what was said: one [`ChoiceTranscript`] a choice.

use std::collections::BTreeMap;

use crate::chat::{ChatEvent, Chunk, FinishReason, TokenLogprob, ToolCall, ToolCallDelta, Usage};
use crate::problem::Json;

/// One answer, whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChoiceTranscript {
    /// Its text.
    pub text: String,
    /// Its reasoning.
    pub reasoning: String,
    /// Its refusal; empty is none.
    pub refusal: String,
    /// Its tool calls, in order.
    pub tool_calls: Vec<ToolCall>,
    /// Its tokens' probabilities, when they were asked for.
    pub logprobs: Vec<TokenLogprob>,
    /// Why it ended; absent where it did not.
    pub finish: Option<FinishReason>,
    /// Events that this version does not know, as they came.
    pub other: Vec<(String, Json)>,
}

/// Everything a stream said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// By index.
    pub choices: BTreeMap<u32, ChoiceTranscript>,
    /// Tokens.
    pub usage: Option<Usage>,
}

impl Transcript {
    /// Folds chunks in the order in which they came.
    pub fn of<'a>(chunks: impl IntoIterator<Item = &'a Chunk>) -> Self {
        let mut transcript = Self::default();
        for chunk in chunks {
            transcript.push(chunk);
        }
        transcript
    }

    /// Adds one chunk.
    pub fn push(&mut self, chunk: &Chunk) {
        if let ChatEvent::Usage(usage) = &chunk.event {
            self.usage = Some(usage.clone());
            return;
        }
        let choice = self.choices.entry(chunk.choice).or_default();
        match &chunk.event {
            ChatEvent::Text(text) => choice.text.push_str(text),
            ChatEvent::Reasoning(text) => choice.reasoning.push_str(text),
            ChatEvent::Refusal(text) => choice.refusal.push_str(text),
            ChatEvent::ToolCall(delta) => push_tool_call(&mut choice.tool_calls, delta),
            ChatEvent::Logprobs(tokens) => choice.logprobs.extend_from_slice(tokens),
            ChatEvent::Finish(reason) => choice.finish = Some(reason.clone()),
            ChatEvent::Other(name, json) => choice.other.push((name.clone(), json.clone())),
            ChatEvent::Usage(_) => {}
        }
    }
}

/// Tool calls come in order of their index, each in pieces; an index that skips some opens the next one.
fn push_tool_call(calls: &mut Vec<ToolCall>, delta: &ToolCallDelta) {
    let index = usize::try_from(delta.index).unwrap_or(usize::MAX);
    if index >= calls.len() {
        calls.push(ToolCall {
            id: String::new(),
            name: String::new(),
            arguments: String::new(),
        });
    }
    let last = calls.len().saturating_sub(1);
    if let Some(call) = calls.get_mut(index.min(last)) {
        if let Some(id) = &delta.id {
            call.id.clone_from(id);
        }
        if let Some(name) = &delta.name {
            call.name.clone_from(name);
        }
        call.arguments.push_str(&delta.arguments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(choice: u32, event: ChatEvent) -> Chunk {
        Chunk { choice, event }
    }

    #[test]
    fn pieces_join_in_order_for_each_choice() {
        let delta = |id: Option<&str>, arguments: &str| {
            ChatEvent::ToolCall(ToolCallDelta {
                index: 0,
                id: id.map(str::to_owned),
                name: id.map(|_| "look_up".to_owned()),
                arguments: arguments.to_owned(),
            })
        };
        let transcript = Transcript::of(&[
            chunk(0, ChatEvent::Text("a".to_owned())),
            chunk(1, delta(Some("call_1"), "{\"x\"")),
            chunk(0, ChatEvent::Text("b".to_owned())),
            chunk(1, delta(None, ":1}")),
            chunk(0, ChatEvent::Finish(FinishReason::Stop)),
            chunk(
                0,
                ChatEvent::Usage(Usage {
                    output_tokens: 2,
                    ..Usage::default()
                }),
            ),
        ]);
        assert_eq!(transcript.choices[&0].text, "ab");
        assert_eq!(transcript.choices[&0].finish, Some(FinishReason::Stop));
        assert_eq!(transcript.choices[&1].tool_calls[0].arguments, "{\"x\":1}");
        assert_eq!(transcript.usage.map(|usage| usage.output_tokens), Some(2));
    }
}
