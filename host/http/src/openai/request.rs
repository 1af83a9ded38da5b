//! A chat request of the OpenAI wire to the core's: every published parameter, each checked, with its path in the error.
//!
//! Three fates. What the core has a field for goes there. What says only who asks, or leaves the answer as it is, is
//! checked and dropped: `user`, `safety_identifier`, `prompt_cache_key`, `prompt_cache_options`,
//! `prompt_cache_retention`, `store`, `metadata`, and the values of `service_tier`, `modalities` and `verbosity` that mean
//! the default. All else goes to `extra`, so that a provider that cannot do it says so: there is no silence.

use encaje_core::Problem;
use encaje_core::chat::{ChatRequest, Input, Sampling};
use encaje_core::problem::Extra;

use crate::json::{Json, Object, clip, parse};
use crate::limits;
use crate::openai::{message, tools};

/// How the answer is to be delivered: what concerns this wire alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Delivery {
    /// As server-sent events.
    pub(crate) stream: bool,
    /// With a last chunk of usage.
    pub(crate) include_usage: bool,
    /// With padding that hides the length of the tokens.
    pub(crate) obfuscate: bool,
    /// Asked for by the deprecated `functions`.
    pub(crate) legacy_functions: bool,
}

/// A chat request and how its answer is wanted.
pub(crate) fn chat(body: &[u8]) -> Result<(ChatRequest, Delivery), Problem> {
    let mut object = parse(body)?.object()?;
    let model = model(&mut object)?;
    let messages = message::messages(&object.require("messages")?)?;
    let mut extra = Extra::new();
    let tools = tools::take(&mut object, &mut extra)?;
    let delivery = Delivery {
        legacy_functions: tools.legacy,
        ..delivery(&mut object)?
    };
    let mut sampling = sampling(&mut object)?;
    sampling.max_tokens = max_tokens(&mut object)?;
    sampling.logprobs = logprobs(&mut object)?;
    let response_format = object
        .read("response_format", tools::response_format)?
        .unwrap_or_default();
    let reasoning_effort = object.string("reasoning_effort")?;
    harmless(&mut object, &mut extra)?;
    answer_changing(&mut object, &mut extra)?;
    extra.extend(object.rest()?);
    let request = ChatRequest {
        model,
        input: Input::Messages(messages),
        sampling,
        tools: tools.tools,
        tool_choice: tools.choice,
        parallel_tool_calls: tools.parallel,
        response_format,
        reasoning_effort,
        extra,
    };
    Ok((request, delivery))
}

/// The model's name.
pub(crate) fn model(object: &mut Object<'_>) -> Result<String, Problem> {
    let json = object.require("model")?;
    let model = json.string()?.into_owned();
    if model.is_empty() || model.chars().count() > limits::MODEL_CHARS {
        return Err(json.invalid(format_args!("must have 1 to {} characters", limits::MODEL_CHARS)));
    }
    if model.chars().any(char::is_control) {
        return Err(json.invalid("must have no control characters"));
    }
    Ok(model)
}

/// `stream` and `stream_options`.
pub(crate) fn delivery(object: &mut Object<'_>) -> Result<Delivery, Problem> {
    let stream = object.read("stream", Json::boolean)?.unwrap_or(false);
    let Some(options) = object.take("stream_options") else {
        return Ok(Delivery {
            stream,
            ..Delivery::default()
        });
    };
    if !stream {
        return Err(options
            .invalid("is only allowed when `stream` is true")
            .with_code("invalid_parameter_combination"));
    }
    let mut given = options.object()?;
    let include_usage = given.read("include_usage", Json::boolean)?.unwrap_or(false);
    let obfuscate = given.read("include_obfuscation", Json::boolean)?.unwrap_or(false);
    if let Some((name, _)) = given.rest()?.first() {
        // It would change how the answer is delivered, which no provider could answer for.
        let path = format!("stream_options.{}", clip(name));
        let message = format!("`{path}` is not known to this server.");
        return Err(Problem::invalid(path, message).with_code("unknown_parameter"));
    }
    Ok(Delivery {
        stream,
        include_usage,
        obfuscate,
        legacy_functions: false,
    })
}

/// What chats and completions have in common.
pub(crate) fn sampling(object: &mut Object<'_>) -> Result<Sampling, Problem> {
    let penalty = |json: &Json<'_>| json.number(-2.0, 2.0);
    Ok(Sampling {
        temperature: object.read("temperature", |json| json.number(0.0, 2.0))?,
        // The wire allows 0, which leaves the likeliest token alone; the core's range is open there.
        top_p: object.read("top_p", |json| {
            json.number(0.0, 1.0).map(|top_p| top_p.max(f64::MIN_POSITIVE))
        })?,
        // Some servers write "all" as -1.
        top_k: object
            .read("top_k", |json| {
                json.integer::<i64>(-1, i64::from(u32::MAX)).map(|top_k| top_k.max(0))
            })?
            .and_then(|top_k| u32::try_from(top_k).ok()),
        min_p: object.read("min_p", |json| json.number(0.0, 1.0))?,
        frequency_penalty: object.read("frequency_penalty", penalty)?,
        presence_penalty: object.read("presence_penalty", penalty)?,
        repetition_penalty: object.read("repetition_penalty", repetition_penalty)?,
        logit_bias: object.read("logit_bias", logit_bias)?.unwrap_or_default(),
        seed: object.read("seed", |json| json.integer(i64::MIN, i64::MAX))?,
        stop: object.read("stop", stop)?.unwrap_or_default(),
        max_tokens: None,
        choices: object
            .read("n", |json| json.integer(1, i64::from(limits::CHOICES)))?
            .unwrap_or(1),
        logprobs: None,
    })
}

