//! Chats: requests in both directions (a provider is asked, and asks the native models), chunks likewise.

use encaje_bindings::base::encaje::common::chat as guest;
use encaje_core::chat::{
    Alternative, ChatEvent, ChatRequest, Chunk, FinishReason, Input, Media, Message, Part, PartBody, ResponseFormat,
    Role, Sampling, TokenLogprob, Tool, ToolCall, ToolCallDelta, ToolChoice, Usage,
};

use crate::limits;

pub(crate) fn request_to_guest(request: ChatRequest) -> guest::ChatRequest {
    guest::ChatRequest {
        model: request.model,
        input: match request.input {
            Input::Messages(messages) => guest::Input::Messages(messages.into_iter().map(message_to_guest).collect()),
            Input::Prompt(prompt) => guest::Input::Prompt(prompt),
            Input::Tokens(tokens) => guest::Input::Tokens(tokens),
        },
        sampling: sampling_to_guest(request.sampling),
        tools: request.tools.into_iter().map(tool_to_guest).collect(),
        tool_choice: request.tool_choice.map(|choice| match choice {
            ToolChoice::Automatic => guest::ToolChoice::Automatic,
            ToolChoice::Forbidden => guest::ToolChoice::Forbidden,
            ToolChoice::Required => guest::ToolChoice::Required,
            ToolChoice::Named(name) => guest::ToolChoice::Named(name),
        }),
        parallel_tool_calls: request.parallel_tool_calls,
        response_format: match request.response_format {
            ResponseFormat::Text => guest::ResponseFormat::Text,
            ResponseFormat::Json => guest::ResponseFormat::Json,
            ResponseFormat::JsonSchema(schema) => guest::ResponseFormat::JsonSchema(schema),
            ResponseFormat::Other(name, json) => guest::ResponseFormat::Other((name, json)),
        },
        reasoning_effort: request.reasoning_effort,
        extra: request.extra,
    }
}

pub(crate) fn request_to_core(request: guest::ChatRequest) -> ChatRequest {
    ChatRequest {
        model: request.model,
        input: match request.input {
            guest::Input::Messages(messages) => Input::Messages(messages.into_iter().map(message_to_core).collect()),
            guest::Input::Prompt(prompt) => Input::Prompt(prompt),
            guest::Input::Tokens(tokens) => Input::Tokens(tokens),
        },
        sampling: sampling_to_core(request.sampling),
        tools: request.tools.into_iter().map(tool_to_core).collect(),
        tool_choice: request.tool_choice.map(|choice| match choice {
            guest::ToolChoice::Automatic => ToolChoice::Automatic,
            guest::ToolChoice::Forbidden => ToolChoice::Forbidden,
            guest::ToolChoice::Required => ToolChoice::Required,
            guest::ToolChoice::Named(name) => ToolChoice::Named(name),
        }),
        parallel_tool_calls: request.parallel_tool_calls,
        response_format: match request.response_format {
            guest::ResponseFormat::Text => ResponseFormat::Text,
            guest::ResponseFormat::Json => ResponseFormat::Json,
            guest::ResponseFormat::JsonSchema(schema) => ResponseFormat::JsonSchema(schema),
            guest::ResponseFormat::Other((name, json)) => ResponseFormat::Other(name, json),
        },
        reasoning_effort: request.reasoning_effort,
        extra: request.extra,
    }
}

fn sampling_to_guest(sampling: Sampling) -> guest::Sampling {
    guest::Sampling {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        min_p: sampling.min_p,
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        repetition_penalty: sampling.repetition_penalty,
        logit_bias: sampling.logit_bias,
        seed: sampling.seed,
        stop: sampling.stop,
        max_tokens: sampling.max_tokens,
        choices: sampling.choices,
        logprobs: sampling.logprobs,
    }
}

