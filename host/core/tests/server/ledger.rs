//! Group commits, and what happens while the storage is down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use encaje_core::ProblemKind;
use encaje_core::chat::{Input, Message, Role};
use encaje_core::ledger::WhenDown;
use encaje_core::server::Said;
use encaje_core::value::Value;

use crate::fakes::{Scripted, World, finish, heard, question, text, until};

fn providers() -> Vec<Scripted> {
    vec![Scripted::new("one", vec![text("hello"), finish()])]
}

/// Returns when nothing can go on without it: a paused clock moves only then.
async fn all_wait() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test]
async fn an_answer_ends_only_when_its_trace_is_committed() {
    let world = World::new(providers());
    let closed = world.rows.gate.acquire().await.unwrap();
    let mut answer = world.ask("hi");
    for _ in 0..3 {
        assert!(matches!(
            answer.next().await,
            Some(Said::Started { .. } | Said::Chunks(_))
        ));
    }
    let early = tokio::time::timeout(Duration::from_millis(100), answer.next()).await;
    assert!(
        early.is_err(),
        "nothing is written yet, and the answer ended: {early:?}"
    );
    drop(closed);
    assert!(matches!(answer.next().await, Some(Said::End)));
    assert_eq!(world.rows.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_that_end_while_a_group_is_written_share_the_next_one() {
    let world = World::new(providers());
    let closed = world.rows.gate.acquire().await.unwrap();
    let mut answers: Vec<_> = (0..50).map(|_| world.ask("hi")).collect();
    for answer in &mut answers {
        for _ in 0..3 {
            answer.next().await;
        }
    }
    all_wait().await;
    drop(closed);
    for answer in answers {
        assert_eq!(heard(answer).await.1, None);
    }
    assert_eq!(world.rows.calls().len(), 50);
    let batches = world.rows.batches.lock().unwrap().len();
    assert!(batches <= 4, "{batches} transactions for 50 calls");
}

#[tokio::test]
async fn of_a_call_too_large_to_keep_the_question_and_the_answer_stay() {
    let world = World::new(providers());
    let mut request = question("m", "");
    let mut messages: Vec<Message> = (0..5)
        .map(|n| Message::text(Role::User, n.to_string().repeat(1 << 20)))
        .collect();
    messages.push(Message::text(Role::User, "the question"));
    request.input = Input::Messages(messages);
    assert_eq!(heard(world.ask_in(Duration::from_secs(20), request)).await.1, None);
    let kept: Vec<String> = world
        .rows
        .rows("messages")
        .iter()
        .map(|row| match &row["content"] {
            Value::Json(content) => content.chars().take(100).collect(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kept.len(), 7);
    assert!(
        kept[5].contains("the question") && kept[6].contains("hello"),
        "{kept:?}"
    );
    assert!(kept[4].contains("444"), "the latest of the context: {kept:?}");
    assert!(!kept[0].contains("000"), "its oldest is left out: {kept:?}");
}

#[tokio::test]
async fn a_call_names_the_commit_that_wrote_it() {
    let world = World::new(providers());
    heard(world.ask("hi")).await;
    world.server.drain().await;
    let commit = world.rows.calls()[0]["commit_id"].clone();
    let spans = world.rows.rows("spans");
    let commits: Vec<_> = spans
        .iter()
        .filter(|row| row["tenant"] == Value::from("encaje"))
        .collect();
    assert_eq!(commits.len(), 1);
    assert_eq!(commits[0]["trace_id"], commit);
}

#[tokio::test(start_paused = true)]
async fn a_large_group_is_split() {
    let world = World::new(providers());
    let closed = world.rows.gate.acquire().await.unwrap();
    let text = "x".repeat(900_000);
    let answers: Vec<_> = (0..30).map(|_| world.ask(&text)).collect();
    all_wait().await;
    drop(closed);
    for answer in answers {
        assert_eq!(heard(answer).await.1, None);
    }
    let batches = world.rows.batches.lock().unwrap();
    let largest = batches.iter().map(|batch| format!("{batch:?}").len()).max().unwrap();
    assert!(largest < 10 << 20, "{largest} bytes in one call of the storage");
    assert!(batches.len() >= 3, "{} batches", batches.len());
}

#[tokio::test]
async fn while_the_storage_is_down_calls_are_served_and_replayed_later() {
    let world = World::new(providers());
    world.rows.down.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(heard(world.ask("hi")).await.1, None);
    }
    assert!(world.rows.calls().is_empty());
    assert!(world.server.ready().is_ok());
    world.rows.down.store(false, Ordering::SeqCst);
    until("the spool is replayed", || world.rows.calls().len() == 5).await;
    until("the spool is empty", || world.spool.batches.lock().unwrap().is_empty()).await;
    assert_eq!(heard(world.ask("again")).await.1, None);
    assert_eq!(world.rows.calls().len(), 6);
}

#[tokio::test]
async fn calls_do_not_wait_for_what_is_replayed() {
    let world = World::new(providers());
    world.rows.down.store(true, Ordering::SeqCst);
    for _ in 0..100 {
        assert_eq!(heard(world.ask("hi")).await.1, None);
    }
    world.rows.slow_ms.store(20, Ordering::SeqCst);
    world.rows.down.store(false, Ordering::SeqCst);
    until("the replay has begun", || !world.rows.calls().is_empty()).await;
    for _ in 0..5 {
        assert_eq!(heard(world.ask("hi")).await.1, None);
    }
    assert!(!world.spool.batches.lock().unwrap().is_empty(), "it was still going on");
    until("the replay is over", || world.rows.calls().len() == 105).await;
}

#[tokio::test]
async fn a_full_spool_refuses() {
    let world = World::with(providers(), WhenDown::Spool, 1);
    world.rows.down.store(true, Ordering::SeqCst);
    assert_eq!(heard(world.ask("hi")).await.1, None);
    let problem = heard(world.ask("hi")).await.1.unwrap();
    assert_eq!(problem.code.as_deref(), Some("storage_unavailable"));
    assert!(problem.retry_after.is_some());
}

#[tokio::test]
async fn an_operator_may_have_calls_refused_instead() {
    let world = World::with(providers(), WhenDown::Refuse, 1_000);
    world.rows.down.store(true, Ordering::SeqCst);
    let first = heard(world.ask("hi")).await.1.unwrap();
    assert_eq!(first.kind, ProblemKind::Unavailable);
    let (said, problem) = heard(world.ask("hi")).await;
    assert!(said.is_empty(), "refused before anybody is asked: {said:?}");
    assert_eq!(problem.unwrap().kind, ProblemKind::Unavailable);
    assert!(world.server.ready().is_err());
    assert!(world.spool.batches.lock().unwrap().is_empty());
    world.rows.down.store(false, Ordering::SeqCst);
    until("the server is ready again", || world.server.ready().is_ok()).await;
    assert_eq!(heard(world.ask("hi")).await.1, None);
}

#[tokio::test(start_paused = true)]
async fn one_call_that_the_storage_refuses_does_not_fail_the_others() {
    let world = Arc::new(World::new(providers()));
    *world.rows.hated.lock().unwrap() = Some("forbidden".to_owned());
    let closed = world.rows.gate.acquire().await.unwrap();
    let bad = world.ask("forbidden");
    let good: Vec<_> = (0..10).map(|_| world.ask("fine")).collect();
    all_wait().await;
    drop(closed);
    assert_eq!(heard(bad).await.1.unwrap().kind, ProblemKind::TooLarge);
    for answer in good {
        assert_eq!(heard(answer).await.1, None);
    }
    assert_eq!(world.rows.calls().len(), 10);
    let batches = world.rows.batches.lock().unwrap();
    assert!(
        batches.iter().all(|batch| !batch.is_empty()),
        "a transaction of nothing"
    );
}

#[tokio::test]
async fn a_spooled_row_that_is_refused_for_good_does_not_block_what_waits_behind_it() {
    let world = World::new(providers());
    world.rows.down.store(true, Ordering::SeqCst);
    for text in ["forbidden", "fine"] {
        assert_eq!(heard(world.ask(text)).await.1, None);
    }
    *world.rows.hated.lock().unwrap() = Some("forbidden".to_owned());
    world.rows.down.store(false, Ordering::SeqCst);
    until("the spool is empty", || world.spool.batches.lock().unwrap().is_empty()).await;
    assert_eq!(world.rows.calls().len(), 2, "both calls are there");
    let messages = world.rows.rows("messages");
    assert_eq!(messages.len(), 3, "one row of four was dropped: {messages:?}");
}

#[tokio::test]
async fn a_spooled_row_that_fails_for_a_moment_is_kept_and_written_later() {
    for (times, kind) in [
        (3, ProblemKind::Unavailable),
        (2, ProblemKind::Timeout),
        (2, ProblemKind::Overloaded),
        (2, ProblemKind::Internal),
    ] {
        let world = World::new(providers());
        world.rows.down.store(true, Ordering::SeqCst);
        for text in ["unlucky", "fine"] {
            assert_eq!(heard(world.ask(text)).await.1, None);
        }
        *world.rows.sulks.lock().unwrap() = Some(("unlucky".to_owned(), times, kind.clone()));
        world.rows.down.store(false, Ordering::SeqCst);
        until("the spool is empty", || world.spool.batches.lock().unwrap().is_empty()).await;
        assert_eq!(world.rows.rows("messages").len(), 4, "nothing was dropped after {kind}");
    }
}

#[tokio::test]
async fn a_spooled_row_over_which_the_storage_crashes_again_and_again_is_dropped() {
    let world = World::new(providers());
    world.rows.down.store(true, Ordering::SeqCst);
    for text in ["poison", "fine"] {
        assert_eq!(heard(world.ask(text)).await.1, None);
    }
    *world.rows.sulks.lock().unwrap() = Some(("poison".to_owned(), u32::MAX, ProblemKind::Internal));
    world.rows.down.store(false, Ordering::SeqCst);
    until("the spool is empty", || world.spool.batches.lock().unwrap().is_empty()).await;
    assert_eq!(world.rows.rows("messages").len(), 3);
}
