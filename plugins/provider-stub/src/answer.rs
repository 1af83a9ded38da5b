//! What one choice of an answer says, from the request and the script: text, reasoning, tool calls and why it ends. How it
//! is cut into chunks is the playback's business.

use encaje_sdk::chat::{ChatRequest, FinishReason, Input, PartBody, ResponseFormat, Role, ToolChoice};
use encaje_sdk::errors::Problem;
use serde_json::{Value, json};

use crate::sample::sample;
use crate::script::Script;
use crate::words;

/// A tool call that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// A JSON object.
    pub(crate) arguments: String,
}

/// What one choice says.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) reasoning: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: FinishReason,
}

impl Answer {
    /// Decides the answer number `choice`.
    pub(crate) fn to(request: &ChatRequest, script: &Script, choice: u32) -> Result<Self, Problem> {
        let calls = calls(request, script)?;
        let mut text = match &script.text {
            Some(text) => text.clone(),
            None if !calls.is_empty() => String::new(),
            None => default_text(request, choice)?,
        };
        let mut reasoning = script.reasoning.clone().unwrap_or_default();
        let mut finish = if calls.is_empty() {
            FinishReason::Stop
        } else {
            FinishReason::ToolCalls
        };
        if let Some(at) = first_stop(&text, &request.sampling.stop) {
            text.truncate(at);
        }
        if let Some(max) = request.sampling.max_tokens {
            let cut_reasoning = truncate(&mut reasoning, u64::from(max));
            let left = u64::from(max).saturating_sub(words::count(&reasoning));
            if truncate(&mut text, left) || cut_reasoning {
                finish = FinishReason::Length;
            }
        }
        // What was cut off had not come to its tool calls yet.
        let calls = if matches!(finish, FinishReason::Length) {
            Vec::new()
        } else {
            calls
        };
        Ok(Self {
            reasoning,
            text,
            calls,
            finish,
        })
    }

    /// Tokens said, the reasoning's included.
    pub(crate) fn tokens(&self) -> u64 {
        let calls = self
            .calls
            .iter()
            .map(|call| 1 + words::count(&call.arguments))
            .sum::<u64>();
        words::count(&self.reasoning) + words::count(&self.text) + calls
    }
}

/// Keeps the first `max` tokens; says whether there were more.
fn truncate(text: &mut String, max: u64) -> bool {
    let pieces = words::pieces(text);
    if pieces.len() as u64 <= max {
        return false;
    }
    let kept = pieces
        .iter()
        .take(usize::try_from(max).unwrap_or(usize::MAX))
        .map(|piece| piece.len())
        .sum();
    text.truncate(kept);
    true
}

/// Where the first of the stop strings starts.
fn first_stop(text: &str, stop: &[String]) -> Option<usize> {
    stop.iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| text.find(stop.as_str()))
        .min()
}

/// The scripted calls, or the one that the request insists on.
fn calls(request: &ChatRequest, script: &Script) -> Result<Vec<Call>, Problem> {
    if let Some(scripted) = &script.tool_calls {
        let most = if request.parallel_tool_calls == Some(false) {
            1
        } else {
            usize::MAX
        };
        let to_call = scripted.iter().take(most).map(|call| Call {
            name: call.name.clone(),
            arguments: Value::Object(call.arguments.clone()).to_string(),
        });
        return Ok(to_call.collect());
    }
    let tool = match &request.tool_choice {
        Some(ToolChoice::Required) => request.tools.first(),
        Some(ToolChoice::Named(name)) => request.tools.iter().find(|tool| tool.name == *name),
        Some(ToolChoice::Automatic | ToolChoice::Forbidden) | None => return Ok(Vec::new()),
    };
    let tool = tool.ok_or_else(|| {
        Problem::invalid_request("`tool_choice` insists on a tool that is not among `tools`").with_param("tool_choice")
    })?;
    let schema: Value = serde_json::from_str(&tool.parameters).map_err(|error| {
        Problem::invalid_request(format!("the parameters of `{}` are no JSON: {error}", tool.name)).with_param("tools")
    })?;
    let arguments = sample(&schema, &last_words(request)).map_err(|problem| problem.with_param("tools"))?;
    Ok(vec![Call {
        name: tool.name.clone(),
        arguments: arguments.to_string(),
    }])
}

/// An echo, in the shape that the request asks for. Choices after the first name themselves, so that they can be told apart.
fn default_text(request: &ChatRequest, choice: u32) -> Result<String, Problem> {
    let mut echo = format!("echo: {}", last_words(request));
    if choice > 0 {
        echo.push_str(&format!(" ({})", choice + 1));
    }
    match &request.response_format {
        ResponseFormat::Text => Ok(echo),
        ResponseFormat::Json => Ok(json!({ "text": echo }).to_string()),
        ResponseFormat::JsonSchema(format) => {
            let named = |problem: Problem| problem.with_param("response_format.json_schema");
            let format: Value = serde_json::from_str(format)
                .map_err(|error| named(Problem::invalid_request(format!("the JSON Schema is no JSON: {error}"))))?;
            // The wire's object, which wraps the schema in a name; a bare schema serves as well.
            let schema = format
                .get("schema")
                .filter(|_| format.get("name").is_some())
                .unwrap_or(&format);
            sample(schema, &echo).map(|value| value.to_string()).map_err(named)
        }
        ResponseFormat::Other((name, _)) => {
            let message = format!("the stub knows no response format `{name}`");
            Err(Problem::unsupported(message).with_param("response_format.type"))
        }
    }
}