fn sampling_to_core(sampling: guest::Sampling) -> Sampling {
    Sampling {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        min_p: sampling.min_p,
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        repetition_penalty: sampling.repetition_penalty,
        logit_bias: sampling.logit_bias,
        seed: sampling.seed,
        stop: sampling.stop,
        max_tokens: sampling.max_tokens,
        choices: sampling.choices,
        logprobs: sampling.logprobs,
    }
}

fn tool_to_guest(tool: Tool) -> guest::Tool {
    guest::Tool {
        name: tool.name,
        description: tool.description,
        parameters: tool.parameters,
        strict: tool.strict,
        extra: tool.extra,
    }
}

fn tool_to_core(tool: guest::Tool) -> Tool {
    Tool {
        name: tool.name,
        description: tool.description,
        parameters: tool.parameters,
        strict: tool.strict,
        extra: tool.extra,
    }
}

pub(crate) fn message_to_guest(message: Message) -> guest::Message {
    guest::Message {
        role: match message.role {
            Role::System => guest::Role::System,
            Role::Developer => guest::Role::Developer,
            Role::User => guest::Role::User,
            Role::Assistant => guest::Role::Assistant,
            Role::Tool => guest::Role::Tool,
            Role::Other(word) => guest::Role::Other(word),
        },
        content: message.content.into_iter().map(part_to_guest).collect(),
        name: message.name,
        tool_call_id: message.tool_call_id,
        is_error: message.is_error,
        extra: message.extra,
    }
}

fn message_to_core(message: guest::Message) -> Message {
    Message {
        role: match message.role {
            guest::Role::System => Role::System,
            guest::Role::Developer => Role::Developer,
            guest::Role::User => Role::User,
            guest::Role::Assistant => Role::Assistant,
            guest::Role::Tool => Role::Tool,
            guest::Role::Other(word) => Role::Other(word),
        },
        content: message.content.into_iter().map(part_to_core).collect(),
        name: message.name,
        tool_call_id: message.tool_call_id,
        is_error: message.is_error,
        extra: message.extra,
    }
}

fn part_to_guest(part: Part) -> guest::Part {
    let body = match part.body {
        PartBody::Text(text) => guest::PartBody::Text(text),
        PartBody::Reasoning(text) => guest::PartBody::Reasoning(text),
        PartBody::Refusal(text) => guest::PartBody::Refusal(text),
        PartBody::Link(url) => guest::PartBody::Link(url),
        PartBody::Media(media) => guest::PartBody::Media(guest::Media {
            mime: media.mime,
            bytes: media.bytes,
            name: media.name,
        }),
        PartBody::ToolCall(call) => guest::PartBody::ToolCall(guest::ToolCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        }),
        PartBody::Other(name, json) => guest::PartBody::Other((name, json)),
    };
    guest::Part {
        body,
        extra: part.extra,
    }
}

fn part_to_core(part: guest::Part) -> Part {
    let body = match part.body {
        guest::PartBody::Text(text) => PartBody::Text(text),
        guest::PartBody::Reasoning(text) => PartBody::Reasoning(text),
        guest::PartBody::Refusal(text) => PartBody::Refusal(text),
        guest::PartBody::Link(url) => PartBody::Link(url),
        guest::PartBody::Media(media) => PartBody::Media(Media {
            mime: media.mime,
            bytes: media.bytes,
            name: media.name,
        }),
        guest::PartBody::ToolCall(call) => PartBody::ToolCall(ToolCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        }),
        guest::PartBody::Other((name, json)) => PartBody::Other(name, json),
    };
    Part {
        body,
        extra: part.extra,
    }
}

pub(crate) fn usage_to_guest(usage: Usage) -> guest::Usage {
    guest::Usage {
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        output_tokens: usage.output_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        extra: usage.extra,
    }
}

pub(crate) fn usage_to_core(usage: guest::Usage) -> Usage {
    Usage {
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        output_tokens: usage.output_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        extra: usage.extra,
    }
}

