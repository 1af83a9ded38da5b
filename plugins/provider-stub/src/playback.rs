//! An answer cut into chunks and handed out in batches, with the failures and the endlessness that the script asks for. It
//! does not wait; the exported resource does.

use std::vec::IntoIter;

use encaje_sdk::chat::{Alternative, ChatEvent, ChatRequest, Chunk, FinishReason, TokenLogprob, ToolCallDelta, Usage};
use encaje_sdk::errors::Problem;

use crate::answer::Answer;
use crate::hash::{Sequence, seed};
use crate::script::Script;
use crate::words;

/// Pieces of a text where the script does not say: enough to be seen as a stream, few enough to be cheap.
const DEFAULT_DELTAS: u32 = 4;
/// Chunks a `next` of an endless answer where the script does not say.
const ENDLESS_BATCH: u32 = 16;

/// Chunks of one step; the host takes no more.
const LARGEST_BATCH: u32 = 4_096;
/// What an endless answer says.
const ENDLESS_TEXT: &str = " and on";

/// What is still to be said.
#[derive(Debug)]
pub(crate) struct Playback {
    chunks: IntoIter<Chunk>,
    endless: bool,
    batch: usize,
    /// The failure to come, and how many chunks are said before it.
    failure: Option<(u64, Problem)>,
}

impl Playback {
    /// Decides the whole answer.
    pub(crate) fn start(request: &ChatRequest, script: &Script) -> Result<Self, Problem> {
        let failure = script
            .failure()
            .map(|problem| (script.fail_after.unwrap_or(0), problem));
        if let Some((0, problem)) = failure {
            return Err(problem);
        }
        let endless = script.endless.unwrap_or(false);
        let everything = if endless { ENDLESS_BATCH } else { LARGEST_BATCH };
        let batch = script
            .batch
            .unwrap_or(if script.delay().is_some() { 1 } else { everything })
            .min(LARGEST_BATCH);
        let chunks = if endless { Vec::new() } else { chunks(request, script)? };
        let batch = usize::try_from(batch).unwrap_or(usize::MAX);
        Ok(Self {
            chunks: chunks.into_iter(),
            endless,
            batch,
            failure,
        })
    }

    /// Whether the next step says something, so that it is worth waiting for.
    pub(crate) fn is_over(&self) -> bool {
        !self.endless && self.chunks.len() == 0 && self.failure.is_none()
    }

    /// The next batch.
    pub(crate) fn step(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        let before_failure = self.failure.as_ref().map_or(u64::MAX, |(left, _)| *left);
        let take = self.batch.min(usize::try_from(before_failure).unwrap_or(usize::MAX));
        let batch: Vec<Chunk> = if self.endless {
            let again = || Chunk {
                choice: 0,
                event: ChatEvent::Text(ENDLESS_TEXT.to_owned()),
            };
            std::iter::repeat_with(again).take(take).collect()
        } else {
            self.chunks.by_ref().take(take).collect()
        };
        if let Some((left, _)) = &mut self.failure {
            *left -= batch.len() as u64;
        }
        if !batch.is_empty() {
            return Ok(Some(batch));
        }
        // Nothing left to say: also a failure that was to come later than the answer is long comes now.
        match self.failure.take() {
            Some((_, problem)) => Err(problem),
            None => Ok(None),
        }
    }
}

/// All chunks of a finite answer: the choices in turn, then the usage.
fn chunks(request: &ChatRequest, script: &Script) -> Result<Vec<Chunk>, Problem> {
    let choices = request.sampling.choices;
    let mut output_tokens = 0;
    let mut reasoning_tokens = 0;
    let mut lanes = Vec::new();
    for choice in 0..choices {
        let answer = Answer::to(request, script, choice)?;
        output_tokens += answer.tokens();
        reasoning_tokens += words::count(&answer.reasoning);
        lanes.push((choice, groups(request, script, choice, answer).into_iter()));
    }
    let mut chunks = Vec::new();
    while !lanes.is_empty() {
        lanes.retain_mut(|(choice, groups)| {
            let Some(group) = groups.next() else { return false };
            chunks.extend(group.into_iter().map(|event| Chunk { choice: *choice, event }));
            true
        });
    }
    let usage = Usage {
        input_tokens: words::count_input(request),
        cached_input_tokens: 0,
        cache_write_tokens: 0,
        output_tokens,
        reasoning_tokens,
        extra: Vec::new(),
    };
    chunks.push(Chunk {
        choice: 0,
        event: ChatEvent::Usage(usage),
    });
    Ok(chunks)
}

