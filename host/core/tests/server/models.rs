//! The list of models: every provider is asked at once, and none keeps the list from coming.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use encaje_core::generation::{Generation, Provided};
use encaje_core::route::{Route, Routes, Target};
use encaje_core::supervise::{BreakerSettings, BreakerState, RetrySettings, Supervisor};
use encaje_core::{Problem, ProblemKind};
use tokio::time::Instant;

use crate::fakes::{Scripted, Step, World, call, finish, heard, text, until};

const BREAKER: BreakerSettings = BreakerSettings {
    failures: 2,
    window: Duration::from_secs(60),
    pause: Duration::from_secs(60),
    probes: 1,
};

/// A world in which each provider's own model has a route.
fn world(providers: Vec<Scripted>) -> World {
    let world = World::new(providers);
    let now = world.server.generation();
    let route = |(name, _): (&String, &Provided)| Route {
        pattern: format!("of-{name}*"),
        to: vec![Target {
            plugin: name.clone(),
            model: None,
            degraded: false,
        }],
    };
    world.server.swap(Generation {
        number: 2,
        providers: now.providers.clone(),
        instruments: Vec::new(),
        plugins: Vec::new(),
        storage: Arc::clone(&now.storage),
        routes: Routes::new(now.providers.iter().map(route).collect()),
        access: now.access.clone(),
    });
    world
}

async fn listed(world: &World) -> Vec<String> {
    let call = call(Duration::from_secs(60));
    let models = world.server.models(&world.server.generation(), &call).await.unwrap();
    models.into_iter().map(|model| model.id).collect()
}

#[tokio::test(start_paused = true)]
async fn providers_list_their_models_side_by_side_and_one_that_hangs_is_left_out() {
    let slow = |name: &str, millis| Scripted::new(name, vec![Step::Wait(Duration::from_millis(millis))]);
    let world = world(vec![slow("a", 500), slow("b", 500), slow("c", 500), slow("d", 60_000)]);
    let began = Instant::now();
    assert_eq!(listed(&world).await, ["of-a", "of-b", "of-c"]);
    let took = began.elapsed();
    assert!(
        took < Duration::from_millis(4_400),
        "one after the other they take longer: {took:?}"
    );
}

#[tokio::test]
async fn a_removed_provider_is_let_go_when_its_last_answer_ends() {
    let long = Scripted::new("a", vec![text("one"), Step::Wait(Duration::from_millis(200)), finish()]);
    let world = World::new(vec![long]);
    let held = Arc::downgrade(&world.server.generation().providers["a"].port);
    let mut answer = world.ask("hi");
    answer.next().await;
    let now = world.server.generation();
    let without = Generation {
        number: 2,
        providers: BTreeMap::new(),
        instruments: Vec::new(),
        plugins: Vec::new(),
        storage: Arc::clone(&now.storage),
        routes: Routes::new(Vec::new()),
        access: now.access.clone(),
    };
    drop(now);
    drop(world.server.swap(without));
    assert!(held.upgrade().is_some(), "its answer goes on");
    assert_eq!(heard(answer).await.1, None);
    until("nothing holds it any more", || held.upgrade().is_none()).await;
}

#[tokio::test]
async fn a_provider_that_rests_is_not_asked_for_its_models() {
    let mut broken = Scripted::new("a", vec![Step::Fail(ProblemKind::Internal)]);
    let supervisor = Supervisor::new(BREAKER, RetrySettings::once());
    broken.supervisor = Arc::clone(&supervisor);
    let asked = Arc::clone(&broken.attempts);
    let world = world(vec![broken, Scripted::new("b", Vec::new())]);
    for _ in 0..4 {
        assert_eq!(listed(&world).await, ["of-b"]);
    }
    assert_eq!(
        supervisor.breaker.state(),
        BreakerState::Closed,
        "a list says nothing of answers"
    );
    assert_eq!(asked.lock().unwrap().len(), 4);
    for _ in 0..BREAKER.failures {
        supervisor.admit("a").unwrap().ended(&Problem::internal("an answer"));
    }
    assert_eq!(listed(&world).await, ["of-b"]);
    assert_eq!(asked.lock().unwrap().len(), 4, "left alone once its breaker is open");
}

#[tokio::test]
async fn the_models_of_a_provider_that_may_be_tried_again_are_listed() {
    let mut back = Scripted::new("a", Vec::new());
    let pause = Duration::from_millis(1);
    let supervisor = Supervisor::new(BreakerSettings { pause, ..BREAKER }, RetrySettings::once());
    back.supervisor = Arc::clone(&supervisor);
    let world = world(vec![back]);
    for _ in 0..BREAKER.failures {
        supervisor.admit("a").unwrap().ended(&Problem::internal("an answer"));
    }
    until("it may be tried", || {
        supervisor.breaker.state() == BreakerState::HalfOpen
    })
    .await;
    assert_eq!(listed(&world).await, ["of-a"]);
    assert_eq!(supervisor.breaker.state(), BreakerState::HalfOpen, "a list is no probe");
}
