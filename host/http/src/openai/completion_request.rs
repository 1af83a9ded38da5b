//! A completion request of the OpenAI wire: several prompts make several requests of the core, answered one after the
//! other.
//!
//! `echo` of a text prompt is done here, since it is the prompt's own text. What needs the model (`echo` with log
//! probabilities or tokens, `suffix`, `best_of`) goes to `extra`, where a provider answers for it.

use encaje_core::Problem;
use encaje_core::chat::{ChatRequest, Input, ResponseFormat};
use encaje_core::problem::Extra;

use crate::json::{Json, Object, parse};
use crate::limits;
use crate::openai::request::{Delivery, delivery, harmless, model, sampling};

/// What a completion request asks for.
#[derive(Debug)]
pub(crate) struct Completions {
    /// One a prompt.
    pub(crate) requests: Vec<ChatRequest>,
    /// Whether each answer begins with its prompt.
    pub(crate) echo: bool,
    pub(crate) delivery: Delivery,
}

/// A completion request and how its answer is wanted.
pub(crate) fn completions(body: &[u8]) -> Result<Completions, Problem> {
    let mut object = parse(body)?.object()?;
    let model = model(&mut object)?;
    let inputs = prompts(&object.require("prompt")?)?;
    let delivery = delivery(&mut object)?;
    let mut sampling = sampling(&mut object)?;
    let max_tokens = object.read("max_tokens", |json| json.integer(0, i64::from(u32::MAX)))?;
    sampling.max_tokens = Some(max_tokens.unwrap_or(limits::COMPLETION_TOKENS));
    sampling.logprobs = object.read("logprobs", |json| {
        json.integer(0, i64::from(limits::COMPLETION_LOGPROBS))
    })?;
    let answers = u32::try_from(inputs.len())
        .unwrap_or(u32::MAX)
        .saturating_mul(sampling.choices);
    if answers > limits::CHOICES {
        let message = format!(
            "`n` times the number of prompts is {answers}, above the maximum {}.",
            limits::CHOICES
        );
        return Err(Problem::invalid("n", message).with_code("integer_above_max_value"));
    }
    let mut extra = Extra::new();
    let texts = inputs.iter().all(|input| matches!(input, Input::Prompt(_)));
    let echo = echo(&mut object, texts && sampling.logprobs.is_none(), &mut extra)?;
    suffix_and_best_of(&mut object, sampling.choices, &mut extra)?;
    harmless(&mut object, &mut extra)?;
    extra.extend(object.rest()?);
    let request = |input| ChatRequest {
        model: model.clone(),
        input,
        sampling: sampling.clone(),
        tools: Vec::new(),
        tool_choice: None,
        parallel_tool_calls: None,
        response_format: ResponseFormat::Text,
        reasoning_effort: None,
        extra: extra.clone(),
    };
    Ok(Completions {
        requests: inputs.into_iter().map(request).collect(),
        echo,
        delivery,
    })
}

/// A text, a list of texts, a list of token ids, or a list of such lists.
fn prompts(json: &Json<'_>) -> Result<Vec<Input>, Problem> {
    if json.is_string() {
        return Ok(vec![Input::Prompt(json.string()?.into_owned())]);
    }
    let expected = "a string, an array of strings, an array of token ids or an array of such arrays";
    if !json.is_list() {
        return Err(json.wrong_type(expected));
    }
    if json.begins_with_number() {
        return Ok(vec![Input::Tokens(json.tokens()?)]);
    }
    let items = json.list(usize::try_from(limits::CHOICES).unwrap_or(usize::MAX))?;
    if items.is_empty() {
        return Err(json.invalid("must not be empty").with_code("empty_array"));
    }
    items
        .iter()
        .map(|item| match item {
            text if text.is_string() => Ok(Input::Prompt(text.string()?.into_owned())),
            tokens if tokens.is_list() => tokens.tokens().map(Input::Tokens),
            other => Err(other.wrong_type("a string or an array of token ids")),
        })
        .collect()
}

fn echo(object: &mut Object<'_>, here: bool, extra: &mut Extra) -> Result<bool, Problem> {
    let echo = object.read("echo", Json::boolean)?.unwrap_or(false);
    if echo && !here {
        extra.push(("echo".to_owned(), "true".to_owned()));
    }
    Ok(echo && here)
}

fn suffix_and_best_of(object: &mut Object<'_>, choices: u32, extra: &mut Extra) -> Result<(), Problem> {
    if let Some(suffix) = object.take("suffix") {
        // An empty suffix asks for nothing.
        if !suffix.string()?.is_empty() {
            extra.push(("suffix".to_owned(), suffix.raw()));
        }
    }
    if let Some(best_of) = object.take("best_of") {
        let of: u32 = best_of.integer(1, limits::BEST_OF)?;
        if of < choices {
            return Err(best_of
                .invalid("must not be below `n`")
                .with_code("invalid_parameter_combination"));
        }
        if of > choices {
            extra.push(("best_of".to_owned(), best_of.raw()));
        }
    }
    Ok(())
}
