//! A provider without a model: it answers with its greeting and what was said last, word by word. Put your model or upstream
//! where `Answer` is; what it cannot do it refuses by name, and never ignores in silence.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

use std::collections::VecDeque;

use encaje_sdk::chat::{
    ChatEvent, ChatRequest, Chunk, FinishReason, Input, Message, PartBody, ResponseFormat, Role, ToolChoice, Usage,
};
use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::provider::{Completion, ModelInfo, Provider};
use serde::Deserialize;

/// Words of prompt and answer together; a longer prompt is refused. A word is a token here.
const CONTEXT_WORDS: u32 = 32_768;

/// The plugin's `config` in the registry; `plugin.toml` has its schema and the defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    greeting: String,
}

struct Plugin;

impl Provider for Plugin {
    fn check() -> Result<Vec<String>, Problem> {
        encaje_sdk::config::<Config>()?;
        Ok(["chat", "count-tokens"].map(str::to_owned).to_vec())
    }

    fn models() -> Result<Vec<ModelInfo>, Problem> {
        Ok(vec![ModelInfo {
            id: "{{name}}".to_owned(),
            owned_by: "me".to_owned(),
            created: None,
            context_tokens: Some(CONTEXT_WORDS),
            max_output_tokens: None,
            capabilities: vec!["chat".to_owned()],
            extra: Vec::new(),
        }])
    }

    fn complete(request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        Ok(Box::new(Answer::new(&encaje_sdk::config()?, &request)?))
    }

    fn count_tokens(request: ChatRequest) -> Result<u32, Problem> {
        let words: usize = texts(&request.input)?.into_iter().map(words).sum();
        Ok(u32::try_from(words).unwrap_or(u32::MAX))
    }
}

/// An answer under way: what is still to be said.
#[derive(Debug)]
struct Answer {
    words: VecDeque<String>,
    end: Option<(FinishReason, Usage)>,
}

impl Answer {
    fn new(config: &Config, request: &ChatRequest) -> Result<Self, Problem> {
        refuse_what_is_not_done(request)?;
        let texts = texts(&request.input)?;
        let input: usize = texts.iter().copied().map(words).sum();
        let text = format!("{} {}", config.greeting, said_last(&request.input));
        let mut words: VecDeque<String> = text.trim_end().split_inclusive(' ').map(str::to_owned).collect();
        // An answer as long as the question is to fit in beside it.
        if input + words.len() > CONTEXT_WORDS as usize {
            let message = format!(
                "prompt and answer have {} words, the context {CONTEXT_WORDS}",
                input + words.len()
            );
            let problem = Problem::new(ProblemKind::ContextExceeded, message).with_param("messages");
            return Err(problem.with_code("context_length_exceeded"));
        }
        let most = request.sampling.max_tokens.map_or(usize::MAX, |most| most as usize);
        let finish = if words.len() > most {
            words.truncate(most);
            FinishReason::Length
        } else {
            FinishReason::Stop
        };
        let usage = Usage {
            input_tokens: input as u64,
            cached_input_tokens: 0,
            cache_write_tokens: 0,
            output_tokens: words.len() as u64,
            reasoning_tokens: 0,
            extra: Vec::new(),
        };
        Ok(Self {
            words,
            end: Some((finish, usage)),
        })
    }
}

impl Completion for Answer {
    fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        let chunk = |event| Chunk { choice: 0, event };
        if let Some(word) = self.words.pop_front() {
            return Ok(Some(vec![chunk(ChatEvent::Text(word))]));
        }
        let end = self.end.take();
        Ok(end.map(|(finish, usage)| vec![chunk(ChatEvent::Finish(finish)), chunk(ChatEvent::Usage(usage))]))
    }
}

/// Temperature, seed and the penalties choose among answers; there is only one here, so each of their values is kept.
fn refuse_what_is_not_done(request: &ChatRequest) -> Result<(), Problem> {
    let sampling = &request.sampling;
    if sampling.choices == 0 {
        return Err(Problem::invalid_request("`n` must be at least 1").with_param("n"));
    }
    let forbidden = matches!(request.tool_choice, Some(ToolChoice::Forbidden));
    let refused = [
        (sampling.choices > 1, "n"),
        (!sampling.stop.is_empty(), "stop"),
        (!sampling.logit_bias.is_empty(), "logit_bias"),
        (sampling.logprobs.is_some(), "logprobs"),
        (!request.tools.is_empty() && !forbidden, "tools"),
        (
            !matches!(request.response_format, ResponseFormat::Text),
            "response_format",
        ),
        (request.reasoning_effort.is_some(), "reasoning_effort"),
    ];
    let known = refused
        .into_iter()
        .find(|(is_asked, _)| *is_asked)
        .map(|(_, name)| name);
    match known.or_else(|| request.extra.first().map(|(name, _)| name.as_str())) {
        Some(name) => {
            Err(Problem::unsupported(format!("this provider does not know `{name}`; leave it out")).with_param(name))
        }
        None => Ok(()),
    }
}

