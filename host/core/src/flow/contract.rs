//! What a stream of chunks must keep to, whoever makes it: so that no edge has to cope with one that does not.

use std::collections::BTreeSet;

use crate::chat::{ChatEvent, Chunk, TokenLogprob};
use crate::limits;
use crate::problem::{ANSWER_TOO_LARGE, Problem, ProblemKind};

/// A stream as far as it has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contract {
    choices: u32,
    finished: BTreeSet<u32>,
    counted: bool,
    bytes: usize,
}

impl Contract {
    /// Of an answer with so many choices.
    pub(crate) fn new(choices: u32) -> Self {
        Self {
            choices: choices.max(1),
            ..Self::default()
        }
    }

    /// What the answer counts for so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next chunks.
    ///
    /// # Errors
    /// `Internal` for a breach, with code `answer_too_large` for an answer without end.
    pub(crate) fn check(&mut self, chunks: &[Chunk]) -> Result<(), Problem> {
        chunks.iter().try_for_each(|chunk| self.check_one(chunk))
    }

    fn check_one(&mut self, chunk: &Chunk) -> Result<(), Problem> {
        match &chunk.event {
            ChatEvent::Usage(_) => {
                if std::mem::replace(&mut self.counted, true) {
                    return Err(Problem::internal("the plugin counted its tokens twice"));
                }
            }
            _ if chunk.choice >= self.choices => {
                return Err(Problem::internal(
                    "the plugin answered more choices than were asked for",
                ));
            }
            event => {
                let ended = if matches!(event, ChatEvent::Finish(_)) {
                    !self.finished.insert(chunk.choice)
                } else {
                    self.finished.contains(&chunk.choice)
                };
                if ended {
                    return Err(Problem::internal("the plugin went on with a choice that had ended"));
                }
            }
        }
        self.bytes += size(&chunk.event);
        if self.bytes > limits::MAX_ANSWER_BYTES {
            let most = limits::MAX_ANSWER_BYTES;
            let message = format!("The answer grew over {most} bytes and was cut off.");
            return Err(Problem::new(ProblemKind::Internal, message).with_code(ANSWER_TOO_LARGE));
        }
        Ok(())
    }

    /// The stream is over.
    ///
    /// # Errors
    /// `Internal` when a choice has not ended.
    pub(crate) fn check_ended(&self) -> Result<(), Problem> {
        if self.finished.len() == self.choices as usize {
            return Ok(());
        }
        Err(Problem::internal(
            "the plugin's stream ended without a finish reason for each choice",
        ))
    }
}

/// Bytes that an event adds to the transcript, at least; one that adds nothing counts for some too, or a stream of those
/// would never end.
fn size(event: &ChatEvent) -> usize {
    let said = match event {
        ChatEvent::Text(text) | ChatEvent::Reasoning(text) | ChatEvent::Refusal(text) => text.len(),
        ChatEvent::ToolCall(delta) => {
            let once = [&delta.id, &delta.name].into_iter().flatten().map(String::len);
            delta.arguments.len() + once.sum::<usize>()
        }
        ChatEvent::Other(name, json) => name.len() + json.len(),
        ChatEvent::Logprobs(tokens) => tokens.iter().map(size_of_token).sum(),
        ChatEvent::Usage(usage) => {
            let pairs = usage.extra.iter();
            pairs
                .map(|(name, json)| limits::EVENT_BYTES + name.len() + json.len())
                .sum()
        }
        ChatEvent::Finish(reason) => reason.as_str().len(),
    };
    limits::EVENT_BYTES + said
}

fn size_of_token(token: &TokenLogprob) -> usize {
    let rivals = token.top.iter().map(|rival| rival.token.len() + rival.bytes.len());
    let own = limits::TOKEN_BYTES + token.token.len() + token.bytes.len();
    own + token.top.len() * limits::TOKEN_BYTES + rivals.sum::<usize>()
}
