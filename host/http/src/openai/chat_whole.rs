//! A chat's answer on the OpenAI wire as one object, written straight from the core's types. Streams are in
//! `chat_stream.rs`.

use encaje_core::chat::{FinishReason, TokenLogprob};
use encaje_core::transcript::{ChoiceTranscript, Transcript};
use encaje_core::{Problem, ProblemKind};
use serde::Serialize;

use crate::openai::request::Delivery;
use crate::openai::stamp::{Others, Stamp, UsageBody};

/// Members of a message and of a delta that no provider's event may hide.
pub(crate) const OWN: [&str; 7] = [
    "role",
    "content",
    "refusal",
    "reasoning_content",
    "tool_calls",
    "function_call",
    "name",
];

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<Choice<'a>>,
    usage: Option<UsageBody>,
    system_fingerprint: Option<()>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<Logprobs<'a>>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Function<'a>>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Serialize)]
struct ToolCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// Of what was said, or of the refusal where that is all there is.
#[derive(Serialize)]
pub(crate) struct Logprobs<'a> {
    content: Option<Vec<Token<'a>>>,
    refusal: Option<Vec<Token<'a>>>,
}

#[derive(Serialize)]
struct Token<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
    top_logprobs: Vec<Rival<'a>>,
}

#[derive(Serialize)]
struct Rival<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
}

/// The wire's word for "impossible": JSON has no infinity.
const IMPOSSIBLE: f64 = -9999.0;

/// A logarithm that JSON can hold.
pub(crate) fn finite(logprob: f64) -> f64 {
    if logprob.is_finite() { logprob } else { IMPOSSIBLE }
}

/// Probabilities of tokens; `None` for none.
pub(crate) fn logprobs(tokens: &[TokenLogprob], of_refusal: bool) -> Option<Logprobs<'_>> {
    if tokens.is_empty() {
        return None;
    }
    let tokens = tokens
        .iter()
        .map(|token| Token {
            token: &token.token,
            logprob: finite(token.logprob),
            bytes: &token.bytes,
            top_logprobs: token
                .top
                .iter()
                .map(|other| Rival {
                    token: &other.token,
                    logprob: finite(other.logprob),
                    bytes: &other.bytes,
                })
                .collect(),
        })
        .collect();
    Some(if of_refusal {
        Logprobs {
            content: None,
            refusal: Some(tokens),
        }
    } else {
        Logprobs {
            content: Some(tokens),
            refusal: None,
        }
    })
}

/// The reason as this wire spells it; the deprecated functions have one of their own.
pub(crate) fn finish(reason: &FinishReason, legacy: bool) -> &str {
    match reason {
        FinishReason::ToolCalls if legacy => "function_call",
        other => other.as_str(),
    }
}

/// The deprecated functions can tell of one call alone.
pub(crate) fn too_many_calls() -> Problem {
    Problem::new(
        ProblemKind::Internal,
        "The model made several calls, which the deprecated `functions` cannot express; use `tools`.",
    )
}

/// The whole answer.
///
/// # Errors
/// `Internal` when the deprecated shape cannot hold it.
pub(crate) fn whole(stamp: &Stamp, transcript: &Transcript, delivery: Delivery) -> Result<Vec<u8>, Problem> {
    let choices = transcript
        .choices
        .iter()
        .map(|(index, choice)| {
            Ok(Choice {
                index: *index,
                message: message(choice, delivery.legacy_functions)?,
                logprobs: logprobs(&choice.logprobs, choice.text.is_empty() && !choice.refusal.is_empty()),
                finish_reason: choice
                    .finish
                    .as_ref()
                    .map(|reason| finish(reason, delivery.legacy_functions)),
            })
        })
        .collect::<Result<_, Problem>>()?;
    let completion = Completion {
        id: &stamp.id,
        object: "chat.completion",
        created: stamp.created,
        model: &stamp.model,
        choices,
        usage: transcript.usage.as_ref().map(UsageBody::new),
        system_fingerprint: None,
    };
    serde_json::to_vec(&completion).map_err(Problem::internal)
}

fn message(choice: &ChoiceTranscript, legacy: bool) -> Result<Message<'_>, Problem> {
    let said = |text: &'_ str| !text.is_empty();
    let silent = !said(&choice.text) && (said(&choice.refusal) || !choice.tool_calls.is_empty());
    if legacy && choice.tool_calls.len() > 1 {
        return Err(too_many_calls());
    }
    let mut calls = choice.tool_calls.iter().map(|call| {
        (
            call.id.as_str(),
            Function {
                name: &call.name,
                arguments: &call.arguments,
            },
        )
    });
    let function_call = if legacy {
        calls.next().map(|(_, function)| function)
    } else {
        None
    };
    Ok(Message {
        role: "assistant",
        content: (!silent).then_some(choice.text.as_str()),
        refusal: said(&choice.refusal).then_some(choice.refusal.as_str()),
        reasoning_content: said(&choice.reasoning).then_some(choice.reasoning.as_str()),
        tool_calls: calls
            .map(|(id, function)| ToolCall {
                id,
                r#type: "function",
                function,
            })
            .collect(),
        function_call,
        others: Others::of(&choice.other, &OWN),
    })
}
