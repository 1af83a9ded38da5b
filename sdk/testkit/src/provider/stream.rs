//! An answer, read to its end, and what a stream of chunks must keep to. Instruments' answers are held to the same.

use std::collections::BTreeMap;

use encaje_core::call::Call;
use encaje_core::chat::{ChatEvent, ChatRequest, Chunk, FinishReason, Usage};
use encaje_core::ports::Completion;
use encaje_core::problem::{Problem, ProblemKind};
use encaje_core::transcript::{ChoiceTranscript, Transcript};

use super::Subject;
use crate::limits;
use crate::run::{Fault, Verdict, ensure, fail, shown, typed};

/// An answer that kept to the contract.
pub(crate) struct Answer {
    /// What it said, joined.
    pub(crate) said: Transcript,
    /// Its chunks.
    pub(crate) chunks: Vec<Chunk>,
}

impl Answer {
    /// The first choice.
    pub(crate) fn first(&self) -> ChoiceTranscript {
        self.said.choices.get(&0).cloned().unwrap_or_default()
    }

    pub(crate) fn usage(&self) -> Option<&Usage> {
        self.said.usage.as_ref()
    }
}

/// How an answer ended that was allowed to be refused.
pub(super) enum Asked {
    /// With an answer.
    Answered(Answer),
    /// With a problem.
    Refused(Problem),
}

impl Asked {
    /// A refusal must be `unsupported` and name one of these parameters, which leaves the check out.
    pub(super) fn or_named(self, params: &[&str]) -> Verdict<Answer> {
        match self {
            Self::Answered(answer) => Ok(answer),
            Self::Refused(problem) => {
                named(&problem, params)?;
                Err(Fault::Skipped(format!("it refused: {}", problem.message)))
            }
        }
    }
}

/// A problem is `unsupported` and names one of these parameters, or a place inside one: a caller finds by it what to leave
/// out, so another name is as bad as none.
pub(super) fn named(problem: &Problem, params: &[&str]) -> Verdict {
    typed(problem, &[ProblemKind::Unsupported])?;
    let inside = |param: &&str| {
        let rest = problem.param.as_deref().and_then(|own| own.strip_prefix(*param));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    ensure(params.iter().any(inside), || {
        format!("`param` was expected to name {params:?}, {} came", shown(problem))
    })
}

impl Subject<'_> {
    /// Asks and reads to the end; the stream must keep to the contract.
    pub(super) async fn ask(&self, request: ChatRequest) -> Verdict<Asked> {
        self.ask_for(&self.settings.call(), request).await
    }

    /// The same for any caller.
    pub(super) async fn ask_for(&self, call: &Call, request: ChatRequest) -> Verdict<Asked> {
        let choices = request.sampling.choices;
        let completion = match self.port.complete(call, request).await {
            Ok(completion) => completion,
            Err(problem) => return Ok(Asked::Refused(problem)),
        };
        match read(completion).await? {
            Ok(chunks) => judge(chunks, choices).map(Asked::Answered),
            Err(problem) => Ok(Asked::Refused(problem)),
        }
    }

    /// Asks a question that must be answered.
    pub(super) async fn answer(&self, request: ChatRequest) -> Verdict<Answer> {
        match self.ask(request).await? {
            Asked::Answered(answer) => Ok(answer),
            Asked::Refused(problem) => Err(problem.into()),
        }
    }
}

/// All chunks of an answer, or the problem that ended it.
async fn read(mut completion: Box<dyn Completion>) -> Verdict<Result<Vec<Chunk>, Problem>> {
    let (mut chunks, mut empty) = (Vec::new(), 0);
    loop {
        let batch = match completion.next().await {
            Ok(None) => return Ok(Ok(chunks)),
            Ok(Some(batch)) => batch,
            Err(problem) => return Ok(Err(problem)),
        };
        ensure(batch.len() <= limits::BATCH, || {
            format!(
                "at most {} chunks at once were expected, {} came",
                limits::BATCH,
                batch.len()
            )
        })?;
        empty = if batch.is_empty() { empty + 1 } else { 0 };
        ensure(empty <= limits::EMPTY_BATCHES, || {
            format!("something to say was expected, {empty} empty batches in a row came")
        })?;
        chunks.extend(batch);
        ensure(chunks.len() <= limits::ANSWER_CHUNKS, || {
            format!("an end was expected, more than {} chunks came", limits::ANSWER_CHUNKS)
        })?;
    }
}

