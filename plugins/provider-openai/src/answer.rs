//! An answer's chunks, from OpenAI's wire to the contract's events: every delta, each once and in order. How the chunks
//! travel is in `stream.rs`.
//!
//! Why a choice ended is held back until the whole answer has ended, since some upstreams say it early or twice and the
//! contract wants it last. Members of a delta that the contract has no event for are passed on as `other`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use encaje_sdk::chat::{ChatEvent, Chunk, FinishReason, TokenLogprob, Usage};
use encaje_sdk::errors::Problem;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::calls::{CallPiece, Calls};
use crate::error::{self, bad_json, malformed};
use crate::limits::{MAX_OTHERS, MAX_WORD_BYTES};
use crate::logprobs::{ChatLogprobs, CompletionLogprobs};
use crate::usage;

#[derive(Deserialize)]
struct Body<'a> {
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    choices: Option<Vec<ChoiceBody<'a>>>,
    usage: Option<Value>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChoiceBody<'a> {
    #[serde(default)]
    index: u32,
    /// A chat's.
    #[serde(borrow)]
    delta: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    /// A completion's.
    text: Option<String>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    finish_reason: Option<Cow<'a, str>>,
}

/// One answer of several.
#[derive(Debug, Default)]
struct Choice {
    calls: Calls,
    finish: Option<FinishReason>,
    others: usize,
}

/// An answer under way.
#[derive(Debug)]
pub(crate) struct Answering {
    choices: Vec<Choice>,
    usage: Option<Usage>,
    is_completion: bool,
    /// Of the upstream's answer; begins the ids of calls that have none.
    id: String,
    /// Events that came.
    events: u64,
}

impl Answering {
    /// So many choices, all of which are still to be said.
    pub(crate) fn new(choices: u32, is_completion: bool) -> Self {
        Self {
            choices: (0..choices).map(|_| Choice::default()).collect(),
            usage: None,
            is_completion,
            id: String::new(),
            events: 0,
        }
    }

    /// What one event's data says; may be nothing.
    pub(crate) fn event(&mut self, data: &str) -> Result<Vec<Chunk>, Problem> {
        self.events += 1;
        let what = || format!("Event {} of the upstream's stream", self.events);
        let body: Body<'_> = serde_json::from_str(data)
            .map_err(|failure| error::in_success(data.as_bytes()).unwrap_or_else(|| bad_json(&what(), &failure)))?;
        if body.error.is_some_and(|error| error.get() != "null") {
            return Err(error::in_stream(data));
        }
        if let Some(id) = body.id.filter(|id| self.id.is_empty() && id.len() <= MAX_WORD_BYTES) {
            self.id = id.into_owned();
        }
        // Cumulative where it comes more than once; the last one counts.
        if let Some(usage) = body.usage.as_ref().and_then(usage::read) {
            self.usage = Some(usage);
        }
        let mut said = Vec::new();
        for choice in body.choices.unwrap_or_default() {
            self.choice(choice, &mut said)?;
        }
        Ok(said)
    }

    fn choice(&mut self, body: ChoiceBody<'_>, said: &mut Vec<Chunk>) -> Result<(), Problem> {
        let index = body.index;
        let what = format!("Choice {index} of event {} of the upstream's stream", self.events);
        let choices = self.choices.len();
        let place = usize::try_from(index)
            .ok()
            .and_then(|place| self.choices.get_mut(place));
        let Some(choice) = place else {
            return Err(malformed(format!(
                "The upstream answered choice {index}, where {choices} were asked for."
            )));
        };
        let mut say = |event: ChatEvent| said.push(Chunk { choice: index, event });
        let mut speak = Speaking {
            choice,
            what: &what,
            fallback: format!("{}_{index}", self.id),
        };
        if self.is_completion {
            speak.completion(body.text, body.logprobs, &mut say)?;
        } else {
            speak.chat(body.delta.unwrap_or_default(), body.logprobs, &mut say)?;
        }
        if let (Some(reason), None) = (body.finish_reason, &choice.finish) {
            choice.finish = Some(finish(&reason));
        }
        Ok(())
    }

    /// Whether every choice has said why it ended.
    pub(crate) fn is_whole(&self) -> bool {
        self.choices.iter().all(|choice| choice.finish.is_some())
    }

    /// What is said when the stream has ended: why each choice did, and the tokens.
    pub(crate) fn end(&mut self) -> Result<Vec<Chunk>, Problem> {
        let mut said = Vec::new();
        for (index, choice) in (0_u32..).zip(&mut self.choices) {
            if !choice.calls.are_whole() {
                return Err(malformed(
                    "The upstream's answer ended with a tool call that names no tool.",
                ));
            }
            let Some(reason) = choice.finish.take() else {
                let message = format!(
                    "The upstream's answer broke off after {} events: choice {index} has no finish reason.",
                    self.events
                );
                return Err(Problem::unavailable(message).with_code("stream_cut"));
            };
            said.push(Chunk {
                choice: index,
                event: ChatEvent::Finish(reason),
            });
        }
        said.extend(self.usage.take().map(|usage| Chunk {
            choice: 0,
            event: ChatEvent::Usage(usage),
        }));
        Ok(said)
    }
}

