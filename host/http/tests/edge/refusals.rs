//! Every refusal of the edge: its status, its object and its headers.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use encaje_core::problem::{Problem, ProblemKind};
use encaje_http::EdgeConfig;
use insta::assert_snapshot;

use crate::fake::{Heard, Setting, Step};

const ASK: &str = r#"{"model":"hello","messages":[{"role":"user","content":"Hi"}]}"#;

fn shown(heard: &Heard) -> String {
    let mut shown = heard.shown();
    for name in [
        "allow",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "www-authenticate",
        "connection",
    ] {
        if let Some(value) = heard.header(name) {
            shown.push_str(&format!("\n{name}: {value}"));
        }
    }
    shown
}

#[tokio::test]
async fn bad_json_is_told_with_its_place() {
    let world = Setting::default().start();
    let mut all = String::new();
    let deep = format!(r#"{{"model":"hello","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    for body in [
        "",
        "{",
        "{\"model\":\n\"hello\",}",
        "[1]",
        "null",
        "{\"model\" \"hello\"}",
        "{\"a\":1} x",
        &deep,
        "{\"a\":\"\u{1}\"}",
    ] {
        let heard = world.chat(body).await;
        assert_eq!(heard.status, 400);
        let start: String = body.chars().take(40).collect();
        all.push_str(&format!("{start:?}\n  {}\n", heard.body));
    }
    assert_snapshot!(all);
    let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    let heard = world
        .ask(request.body(Body::from(b"{\"a\":\n \"\xff\"}".to_vec())).unwrap())
        .await;
    assert_snapshot!("not_utf8", heard.shown());
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let world = Setting::default().start();
    assert_snapshot!("no_model", world.chat(r#"{"messages":[]}"#).await.shown());
    assert_snapshot!("no_messages", world.chat(r#"{"model":"hello"}"#).await.shown());
    assert_snapshot!("an_empty_model", world.chat(r#"{"model":""}"#).await.shown());
    assert_snapshot!(
        "no_prompt",
        world.post("/v1/completions", r#"{"model":"hello"}"#).await.shown()
    );
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let world = Setting::default().start();
    let heard = world.chat(&ASK.replace("hello", "nobody")).await;
    assert_snapshot!(shown(&heard));
    assert!(
        heard.header("x-encaje-trace").is_some(),
        "this call is in the ledger too"
    );
    assert_eq!(
        world.chat(&ASK.replace("hello", "lost")).await.json()["error"]["code"],
        "misconfigured"
    );
    let embed = world.post("/v1/embeddings", r#"{"model":"nobody","input":"a"}"#).await;
    assert_eq!(embed.json()["error"]["code"], "model_not_found");
}

#[tokio::test]
async fn paths_methods_and_types_have_their_own_refusals() {
    let world = Setting::default().start();
    let mut all = String::new();
    let ask = |method: Method, path: &str, kind: Option<&str>| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        request.body(Body::from(ASK)).unwrap()
    };
    for (method, path, kind) in [
        (Method::GET, "/v1/nothing", None),
        (Method::GET, "/", None),
        (Method::GET, "/v1/chat/completions", None),
        (Method::HEAD, "/v1/chat/completions", None),
        (Method::OPTIONS, "/v1/chat/completions", None),
        (Method::DELETE, "/v1/models/hello", None),
        (Method::POST, "/health", None),
        (Method::POST, "/v1/chat/completions", None),
        (Method::POST, "/v1/chat/completions", Some("text/plain")),
        (
            Method::POST,
            "/v1/embeddings",
            Some("application/x-www-form-urlencoded"),
        ),
    ] {
        let heard = world.ask(ask(method.clone(), path, kind)).await;
        assert!(heard.header("x-request-id").is_some());
        assert!(heard.header("access-control-allow-origin").is_none());
        all.push_str(&format!(
            "{method} {path} {}\n{}\n\n",
            kind.unwrap_or_default(),
            shown(&heard)
        ));
    }
    assert_snapshot!(all);
    let typed = ask(
        Method::POST,
        "/v1/chat/completions",
        Some("Application/JSON; charset=utf-8"),
    );
    assert_eq!(world.ask(typed).await.status, 200);
    let mut packed = ask(Method::POST, "/v1/chat/completions", Some("application/json"));
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(world.ask(packed).await.status, 415);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let config = EdgeConfig {
        body_bytes: 100,
        ..EdgeConfig::default()
    };
    let world = Setting {
        config,
        ..Setting::default()
    }
    .start();
    assert_eq!(world.chat(ASK).await.status, 200);
    let long = ASK.replace("Hi", &"x".repeat(100));
    assert_snapshot!(shown(&world.chat(&long).await));
    // Without a declared length it is noticed while it comes.
    let pieces = futures::stream::iter(long.into_bytes().chunks(10).map(<[u8]>::to_vec).collect::<Vec<_>>());
    let pieces = futures::StreamExt::map(pieces, Ok::<_, std::io::Error>);
    let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    assert_eq!(
        world.ask(request.body(Body::from_stream(pieces)).unwrap()).await.status,
        413
    );
}

#[tokio::test]
async fn large_bodies_share_a_bounded_memory() {
    let config = EdgeConfig {
        body_budget: 256 << 10,
        ..EdgeConfig::default()
    };
    let setting = Setting {
        config,
        ..Setting::default()
    };
    let world = setting
        .script("wait", |_| vec![Step::Wait(Duration::from_secs(30))])
        .start();
    let ask = |model: &str| ASK.replace("hello", model).replace("Hi", &"x".repeat(150 << 10));
    let router = world.router.clone();
    let body = ask("wait");
    let held = tokio::spawn(async move {
        use tower::ServiceExt as _;
        let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
        router.oneshot(request.body(Body::from(body)).unwrap()).await
    });
    while world.fake.asked.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = world.chat(&ask("hello")).await;
    assert_snapshot!(shown(&refused));
    assert_eq!(world.chat(ASK).await.status, 200, "small bodies are not held up");
    held.abort();
    let _ = held.await;
    assert_eq!(
        world.chat(&ask("hello")).await.status,
        200,
        "what was held is given back"
    );
}

#[tokio::test]
async fn a_body_that_stops_coming_is_timed_out() {
    let config = EdgeConfig {
        body_stall: Duration::from_millis(50),
        ..EdgeConfig::default()
    };
    let world = Setting {
        config,
        ..Setting::default()
    }
    .start();
    let request = || Request::post("/v1/chat/completions").header("content-type", "application/json");
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    assert_snapshot!(
        "a_stalled_body",
        shown(&world.ask(request().body(never).unwrap()).await)
    );
    let broken = futures::stream::iter([Ok(b"{".to_vec()), Err(std::io::Error::other("reset"))]);
    assert_snapshot!(
        "a_broken_body",
        shown(&world.ask(request().body(Body::from_stream(broken)).unwrap()).await)
    );
}

#[tokio::test]
async fn every_class_of_problem_has_its_status() {
    let kinds = [
        ProblemKind::InvalidRequest,
        ProblemKind::Unauthenticated,
        ProblemKind::Denied,
        ProblemKind::NotFound,
        ProblemKind::Conflict,
        ProblemKind::TooLarge,
        ProblemKind::ContextExceeded,
        ProblemKind::ContentBlocked,
        ProblemKind::Unsupported,
        ProblemKind::RateLimited,
        ProblemKind::QuotaExceeded,
        ProblemKind::Overloaded,
        ProblemKind::Unavailable,
        ProblemKind::Timeout,
        ProblemKind::Misconfigured,
        ProblemKind::Internal,
        ProblemKind::Other("new".to_owned()),
    ];
    let mut all = String::new();
    for kind in kinds {
        let problem = Problem::new(kind.clone(), "It did not work.").with_detail("a secret detail");
        let world = Setting::default()
            .script("fail", move |_| vec![Step::Fail(problem.clone())])
            .start();
        let heard = world.chat(&ASK.replace("hello", "fail")).await;
        assert!(!heard.body.contains("secret"));
        all.push_str(&format!("{kind}: {}\n\n", shown(&heard)));
    }
    assert_snapshot!(all);
}

#[tokio::test]
async fn a_wait_is_told_in_seconds_and_milliseconds() {
    let wait = Duration::from_millis(2_500);
    let problem = Problem::new(ProblemKind::RateLimited, "Slow down.")
        .with_retry_after(wait)
        .with_code("tokens");
    let world = Setting::default()
        .script("fail", move |_| vec![Step::Fail(problem.clone())])
        .start();
    assert_snapshot!(shown(&world.chat(&ASK.replace("hello", "fail")).await));
}

#[tokio::test]
async fn probes_answer() {
    let world = Setting::default().start();
    assert_snapshot!("health", world.get("/health").await.shown());
    assert_snapshot!("ready", world.get("/ready").await.shown());
    world.server.stop();
    assert_snapshot!("not_ready", shown(&world.get("/ready").await));
    assert_eq!(world.get("/health").await.status, 200);
}
