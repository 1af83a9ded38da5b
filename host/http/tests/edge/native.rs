//! The ledger read back over HTTP.

use encaje_core::traces::{Trace, TracePage};
use encaje_http::native::{TraceBody, TraceListBody};
use insta::assert_snapshot;

use crate::fake::{Setting, World};

async fn used() -> World {
    let world = Setting::default().start();
    for model in ["hello", "hello", "nobody", "second"] {
        world
            .chat(&format!(
                r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]}}"#
            ))
            .await;
    }
    world
}

async fn page(world: &World, query: &str) -> TracePage {
    let heard = world.get(&format!("/api/v1/traces{query}")).await;
    assert_eq!(heard.status, 200, "{}", heard.body);
    serde_json::from_str::<TraceListBody>(&heard.body).unwrap().into()
}

#[tokio::test]
async fn calls_are_listed_in_pages() {
    let world = used().await;
    let all = page(&world, "").await;
    assert_eq!(all.traces.len(), 4);
    assert_eq!(
        (all.traces[0].model.as_str(), all.traces[0].status.as_str()),
        ("second", "ok")
    );
    assert_eq!(
        (all.traces[1].model.as_str(), all.traces[1].status.as_str()),
        ("nobody", "error")
    );
    assert_eq!(all.traces[0].plugin.as_deref(), Some("fake"));
    assert_eq!(
        (all.traces[0].input_tokens, all.traces[0].output_tokens),
        (Some(7), Some(3))
    );
    assert_eq!(page(&world, "?status=error").await.traces.len(), 1);
    assert_eq!(page(&world, "?model=hello").await.traces.len(), 2);
    let first = page(&world, "?limit=3").await;
    let second = page(&world, &format!("?limit=3&cursor={}", first.next.unwrap())).await;
    assert_eq!((first.traces.len(), second.traces.len(), second.next), (3, 1, None));
}

#[tokio::test]
async fn a_trace_is_shown_whole() {
    let world = used().await;
    let id = page(&world, "").await.traces[0].trace_id.clone();
    let heard = world.get(&format!("/api/v1/traces/{id}")).await;
    let json = heard.json();
    assert!(json["spans"][0]["attributes"].is_object(), "{}", heard.body);
    assert!(json["messages"][0]["content"].is_array(), "{}", heard.body);
    let trace: Trace = serde_json::from_str::<TraceBody>(&heard.body).unwrap().into();
    assert_eq!(trace.calls[0].trace_id, id);
    let said: Vec<(&str, &str)> = trace
        .messages
        .iter()
        .map(|message| (message.direction.as_str(), message.role.as_str()))
        .collect();
    assert_eq!(said, [("input", "user"), ("output", "assistant")]);
    // What went over the wire is what the core has.
    let direct = world
        .server
        .trace(
            &world.server.generation(),
            &encaje_core::Call::new(encaje_core::call::CallParts {
                caller: encaje_core::Caller::anonymous(),
                request_id: String::new(),
                parent: None,
                session: None,
                idempotency_key: None,
                time_limit: std::time::Duration::from_secs(5),
            }),
            &id,
        )
        .await
        .unwrap();
    assert_eq!(trace, direct);
}

#[tokio::test]
async fn bad_questions_are_refused() {
    let world = used().await;
    let mut all = String::new();
    for path in [
        "?limit=0",
        "?limit=1001",
        "?limit=many",
        "?status=fine",
        "?colour=red",
        "?cursor=nonsense",
        "/zz",
        "/ffffffff",
    ] {
        all.push_str(&format!(
            "{path}\n{}\n\n",
            world.get(&format!("/api/v1/traces{path}")).await.shown()
        ));
    }
    assert_snapshot!(all);
}