/// Every text of the prompt.
fn texts(input: &Input) -> Result<Vec<&str>, Problem> {
    let messages = match input {
        Input::Prompt(prompt) => return Ok(vec![prompt]),
        Input::Tokens(_) => {
            return Err(Problem::unsupported("this provider reads text, not token ids").with_param("prompt"));
        }
        Input::Messages(messages) => messages,
    };
    let mut texts = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        for (place, part) in message.content.iter().enumerate() {
            match &part.body {
                PartBody::Text(text) | PartBody::Reasoning(text) | PartBody::Refusal(text) => texts.push(text.as_str()),
                _ => {
                    let param = format!("messages[{at}].content[{place}]");
                    return Err(Problem::unsupported("this provider reads text alone").with_param(param));
                }
            }
        }
    }
    Ok(texts)
}

/// The prompt, or the words of the last message of a person.
fn said_last(input: &Input) -> String {
    let text = |message: &Message| {
        let texts = message.content.iter().filter_map(|part| match &part.body {
            PartBody::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join(" ")
    };
    match input {
        Input::Prompt(prompt) => prompt.clone(),
        Input::Tokens(_) => String::new(),
        Input::Messages(messages) => {
            let last = messages.iter().rev().find(|message| matches!(message.role, Role::User));
            last.map(text).unwrap_or_default()
        }
    }
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

encaje_sdk::export_provider!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use encaje_sdk::chat::{Part, Sampling};

    fn request(text: &str) -> ChatRequest {
        let part = |body| Part {
            body,
            extra: Vec::new(),
        };
        ChatRequest {
            model: "{{name}}".to_owned(),
            input: Input::Messages(vec![Message {
                role: Role::User,
                content: vec![part(PartBody::Text(text.to_owned()))],
                name: None,
                tool_call_id: None,
                is_error: false,
                extra: Vec::new(),
            }]),
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

    fn start(request: &ChatRequest) -> Result<Answer, Problem> {
        let config = encaje_sdk::parse_config(r#"{"greeting":"You said:"}"#)?;
        Answer::new(&config, request)
    }

    /// The words, whether it was cut short, and the tokens in and out.
    fn said(request: &ChatRequest) -> (Vec<String>, bool, u64, u64) {
        let mut answer = start(request).unwrap();
        let (mut words, mut cut, mut tokens) = (Vec::new(), false, (0, 0));
        while let Some(chunks) = answer.next().unwrap() {
            for chunk in chunks {
                match chunk.event {
                    ChatEvent::Text(text) => words.push(text),
                    ChatEvent::Finish(reason) => cut = matches!(reason, FinishReason::Length),
                    ChatEvent::Usage(usage) => tokens = (usage.input_tokens, usage.output_tokens),
                    other => panic!("{other:?}"),
                }
            }
        }
        (words, cut, tokens.0, tokens.1)
    }

    #[test]
    fn it_echoes_word_by_word_and_counts() {
        let (words, cut, input, output) = said(&request("héllo wörld"));
        assert_eq!(words, ["You ", "said: ", "héllo ", "wörld"]);
        assert_eq!((cut, input, output), (false, 2, 4));
    }

    #[test]
    fn an_answer_ends_at_the_limit() {
        let mut request = request("one two");
        request.sampling.max_tokens = Some(3);
        let (words, cut, _, output) = said(&request);
        assert_eq!((words.concat().as_str(), cut, output), ("You said: one ", true, 3));
    }

    #[test]
    fn what_it_cannot_do_is_refused_by_name() {
        let changes: [(&str, fn(&mut ChatRequest)); 5] = [
            ("n", |request| request.sampling.choices = 2),
            ("stop", |request| request.sampling.stop.push("x".to_owned())),
            ("logprobs", |request| request.sampling.logprobs = Some(0)),
            ("response_format", |request| {
                request.response_format = ResponseFormat::Json
            }),
            ("best_of", |request| {
                request.extra.push(("best_of".to_owned(), "2".to_owned()))
            }),
        ];
        for (name, change) in changes {
            let mut request = request("hi");
            change(&mut request);
            let problem = start(&request).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::Unsupported), "{name}");
            assert_eq!(problem.param.as_deref(), Some(name));
        }
    }

    #[test]
    fn a_link_and_a_prompt_without_end_are_refused() {
        let mut linked = request("hi");
        if let Input::Messages(messages) = &mut linked.input {
            messages[0].content[0].body = PartBody::Link("https://example.org/a.png".to_owned());
        }
        let problem = start(&linked).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("messages[0].content[0]"));
        let long = start(&request(&"word ".repeat(20_000))).unwrap_err();
        assert_eq!(long.code.as_deref(), Some("context_length_exceeded"));
    }
}