/// It divides logits, so 0 has no meaning; above 10 nothing but gibberish is left.
fn repetition_penalty(json: &Json<'_>) -> Result<f64, Problem> {
    let penalty = json.number(0.0, 10.0)?;
    if penalty == 0.0 {
        return Err(json.invalid("must be above 0").with_code("decimal_below_min_value"));
    }
    Ok(penalty)
}

fn logit_bias(json: &Json<'_>) -> Result<Vec<(u32, f32)>, Problem> {
    let entries = json.object()?.entries();
    if entries.len() > limits::LOGIT_BIASES {
        return Err(json.invalid(format_args!("has more than {} tokens", limits::LOGIT_BIASES)));
    }
    entries
        .into_iter()
        .map(|(token, bias)| {
            let no_id = || json.invalid(format_args!("has the key `{}`, which is no token id", clip(&token)));
            let token = token.parse().map_err(|_| no_id())?;
            #[allow(clippy::cast_possible_truncation, reason = "the nearest f32 is meant")]
            bias.number(-100.0, 100.0).map(|bias| (token, bias as f32))
        })
        .collect()
}

fn stop(json: &Json<'_>) -> Result<Vec<String>, Problem> {
    let one = |json: &Json<'_>| match json.string()? {
        text if text.is_empty() => Err(json.invalid("must not be empty")),
        text => Ok(text.into_owned()),
    };
    if json.is_string() {
        return Ok(vec![one(json)?]);
    }
    if !json.is_list() {
        return Err(json.wrong_type("a string or an array of strings"));
    }
    json.list(limits::STOPS)?.iter().map(one).collect()
}

fn max_tokens(object: &mut Object<'_>) -> Result<Option<u32>, Problem> {
    let read = |json: &Json<'_>| json.integer::<u32>(1, i64::from(u32::MAX));
    let old = object.read("max_tokens", read)?;
    let new = object.read("max_completion_tokens", read)?;
    match (old, new) {
        (Some(old), Some(new)) if old != new => Err(Problem::invalid(
            "max_tokens",
            "`max_tokens` is the older name of `max_completion_tokens`; they are given with different values.",
        )
        .with_code("invalid_parameter_combination")),
        _ => Ok(new.or(old)),
    }
}

fn logprobs(object: &mut Object<'_>) -> Result<Option<u8>, Problem> {
    let wanted = object.read("logprobs", Json::boolean)?.unwrap_or(false);
    let Some(json) = object.take("top_logprobs") else {
        return Ok(wanted.then_some(0));
    };
    let top = json.integer(0, i64::from(limits::TOP_LOGPROBS))?;
    if !wanted && top > 0 {
        return Err(json
            .invalid("is only allowed when `logprobs` is true")
            .with_code("invalid_parameter_combination"));
    }
    Ok(wanted.then_some(top))
}

/// What says who asks or how the request is handled, and leaves the answer as it is.
pub(crate) fn harmless(object: &mut Object<'_>, extra: &mut Extra) -> Result<(), Problem> {
    for name in ["user", "safety_identifier", "prompt_cache_key"] {
        object.read(name, |json| json.string().map(drop))?;
    }
    object.read("store", Json::boolean)?;
    object.read("metadata", metadata)?;
    object.read("prompt_cache_options", |json| json.object().map(drop))?;
    object.read("prompt_cache_retention", |json| json.string().map(drop))?;
    unless_default(object, extra, "service_tier", &["auto", "default"])
}

fn metadata(json: &Json<'_>) -> Result<(), Problem> {
    let (pairs, key_chars, value_chars) = limits::METADATA;
    let entries = json.object()?.entries();
    if entries.len() > pairs {
        return Err(json.invalid(format_args!("has more than {pairs} pairs")));
    }
    for (key, value) in entries {
        if key.chars().count() > key_chars {
            return Err(json.invalid(format_args!("has a key of more than {key_chars} characters")));
        }
        if value.string()?.chars().count() > value_chars {
            return Err(value.invalid(format_args!("has more than {value_chars} characters")));
        }
    }
    Ok(())
}

/// What changes the answer and has no field in the core.
fn answer_changing(object: &mut Object<'_>, extra: &mut Extra) -> Result<(), Problem> {
    unless_default(object, extra, "verbosity", &["medium"])?;
    if let Some(modalities) = object.take("modalities") {
        let mut text_alone = true;
        for modality in modalities.list(limits::PARTS)? {
            text_alone &= modality.string()? == "text";
        }
        if !text_alone {
            extra.push(("modalities".to_owned(), modalities.raw()));
        }
    }
    for name in ["audio", "prediction", "web_search_options", "moderation"] {
        if let Some(json) = object.take(name) {
            json.object()?;
            extra.push((name.to_owned(), json.raw()));
        }
    }
    Ok(())
}

fn unless_default(
    object: &mut Object<'_>,
    extra: &mut Extra,
    name: &'static str,
    defaults: &[&str],
) -> Result<(), Problem> {
    if let Some(json) = object.take(name) {
        let word = json.string()?;
        if !defaults.contains(&word.as_ref()) {
            extra.push((name.to_owned(), json.raw()));
        }
    }
    Ok(())
}
