//! Routes, fallback, broken providers, deadlines and callers who go away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use encaje_core::ProblemKind;
use encaje_core::chat::{ChatEvent, Chunk};
use encaje_core::server::Said;
use encaje_core::supervise::{BreakerSettings, BreakerState, RetrySettings, Supervisor};
use encaje_core::value::Value;

use crate::fakes::{Scripted, Step, World, call, finish, heard, question, started, text, texts, until, usage};

fn good(name: &str) -> Scripted {
    Scripted::new(name, vec![text("hello"), finish()])
}

fn failing(name: &str, kind: ProblemKind) -> Scripted {
    Scripted::new(name, vec![Step::Fail(kind)])
}

#[tokio::test]
async fn the_first_target_answers_and_the_trace_names_it() {
    let world = World::new(vec![good("one"), good("two")]);
    let (said, problem) = heard(world.ask("hi")).await;
    assert_eq!((started(&said), problem), (("one", false), None));
    let calls = world.rows.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["plugin"], Value::from("one"));
    assert_eq!(calls[0]["status"], Value::from("ok"));
    let messages = world.rows.rows("messages");
    let said: Vec<_> = messages.iter().map(|row| (&row["direction"], &row["role"])).collect();
    assert_eq!(
        said,
        [
            (&Value::from("input"), &Value::from("user")),
            (&Value::from("output"), &Value::from("assistant"))
        ]
    );
}

#[tokio::test]
async fn a_target_that_fails_before_it_says_anything_gives_way_to_the_next() {
    for kind in [
        ProblemKind::RateLimited,
        ProblemKind::Overloaded,
        ProblemKind::Unavailable,
        ProblemKind::Timeout,
        ProblemKind::Internal,
    ] {
        let second = good("two");
        let asked = Arc::clone(&second.asked);
        let world = World::new(vec![failing("one", kind.clone()), second]);
        let (said, problem) = heard(world.ask("hi")).await;
        assert_eq!((started(&said), problem), (("two", true), None), "{kind}");
        assert_eq!(
            *asked.lock().unwrap(),
            ["m-of-two"],
            "by the name that its target gives"
        );
        assert_eq!(world.rows.calls()[0]["plugin"], Value::from("two"));
    }
}

#[tokio::test]
async fn a_callers_own_fault_is_not_tried_elsewhere() {
    for kind in [
        ProblemKind::InvalidRequest,
        ProblemKind::ContextExceeded,
        ProblemKind::ContentBlocked,
        ProblemKind::Unsupported,
    ] {
        let second = good("two");
        let asked = Arc::clone(&second.asked);
        let world = World::new(vec![failing("one", kind.clone()), second]);
        let (_, problem) = heard(world.ask("hi")).await;
        assert_eq!(problem.unwrap().kind, kind);
        assert!(asked.lock().unwrap().is_empty());
        assert_eq!(world.rows.calls()[0]["status"], Value::from("error"));
    }
}

#[tokio::test]
async fn when_every_target_fails_the_last_ones_problem_is_told() {
    let world = World::new(vec![
        failing("one", ProblemKind::Unavailable),
        failing("two", ProblemKind::RateLimited),
    ]);
    let (said, problem) = heard(world.ask("hi")).await;
    assert!(said.is_empty());
    assert_eq!(problem.unwrap().kind, ProblemKind::RateLimited);
}

#[tokio::test]
async fn what_was_said_already_is_not_said_again_by_another() {
    let second = good("two");
    let asked = Arc::clone(&second.asked);
    let first = Scripted::new("one", vec![text("hel"), Step::Fail(ProblemKind::Unavailable)]);
    let world = World::new(vec![first, second]);
    let (said, problem) = heard(world.ask("hi")).await;
    assert_eq!(started(&said), ("one", false));
    assert_eq!(problem.unwrap().kind, ProblemKind::Unavailable);
    assert!(asked.lock().unwrap().is_empty());
    let output = &world.rows.rows("messages")[1]["content"];
    assert!(
        output.as_text().unwrap().contains("hel"),
        "the trace has what came: {output:?}"
    );
}

#[tokio::test]
async fn an_unknown_model_is_a_problem_with_a_trace() {
    let world = World::new(vec![good("one")]);
    let answer = world.ask_in(Duration::from_secs(9), question("absent", "hi"));
    let (_, problem) = heard(answer).await;
    assert_eq!(problem.unwrap().code.as_deref(), Some("model_not_found"));
    assert_eq!(world.rows.calls()[0]["model"], Value::from("absent"));
}

