//! A completion's answer on the OpenAI wire, whole and in chunks: the same object in both.

use encaje_core::Problem;
use encaje_core::chat::{ChatEvent, Chunk, TokenLogprob, Usage};
use encaje_core::transcript::Transcript;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::openai::chat_whole::finite;
use crate::openai::sse::{Encoder, event};
use crate::openai::stamp::{Stamp, UsageBody, add};

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    system_fingerprint: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageBody>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<Logprobs<'a>>,
    finish_reason: Option<&'a str>,
}

/// Four lists of one length; offsets count characters from the beginning of the answer's text.
#[derive(Serialize)]
struct Logprobs<'a> {
    tokens: Vec<&'a str>,
    token_logprobs: Vec<f64>,
    /// Null where no rivals were asked for.
    top_logprobs: Option<Vec<Rivals<'a>>>,
    text_offset: Vec<usize>,
}

/// A token's rivals by their text.
struct Rivals<'a>(&'a TokenLogprob);

impl Serialize for Rivals<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (at, rival) in self.0.top.iter().enumerate() {
            // Two tokens may have one text, where their bytes are no whole characters; the likelier one is told.
            if !self.0.top.iter().take(at).any(|before| before.token == rival.token) {
                map.serialize_entry(&rival.token, &finite(rival.logprob))?;
            }
        }
        map.end()
    }
}

fn logprobs<'a>(tokens: &'a [TokenLogprob], offset: &mut usize) -> Option<Logprobs<'a>> {
    if tokens.is_empty() {
        return None;
    }
    let rivals = tokens.iter().any(|token| !token.top.is_empty());
    Some(Logprobs {
        tokens: tokens.iter().map(|token| token.token.as_str()).collect(),
        token_logprobs: tokens.iter().map(|token| finite(token.logprob)).collect(),
        top_logprobs: rivals.then(|| tokens.iter().map(Rivals).collect()),
        text_offset: tokens
            .iter()
            .map(|token| {
                let start = *offset;
                *offset += token.token.chars().count();
                start
            })
            .collect(),
    })
}

/// The place of an answer among all of one request.
fn index(prompt: usize, choices: u32, choice: u32) -> u32 {
    u32::try_from(prompt)
        .unwrap_or(u32::MAX)
        .saturating_mul(choices)
        .saturating_add(choice)
}

/// The whole answer: one transcript a prompt. `echoes` has each prompt's text where answers begin with it.
///
/// # Errors
/// `Internal` when it cannot be written.
pub(crate) fn whole(
    stamp: &Stamp,
    transcripts: &[Transcript],
    choices: u32,
    echoes: &[String],
) -> Result<Vec<u8>, Problem> {
    let mut usage = None;
    let texts: Vec<(u32, String)> = transcripts
        .iter()
        .enumerate()
        .flat_map(|(prompt, transcript)| {
            let echo = echoes.get(prompt).map_or("", String::as_str);
            transcript
                .choices
                .iter()
                .map(move |(choice, said)| (index(prompt, choices, *choice), format!("{echo}{}", said.text)))
        })
        .collect();
    let told = transcripts.iter().flat_map(|transcript| transcript.choices.values());
    let choices: Vec<Choice<'_>> = texts
        .iter()
        .zip(told)
        .map(|((index, text), said)| Choice {
            text,
            index: *index,
            logprobs: logprobs(&said.logprobs, &mut 0),
            finish_reason: said.finish.as_ref().map(|reason| reason.as_str()),
        })
        .collect();
    for transcript in transcripts {
        if let Some(more) = &transcript.usage {
            add(&mut usage, more);
        }
    }
    let completion = Completion {
        id: &stamp.id,
        object: "text_completion",
        created: stamp.created,
        model: &stamp.model,
        choices: &choices,
        system_fingerprint: None,
        usage: Some(usage.as_ref().map(UsageBody::new)),
    };
    serde_json::to_vec(&completion).map_err(Problem::internal)
}

