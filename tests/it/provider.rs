//! Providers in their sandbox: what the stub says through the port, what a crossing costs, what is not granted.

use encaje_core::ProblemKind;
use encaje_core::chat::{ChatEvent, FinishReason};
use encaje_core::embeddings::{EmbedInput, EmbedRequest, Purpose};
use encaje_core::ports::Provider;
use encaje_core::trace::PluginKind;
use encaje_core::transcript::Transcript;
use serde_json::json;

use crate::support::{ask, call, chat, provider, spec, stub};

#[tokio::test]
async fn an_answer_is_the_same_each_time_and_counts_its_tokens() {
    let stub = stub(json!({})).await;
    let first = ask(&stub, &call("a"), chat("hello there")).await.unwrap();
    let second = ask(&stub, &call("b"), chat("hello there")).await.unwrap();
    assert_eq!(first, second);
    let said = Transcript::of(&first);
    assert_eq!(said.choices[&0].text, "echo: hello there");
    assert_eq!(said.choices[&0].finish, Some(FinishReason::Stop));
    assert_eq!(said.usage.unwrap().output_tokens, 3);
}

#[tokio::test]
async fn a_requests_own_script_overrides_the_configured_one() {
    let stub = stub(json!({ "text": "configured" })).await;
    let mut request = chat("x");
    request
        .extra
        .push(("stub".to_owned(), json!({ "text": "asked for" }).to_string()));
    assert_eq!(
        Transcript::of(&ask(&stub, &call("a"), request).await.unwrap()).choices[&0].text,
        "asked for"
    );
    assert_eq!(
        Transcript::of(&ask(&stub, &call("a"), chat("x")).await.unwrap()).choices[&0].text,
        "configured"
    );
}

#[tokio::test]
async fn a_guests_problem_keeps_its_class_and_its_wait() {
    let stub = stub(json!({ "fail": "rate-limited", "retry_after_ms": 1_500 })).await;
    let problem = ask(&stub, &call("a"), chat("x")).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::RateLimited);
    assert_eq!(problem.retry_after, Some(std::time::Duration::from_millis(1_500)));
}

#[tokio::test]
async fn a_crossing_says_what_it_used() {
    let stub = stub(json!({})).await;
    let call = call("a");
    ask(&stub, &call, chat("x")).await.unwrap();
    let crossings = call.take_crossings();
    assert_eq!(crossings.len(), 1);
    let crossing = &crossings[0];
    assert_eq!((crossing.plugin.as_str(), crossing.function), ("stub", "complete"));
    assert!(crossing.calls >= 3, "complete, next, …: {crossing:?}");
    assert!(crossing.peak_memory >= 64 << 10, "{crossing:?}");
    assert!(
        crossing.cpu.as_nanos() > 0 && crossing.failure.is_none(),
        "{crossing:?}"
    );
}

#[tokio::test]
async fn waiting_in_a_guest_blocks_nobody_and_costs_no_cpu_time() {
    let stub = std::sync::Arc::new(stub(json!({ "delay_ms": 500 })).await);
    let start = std::time::Instant::now();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let stub = std::sync::Arc::clone(&stub);
        asked.spawn(async move {
            let call = call("a");
            ask(stub.as_ref(), &call, chat("x")).await.unwrap();
            call.take_crossings()[0].cpu
        });
    }
    let cpu: Vec<_> = asked.join_all().await;
    let alone = std::time::Duration::from_millis(500);
    assert!(start.elapsed() < alone * 32, "32 waits ran one after another");
    // A poll that the machine interrupts counts as a long one.
    let cheap = cpu.iter().filter(|cpu| **cpu < alone).count();
    assert!(cheap > cpu.len() / 2, "{cpu:?}");
}

#[tokio::test]
async fn embeddings_have_the_asked_number_of_dimensions_and_length_one() {
    let stub = stub(json!({})).await;
    let request = EmbedRequest {
        model: "stub".to_owned(),
        inputs: vec![EmbedInput::Text("a".to_owned()), EmbedInput::Text("b".to_owned())],
        purpose: Purpose::Unspecified,
        dimensions: Some(16),
        extra: Vec::new(),
    };
    let response = stub.embed(&call("a"), request).await.unwrap();
    assert_eq!((response.dimensions, response.vectors.len()), (16, 32));
    for row in response.vectors.chunks(16) {
        let length: f32 = row.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-3, "{length}");
    }
}

#[tokio::test]
async fn what_the_registry_did_not_grant_is_denied_with_the_line_to_add() {
    let refused = provider(spec("local", PluginKind::Provider, "plugins/provider-local", "{}")).await;
    let problem = refused.err().expect("its check asks for the models");
    assert_eq!(problem.kind, ProblemKind::Denied);
    assert!(
        problem.message.contains("[plugins.local] allow = { inference"),
        "{}",
        problem.message
    );
}

#[tokio::test]
async fn a_component_of_another_kind_is_refused_in_words() {
    let refused = provider(spec(
        "x",
        PluginKind::Provider,
        "plugins/storage-sqlite",
        r#"{"database":"main"}"#,
    ))
    .await;
    let problem = refused.err().unwrap();
    assert_eq!(problem.kind, ProblemKind::Misconfigured);
    assert!(
        problem.message.contains("encaje:provider/provider@0.1.0"),
        "{}",
        problem.message
    );
}

#[tokio::test]
async fn text_arrives_as_it_was_said_in_whole_characters() {
    let text = "día 🌊 — ñandú 👩‍👩‍👧";
    let stub = stub(json!({ "text": text, "deltas": 9 })).await;
    let chunks = ask(&stub, &call("a"), chat("x")).await.unwrap();
    let said: String = chunks
        .iter()
        .filter_map(|chunk| match &chunk.event {
            ChatEvent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said, text);
}
