//! Tries again, breakers, and plugins that ask models in the middle of a call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use encaje_core::server::Said;
use encaje_core::supervise::{BreakerSettings, BreakerState, RetrySettings, Supervisor};
use encaje_core::{Problem, ProblemKind};

use crate::fakes::{Scripted, Step, World, finish, heard, started, text};

const QUICK: RetrySettings = RetrySettings {
    attempts: 3,
    first: Duration::from_millis(5),
    most: Duration::from_millis(20),
};

const BREAKER: BreakerSettings = BreakerSettings {
    failures: 3,
    window: Duration::from_secs(60),
    pause: Duration::from_secs(60),
    probes: 1,
};

/// It may be tried again within a moment.
const BRIEF: BreakerSettings = BreakerSettings {
    pause: Duration::from_secs(4),
    ..BREAKER
};

fn good(name: &str) -> Scripted {
    Scripted::new(name, vec![text("hello"), finish()])
}

/// Fails so often, then answers.
fn sulking(name: &str, times: usize, kind: ProblemKind, supervisor: Arc<Supervisor>) -> Scripted {
    let mut provider = good(name);
    provider.fails_first = Some((times, Problem::new(kind, "not yet")));
    provider.supervisor = supervisor;
    provider
}

#[tokio::test]
async fn a_provider_that_may_do_better_is_asked_again() {
    let supervisor = Supervisor::new(BreakerSettings::off(), QUICK);
    let provider = sulking("one", 2, ProblemKind::Unavailable, supervisor);
    let attempts = Arc::clone(&provider.attempts);
    let world = World::new(vec![provider, good("two")]);
    let (said, problem) = heard(world.ask("hi")).await;
    assert_eq!((started(&said), problem), (("one", false), None));
    assert_eq!(*attempts.lock().unwrap(), [1, 2, 3], "each knows which try it is");
}

