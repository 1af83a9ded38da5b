//! Who may ask: keys, and for a server without keys the names and origins of this machine; and what headers a call takes.

use axum::body::Body;
use axum::http::Request;
use encaje_core::generation::{Access, ApiKey};
use insta::assert_snapshot;
use sha2::{Digest as _, Sha256};

use crate::fake::{Heard, Setting, World};

const ASK: &str = r#"{"model":"hello","messages":[{"role":"user","content":"Hi"}]}"#;

async fn with(world: &World, headers: &[(&str, &str)]) -> Heard {
    let mut request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.ask(request.body(Body::from(ASK)).unwrap()).await
}

fn keyed() -> World {
    let key = |name: &str, secret: &str| ApiKey {
        name: name.to_owned(),
        tenant: format!("{name}-tenant"),
        sha256: Sha256::digest(secret.as_bytes()).into(),
    };
    let access = Access::Keys(vec![key("ann", "sk-ann"), key("bob", "sk-bob")]);
    Setting {
        access,
        ..Setting::default()
    }
    .start()
}

#[tokio::test]
async fn a_key_is_asked_for_and_known() {
    let world = keyed();
    assert_snapshot!("no_key", with(&world, &[]).await.shown());
    assert_snapshot!(
        "a_wrong_key",
        with(&world, &[("authorization", "Bearer sk-eve")]).await.shown()
    );
    assert_snapshot!(
        "not_a_bearer",
        with(&world, &[("authorization", "Basic c2stYW5u")]).await.shown()
    );
    assert_eq!(with(&world, &[]).await.header("www-authenticate"), Some("Bearer"));
    for (header, name) in [("Bearer sk-ann", "ann"), ("bearer  sk-bob ", "bob")] {
        let headers = [
            ("authorization", header),
            ("openai-organization", "org"),
            ("host", "example.org"),
        ];
        let heard = with(&world, &headers).await;
        assert_eq!(heard.status, 200, "{header}");
        let caller = world.fake.calls.lock().unwrap().last().unwrap().caller().clone();
        assert_eq!(
            (caller.tenant, caller.user),
            (format!("{name}-tenant"), Some(name.to_owned()))
        );
    }
    for path in ["/v1/models", "/v1/models/hello", "/api/v1/traces", "/api/v1/traces/00"] {
        assert_eq!(world.get(path).await.status, 401, "{path}");
    }
    for path in ["/health", "/ready"] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_body_is_not_read_for_a_stranger() {
    let world = keyed();
    let body = Body::from_stream(futures::stream::once(async {
        panic!("the body was read") as Result<Vec<u8>, std::io::Error>
    }));
    let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    assert_eq!(world.ask(request.body(body).unwrap()).await.status, 401);
}

#[tokio::test]
async fn without_keys_only_this_machines_names_are_answered() {
    let world = Setting::default().start();
    for host in ["localhost:8080", "127.0.0.1", "[::1]:8080"] {
        assert_eq!(with(&world, &[("host", host)]).await.status, 200, "{host}");
    }
    assert_snapshot!(
        "a_rebound_name",
        with(&world, &[("host", "evil.example:8080")]).await.shown()
    );
    let absolute = Request::get("http://evil.example/v1/models")
        .body(Body::empty())
        .unwrap();
    assert_eq!(world.ask(absolute).await.status, 403);
    for origin in ["http://localhost:3000", "http://127.0.0.1"] {
        assert_eq!(with(&world, &[("origin", origin)]).await.status, 200, "{origin}");
    }
    assert_snapshot!(
        "a_foreign_page",
        with(&world, &[("origin", "https://evil.example")]).await.shown()
    );
    assert_eq!(with(&world, &[("origin", "null")]).await.status, 403);
}

#[tokio::test]
async fn a_call_takes_its_ids_from_headers() {
    let world = Setting::default().start();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let heard = with(
        &world,
        &[
            ("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")),
            ("x-session-id", "conversation:7"),
            ("idempotency-key", "again 1"),
            ("x-request-id", "mine-1"),
        ],
    )
    .await;
    assert_eq!(heard.header("x-encaje-trace"), Some(trace));
    assert_eq!(heard.header("x-request-id"), Some("mine-1"));
    let call = world.fake.calls.lock().unwrap().last().unwrap().clone();
    assert_eq!(call.parent().unwrap().to_string(), "00f067aa0ba902b7");
    assert_eq!(
        (call.session(), call.idempotency_key()),
        (Some("conversation:7"), Some("again 1"))
    );
    assert_eq!(call.request_id(), "mine-1");
}

#[tokio::test]
async fn an_unsafe_id_is_not_taken() {
    let world = Setting::default().start();
    for id in ["two words", "<script>", "", &"x".repeat(129)] {
        let heard = with(&world, &[("x-request-id", id), ("traceparent", "nonsense")]).await;
        assert_eq!(heard.status, 200);
        assert!(heard.header("x-request-id").unwrap().starts_with("req_"), "{id}");
    }
    assert_snapshot!(
        "a_bad_session",
        with(&world, &[("x-session-id", "two words")]).await.shown()
    );
    assert_snapshot!(
        "a_bad_idempotency_key",
        with(&world, &[("idempotency-key", "")]).await.shown()
    );
}
