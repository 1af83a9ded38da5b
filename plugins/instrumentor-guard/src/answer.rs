//! An answer as it streams: its texts through the scanner, everything else behind the text that it follows. Each choice is
//! alone. A run of text, of reasoning or of a refusal is one text; where another kind begins, or a tool call, it is over
//! and nothing of it is held back any longer, or reasoning would keep the answer waiting.
//!
//! Tool calls are not read. Probabilities of tokens would tell what was replaced: those that follow a text with a match go.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use encaje_sdk::chat::{ChatEvent, Chunk, FinishReason};
use encaje_sdk::errors::Problem;

use crate::config::{Action, Guard};
use crate::limits::{MAX_CHOICES, MAX_WAITING};
use crate::scan::{Piece, Scanner};
use crate::tally::Tally;

/// What kind of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Refusal,
}

impl Kind {
    fn event(self, text: String) -> ChatEvent {
        match self {
            Self::Text => ChatEvent::Text(text),
            Self::Reasoning => ChatEvent::Reasoning(text),
            Self::Refusal => ChatEvent::Refusal(text),
        }
    }
}

/// All choices of one answer.
#[derive(Debug)]
pub(crate) struct Answer {
    guard: Rc<Guard>,
    choices: BTreeMap<u32, Choice>,
    usage: Option<Chunk>,
    /// What was found since somebody asked.
    pub(crate) tally: Tally,
}

/// One choice.
#[derive(Debug, Default)]
struct Choice {
    kind: Option<Kind>,
    scanner: Scanner,
    /// Bytes of the run so far, and where the last event that is tied to text ended.
    pushed: usize,
    tied: usize,
    /// Events and the bytes of the run that they belong behind.
    waiting: VecDeque<(Range<usize>, ChatEvent)>,
    /// Where the run had matches.
    matches: Vec<Range<usize>>,
    /// It was ended by a match; nothing more of it is said.
    blocked: bool,
}

impl Answer {
    pub(crate) fn new(guard: Rc<Guard>) -> Self {
        Self {
            guard,
            choices: BTreeMap::new(),
            usage: None,
            tally: Tally::default(),
        }
    }

    /// The provider's next chunks; what is to be sent now.
    ///
    /// # Errors
    /// `too-large` for more choices or more waiting events than it keeps.
    pub(crate) fn push(&mut self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem> {
        let mut out = Vec::new();
        for chunk in chunks {
            if matches!(chunk.event, ChatEvent::Usage(_)) {
                // After the last text, so behind all that is held back.
                if self.choices.values().all(Choice::is_idle) {
                    out.push(chunk);
                } else {
                    self.usage = Some(chunk);
                }
                continue;
            }
            if self.choices.len() >= MAX_CHOICES && !self.choices.contains_key(&chunk.choice) {
                let message = format!("the guard follows at most {MAX_CHOICES} choices of one answer");
                return Err(Problem::too_large(message).with_param("n"));
            }
            let choice = self.choices.entry(chunk.choice).or_default();
            let mut events = Events {
                guard: &self.guard,
                tally: &mut self.tally,
                out: Vec::new(),
            };
            choice.hear(chunk.event, &mut events)?;
            out.extend(events.out.into_iter().map(|event| Chunk {
                choice: chunk.choice,
                event,
            }));
        }
        Ok(out)
    }

    /// The answer is over; what was held back.
    pub(crate) fn finish(&mut self) -> Vec<Chunk> {
        let mut out = Vec::new();
        for (place, choice) in &mut self.choices {
            let mut events = Events {
                guard: &self.guard,
                tally: &mut self.tally,
                out: Vec::new(),
            };
            choice.end_run(&mut events);
            out.extend(events.out.into_iter().map(|event| Chunk { choice: *place, event }));
        }
        out.extend(self.usage.take());
        out
    }
}

/// What one step of a choice says.
struct Events<'a> {
    guard: &'a Guard,
    tally: &'a mut Tally,
    out: Vec<ChatEvent>,
}

impl Events<'_> {
    fn text(&mut self, kind: Kind, text: &str) {
        let said = match (self.out.last_mut(), kind) {
            (Some(ChatEvent::Text(said)), Kind::Text) => Some(said),
            (Some(ChatEvent::Reasoning(said)), Kind::Reasoning) => Some(said),
            (Some(ChatEvent::Refusal(said)), Kind::Refusal) => Some(said),
            _ => None,
        };
        match said {
            Some(said) => said.push_str(text),
            None if text.is_empty() => {}
            None => self.out.push(kind.event(text.to_owned())),
        }
    }
}

