//! A redactor of one word, and its wrong sisters. It holds back what may be the beginning of the word.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encaje_core::call::Call;
use encaje_core::chat::{ChatEvent, ChatRequest, Chunk};
use encaje_core::ports::{Decision, Instrument, Instrumentor};
use encaje_core::telemetry::{Annotation, Score, Span};
use encaje_core::trace::{Asked, Exchange};
use encaje_core::{Problem, ProblemKind};

use super::{assert_caught, assert_passes, settings};
use crate::{Report, instrumentor};

const WORD: &str = "kestrel";

#[derive(Default)]
struct Redactor {
    wrong: &'static str,
    offers: Vec<String>,
    shared: Arc<Mutex<Held>>,
    heard: Arc<Mutex<String>>,
}

/// What is held back of each choice: its last event of text.
type Held = Vec<(u32, ChatEvent)>;

struct Attending {
    wrong: &'static str,
    held: Arc<Mutex<Held>>,
    heard: Arc<Mutex<String>>,
}

#[async_trait]
impl Instrumentor for Redactor {
    fn name(&self) -> &str {
        "redactor"
    }

    fn offers(&self) -> &[String] {
        &self.offers
    }

    async fn attend(&self, _: &Call) -> Result<Box<dyn Instrument>, Problem> {
        let shared = self.wrong == "leaky";
        Ok(Box::new(Attending {
            wrong: self.wrong,
            held: if shared {
                Arc::clone(&self.shared)
            } else {
                Arc::default()
            },
            heard: Arc::clone(&self.heard),
        }))
    }

    async fn export_spans(&self, _: &Call, _: &[Span]) -> Result<(), Problem> {
        match self.wrong {
            "spans" => Err(Problem::internal("a broken exporter")),
            _ => Ok(()),
        }
    }

    async fn ingest(&self, _: &Call, format: &str, _: &[u8]) -> Result<Vec<Span>, Problem> {
        if self.wrong == "ingests all" {
            return Ok(Vec::new());
        }
        Err(Problem::new(
            ProblemKind::Unsupported,
            format!("The format `{format}` is unknown."),
        ))
    }
}

fn text_of(event: &mut ChatEvent) -> Option<&mut String> {
    match event {
        ChatEvent::Text(text) | ChatEvent::Reasoning(text) | ChatEvent::Refusal(text) => Some(text),
        _ => None,
    }
}

impl Attending {
    /// What was held back of a choice, as it may be sent now that nothing joins it.
    fn flush(&mut self, choice: u32) -> Option<Chunk> {
        let mut held = self.held.lock().unwrap();
        let place = held.iter().position(|(own, _)| *own == choice)?;
        let (choice, event) = held.remove(place);
        Some(Chunk { choice, event })
    }

    /// The text of a choice grows: what is decided goes, what may be the beginning of the word stays.
    fn grow(&mut self, choice: u32, mut event: ChatEvent, out: &mut Vec<Chunk>) {
        let same_kind = |other: &ChatEvent| std::mem::discriminant(other) == std::mem::discriminant(&event);
        let kept = self
            .held
            .lock()
            .unwrap()
            .iter()
            .any(|(own, other)| *own == choice && same_kind(other));
        let mut before = self.flush(choice);
        if !kept || self.wrong == "forgets" {
            out.extend(before.take().filter(|_| self.wrong != "forgets"));
        }
        let text = text_of(&mut event).unwrap();
        if let Some(old) = before.as_mut().and_then(|chunk| text_of(&mut chunk.event)) {
            text.insert_str(0, old);
        }
        *text = text.replace(WORD, "[redacted]");
        let start = (1..WORD.len()).rev().find(|length| text.ends_with(&WORD[..*length]));
        let rest = text.split_off(text.len() - start.unwrap_or(0));
        let mut later = event.clone();
        *text_of(&mut later).unwrap() = rest;
        let sent = Chunk { choice, event };
        out.push(sent);
        if start.is_some() {
            self.held.lock().unwrap().push((choice, later));
        }
    }
}

#[async_trait]
impl Instrument for Attending {
    async fn before(&mut self, request: &ChatRequest) -> Result<Decision, Problem> {
        match self.wrong {
            "tells" => {
                let asked = format!("{:?}", request.input);
                let before = std::mem::replace(&mut *self.heard.lock().unwrap(), asked);
                Ok(Decision::Reject(Problem::new(
                    ProblemKind::ContentBlocked,
                    format!("The one before asked {before}."),
                )))
            }
            "answers" => Ok(Decision::Answer(Vec::new())),
            "rejects" => Ok(Decision::Reject(Problem::new(
                ProblemKind::ContentBlocked,
                "two\nlines",
            ))),
            _ if request.tools.is_empty() => Ok(Decision::Pass),
            _ => Ok(Decision::Replace(request.clone())),
        }
    }