fn finish(reason: &str) -> FinishReason {
    match reason {
        "stop" => FinishReason::Stop,
        "length" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        other => FinishReason::Other(error::cut(other, MAX_WORD_BYTES)),
    }
}

/// One choice of one event.
struct Speaking<'a> {
    choice: &'a mut Choice,
    /// For messages.
    what: &'a str,
    fallback: String,
}

impl Speaking<'_> {
    fn read<'j, T: Deserialize<'j>>(&self, json: &'j RawValue) -> Result<T, Problem> {
        serde_json::from_str(json.get()).map_err(|failure| bad_json(self.what, &failure))
    }

    /// A text that may be null or empty.
    fn text(&self, json: Option<&RawValue>) -> Result<Option<String>, Problem> {
        let text: Option<Option<String>> = json.map(|json| self.read(json)).transpose()?;
        Ok(text.flatten().filter(|text| !text.is_empty()))
    }

    fn chat(
        &mut self,
        mut delta: BTreeMap<Cow<'_, str>, &RawValue>,
        logprobs: Option<&RawValue>,
        say: &mut impl FnMut(ChatEvent),
    ) -> Result<(), Problem> {
        let logprobs: ChatLogprobs = match logprobs {
            Some(json) => self.read::<Option<_>>(json)?.unwrap_or_default(),
            None => ChatLogprobs::default(),
        };
        delta.remove("role");
        // Two names for one thing; where an upstream sends both, they say the same.
        let (newer, older) = (delta.remove("reasoning_content"), delta.remove("reasoning"));
        if let Some(text) = self
            .text(newer)?
            .map_or_else(|| self.text(older), |text| Ok(Some(text)))?
        {
            say(ChatEvent::Reasoning(text));
        }
        if let Some(text) = self.text(delta.remove("content"))? {
            say(ChatEvent::Text(text));
        }
        tell(logprobs.content, say);
        if let Some(text) = self.text(delta.remove("refusal"))? {
            say(ChatEvent::Refusal(text));
        }
        tell(logprobs.refusal, say);
        if let Some(json) = delta.remove("tool_calls") {
            self.tool_calls(json, say)?;
        }
        for (name, json) in delta {
            if json.get() == "null" || name.len() > MAX_WORD_BYTES {
                continue;
            }
            self.choice.others += 1;
            if self.choice.others > MAX_OTHERS {
                return Ok(());
            }
            say(ChatEvent::Other((name.into_owned(), json.get().to_owned())));
        }
        Ok(())
    }

    fn tool_calls(&mut self, json: &RawValue, say: &mut impl FnMut(ChatEvent)) -> Result<(), Problem> {
        #[derive(Deserialize)]
        struct Kind {
            r#type: Option<String>,
        }
        for piece in self.read::<Option<Vec<&RawValue>>>(json)?.unwrap_or_default() {
            let kind = self.read::<Kind>(piece)?.r#type;
            if kind.as_deref().is_none_or(|kind| kind.is_empty() || kind == "function") {
                let piece: CallPiece = self.read(piece)?;
                if let Some(delta) = self.choice.calls.piece(piece, &self.fallback)? {
                    say(ChatEvent::ToolCall(delta));
                }
            } else {
                say(ChatEvent::Other(("tool_call".to_owned(), piece.get().to_owned())));
            }
        }
        Ok(())
    }

    fn completion(
        &mut self,
        text: Option<String>,
        logprobs: Option<&RawValue>,
        say: &mut impl FnMut(ChatEvent),
    ) -> Result<(), Problem> {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            say(ChatEvent::Text(text));
        }
        let lists: Option<CompletionLogprobs> = logprobs.map(|json| self.read(json)).transpose()?.flatten();
        if let Some(lists) = lists {
            let uneven = || malformed(format!("{} has lists of probabilities of several lengths.", self.what));
            tell(Some(lists.tokens().ok_or_else(uneven)?), say);
        }
        Ok(())
    }
}

fn tell(tokens: Option<Vec<impl Into<TokenLogprob>>>, say: &mut impl FnMut(ChatEvent)) {
    let tokens: Vec<TokenLogprob> = tokens.into_iter().flatten().map(Into::into).collect();
    if !tokens.is_empty() {
        say(ChatEvent::Logprobs(tokens));
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