/// The text of the last message that is a user's, else of the last one; a prompt as it is.
fn last_words(request: &ChatRequest) -> String {
    match &request.input {
        Input::Prompt(prompt) => prompt.clone(),
        Input::Tokens(tokens) => {
            let words: Vec<String> = tokens.iter().map(u32::to_string).collect();
            words.join(" ")
        }
        Input::Messages(messages) => {
            let of_user = messages.iter().rev().find(|message| matches!(message.role, Role::User));
            let message = of_user.or(messages.last());
            let parts = message.iter().flat_map(|message| &message.content);
            let texts = parts.filter_map(|part| match &part.body {
                PartBody::Text(text) => Some(text.as_str()),
                _ => None,
            });
            texts.collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, FinishReason, Input, ResponseFormat, Script, ToolChoice};
    use crate::testing::{request, tool};

    fn answer(change: impl FnOnce(&mut encaje_sdk::chat::ChatRequest), script: &str) -> Answer {
        let mut request = request("one two three");
        change(&mut request);
        Answer::to(&request, &serde_json::from_str(script).unwrap(), 0).unwrap()
    }

    #[test]
    fn the_default_is_an_echo() {
        let first = answer(|_| (), "{}");
        assert_eq!((first.text.as_str(), first.tokens()), ("echo: one two three", 4));
        assert!(matches!(first.finish, FinishReason::Stop));
        let second = Answer::to(&request("x"), &Script::default(), 1).unwrap();
        assert_eq!(second.text, "echo: x (2)");
        assert_eq!(
            answer(|request| request.input = Input::Tokens(vec![7, 8]), "{}").text,
            "echo: 7 8"
        );
    }

    #[test]
    fn stop_strings_and_max_tokens_end_it() {
        let stopped = answer(
            |request| request.sampling.stop = vec![String::new(), "wo".into(), "hr".into()],
            "{}",
        );
        assert_eq!(stopped.text, "echo: one t");
        assert!(matches!(stopped.finish, FinishReason::Stop));
        let cut = answer(|request| request.sampling.max_tokens = Some(2), "{}");
        assert_eq!(cut.text, "echo: one");
        assert!(matches!(cut.finish, FinishReason::Length));
        let exact = answer(|request| request.sampling.max_tokens = Some(4), "{}");
        assert!(matches!(exact.finish, FinishReason::Stop));
        let thinking = answer(
            |request| request.sampling.max_tokens = Some(3),
            r#"{"reasoning":"a b","text":"c d"}"#,
        );
        assert_eq!((thinking.reasoning.as_str(), thinking.text.as_str()), ("a b", "c"));
        assert!(matches!(thinking.finish, FinishReason::Length));
    }

    #[test]
    fn json_formats_are_answered_with_json_that_fits() {
        let json = answer(|request| request.response_format = ResponseFormat::Json, "{}");
        assert_eq!(json.text, r#"{"text":"echo: one two three"}"#);
        let schema = r#"{"type":"object","properties":{"n":{"type":"integer","minimum":3}}}"#;
        for format in [
            schema.to_owned(),
            format!(r#"{{"name":"x","strict":true,"schema":{schema}}}"#),
        ] {
            let fit = answer(
                |request| request.response_format = ResponseFormat::JsonSchema(format),
                "{}",
            );
            assert_eq!(fit.text, r#"{"n":3}"#);
        }
        let mut odd = request("x");
        odd.response_format = ResponseFormat::Other(("grammar".to_owned(), "{}".to_owned()));
        let problem = Answer::to(&odd, &Script::default(), 0).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("response_format.type"));
    }

    #[test]
    fn tools_are_called_when_scripted_or_required() {
        let scripted = r#"{"tool_calls":[{"name":"f","arguments":{"a":1}},{"name":"g"}]}"#;
        let both = answer(|_| (), scripted);
        assert_eq!(both.calls.len(), 2);
        assert_eq!(
            (both.calls[0].arguments.as_str(), both.calls[1].arguments.as_str()),
            (r#"{"a":1}"#, "{}")
        );
        assert!(matches!(both.finish, FinishReason::ToolCalls));
        assert_eq!(both.text, "");
        assert_eq!(
            answer(|request| request.parallel_tool_calls = Some(false), scripted)
                .calls
                .len(),
            1
        );
        let named = answer(
            |request| {
                request.tools = vec![tool("f"), tool("g")];
                request.tool_choice = Some(ToolChoice::Named("g".to_owned()));
            },
            "{}",
        );
        assert_eq!(
            (named.calls[0].name.as_str(), named.calls[0].arguments.as_str()),
            ("g", r#"{"city":"one two three"}"#)
        );
        let mut nothing = request("x");
        nothing.tool_choice = Some(ToolChoice::Required);
        assert!(Answer::to(&nothing, &Script::default(), 0).is_err());
    }
}