    async fn open_filter(&mut self, _: &ChatRequest) -> Result<(), Problem> {
        Ok(())
    }

    async fn push(&mut self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem> {
        let mut out = Vec::new();
        for mut chunk in chunks {
            match (self.wrong, &mut chunk.event) {
                ("per chunk", event) => {
                    if let Some(text) = text_of(event) {
                        *text = text.replace(WORD, "[redacted]");
                    }
                    out.push(chunk);
                    continue;
                }
                ("carries over", ChatEvent::Text(text)) => {
                    let before = std::mem::replace(&mut *self.heard.lock().unwrap(), text.clone());
                    text.insert_str(0, &before);
                }
                ("uncounted", ChatEvent::Usage(_)) => continue,
                ("endless", ChatEvent::Finish(_)) => continue,
                _ => {}
            }
            if text_of(&mut chunk.event).is_some() {
                let choice = if self.wrong == "one choice" { 0 } else { chunk.choice };
                self.grow(choice, chunk.event, &mut out);
                continue;
            }
            let is_other = matches!(chunk.event, ChatEvent::Other(..));
            if self.wrong != "late texts" || !is_other {
                out.extend(self.flush(chunk.choice));
            }
            if self.wrong == "hasty" && is_other {
                out.insert(0, chunk);
            } else {
                out.push(chunk);
            }
        }
        Ok(out)
    }

    async fn finish(&mut self) -> Result<Vec<Chunk>, Problem> {
        let rest = std::mem::take(&mut *self.held.lock().unwrap());
        let chunk = |(choice, event)| Chunk { choice, event };
        Ok(rest.into_iter().map(chunk).collect())
    }

    async fn after(&mut self, exchange: &Exchange) -> Result<Annotation, Problem> {
        let last = match &exchange.asked {
            Asked::Chat(request) => format!("{:?}", request.input),
            Asked::Embed(_) => String::new(),
        };
        let before = std::mem::replace(&mut *self.heard.lock().unwrap(), last);
        let mut annotation = Annotation::default();
        annotation.tags.push("seen".to_owned());
        match self.wrong {
            "gossip" => annotation.tags.push(before),
            "infinite" => annotation.scores.push(Score {
                name: "share".to_owned(),
                value: Some(1.0 / exchange.transcript.choices.len() as f64),
                label: None,
                explanation: None,
                extra: Vec::new(),
            }),
            _ => {}
        }
        Ok(annotation)
    }
}

async fn judged(wrong: &'static str) -> Report {
    let mut offers = vec!["before", "filter", "after", "export-spans", "ingest"];
    if wrong == "unknown hook" {
        offers.push("afterwards");
    }
    let redactor = Redactor {
        wrong,
        offers: offers.into_iter().map(str::to_owned).collect(),
        ..Redactor::default()
    };
    instrumentor(&redactor, &settings()).await
}

#[tokio::test]
async fn a_right_instrumentor_passes() {
    assert_passes(&judged("").await);
}

#[tokio::test]
async fn each_wrong_instrumentor_is_caught_by_its_check() {
    let contract = "a filtered answer keeps to the contract of streams, its usage and its ends included";
    let decision = "every request gets a decision that is well-formed";
    for (wrong, check) in [
        ("unknown hook", "its hooks are names that the host knows"),
        ("answers", decision),
        ("rejects", decision),
        ("per chunk", "however an answer is cut, the same text comes out"),
        ("forgets", "however an answer is cut, the same text comes out"),
        ("uncounted", contract),
        ("endless", contract),
        ("one choice", "choices are filtered each by itself"),
        ("hasty", "what is no text keeps its place behind the text before it"),
        (
            "late texts",
            "what is no text keeps its place behind the text before it",
        ),
        ("leaky", "two answers at once do not leak into each other"),
        (
            "leaky",
            "after a dropped answer the next one is filtered as if it were the first",
        ),
        (
            "infinite",
            "calls that ended well, failed or were cancelled are annotated in good form",
        ),
        (
            "carries over",
            "an answer is filtered the same after others, and has nothing of them",
        ),
        ("tells", "a decision tells nothing of another call"),
        ("gossip", "an annotation tells nothing of another call"),
        ("spans", "spans are exported, or refused by class"),
        (
            "ingests all",
            "a payload of an unknown format is unsupported, a broken one is refused",
        ),
    ] {
        assert_caught(&judged(wrong).await, check);
    }
}