/// The events of one choice; those of a group stay together when choices alternate.
fn groups(request: &ChatRequest, script: &Script, choice: u32, answer: Answer) -> Vec<Vec<ChatEvent>> {
    let deltas = script.deltas.unwrap_or(DEFAULT_DELTAS);
    let mut groups = Vec::new();
    for (delta, _) in cut(&answer.reasoning, deltas) {
        groups.push(vec![ChatEvent::Reasoning(delta.to_owned())]);
    }
    let mut position = 0;
    for (delta, pieces) in cut(&answer.text, deltas) {
        let mut group = vec![ChatEvent::Text(delta.to_owned())];
        if let Some(alternatives) = request.sampling.logprobs {
            let tokens = pieces
                .iter()
                .enumerate()
                .map(|(at, piece)| token_logprob(piece, position + at, alternatives));
            group.push(ChatEvent::Logprobs(tokens.collect()));
            position += pieces.len();
        }
        groups.push(group);
    }
    for (index, call) in (0_u32..).zip(answer.calls) {
        let start = ToolCallDelta {
            index,
            id: Some(format!("call_stub_{choice}_{index}")),
            name: Some(call.name),
            arguments: String::new(),
        };
        groups.push(vec![ChatEvent::ToolCall(start)]);
        for (delta, _) in cut(&call.arguments, deltas) {
            let more = ToolCallDelta {
                index,
                id: None,
                name: None,
                arguments: delta.to_owned(),
            };
            groups.push(vec![ChatEvent::ToolCall(more)]);
        }
    }
    let finish: FinishReason = answer.finish;
    groups.push(vec![ChatEvent::Finish(finish)]);
    groups
}

/// Cuts a text into at most `deltas` parts of whole tokens, as even as they come.
fn cut(text: &str, deltas: u32) -> Vec<(&str, Vec<&str>)> {
    let pieces = words::pieces(text);
    let parts = pieces.len().min(deltas as usize);
    let mut rest = text;
    let mut cut = Vec::with_capacity(parts);
    for part in 0..parts {
        let range = part * pieces.len() / parts..(part + 1) * pieces.len() / parts;
        let own = pieces.get(range).unwrap_or_default().to_vec();
        let (delta, after) = rest.split_at(own.iter().map(|piece| piece.len()).sum());
        rest = after;
        cut.push((delta, own));
    }
    cut
}

/// A made-up but plausible probability: the same token in the same place always has the same one.
fn token_logprob(piece: &str, position: usize, alternatives: u8) -> TokenLogprob {
    let mut sequence = Sequence(seed(piece.as_bytes()) ^ position as u64);
    let logprob = -f64::from(sequence.signed_unit().abs());
    let rivals = (1..alternatives).map(|rank| {
        let token = format!("{piece}~{rank}");
        let bytes = token.clone().into_bytes();
        Alternative {
            token,
            bytes,
            logprob: logprob - f64::from(rank),
        }
    });
    let chosen = Alternative {
        token: piece.to_owned(),
        bytes: piece.as_bytes().to_vec(),
        logprob,
    };
    let top = if alternatives == 0 {
        Vec::new()
    } else {
        std::iter::once(chosen).chain(rivals).collect()
    };
    TokenLogprob {
        token: piece.to_owned(),
        bytes: piece.as_bytes().to_vec(),
        logprob,
        top,
    }
}

#[cfg(test)]
mod tests {
    use super::{ChatEvent, Chunk, FinishReason, Playback, Problem};
    use crate::testing::request;
    use encaje_sdk::chat::ChatRequest;

    fn play(request: &ChatRequest, script: &str) -> (Vec<Vec<Chunk>>, Option<Problem>) {
        let mut playback = Playback::start(request, &serde_json::from_str(script).unwrap()).unwrap();
        let mut batches = Vec::new();
        loop {
            match playback.step() {
                Ok(Some(batch)) => batches.push(batch),
                Ok(None) => return (batches, None),
                Err(problem) => return (batches, Some(problem)),
            }
        }
    }