#[tokio::test]
async fn a_provider_that_breaks_its_contract_is_stopped() {
    let other_choice = Step::Say(vec![Chunk {
        choice: 1,
        event: ChatEvent::Text("x".to_owned()),
    }]);
    for (script, what) in [
        (vec![text("no end")], "no finish"),
        (vec![finish(), finish()], "two ends"),
        (vec![other_choice], "a choice that nobody asked for"),
        (vec![finish(), text("more")], "words after the end"),
        (vec![usage(), usage(), finish()], "tokens counted twice"),
        (vec![Step::Say(Vec::new()); 2_000], "only empty batches"),
    ] {
        let world = World::new(vec![Scripted::new("one", script)]);
        let (_, problem) = heard(world.ask("hi")).await;
        assert_eq!(problem.expect(what).kind, ProblemKind::Internal, "{what}");
        assert_eq!(world.rows.calls()[0]["status"], Value::from("error"), "{what}");
    }
}

#[tokio::test]
async fn a_provider_that_says_cancelled_is_a_problem_of_its_own() {
    let world = World::new(vec![failing("one", ProblemKind::Cancelled)]);
    let (_, problem) = heard(world.ask("hi")).await;
    assert_eq!(problem.unwrap().message, "as the script says");
    assert_eq!(world.rows.calls()[0]["status"], Value::from("error"));
}

#[tokio::test]
async fn what_is_for_the_log_alone_is_not_in_the_trace() {
    let world = World::new(vec![Scripted::new("one", vec![text("no end")])]);
    heard(world.ask("hi")).await;
    let said = world.rows.calls()[0]["status_message"].clone();
    assert_eq!(
        said,
        Value::from("internal: The server failed to process this request.")
    );
}

#[tokio::test]
async fn an_answer_that_says_nothing_without_end_is_cut_off() {
    let nothing = Step::Say(vec![
        Chunk {
            choice: 0,
            event: ChatEvent::Text(String::new()),
        };
        1_000
    ]);
    let supervisor = Supervisor::new(BreakerSettings::default(), RetrySettings::once());
    let mut endless = Scripted::new("one", vec![nothing; 1_000]);
    endless.supervisor = Arc::clone(&supervisor);
    let world = World::new(vec![endless]);
    for _ in 0..BreakerSettings::default().failures {
        let problem = heard(world.ask("hi")).await.1.unwrap();
        assert_eq!(problem.kind, ProblemKind::Internal, "no fault of the caller");
        assert_eq!(problem.code.as_deref(), Some("answer_too_large"));
    }
    assert_eq!(supervisor.breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_the_provider() {
    let slow = Scripted::new("one", vec![text("a"), Step::Wait(Duration::from_secs(60)), finish()]);
    let dropped = Arc::clone(&slow.dropped);
    let world = World::new(vec![slow]);
    let (said, problem) = heard(world.ask_in(Duration::from_millis(50), question("m", "hi"))).await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(problem.unwrap().kind, ProblemKind::Timeout);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_caller_who_goes_away_ends_the_work_and_its_trace_is_closed() {
    let slow = Scripted::new("one", vec![text("a"), Step::Wait(Duration::from_secs(60)), finish()]);
    let dropped = Arc::clone(&slow.dropped);
    let world = World::new(vec![slow]);
    let mut answer = world.ask("hi");
    assert!(matches!(answer.next().await, Some(Said::Started { .. })));
    drop(answer);
    until("the provider is dropped", || dropped.load(Ordering::SeqCst) == 1).await;
    until("the trace is written", || !world.rows.calls().is_empty()).await;
    assert_eq!(world.rows.calls()[0]["status"], Value::from("cancelled"));
}

#[tokio::test]
async fn embeddings_fall_back_and_are_checked_for_their_shape() {
    let world = World::new(vec![failing("one", ProblemKind::Unavailable), good("two")]);
    let answer = world
        .server
        .embed(
            &world.server.generation(),
            call(Duration::from_secs(9)),
            texts(&["a", "b"]),
        )
        .await;
    let answer = answer.unwrap();
    assert_eq!((answer.response.vectors.len(), answer.degraded), (4, true));
    let problem = world
        .server
        .embed(
            &world.server.generation(),
            call(Duration::from_secs(9)),
            texts(&["broken", "b"]),
        )
        .await;
    assert_eq!(problem.unwrap_err().kind, ProblemKind::Internal);
    let calls = world.rows.calls();
    assert!(calls.iter().all(|row| row["operation"] == Value::from("embeddings")));
    assert_eq!(calls.len(), 2);
}

#[tokio::test]
async fn draining_waits_for_what_runs() {
    let slow = Scripted::new(
        "one",
        vec![Step::Wait(Duration::from_millis(200)), text("late"), finish()],
    );
    let world = World::new(vec![slow]);
    let answer = world.ask("hi");
    world.server.drain().await;
    assert_eq!(world.rows.calls().len(), 1);
    assert_eq!(heard(answer).await.1, None);
}
