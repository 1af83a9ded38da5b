//! One answer on its way: its cache, its choices, its text.
//!
//! It turns a row of logits into chunks; who calls it when is the scheduler's affair.

use encaje_core::chat::{Alternative, ChatEvent, Chunk, FinishReason, TokenLogprob};

use crate::cache::Cache;
use crate::chat::{Assembly, Choice, Said, Sampler, Vocabulary};
use crate::error::ModelError;
use crate::model::Next;

/// One of the answers to a request.
pub(crate) struct Answer {
    choice: u32,
    cache: Cache,
    sampler: Sampler,
    assembly: Assembly,
    last: u32,
    said: usize,
    most: usize,
    done: bool,
}

impl Answer {
    /// An answer of at most `most` tokens to the prompt that `cache` holds.
    pub(crate) fn new(choice: u32, cache: Cache, sampler: Sampler, stops: &[String], most: usize) -> Self {
        Self {
            choice,
            cache,
            sampler,
            assembly: Assembly::new(stops),
            last: 0,
            said: 0,
            most,
            done: false,
        }
    }

    /// Whether it has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Tokens that were said, the one that ends a turn not among them.
    pub(crate) fn said(&self) -> usize {
        self.said
    }

    /// What the model must read next; nothing when it has ended.
    pub(crate) fn next(&mut self) -> Option<Next<'_>> {
        (!self.done).then_some(Next {
            cache: &mut self.cache,
            token: self.last,
        })
    }

    /// Chooses the next token and says what can be said of it.
    ///
    /// # Errors
    /// `Failed` where the logits are no numbers.
    pub(crate) fn say(&mut self, logits: &[f32], vocabulary: &Vocabulary) -> Result<Vec<Chunk>, ModelError> {
        let chosen = self.sampler.choose(logits)?;
        if vocabulary.ends(chosen.token) {
            return Ok(self.end(Said::default(), FinishReason::Stop));
        }
        self.last = chosen.token;
        self.said += 1;
        let said = self
            .assembly
            .push(vocabulary.bytes(chosen.token), logprob(&chosen, vocabulary));
        if said.stopped {
            Ok(self.end(said, FinishReason::Stop))
        } else if self.said >= self.most {
            Ok(self.end(said, FinishReason::Length))
        } else {
            Ok(self.chunks(said))
        }
    }

    fn end(&mut self, mut said: Said, reason: FinishReason) -> Vec<Chunk> {
        self.done = true;
        if !said.stopped {
            let rest = self.assembly.finish();
            said.text.push_str(&rest.text);
            said.logprobs.extend(rest.logprobs);
        }
        let mut chunks = self.chunks(said);
        chunks.push(Chunk {
            choice: self.choice,
            event: ChatEvent::Finish(reason),
        });
        chunks
    }

    fn chunks(&self, said: Said) -> Vec<Chunk> {
        let text = Some(said.text).filter(|text| !text.is_empty()).map(ChatEvent::Text);
        let logprobs = Some(said.logprobs)
            .filter(|list| !list.is_empty())
            .map(ChatEvent::Logprobs);
        text.into_iter()
            .chain(logprobs)
            .map(|event| Chunk {
                choice: self.choice,
                event,
            })
            .collect()
    }
}

fn logprob(chosen: &Choice, vocabulary: &Vocabulary) -> Option<TokenLogprob> {
    let spelled = |token: u32| {
        let bytes = vocabulary.bytes(token).to_vec();
        (String::from_utf8_lossy(&bytes).into_owned(), bytes)
    };
    let (token, bytes) = spelled(chosen.token);
    let top = chosen.rivals.iter().map(|(rival, logprob)| {
        let (token, bytes) = spelled(*rival);
        Alternative {
            token,
            bytes,
            logprob: *logprob,
        }
    });
    Some(TokenLogprob {
        token,
        bytes,
        logprob: chosen.logprob?,
        top: top.collect(),
    })
}