/// Holds a whole stream to the contract.
pub(crate) fn judge(chunks: Vec<Chunk>, choices: u32) -> Verdict<Answer> {
    let mut finished: BTreeMap<u32, &FinishReason> = BTreeMap::new();
    let mut counted = false;
    for chunk in &chunks {
        if let ChatEvent::Usage(usage) = &chunk.event {
            ensure(!counted, || "usage was expected once, it came twice".to_owned())?;
            counted = true;
            adds_up(usage)?;
            continue;
        }
        ensure(chunk.choice < choices, || {
            format!("choices below {choices} were expected, {} came", shown(chunk))
        })?;
        ensure(!finished.contains_key(&chunk.choice), || {
            format!("nothing was expected after the end of a choice, {} came", shown(chunk))
        })?;
        let is_text = matches!(
            chunk.event,
            ChatEvent::Text(_) | ChatEvent::Reasoning(_) | ChatEvent::Refusal(_)
        );
        ensure(!(counted && is_text), || {
            format!("no text was expected after the usage, {} came", shown(chunk))
        })?;
        if let ChatEvent::Finish(reason) = &chunk.event {
            finished.insert(chunk.choice, reason);
        }
    }
    if finished.len() != choices as usize {
        let ended: Vec<&u32> = finished.keys().collect();
        return fail(format!(
            "an end of each of {choices} choices was expected, {ended:?} ended"
        ));
    }
    calls_fit(&chunks, &finished)?;
    let said = Transcript::of(&chunks);
    Ok(Answer { said, chunks })
}

fn adds_up(usage: &Usage) -> Verdict {
    let parts = usage.cached_input_tokens <= usage.input_tokens && usage.reasoning_tokens <= usage.output_tokens;
    ensure(parts, || {
        format!(
            "parts that are no more than the whole were expected, {} came",
            shown(usage)
        )
    })
}

/// Pieces of tool calls: indexes without gaps, id and name once and first, arguments that are JSON where it waits for them.
fn calls_fit(chunks: &[Chunk], finished: &BTreeMap<u32, &FinishReason>) -> Verdict {
    let mut calls: BTreeMap<(u32, u32), String> = BTreeMap::new();
    for chunk in chunks {
        let ChatEvent::ToolCall(delta) = &chunk.event else {
            continue;
        };
        let known = calls.keys().filter(|(choice, _)| *choice == chunk.choice).count();
        let new = !calls.contains_key(&(chunk.choice, delta.index));
        ensure(!new || delta.index as usize == known, || {
            format!("the tool call {known} was expected next, {} came", shown(delta))
        })?;
        let named = delta.id.as_ref().is_some_and(|id| !id.is_empty())
            && delta.name.as_ref().is_some_and(|name| !name.is_empty());
        let silent = delta.id.is_none() && delta.name.is_none();
        ensure(if new { named } else { silent }, || {
            format!(
                "an id and a name in the first piece of a call alone were expected, {} came",
                shown(delta)
            )
        })?;
        calls
            .entry((chunk.choice, delta.index))
            .or_default()
            .push_str(&delta.arguments);
    }
    for ((choice, _), arguments) in &calls {
        let waits = finished.get(choice) == Some(&&FinishReason::ToolCalls);
        let is_json = serde_json::from_str::<serde_json::Value>(arguments).is_ok_and(|json| json.is_object());
        ensure(!waits || is_json, || {
            format!("a JSON object of arguments was expected, {} came", shown(arguments))
        })?;
    }
    Ok(())
}
