//! Requests for the unit tests.

use encaje_sdk::chat::{ChatRequest, Input, Message, Part, PartBody, ResponseFormat, Role, Sampling, Tool};

/// A request of one user message, everything else at its default.
pub(crate) fn request(text: &str) -> ChatRequest {
    let part = Part {
        body: PartBody::Text(text.to_owned()),
        extra: Vec::new(),
    };
    let message = Message {
        role: Role::User,
        content: vec![part],
        name: None,
        tool_call_id: None,
        is_error: false,
        extra: Vec::new(),
    };
    ChatRequest {
        model: "stub".to_owned(),
        input: Input::Messages(vec![message]),
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

/// A tool with one string argument.
pub(crate) fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#.to_owned(),
        strict: false,
        extra: Vec::new(),
    }
}