    fn text(chunks: &[Chunk], of: u32) -> String {
        let own = chunks.iter().filter(|chunk| chunk.choice == of);
        own.filter_map(|chunk| {
            if let ChatEvent::Text(text) = &chunk.event {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect()
    }

    #[test]
    fn one_batch_says_it_all_unless_told_otherwise() {
        let (batches, problem) = play(&request("a b c d e"), "{}");
        assert!(problem.is_none());
        assert_eq!(batches.len(), 1);
        assert_eq!(text(&batches[0], 0), "echo: a b c d e");
        // Four deltas, the finish, the usage.
        assert_eq!(batches[0].len(), 6);
        assert!(matches!(batches[0][4].event, ChatEvent::Finish(FinishReason::Stop)));
        let ChatEvent::Usage(usage) = &batches[0][5].event else {
            panic!("{:?}", batches[0][5])
        };
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens),
            (5, 6, 0)
        );
        let (batches, _) = play(&request("a b c d e"), r#"{"deltas":100,"batch":3}"#);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
        assert_eq!(text(&batches.concat(), 0), "echo: a b c d e");
        assert_eq!(play(&request("a b c d e"), r#"{"delay_ms":1}"#).0.len(), 6);
    }

    #[test]
    fn choices_alternate_and_each_finishes_once() {
        let mut request = request("a b c");
        request.sampling.choices = 3;
        let chunks = play(&request, r#"{"reasoning":"hm so","deltas":2}"#).0.concat();
        assert_eq!(
            chunks.iter().map(|chunk| chunk.choice).take(4).collect::<Vec<_>>(),
            [0, 1, 2, 0]
        );
        assert_eq!(
            (text(&chunks, 0).as_str(), text(&chunks, 2).as_str()),
            ("echo: a b c", "echo: a b c (3)")
        );
        let finishes = chunks
            .iter()
            .filter(|chunk| matches!(chunk.event, ChatEvent::Finish(_)));
        assert_eq!(finishes.map(|chunk| chunk.choice).collect::<Vec<_>>(), [0, 1, 2]);
        let Some(Chunk {
            event: ChatEvent::Usage(usage),
            ..
        }) = chunks.last()
        else {
            panic!("no usage")
        };
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (4 + 5 + 5 + 6, 6));
    }

    #[test]
    fn logprobs_follow_their_text_token_by_token() {
        let mut request = request("a b c");
        request.sampling.logprobs = Some(2);
        let chunks = play(&request, r#"{"deltas":2}"#).0.concat();
        let mut said = String::new();
        for pair in chunks.windows(2) {
            let (ChatEvent::Text(text), ChatEvent::Logprobs(tokens)) = (&pair[0].event, &pair[1].event) else {
                continue;
            };
            assert_eq!(
                tokens.iter().map(|token| token.token.as_str()).collect::<String>(),
                *text
            );
            for token in tokens {
                assert!(token.logprob <= 0.0);
                assert_eq!(token.top.len(), 2);
                assert_eq!(
                    (&token.top[0].token, token.top[0].logprob),
                    (&token.token, token.logprob)
                );
                assert!(token.top[1].logprob < token.logprob);
            }
            said.push_str(text);
        }
        assert_eq!(said, "echo: a b c");
    }

    #[test]
    fn tool_calls_name_themselves_once_and_their_arguments_join() {
        let script = r#"{"tool_calls":[{"name":"f","arguments":{"a":"x y z"}},{"name":"g"}],"deltas":2}"#;
        let chunks = play(&request("hi"), script).0.concat();
        let mut calls: Vec<(String, String, String)> = Vec::new();
        for chunk in &chunks {
            let ChatEvent::ToolCall(delta) = &chunk.event else {
                continue;
            };
            if let (Some(id), Some(name)) = (&delta.id, &delta.name) {
                assert_eq!(delta.index as usize, calls.len());
                calls.push((id.clone(), name.clone(), String::new()));
            }
            calls[delta.index as usize].2.push_str(&delta.arguments);
        }
        let expected = [("call_stub_0_0", "f", r#"{"a":"x y z"}"#), ("call_stub_0_1", "g", "{}")];
        assert_eq!(
            calls,
            expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
        );
    }

    #[test]
    fn failures_come_when_they_were_ordered() {
        let fails = |script: &str| Playback::start(&request("a b"), &serde_json::from_str(script).unwrap()).is_err();
        assert!(fails(r#"{"fail":"overloaded"}"#));
        assert!(!fails(r#"{"fail":"overloaded","fail_after":1}"#));
        let (batches, problem) = play(&request("a b"), r#"{"fail":"timeout","fail_after":2}"#);
        assert_eq!(batches.concat().len(), 2);
        assert!(problem.is_some());
        let (batches, problem) = play(&request("a b"), r#"{"fail":"timeout","fail_after":99}"#);
        assert_eq!(batches.concat().len(), 5);
        assert!(problem.is_some());
    }

    #[test]
    fn an_endless_answer_does_not_end() {
        let script = serde_json::from_str(r#"{"endless":true,"batch":2}"#).unwrap();
        let mut playback = Playback::start(&request("a"), &script).unwrap();
        for _ in 0..1_000 {
            assert_eq!(playback.step().unwrap().unwrap().len(), 2);
        }
        assert!(!playback.is_over());
        let (batches, problem) = play(&request("a"), r#"{"endless":true,"fail":"timeout","fail_after":40}"#);
        assert_eq!((batches.concat().len(), problem.is_some()), (40, true));
    }
}