impl Choice {
    fn is_idle(&self) -> bool {
        self.kind.is_none() && self.waiting.is_empty()
    }

    fn hear(&mut self, event: ChatEvent, events: &mut Events<'_>) -> Result<(), Problem> {
        if self.blocked {
            return Ok(());
        }
        match event {
            ChatEvent::Text(text) => self.read(Kind::Text, &text, events),
            ChatEvent::Reasoning(text) => self.read(Kind::Reasoning, &text, events),
            ChatEvent::Refusal(text) => self.read(Kind::Refusal, &text, events),
            event @ ChatEvent::Logprobs(_) => {
                let tied = std::mem::replace(&mut self.tied, self.pushed);
                self.wait(tied..self.pushed, event)?;
                self.release(self.decided(), events);
            }
            event @ ChatEvent::Other(_) => {
                self.wait(self.pushed..self.pushed, event)?;
                self.release(self.decided(), events);
            }
            event => {
                self.end_run(events);
                if !self.blocked {
                    events.out.push(event);
                }
            }
        }
        Ok(())
    }

    fn wait(&mut self, range: Range<usize>, event: ChatEvent) -> Result<(), Problem> {
        if self.waiting.len() >= MAX_WAITING {
            let message = format!("more than {MAX_WAITING} events of one answer wait for the guard");
            return Err(Problem::too_large(message));
        }
        self.waiting.push_back((range, event));
        Ok(())
    }

    fn read(&mut self, kind: Kind, text: &str, events: &mut Events<'_>) {
        if text.is_empty() {
            return;
        }
        if self.kind != Some(kind) {
            self.end_run(events);
            if self.blocked {
                return;
            }
            self.kind = Some(kind);
        }
        self.pushed += text.len();
        let pieces = self.scanner.push(&events.guard.rules, text);
        self.say(kind, pieces, events);
    }

    /// Everything of this run is decided.
    fn end_run(&mut self, events: &mut Events<'_>) {
        if let Some(kind) = self.kind.take() {
            let pieces = self.scanner.finish(&events.guard.rules);
            self.say(kind, pieces, events);
        }
        self.release(self.pushed, events);
        self.matches.clear();
        (self.pushed, self.tied) = (0, 0);
    }

    fn decided(&self) -> usize {
        if self.kind.is_none() {
            self.pushed
        } else {
            self.scanner.decided()
        }
    }

    fn say(&mut self, kind: Kind, pieces: Vec<Piece>, events: &mut Events<'_>) {
        for piece in pieces {
            if self.blocked {
                return;
            }
            self.release(piece.range.start, events);
            match piece.rule {
                None => self.pass(kind, &piece, events),
                Some(rule) => self.catch(kind, &piece, rule, events),
            }
            if !self.blocked {
                self.release(piece.range.end, events);
            }
        }
    }

    /// A piece that may be said, with the events that belong into it.
    fn pass(&mut self, kind: Kind, piece: &Piece, events: &mut Events<'_>) {
        let mut from = piece.range.start;
        while from < piece.range.end {
            let mark = self.waiting.front().map_or(piece.range.end, |(range, _)| range.end);
            let until = mark.clamp(from, piece.range.end);
            let own = from - piece.range.start..until - piece.range.start;
            events.text(kind, piece.text.get(own).unwrap_or_default());
            self.release(until, events);
            from = until;
        }
    }

    /// A piece that matches.
    fn catch(&mut self, kind: Kind, piece: &Piece, rule: usize, events: &mut Events<'_>) {
        events.tally.output += 1;
        events.tally.rules.insert(rule);
        match events.guard.action {
            Action::Flag => self.pass(kind, piece, events),
            Action::Redact => {
                let guard = events.guard;
                events.text(kind, &guard.replacement);
                self.matches.push(piece.range.clone());
            }
            Action::Block => {
                events.out.push(ChatEvent::Finish(FinishReason::ContentFilter));
                *self = Self {
                    blocked: true,
                    ..Self::default()
                };
            }
        }
    }

    /// Says the events that belong behind text up to here.
    fn release(&mut self, decided: usize, events: &mut Events<'_>) {
        while let Some((range, event)) = self.waiting.pop_front_if(|(range, _)| range.end <= decided) {
            let tells = matches!(event, ChatEvent::Logprobs(_))
                && self
                    .matches
                    .iter()
                    .any(|found| found.start < range.end && range.start < found.end);
            if !tells {
                events.out.push(event);
            }
        }
        let needed = self.waiting.front().map_or(self.tied, |(range, _)| range.start);
        self.matches.retain(|found| found.end > needed);
    }
}

#[cfg(test)]
mod tests;