#[tokio::test]
async fn tries_end_and_the_next_target_is_asked() {
    let supervisor = Supervisor::new(BreakerSettings::off(), QUICK);
    let provider = sulking("one", 9, ProblemKind::Overloaded, supervisor);
    let attempts = Arc::clone(&provider.attempts);
    let world = World::new(vec![provider, good("two")]);
    let (said, _) = heard(world.ask("hi")).await;
    assert_eq!(started(&said), ("two", true));
    assert_eq!(attempts.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_crash_is_not_repeated() {
    let supervisor = Supervisor::new(BreakerSettings::off(), QUICK);
    let provider = sulking("one", 9, ProblemKind::Internal, supervisor);
    let attempts = Arc::clone(&provider.attempts);
    let world = World::new(vec![provider]);
    assert_eq!(heard(world.ask("hi")).await.1.unwrap().kind, ProblemKind::Internal);
    assert_eq!(attempts.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_plugin_that_is_busy_is_not_asked_again_but_the_next_target_is() {
    let supervisor = Supervisor::new(BREAKER, QUICK);
    let mut provider = sulking("one", 0, ProblemKind::Internal, Arc::clone(&supervisor));
    let busy = Problem::new(ProblemKind::Overloaded, "busy").with_code("plugin_busy");
    provider.fails_first = Some((99, busy.with_retry_after(Duration::from_millis(1))));
    let attempts = Arc::clone(&provider.attempts);
    let world = World::new(vec![provider, good("two")]);
    for calls in 1..=5 {
        let (said, problem) = heard(world.ask("hi")).await;
        assert_eq!((started(&said), problem), (("two", true), None));
        assert_eq!(attempts.lock().unwrap().len(), calls, "once a call");
    }
    assert_eq!(supervisor.breaker.state(), BreakerState::Closed, "no fault of its own");
}

#[tokio::test]
async fn an_upstream_that_says_503_opens_its_breaker() {
    let supervisor = Supervisor::new(BREAKER, RetrySettings::once());
    let mut provider = sulking("one", 0, ProblemKind::Internal, Arc::clone(&supervisor));
    let mut down = Problem::new(ProblemKind::Overloaded, "over capacity");
    down.upstream_status = Some(503);
    provider.fails_first = Some((99, down));
    let world = World::new(vec![provider]);
    for _ in 0..3 {
        assert_eq!(heard(world.ask("hi")).await.1.unwrap().kind, ProblemKind::Overloaded);
    }
    assert_eq!(supervisor.breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn a_plugin_that_fails_again_and_again_rests_and_comes_back() {
    let supervisor = Supervisor::new(BRIEF, RetrySettings::once());
    let provider = sulking("one", 3, ProblemKind::Internal, Arc::clone(&supervisor));
    let attempts = Arc::clone(&provider.attempts);
    let world = World::new(vec![provider]);
    for _ in 0..3 {
        assert_eq!(heard(world.ask("hi")).await.1.unwrap().kind, ProblemKind::Internal);
    }
    assert_eq!(supervisor.breaker.state(), BreakerState::Open);
    let resting = heard(world.ask("hi")).await.1.unwrap();
    assert_eq!(resting.code.as_deref(), Some("breaker_open"));
    assert!(resting.retry_after.is_some());
    assert_eq!(attempts.lock().unwrap().len(), 3, "it is left alone");
    assert_eq!(supervisor.breaker.refused(), 1);
    crate::fakes::until("it may be tried again", || {
        supervisor.breaker.state() != BreakerState::Open
    })
    .await;
    assert_eq!(heard(world.ask("hi")).await.1, None);
    assert_eq!(supervisor.breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn an_answer_that_breaks_in_the_middle_counts_and_a_caller_who_leaves_does_not() {
    let mut broken = Scripted::new("one", vec![text("he"), Step::Fail(ProblemKind::Unavailable)]);
    let supervisor = Supervisor::new(BREAKER, RetrySettings::once());
    broken.supervisor = Arc::clone(&supervisor);
    let world = World::new(vec![broken]);
    for _ in 0..3 {
        assert!(heard(world.ask("hi")).await.1.is_some());
    }
    assert_eq!(supervisor.breaker.state(), BreakerState::Open);

    let mut slow = Scripted::new("one", vec![text("he"), Step::Wait(Duration::from_secs(5)), finish()]);
    let supervisor = Supervisor::new(BREAKER, RetrySettings::once());
    slow.supervisor = Arc::clone(&supervisor);
    let dropped = Arc::clone(&slow.dropped);
    let world = World::new(vec![slow]);
    for _ in 0..5 {
        let mut answer = world.ask("hi");
        answer.next().await;
    }
    crate::fakes::until("all were dropped", || dropped.load(Ordering::SeqCst) == 5).await;
    assert_eq!(supervisor.breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_long_answer_of_a_plugin_that_is_back_keeps_nobody_waiting() {
    let script = vec![text("he"), Step::Wait(Duration::from_secs(20)), finish()];
    let supervisor = Supervisor::new(BRIEF, RetrySettings::once());
    let mut provider = Scripted::new("one", script);
    provider.fails_first = Some((3, Problem::new(ProblemKind::Unavailable, "down")));
    provider.supervisor = Arc::clone(&supervisor);
    let world = World::new(vec![provider]);
    for _ in 0..3 {
        assert!(heard(world.ask("hi")).await.1.is_some());
    }
    crate::fakes::until("it may be tried again", || {
        supervisor.breaker.state() != BreakerState::Open
    })
    .await;
    let (mut probe, mut other) = (world.ask("hi"), None);
    for _ in 0..2 {
        assert!(matches!(
            probe.next().await,
            Some(Said::Started { .. } | Said::Chunks(_))
        ));
        other = Some(world.ask("hi"));
    }
    assert!(matches!(other.unwrap().next().await, Some(Said::Started { .. })));
    assert_eq!(supervisor.breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_time_that_ran_out_while_the_caller_read_slowly_is_not_the_plugins() {
    // More than waits in front of a caller who does not read; then the visit's time is over.
    let mut script = vec![text("word "); 40];
    script.push(Step::Fail(ProblemKind::Timeout));
    let supervisor = Supervisor::new(BREAKER, RetrySettings::once());
    let mut provider = Scripted::new("one", script);
    provider.supervisor = Arc::clone(&supervisor);
    let world = World::new(vec![provider]);
    for _ in 0..4 {
        let answer = world.ask("hi");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(heard(answer).await.1.unwrap().kind, ProblemKind::Timeout);
    }
    assert_eq!(supervisor.breaker.state(), BreakerState::Closed);

    // Read at once, the same silence is the plugin's.
    let script = vec![
        text("word"),
        Step::Wait(Duration::from_millis(30)),
        Step::Fail(ProblemKind::Timeout),
    ];
    let supervisor = Supervisor::new(BREAKER, RetrySettings::once());
    let mut provider = Scripted::new("one", script);
    provider.supervisor = Arc::clone(&supervisor);
    let world = World::new(vec![provider]);
    for _ in 0..3 {
        assert_eq!(heard(world.ask("hi")).await.1.unwrap().kind, ProblemKind::Timeout);
    }
    assert_eq!(supervisor.breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn a_plugin_may_ask_a_model_of_its_call_but_not_without_end() {
    let mut asks = good("one");
    asks.asks = true;
    asks.supervisor = Supervisor::new(BREAKER, QUICK);
    let attempts = Arc::clone(&asks.attempts);
    let world = World::new(vec![asks]);
    let problem = heard(world.ask("hi")).await.1.unwrap();
    assert_eq!(problem.code.as_deref(), Some("nested_too_deep"));
    assert_eq!(attempts.lock().unwrap().len(), 5, "the outer one and four within");
}
