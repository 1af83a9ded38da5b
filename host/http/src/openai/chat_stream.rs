//! A chat's answer on the OpenAI wire in chunks, written straight from the core's events. How they travel is in `sse.rs`.

use encaje_core::Problem;
use encaje_core::chat::{ChatEvent, Chunk, TokenLogprob, Usage};
use serde::Serialize;

use crate::limits;
use crate::openai::chat_whole::{Logprobs, OWN, finish, logprobs, too_many_calls};
use crate::openai::request::Delivery;
use crate::openai::sse::{Encoder, event};
use crate::openai::stamp::{Others, Stamp, UsageBody, add};

#[derive(Serialize)]
struct ChunkBody<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: Option<()>,
    choices: &'a [ChunkChoice<'a>],
    /// Left out unless usage was asked for; null but in the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageBody>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<&'a str>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<Logprobs<'a>>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolDelta<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionDelta<'a>>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Serialize)]
struct ToolDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

/// Writes a chat's answer in chunks.
pub(crate) struct ChatStream {
    stamp: Stamp,
    delivery: Delivery,
    /// One bit a choice: whether its role was told.
    begun: u128,
    usage: Option<Usage>,
}

impl ChatStream {
    pub(crate) fn new(stamp: Stamp, delivery: Delivery) -> Self {
        Self {
            stamp,
            delivery,
            begun: 0,
            usage: None,
        }
    }

    fn write(&self, out: &mut Vec<u8>, choices: &[ChunkChoice<'_>], usage: Option<Option<UsageBody>>, said: usize) {
        let padding = self.delivery.obfuscate.then(|| padding(said));
        event(
            out,
            &ChunkBody {
                id: &self.stamp.id,
                object: "chat.completion.chunk",
                created: self.stamp.created,
                model: &self.stamp.model,
                system_fingerprint: None,
                choices,
                usage,
                obfuscation: padding.as_deref(),
            },
        );
    }

    fn choice(
        &self,
        out: &mut Vec<u8>,
        index: u32,
        delta: Delta<'_>,
        logprobs: Option<Logprobs<'_>>,
        finish: Option<&str>,
    ) {
        let said = delta.content.flatten().map_or(0, str::len)
            + delta
                .tool_calls
                .as_ref()
                .map_or(0, |[call]| call.function.arguments.len());
        let choice = ChunkChoice {
            index,
            delta,
            logprobs,
            finish_reason: finish,
        };
        self.write(out, &[choice], self.delivery.include_usage.then_some(None), said);
    }

    /// The role comes first, once a choice.
    fn begin(&mut self, out: &mut Vec<u8>, chunk: &Chunk) {
        let bit = 1_u128.checked_shl(chunk.choice).unwrap_or(0);
        if self.begun & bit != 0 {
            return;
        }
        self.begun |= bit;
        let speaks = !matches!(chunk.event, ChatEvent::ToolCall(_) | ChatEvent::Refusal(_));
        let delta = Delta {
            role: Some("assistant"),
            content: Some(speaks.then_some("")),
            refusal: Some(None),
            ..Delta::default()
        };
        self.choice(out, chunk.choice, delta, None, None);
    }

    /// One event, and the probabilities that came right behind it.
    fn said(&mut self, out: &mut Vec<u8>, chunk: &Chunk, behind: &[TokenLogprob]) -> Result<(), Problem> {
        let legacy = self.delivery.legacy_functions;
        let mut delta = Delta::default();
        let mut tokens = logprobs(behind, matches!(chunk.event, ChatEvent::Refusal(_)));
        let mut ended = None;
        match &chunk.event {
            ChatEvent::Usage(usage) => {
                add(&mut self.usage, usage);
                return Ok(());
            }
            ChatEvent::Text(text) => delta.content = Some(Some(text)),
            ChatEvent::Reasoning(text) => delta.reasoning_content = Some(text),
            ChatEvent::Refusal(text) => delta.refusal = Some(Some(text)),
            ChatEvent::Logprobs(alone) => {
                delta.content = Some(Some(""));
                tokens = logprobs(alone, false);
            }
            ChatEvent::ToolCall(call) if legacy && call.index > 0 => return Err(too_many_calls()),
            ChatEvent::ToolCall(call) => {
                let function = FunctionDelta {
                    name: call.name.as_deref(),
                    arguments: &call.arguments,
                };
                if legacy {
                    delta.function_call = Some(function);
                } else {
                    let id = call.id.as_deref();
                    delta.tool_calls = Some([ToolDelta {
                        index: call.index,
                        id,
                        r#type: id.map(|_| "function"),
                        function,
                    }]);
                }
            }
            ChatEvent::Finish(reason) => ended = Some(finish(reason, legacy)),
            ChatEvent::Other(name, json) => {
                delta.others = Others::of(&[(name.clone(), json.clone())], &OWN);
                if delta.others.is_empty() {
                    return Ok(());
                }
            }
        }
        self.begin(out, chunk);
        self.choice(out, chunk.choice, delta, tokens, ended);
        Ok(())
    }
}

impl Encoder for ChatStream {
    fn chunks(&mut self, _prompt: usize, chunks: &[Chunk], out: &mut Vec<u8>) -> Result<(), Problem> {
        let mut chunks = chunks.iter().peekable();
        while let Some(chunk) = chunks.next() {
            let text = matches!(chunk.event, ChatEvent::Text(_) | ChatEvent::Refusal(_));
            let behind = chunks
                .next_if(|next| text && next.choice == chunk.choice && matches!(next.event, ChatEvent::Logprobs(_)));
            let behind = match behind.map(|next| &next.event) {
                Some(ChatEvent::Logprobs(tokens)) => tokens.as_slice(),
                _ => &[],
            };
            self.said(out, chunk, behind)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.delivery.include_usage {
            self.write(out, &[], Some(self.usage.as_ref().map(UsageBody::new)), 0);
        }
    }
}

/// Padding that brings a text of so many bytes to a multiple of the step.
fn padding(said: usize) -> String {
    let length = said
        .next_multiple_of(limits::OBFUSCATION_STEP)
        .max(limits::OBFUSCATION_STEP)
        - said;
    let mut padding = String::new();
    while padding.len() < length {
        // A request id is 24 random digits behind its prefix.
        padding.push_str(encaje_core::id::request_id().trim_start_matches("req_"));
    }
    padding.truncate(length);
    padding
}
