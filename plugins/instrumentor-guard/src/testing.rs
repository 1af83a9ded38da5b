//! Requests for the unit tests.

use encaje_sdk::chat::{ChatRequest, Input, Message, Part, PartBody, ResponseFormat, Role, Sampling};

/// A user's message of one text.
pub(crate) fn message(text: &str) -> Message {
    let part = Part {
        body: PartBody::Text(text.to_owned()),
        extra: Vec::new(),
    };
    Message {
        role: Role::User,
        content: vec![part],
        name: None,
        tool_call_id: None,
        is_error: false,
        extra: Vec::new(),
    }
}

/// A request of one user message, everything else at its default.
pub(crate) fn request(text: &str) -> ChatRequest {
    ChatRequest {
        model: "any".to_owned(),
        input: Input::Messages(vec![message(text)]),
        sampling: Sampling {
            temperature: None,
            top_p: None,
            top_k: None,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            repetition_penalty: None,
            logit_bias: Vec::new(),
            seed: None,
            stop: Vec::new(),
            max_tokens: None,
            choices: 1,
            logprobs: None,
        },
        tools: Vec::new(),
        tool_choice: None,
        parallel_tool_calls: None,
        response_format: ResponseFormat::Text,
        reasoning_effort: None,
        extra: Vec::new(),
    }
}
