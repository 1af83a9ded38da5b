//! A chat or completion request on OpenAI's wire. Every field of the contract is written or refused by its name; what the
//! contract does not name is passed on as it came.

use encaje_sdk::chat::{ChatRequest, Input, ResponseFormat, Sampling, Tool, ToolChoice};
use encaje_sdk::errors::Problem;
use serde_json::value::RawValue;

use crate::config::Config;
use crate::json::{self, Object};
use crate::limits::MAX_CHOICES;
use crate::message;

/// Members that the contract's fields decide, so that no extra may write them twice.
const OWN: [&str; 27] = [
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "min_p",
    "model",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "top_k",
    "top_logprobs",
    "top_p",
    // With these two, extras and fields are joined.
    "tools",
    "tool_choice",
    // The older shape, whose answers this plugin does not read.
    "functions",
    "function_call",
];

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The answer, in chunks.
    Answer,
    /// The count of its input's tokens: one token is asked for, and what it is does not matter.
    Count,
}

/// Where a request goes, and its body.
pub(crate) struct Written {
    pub(crate) path: &'static str,
    pub(crate) body: Vec<u8>,
    /// Whether it goes to the older completions, whose answers have another shape.
    pub(crate) is_completion: bool,
}

/// Writes a request.
pub(crate) fn write(request: &ChatRequest, config: &Config, purpose: Purpose) -> Result<Written, Problem> {
    let choices = request.sampling.choices;
    if choices == 0 || choices > MAX_CHOICES {
        let message = format!("`n` must lie between 1 and {MAX_CHOICES}.");
        return Err(Problem::invalid_request(message).with_param("n"));
    }
    let mut body = Vec::new();
    let mut object = Object::begin(&mut body);
    object.put("model", &request.model);
    let is_completion = match &request.input {
        Input::Messages(messages) => {
            message::write(object.key("messages"), messages)?;
            false
        }
        Input::Prompt(prompt) => {
            object.put("prompt", prompt);
            true
        }
        Input::Tokens(tokens) => {
            object.put("prompt", tokens);
            true
        }
    };
    let max_tokens = match purpose {
        Purpose::Answer => request.sampling.max_tokens,
        Purpose::Count => Some(1),
    };
    let field = if is_completion {
        "max_tokens"
    } else {
        config.max_tokens_field.name()
    };
    object.put_some(field, max_tokens.as_ref());
    sampling(&mut object, &request.sampling, config)?;
    if purpose == Purpose::Answer {
        wanted(&mut object, &request.sampling, is_completion, config);
    }
    if is_completion {
        chat_alone(request)?;
    } else {
        tools(&mut object, request)?;
        response_format(&mut object, &request.response_format)?;
        object.put_some("reasoning_effort", request.reasoning_effort.as_deref());
    }
    for (index, (name, json)) in request.extra.iter().enumerate() {
        let again = request.extra.iter().skip(index + 1).any(|(later, _)| later == name);
        if again {
            // The last entry of a name counts.
            continue;
        }
        if !OWN.contains(&name.as_str()) {
            object.put_raw(name, json, name)?;
        } else if is_completion || !matches!(name.as_str(), "tools" | "tool_choice") {
            return Err(unsupported(name, "it is no parameter of its own here"));
        }
    }
    object.end();
    let path = if is_completion {
        "/completions"
    } else {
        "/chat/completions"
    };
    Ok(Written {
        path,
        body,
        is_completion,
    })
}

fn unsupported(param: &str, why: &str) -> Problem {
    Problem::unsupported(format!("`{param}` cannot be asked of this upstream: {why}.")).with_param(param)
}

