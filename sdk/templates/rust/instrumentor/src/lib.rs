//! An instrumentor: `before` refuses questions without a word, `filter` passes the answer on and counts its words, `after`
//! writes both counts to the trace and tags long questions. It changes nothing that is said and asks no model.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")
)]

use std::cell::Cell;
use std::collections::BTreeMap;

use encaje_sdk::chat::{ChatEvent, ChatRequest, Chunk, Input, PartBody, Role};
use encaje_sdk::errors::Problem;
use encaje_sdk::instrumentor::{Annotation, Decision, Exchange, Filter, Instrumentor};
use encaje_sdk::values::Value;
use serde::Deserialize;

/// The plugin's `config` in the registry; `plugin.toml` has its schema and the defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    long: u32,
}

thread_local! {
    /// Words of the answer; the hooks of one request share the instance.
    static SAID: Cell<u64> = const { Cell::new(0) };
}

struct Plugin;

impl Instrumentor for Plugin {
    fn check() -> Result<Vec<String>, Problem> {
        encaje_sdk::config::<Config>()?;
        Ok(["before", "filter", "after"].map(str::to_owned).to_vec())
    }

    fn before(request: ChatRequest) -> Result<Decision, Problem> {
        // The first hook of a request: an instance that served another one starts anew.
        SAID.set(0);
        Ok(decide(&request))
    }

    fn open_filter(_request: ChatRequest) -> Result<Box<dyn Filter>, Problem> {
        Ok(Box::new(Counting::default()))
    }

    fn after(exchange: Exchange) -> Result<Annotation, Problem> {
        Ok(annotate(&encaje_sdk::config()?, &exchange.request, SAID.take()))
    }
}

fn decide(request: &ChatRequest) -> Decision {
    match asked(&request.input) {
        Some(0) => {
            let message = "the question has no words; write one";
            let problem = Problem::invalid_request(message).with_code("empty_question");
            Decision::Reject(problem.with_param("messages"))
        }
        _ => Decision::Pass,
    }
}

/// Words of the prompt, or of everything that people said; `None` where it is not, or not only, text.
fn asked(input: &Input) -> Option<u64> {
    let messages = match input {
        Input::Prompt(prompt) => return Some(words(prompt)),
        Input::Tokens(_) => return None,
        Input::Messages(messages) => messages,
    };
    let parts = messages
        .iter()
        .filter(|message| matches!(message.role, Role::User))
        .flat_map(|message| &message.content);
    let count = |part: &encaje_sdk::chat::Part| match &part.body {
        PartBody::Text(text) => Some(words(text)),
        _ => None,
    };
    parts.map(count).sum()
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// An answer under way. Words are counted across the borders of chunks, each choice alone.
#[derive(Debug, Default)]
struct Counting {
    /// Whether the last character of a choice belongs to a word, which the next chunk may go on with.
    in_word: BTreeMap<u32, bool>,
}

impl Counting {
    /// Words that begin in this piece.
    fn count(&mut self, choice: u32, text: &str) -> u64 {
        let in_word = self.in_word.entry(choice).or_default();
        let mut begun = 0;
        for character in text.chars() {
            let is_word = !character.is_whitespace();
            begun += u64::from(is_word && !*in_word);
            *in_word = is_word;
        }
        begun
    }
}

impl Filter for Counting {
    fn push(&mut self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem> {
        for chunk in &chunks {
            if let ChatEvent::Text(text) = &chunk.event {
                let begun = self.count(chunk.choice, text);
                SAID.set(SAID.get() + begun);
            }
        }
        Ok(chunks)
    }

    fn finish(&mut self) -> Result<Vec<Chunk>, Problem> {
        Ok(Vec::new())
    }
}

fn annotate(config: &Config, request: &ChatRequest, said: u64) -> Annotation {
    let mut annotation = Annotation::none();
    let mut add = |name: &str, words: u64| {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        annotation.attributes.push((name.to_owned(), Value::Integer(words)));
    };
    let asked = asked(&request.input);
    if let Some(asked) = asked {
        add("words.asked", asked);
    }
    add("words.said", said);
    if asked.is_some_and(|asked| asked > u64::from(config.long)) {
        annotation.tags.push("long-question".to_owned());
    }
    annotation
}

encaje_sdk::export_instrumentor!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use encaje_sdk::chat::{FinishReason, ResponseFormat, Sampling};

    fn request(input: Input) -> ChatRequest {
        ChatRequest {
            model: "any".to_owned(),
            input,
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

    fn prompt(text: &str) -> ChatRequest {
        request(Input::Prompt(text.to_owned()))
    }

    fn text(choice: u32, text: &str) -> Chunk {
        Chunk {
            choice,
            event: ChatEvent::Text(text.to_owned()),
        }
    }

    #[test]
    fn a_question_without_words_is_refused() {
        for empty in [prompt(" \n"), request(Input::Messages(Vec::new()))] {
            let Decision::Reject(problem) = decide(&empty) else {
                panic!("it went on");
            };
            assert_eq!(problem.code.as_deref(), Some("empty_question"));
        }
        assert!(matches!(decide(&prompt("Why?")), Decision::Pass));
        // What cannot be read is not judged.
        assert!(matches!(decide(&request(Input::Tokens(Vec::new()))), Decision::Pass));
    }

    #[test]
    fn the_answer_passes_as_it_is_and_words_count_across_chunks() {
        SAID.set(0);
        let mut filter = Counting::default();
        let finish = Chunk {
            choice: 0,
            event: ChatEvent::Finish(FinishReason::Stop),
        };
        let sent = vec![
            text(0, "one tw"),
            text(1, "eins"),
            text(0, "o "),
            text(0, "three"),
            finish,
        ];
        let shown = format!("{sent:?}");
        assert_eq!(format!("{:?}", filter.push(sent).unwrap()), shown);
        assert!(filter.finish().unwrap().is_empty());
        assert_eq!(SAID.take(), 4);
    }

    #[test]
    fn the_trace_gets_both_counts_and_the_tag() {
        let config: Config = encaje_sdk::parse_config(r#"{"long":2}"#).unwrap();
        let long = annotate(&config, &prompt("one two three"), 5);
        assert_eq!(long.tags, ["long-question"]);
        assert_eq!(
            format!("{:?}", long.attributes),
            r#"[("words.asked", Value::Integer(3)), ("words.said", Value::Integer(5))]"#
        );
        assert!(annotate(&config, &prompt("one two"), 0).tags.is_empty());
        assert_eq!(
            annotate(&config, &request(Input::Tokens(vec![1])), 0).attributes.len(),
            1
        );
    }
}
