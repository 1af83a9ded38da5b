//! Instruments in the path of a chat: what they decide, what they let through, what they add, and how they fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encaje_core::chat::{ChatEvent, ChatRequest, Chunk, Input, PartBody};
use encaje_core::generation::Instrumented;
use encaje_core::ledger::WhenDown;
use encaje_core::ports::{Decision, Instrument, Instrumentor};
use encaje_core::server::Said;
use encaje_core::supervise::{BreakerSettings, BreakerState, RetrySettings, Supervisor};
use encaje_core::telemetry::{Annotation, Score, Span};
use encaje_core::trace::{Exchange, Outcome};
use encaje_core::value::Value;
use encaje_core::{Call, Problem, ProblemKind};

use crate::fakes::{Scripted, Step, World, finish, heard, question, started, text, until};

/// What a guard does; each of its hooks looks for its own field.
#[derive(Clone, Default)]
struct Guard {
    decision: Option<Decision>,
    /// Shouts, and holds each batch back until the next one comes.
    shouts: bool,
    annotation: Annotation,
    fails: Option<&'static str>,
    /// So many times, where it is not for ever.
    fails_left: Option<Arc<AtomicUsize>>,
    /// Does not come back once the call has ended.
    hangs_after: bool,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Guarding {
    guard: Guard,
    held: Vec<Chunk>,
}

impl Guard {
    fn note(&self, hook: &'static str) -> Result<(), Problem> {
        self.seen.lock().unwrap().push(hook.to_owned());
        match self.fails {
            Some(failing) if failing == hook && self.is_to_fail() => Err(Problem::new(ProblemKind::Internal, "broken")),
            _ => Ok(()),
        }
    }

    fn is_to_fail(&self) -> bool {
        let down = |left: &Arc<AtomicUsize>| {
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok()
        };
        self.fails_left.as_ref().is_none_or(down)
    }

    fn world(self, required: bool, providers: Vec<Scripted>) -> World {
        self.supervised(Supervisor::permissive(), required, providers)
    }

    fn supervised(self, supervisor: Arc<Supervisor>, required: bool, providers: Vec<Scripted>) -> World {
        let instruments = vec![Instrumented {
            port: Arc::new(self),
            supervisor,
            required,
        }];
        World::whole(providers, instruments, WhenDown::Spool, 1_000)
    }
}

#[async_trait]
impl Instrumentor for Guard {
    fn name(&self) -> &str {
        "guard"
    }

    fn offers(&self) -> &[String] {
        static ALL: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
        ALL.get_or_init(|| ["before", "filter", "after"].map(str::to_owned).to_vec())
    }

    async fn attend(&self, _: &Call) -> Result<Box<dyn Instrument>, Problem> {
        self.note("attend")?;
        Ok(Box::new(Guarding {
            guard: self.clone(),
            held: Vec::new(),
        }))
    }

    async fn export_spans(&self, _: &Call, _: &[Span]) -> Result<(), Problem> {
        Ok(())
    }