/// Writes completions in chunks.
pub(crate) struct CompletionStream {
    stamp: Stamp,
    include_usage: bool,
    choices: u32,
    /// Each prompt's text, where answers begin with it.
    echoes: Vec<String>,
    /// Of each answer: characters whose probabilities were told. An answer is here once it has begun.
    offsets: Vec<Option<usize>>,
    usage: Option<Usage>,
}

impl CompletionStream {
    pub(crate) fn new(stamp: Stamp, include_usage: bool, choices: u32, echoes: Vec<String>) -> Self {
        Self {
            stamp,
            include_usage,
            choices,
            echoes,
            offsets: Vec::new(),
            usage: None,
        }
    }

    fn write(&self, out: &mut Vec<u8>, choices: &[Choice<'_>], usage: Option<Option<UsageBody>>) {
        event(
            out,
            &Completion {
                id: &self.stamp.id,
                object: "text_completion",
                created: self.stamp.created,
                model: &self.stamp.model,
                choices,
                system_fingerprint: None,
                usage,
            },
        );
    }

    fn choice(&self, out: &mut Vec<u8>, choice: Choice<'_>) {
        self.write(out, &[choice], self.include_usage.then_some(None));
    }

    /// Sends the prompt's text before an answer's first chunk, where that is wanted; returns the answer's offset.
    fn begin(&mut self, out: &mut Vec<u8>, prompt: usize, index: u32) -> usize {
        let slot = usize::try_from(index).unwrap_or(usize::MAX);
        if slot >= self.offsets.len() && slot < usize::try_from(crate::limits::CHOICES).unwrap_or(0) {
            self.offsets.resize(slot + 1, None);
        }
        if let Some(Some(offset)) = self.offsets.get(slot) {
            return *offset;
        }
        if let Some(echo) = self.echoes.get(prompt) {
            self.choice(
                out,
                Choice {
                    text: echo,
                    index,
                    logprobs: None,
                    finish_reason: None,
                },
            );
        }
        self.remember(index, 0);
        0
    }

    fn remember(&mut self, index: u32, offset: usize) {
        if let Some(slot) = self.offsets.get_mut(usize::try_from(index).unwrap_or(usize::MAX)) {
            *slot = Some(offset);
        }
    }
}

impl Encoder for CompletionStream {
    fn chunks(&mut self, prompt: usize, chunks: &[Chunk], out: &mut Vec<u8>) -> Result<(), Problem> {
        let mut chunks = chunks.iter().peekable();
        while let Some(chunk) = chunks.next() {
            let index = index(prompt, self.choices, chunk.choice);
            let (text, finish_reason) = match &chunk.event {
                ChatEvent::Usage(usage) => {
                    add(&mut self.usage, usage);
                    continue;
                }
                ChatEvent::Text(text) => (text.as_str(), None),
                ChatEvent::Finish(reason) => ("", Some(reason.as_str())),
                ChatEvent::Logprobs(_) => ("", None),
                // A completion is text alone: this wire has no place for the others.
                _ => continue,
            };
            let mut offset = self.begin(out, prompt, index);
            let behind = match &chunk.event {
                ChatEvent::Logprobs(_) => Some(chunk),
                ChatEvent::Text(_) => {
                    chunks.next_if(|next| next.choice == chunk.choice && matches!(next.event, ChatEvent::Logprobs(_)))
                }
                _ => None,
            };
            let tokens = match behind.map(|chunk| &chunk.event) {
                Some(ChatEvent::Logprobs(tokens)) => tokens.as_slice(),
                _ => &[],
            };
            let logprobs = logprobs(tokens, &mut offset);
            self.choice(
                out,
                Choice {
                    text,
                    index,
                    logprobs,
                    finish_reason,
                },
            );
            self.remember(index, offset);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.include_usage {
            self.write(out, &[], Some(self.usage.as_ref().map(UsageBody::new)));
        }
    }
}
