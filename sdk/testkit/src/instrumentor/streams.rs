//! Random answers, and random cuts of them.

use encaje_core::chat::{ChatEvent, Chunk, FinishReason, ToolCallDelta, Usage};
use proptest::prelude::*;
use proptest::sample::select;

use crate::generate;

/// One thing that a choice says; texts are cut, the others are not.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Text(String),
    Reasoning(String),
    Refusal(String),
    Tool,
    Other,
}

/// Where the texts of an answer are cut and how many chunks go together: used over and over.
#[derive(Debug, Clone)]
pub(super) struct Cuts {
    characters: Vec<usize>,
    batches: Vec<usize>,
}

impl Cuts {
    /// Nothing is cut.
    pub(super) fn none() -> Self {
        Self {
            characters: vec![usize::MAX],
            batches: vec![usize::MAX],
        }
    }

    /// Everything is cut.
    pub(super) fn all() -> Self {
        Self {
            characters: vec![1],
            batches: vec![1],
        }
    }
}

pub(super) fn cuts() -> impl Strategy<Value = Cuts> {
    let sizes = |most: usize| proptest::collection::vec(1..most, 1..8);
    (sizes(9), sizes(5)).prop_map(|(characters, batches)| Cuts { characters, batches })
}

/// What one choice says. `words` are those that the instrument may react to.
pub(super) fn pieces(words: &[String]) -> BoxedStrategy<Vec<Piece>> {
    let mut own: Vec<String> = words.to_vec();
    own.push("plain words".to_owned());
    // What may be the beginning of a word is what a filter holds back, so half of the texts end in one.
    let half = |word: &String| word.chars().take(word.chars().count() / 2).collect::<String>();
    let ends: Vec<String> = own.iter().map(half).collect();
    let end = prop_oneof![generate::text(), select(ends)];
    let text = (generate::text(), select(own), end).prop_map(|(before, word, end)| format!("{before} {word} {end}"));
    let piece = (text, 0_u8..8).prop_map(|(text, of)| match of {
        0 => Piece::Reasoning(text),
        1 => Piece::Refusal(text),
        2 => Piece::Tool,
        3 => Piece::Other,
        _ => Piece::Text(text),
    });
    proptest::collection::vec(piece, 0..5).boxed()
}

fn cut(text: &str, cuts: &Cuts) -> Vec<String> {
    let mut sizes = cuts.characters.iter().copied().cycle();
    let mut rest: Vec<char> = text.chars().collect();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
        parts.push(rest.drain(..size).collect());
    }
    parts
}

fn events(pieces: &[Piece], cuts: &Cuts) -> Vec<ChatEvent> {
    let mut events = Vec::new();
    let (mut calls, mut others) = (0, 0);
    for piece in pieces {
        match piece {
            Piece::Text(text) => events.extend(cut(text, cuts).into_iter().map(ChatEvent::Text)),
            Piece::Reasoning(text) => events.extend(cut(text, cuts).into_iter().map(ChatEvent::Reasoning)),
            Piece::Refusal(text) => events.extend(cut(text, cuts).into_iter().map(ChatEvent::Refusal)),
            Piece::Tool => {
                events.push(ChatEvent::ToolCall(ToolCallDelta {
                    index: calls,
                    id: Some(format!("call_{calls}")),
                    name: Some("weather".to_owned()),
                    arguments: "{}".to_owned(),
                }));
                calls += 1;
            }
            Piece::Other => {
                events.push(ChatEvent::Other(format!("x-other-{others}"), "{}".to_owned()));
                others += 1;
            }
        }
    }
    let reason = if calls > 0 {
        FinishReason::ToolCalls
    } else {
        FinishReason::Stop
    };
    events.push(ChatEvent::Finish(reason));
    events
}

/// A whole answer, its choices turn by turn, in batches. Choice `n` says the `n`th list of pieces.
pub(super) fn stream(choices: &[Vec<Piece>], cuts: &Cuts) -> Vec<Vec<Chunk>> {
    let mut said: Vec<_> = choices.iter().map(|pieces| events(pieces, cuts).into_iter()).collect();
    let mut chunks = Vec::new();
    loop {
        let before = chunks.len();
        for (choice, events) in said.iter_mut().enumerate() {
            let choice = u32::try_from(choice).unwrap_or(u32::MAX);
            chunks.extend(events.next().map(|event| Chunk { choice, event }));
        }
        if chunks.len() == before {
            break;
        }
    }
    let usage = Usage {
        input_tokens: 5,
        output_tokens: 7,
        ..Usage::default()
    };
    chunks.push(Chunk {
        choice: 0,
        event: ChatEvent::Usage(usage),
    });
    let mut sizes = cuts.batches.iter().copied().cycle();
    let mut batches = Vec::new();
    while !chunks.is_empty() {
        let size = sizes.next().unwrap_or(1).clamp(1, chunks.len());
        batches.push(chunks.drain(..size).collect());
    }
    batches
}