    async fn ingest(&self, _: &Call, _: &str, _: &[u8]) -> Result<Vec<Span>, Problem> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Instrument for Guarding {
    async fn before(&mut self, _: &ChatRequest) -> Result<Decision, Problem> {
        self.guard.note("before")?;
        Ok(self.guard.decision.clone().unwrap_or(Decision::Pass))
    }

    async fn open_filter(&mut self, _: &ChatRequest) -> Result<(), Problem> {
        self.guard.note("open-filter")
    }

    async fn push(&mut self, mut chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem> {
        self.guard.note("push")?;
        if !self.guard.shouts {
            return Ok(chunks);
        }
        for chunk in &mut chunks {
            if let ChatEvent::Text(text) = &mut chunk.event {
                *text = text.to_uppercase();
            }
        }
        Ok(std::mem::replace(&mut self.held, chunks))
    }

    async fn finish(&mut self) -> Result<Vec<Chunk>, Problem> {
        self.guard.note("finish")?;
        Ok(std::mem::take(&mut self.held))
    }

    async fn after(&mut self, exchange: &Exchange) -> Result<Annotation, Problem> {
        self.guard.note("after")?;
        if self.guard.hangs_after {
            std::future::pending::<()>().await;
        }
        let ended = match &exchange.outcome {
            Outcome::Completed => "completed",
            Outcome::Cancelled => "cancelled",
            Outcome::Failed(_) => "failed",
        };
        self.guard.seen.lock().unwrap().push(ended.to_owned());
        Ok(self.guard.annotation.clone())
    }
}

fn good() -> Scripted {
    Scripted::new("one", vec![text("hello"), text(" world"), finish()])
}

fn spoken(said: &[Said]) -> String {
    let chunks = said.iter().filter_map(|said| match said {
        Said::Chunks(chunks) => Some(chunks.iter()),
        _ => None,
    });
    let texts = chunks.flatten().filter_map(|chunk| match &chunk.event {
        ChatEvent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[tokio::test]
async fn what_an_instrument_holds_back_comes_before_the_end() {
    let guard = Guard {
        shouts: true,
        ..Guard::default()
    };
    let seen = Arc::clone(&guard.seen);
    let world = guard.world(true, vec![good()]);
    let (said, problem) = heard(world.ask("hi")).await;
    assert_eq!((spoken(&said).as_str(), problem), ("HELLO WORLD", None));
    let expected = "attend before open-filter push push push finish after completed";
    assert_eq!(seen.lock().unwrap().join(" "), expected);
    let messages = world.rows.rows("messages");
    let kept = messages[1]["content"].as_text().unwrap();
    assert!(kept.contains("HELLO WORLD"), "what was sent is remembered: {kept}");
}

#[tokio::test]
async fn a_rejected_request_reaches_no_provider() {
    let refused = Problem::new(ProblemKind::ContentBlocked, "not that");
    let guard = Guard {
        decision: Some(Decision::Reject(refused.clone())),
        ..Guard::default()
    };
    let (provider, seen) = (good(), Arc::clone(&guard.seen));
    let asked = Arc::clone(&provider.asked);
    let world = guard.world(true, vec![provider]);
    assert_eq!(heard(world.ask("hi")).await.1, Some(refused));
    assert!(asked.lock().unwrap().is_empty());
    assert!(
        seen.lock().unwrap().contains(&"failed".to_owned()),
        "it hears of the end"
    );
    assert_eq!(world.rows.calls()[0]["status"], Value::from("error"));
}

#[tokio::test]
async fn a_replaced_request_goes_on_and_is_remembered() {
    let guard = Guard {
        decision: Some(Decision::Replace(question("m", "something else"))),
        ..Guard::default()
    };
    let world = guard.world(true, vec![good()]);
    assert_eq!(heard(world.ask("a secret")).await.1, None);
    let kept = world.rows.rows("messages")[0]["content"].as_text().unwrap().to_owned();
    assert!(kept.contains("something else") && !kept.contains("a secret"), "{kept}");
}

#[tokio::test]
async fn an_instrument_may_answer_itself() {
    let chunk = |event| Chunk { choice: 0, event };
    let guard = Guard {
        decision: Some(Decision::Answer(vec![
            chunk(ChatEvent::Text("from memory".to_owned())),
            chunk(ChatEvent::Finish(encaje_core::chat::FinishReason::Stop)),
        ])),
        ..Guard::default()
    };
    let provider = good();
    let asked = Arc::clone(&provider.asked);
    let world = guard.world(true, vec![provider]);
    let (said, problem) = heard(world.ask("hi")).await;
    assert_eq!((started(&said), problem), (("guard", false), None));
    assert_eq!(spoken(&said), "from memory");
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_instrument_that_fails_ends_the_call_or_is_left_out() {
    for hook in ["attend", "before", "open-filter", "push", "finish"] {
        for required in [true, false] {
            let guard = Guard {
                fails: Some(hook),
                ..Guard::default()
            };
            let world = guard.world(required, vec![good()]);
            let (said, problem) = heard(world.ask("hi")).await;
            assert_eq!(problem.is_some(), required, "{hook}: {problem:?}");
            assert!(required || spoken(&said) == "hello world", "{hook}: {said:?}");
        }
    }
}

#[tokio::test]
async fn one_that_fails_with_a_part_of_the_answer_ends_the_call_in_any_case() {
    let guard = Guard {
        shouts: true,
        fails: Some("finish"),
        ..Guard::default()
    };
    let world = guard.world(false, vec![good()]);
    let (_, problem) = heard(world.ask("hi")).await;
    assert!(
        problem.is_some(),
        "the last words would be missing, and nobody would know"
    );
}

#[tokio::test]
async fn what_it_adds_is_in_the_trace() {
    let guard = Guard {
        annotation: Annotation {
            attributes: vec![
                ("guard.hits".to_owned(), Value::Integer(2)),
                ("gen_ai.request.model".to_owned(), Value::from("a lie")),
            ],
            scores: vec![Score {
                name: "politeness".to_owned(),
                value: Some(0.5),
                label: Some("fair".to_owned()),
                explanation: None,
                extra: Vec::new(),
            }],
            tags: vec!["checked".to_owned()],
        },
        fails: None,
        ..Guard::default()
    };
    let world = guard.world(true, vec![good()]);
    assert_eq!(heard(world.ask("hi")).await.1, None);
    let attributes = world.rows.calls()[0]["attributes"].as_text().unwrap().to_owned();
    assert!(attributes.contains("\"guard.hits\":2"), "{attributes}");
    assert!(attributes.contains("\"encaje.tags\":[\"checked\"]"), "{attributes}");
    assert!(!attributes.contains("a lie"), "{attributes}");
    let scores = world.rows.rows("scores");
    assert_eq!(scores.len(), 1);
    assert_eq!(scores[0]["source"], Value::from("guard"));
    assert_eq!(scores[0]["value"], Value::Real(0.5));
}

#[tokio::test]
async fn a_failure_after_the_call_fails_nothing() {
    let guard = Guard {
        fails: Some("after"),
        ..Guard::default()
    };
    let world = guard.world(true, vec![good()]);
    assert_eq!(heard(world.ask("hi")).await.1, None);
    assert_eq!(world.rows.calls().len(), 1);
}

#[test]
fn a_question_is_one_message() {
    let Input::Messages(messages) = question("m", "x").input else {
        panic!("a question is a conversation");
    };
    assert!(matches!(messages[0].content[0].body, PartBody::Text(_)));
}

const BREAKER: BreakerSettings = BreakerSettings {
    failures: 3,
    window: Duration::from_secs(60),
    pause: Duration::from_millis(50),
    probes: 1,
};

#[tokio::test]
async fn a_guard_that_is_back_serves_others_while_the_first_answer_streams() {
    let supervisor = Supervisor::new(BREAKER, RetrySettings::once());
    let guard = Guard {
        fails: Some("before"),
        fails_left: Some(Arc::new(AtomicUsize::new(3))),
        ..Guard::default()
    };
    let script = vec![text("he"), Step::Wait(Duration::from_secs(20)), finish()];
    let world = guard.supervised(Arc::clone(&supervisor), true, vec![Scripted::new("one", script)]);
    for _ in 0..3 {
        assert!(heard(world.ask("hi")).await.1.is_some());
    }
    until("it may be tried again", || {
        supervisor.breaker.state() == BreakerState::HalfOpen
    })
    .await;
    let mut probe = world.ask("hi");
    assert!(matches!(probe.next().await, Some(Said::Started { .. })));
    assert_eq!(supervisor.breaker.state(), BreakerState::Closed);
    assert!(matches!(world.ask("hi").next().await, Some(Said::Started { .. })));
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_after_the_calls_is_left_alone() {
    let supervisor = Supervisor::new(BREAKER, RetrySettings::once());
    let guard = Guard {
        hangs_after: true,
        ..Guard::default()
    };
    let world = guard.supervised(Arc::clone(&supervisor), false, vec![good()]);
    for _ in 0..3 {
        assert_eq!(heard(world.ask("hi")).await.1, None);
    }
    until("its breaker is open", || {
        supervisor.breaker.state() != BreakerState::Closed
    })
    .await;
}