fn sampling(object: &mut Object<'_>, sampling: &Sampling, config: &Config) -> Result<(), Problem> {
    object.put_number("temperature", sampling.temperature)?;
    object.put_number("top_p", sampling.top_p)?;
    object.put_number("frequency_penalty", sampling.frequency_penalty)?;
    object.put_number("presence_penalty", sampling.presence_penalty)?;
    let extended = [
        ("top_k", sampling.top_k.is_some()),
        ("min_p", sampling.min_p.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
    ];
    if let Some((name, _)) = extended
        .into_iter()
        .find(|(_, given)| *given && !config.extended_sampling)
    {
        return Err(unsupported(
            name,
            "it is no part of OpenAI's API, and `extended_sampling` is not set",
        ));
    }
    object.put_some("top_k", sampling.top_k.as_ref());
    object.put_number("min_p", sampling.min_p)?;
    object.put_number("repetition_penalty", sampling.repetition_penalty)?;
    object.put_some("seed", sampling.seed.as_ref());
    if !sampling.logit_bias.is_empty() {
        let mut biases = object.object("logit_bias");
        for (token, bias) in &sampling.logit_bias {
            if !bias.is_finite() {
                return Err(Problem::invalid_request("`logit_bias` must hold finite numbers.").with_param("logit_bias"));
            }
            biases.put(&token.to_string(), bias);
        }
        biases.end();
    }
    Ok(())
}

/// What of the answer is wanted, and how; none of it changes the input's tokens.
fn wanted(object: &mut Object<'_>, sampling: &Sampling, is_completion: bool, config: &Config) {
    if sampling.choices != 1 {
        object.put("n", &sampling.choices);
    }
    if !sampling.stop.is_empty() {
        object.put("stop", &sampling.stop);
    }
    if let Some(rivals) = sampling.logprobs {
        if is_completion {
            object.put("logprobs", &rivals);
        } else {
            object.put("logprobs", &true);
            object.put_some("top_logprobs", Some(rivals).filter(|rivals| *rivals > 0).as_ref());
        }
    }
    object.put("stream", &true);
    if config.stream_usage {
        let mut options = object.object("stream_options");
        options.put("include_usage", &true);
        options.end();
    }
}

/// What a completion without a conversation cannot have.
fn chat_alone(request: &ChatRequest) -> Result<(), Problem> {
    let given = [
        ("tools", !request.tools.is_empty()),
        ("tool_choice", request.tool_choice.is_some()),
        ("parallel_tool_calls", request.parallel_tool_calls.is_some()),
        (
            "response_format",
            !matches!(request.response_format, ResponseFormat::Text),
        ),
        ("reasoning_effort", request.reasoning_effort.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(unsupported(
            name,
            "a completion without a conversation has no such thing",
        )),
        None => Ok(()),
    }
}

fn tools(object: &mut Object<'_>, request: &ChatRequest) -> Result<(), Problem> {
    // Tools of other kinds than functions come as they were written, for the same list.
    let others = encaje_sdk::parse_extra::<Vec<Box<RawValue>>>(&request.extra, "tools")?.unwrap_or_default();
    if !request.tools.is_empty() || !others.is_empty() {
        let mut list = object.list("tools");
        for (index, tool) in request.tools.iter().enumerate() {
            write_tool(list.object(), tool, &format!("tools[{index}]"))?;
        }
        for other in &others {
            list.raw(other.get(), "tools")?;
        }
        list.end();
    }
    let choice = encaje_sdk::extra(&request.extra, "tool_choice");
    match (&request.tool_choice, choice) {
        (None, None) => {}
        (None, Some(json)) => object.put_raw("tool_choice", json, "tool_choice")?,
        (Some(ToolChoice::Automatic), _) => object.put("tool_choice", "auto"),
        (Some(ToolChoice::Forbidden), _) => object.put("tool_choice", "none"),
        (Some(ToolChoice::Required), _) => object.put("tool_choice", "required"),
        (Some(ToolChoice::Named(name)), _) => {
            let mut choice = object.object("tool_choice");
            choice.put("type", "function");
            let mut function = choice.object("function");
            function.put("name", name);
            function.end();
            choice.end();
        }
    }
    object.put_some("parallel_tool_calls", request.parallel_tool_calls.as_ref());
    Ok(())
}

fn write_tool(mut object: Object<'_>, tool: &Tool, path: &str) -> Result<(), Problem> {
    object.put("type", "function");
    let mut function = object.object("function");
    function.put("name", &tool.name);
    function.put_some("description", tool.description.as_deref());
    function.put_raw("parameters", &tool.parameters, &format!("{path}.function.parameters"))?;
    function.put_some("strict", tool.strict.then_some(&true));
    function.end();
    for (name, json) in tool
        .extra
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "type" | "function"))
    {
        object.put_raw(name, json, &format!("{path}.{name}"))?;
    }
    object.end();
    Ok(())
}

fn response_format(object: &mut Object<'_>, format: &ResponseFormat) -> Result<(), Problem> {
    const NAME: &str = "response_format";
    match format {
        ResponseFormat::Text => Ok(()),
        ResponseFormat::Json => {
            json::value(
                object.key(NAME),
                &std::collections::BTreeMap::from([("type", "json_object")]),
            );
            Ok(())
        }
        ResponseFormat::JsonSchema(schema) => {
            let mut format = object.object(NAME);
            format.put("type", "json_schema");
            format.put_raw("json_schema", schema, "response_format.json_schema")?;
            format.end();
            Ok(())
        }
        ResponseFormat::Other((_, json)) => object.put_raw(NAME, json, NAME),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