pub(crate) fn chunk_to_guest(chunk: Chunk) -> guest::Chunk {
    let event = match chunk.event {
        ChatEvent::Text(text) => guest::ChatEvent::Text(text),
        ChatEvent::Reasoning(text) => guest::ChatEvent::Reasoning(text),
        ChatEvent::Refusal(text) => guest::ChatEvent::Refusal(text),
        ChatEvent::ToolCall(delta) => guest::ChatEvent::ToolCall(guest::ToolCallDelta {
            index: delta.index,
            id: delta.id,
            name: delta.name,
            arguments: delta.arguments,
        }),
        ChatEvent::Logprobs(tokens) => guest::ChatEvent::Logprobs(tokens.into_iter().map(logprob_to_guest).collect()),
        ChatEvent::Usage(usage) => guest::ChatEvent::Usage(usage_to_guest(usage)),
        ChatEvent::Finish(reason) => guest::ChatEvent::Finish(match reason {
            FinishReason::Stop => guest::FinishReason::Stop,
            FinishReason::Length => guest::FinishReason::Length,
            FinishReason::ToolCalls => guest::FinishReason::ToolCalls,
            FinishReason::ContentFilter => guest::FinishReason::ContentFilter,
            FinishReason::Cancelled => guest::FinishReason::Cancelled,
            FinishReason::Other(word) => guest::FinishReason::Other(word),
        }),
        ChatEvent::Other(name, json) => guest::ChatEvent::Other((name, json)),
    };
    guest::Chunk {
        choice: chunk.choice,
        event,
    }
}

pub(crate) fn chunk_to_core(chunk: guest::Chunk) -> Chunk {
    let event = match chunk.event {
        guest::ChatEvent::Text(text) => ChatEvent::Text(text),
        guest::ChatEvent::Reasoning(text) => ChatEvent::Reasoning(text),
        guest::ChatEvent::Refusal(text) => ChatEvent::Refusal(text),
        guest::ChatEvent::ToolCall(delta) => ChatEvent::ToolCall(ToolCallDelta {
            index: delta.index,
            id: delta.id,
            name: delta.name,
            arguments: delta.arguments,
        }),
        guest::ChatEvent::Logprobs(tokens) => ChatEvent::Logprobs(tokens.into_iter().map(logprob_to_core).collect()),
        guest::ChatEvent::Usage(usage) => ChatEvent::Usage(usage_to_core(usage)),
        guest::ChatEvent::Finish(reason) => ChatEvent::Finish(match reason {
            guest::FinishReason::Stop => FinishReason::Stop,
            guest::FinishReason::Length => FinishReason::Length,
            guest::FinishReason::ToolCalls => FinishReason::ToolCalls,
            guest::FinishReason::ContentFilter => FinishReason::ContentFilter,
            guest::FinishReason::Cancelled => FinishReason::Cancelled,
            guest::FinishReason::Other(word) => FinishReason::Other(super::problem::line(&word, limits::WORD)),
        }),
        guest::ChatEvent::Other((name, json)) => ChatEvent::Other(name, json),
    };
    Chunk {
        choice: chunk.choice,
        event,
    }
}

fn logprob_to_guest(token: TokenLogprob) -> guest::TokenLogprob {
    guest::TokenLogprob {
        token: token.token,
        bytes: token.bytes,
        logprob: token.logprob,
        top: token
            .top
            .into_iter()
            .map(|rival| guest::Alternative {
                token: rival.token,
                bytes: rival.bytes,
                logprob: rival.logprob,
            })
            .collect(),
    }
}

fn logprob_to_core(token: guest::TokenLogprob) -> TokenLogprob {
    TokenLogprob {
        token: token.token,
        bytes: token.bytes,
        logprob: token.logprob,
        top: token
            .top
            .into_iter()
            .map(|rival| Alternative {
                token: rival.token,
                bytes: rival.bytes,
                logprob: rival.logprob,
            })
            .collect(),
    }
}
