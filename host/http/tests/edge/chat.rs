//! Chat on the OpenAI wire: whole and streamed, tool calls, log probabilities, several choices, usage, failures.

use std::time::Duration;

use encaje_core::chat::{Alternative, ChatEvent, FinishReason, TokenLogprob, ToolCallDelta, Usage};
use encaje_core::problem::{Problem, ProblemKind};
use encaje_http::EdgeConfig;
use insta::assert_snapshot;

use crate::fake::{Setting, Step, chunk, finish, text, usage};

const ASK: &str = r#"{"model":"hello","messages":[{"role":"user","content":"Hi"}]}"#;

fn asking(model: &str, members: &str) -> String {
    let members = if members.is_empty() {
        String::new()
    } else {
        format!(",{members}")
    };
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]{members}}}"#)
}

fn tool(index: u32, first: Option<(&str, &str)>, arguments: &str) -> ChatEvent {
    ChatEvent::ToolCall(ToolCallDelta {
        index,
        id: first.map(|(id, _)| id.to_owned()),
        name: first.map(|(_, name)| name.to_owned()),
        arguments: arguments.to_owned(),
    })
}

fn tools() -> Setting {
    Setting::default().script("tools", |_| {
        vec![
            Step::Say(vec![chunk(0, tool(0, Some(("call_a", "weather")), ""))]),
            Step::Say(vec![
                chunk(0, tool(0, None, "{\"city\":")),
                chunk(0, tool(0, None, "\"Málaga\"}")),
            ]),
            Step::Say(vec![
                chunk(0, tool(1, Some(("call_b", "time")), "{}")),
                finish(0, FinishReason::ToolCalls),
                usage(9, 8),
            ]),
        ]
    })
}

fn token(text: &str, logprob: f64, top: &[(&str, f64)]) -> TokenLogprob {
    let rival = |(token, logprob): &(&str, f64)| Alternative {
        token: (*token).to_owned(),
        bytes: token.as_bytes().to_vec(),
        logprob: *logprob,
    };
    TokenLogprob {
        token: text.to_owned(),
        bytes: text.as_bytes().to_vec(),
        logprob,
        top: top.iter().map(rival).collect(),
    }
}

/// Everything that a provider can say, one after the other.
fn odd() -> Setting {
    Setting::default().script("odd", |_| {
        let probable = vec![token("¡Sí", -0.25, &[("¡Sí", -0.25), ("No", f64::NEG_INFINITY)])];
        vec![
            Step::Say(vec![chunk(0, ChatEvent::Reasoning("Hm.".to_owned()))]),
            Step::Say(vec![text("¡Sí\"\n"), chunk(0, ChatEvent::Logprobs(probable))]),
            Step::Say(vec![chunk(0, ChatEvent::Logprobs(vec![token("!", -1.5, &[])]))]),
            Step::Say(vec![chunk(
                0,
                ChatEvent::Other("annotations".to_owned(), "[\n{\"a\": 1}\n]".to_owned()),
            )]),
            Step::Say(vec![chunk(
                0,
                ChatEvent::Other("content".to_owned(), "\"hidden\"".to_owned()),
            )]),
            Step::Say(vec![finish(0, FinishReason::Other("pause".to_owned()))]),
            Step::Say(vec![chunk(
                0,
                ChatEvent::Usage(Usage {
                    input_tokens: 10,
                    cached_input_tokens: 4,
                    cache_write_tokens: 2,
                    output_tokens: 6,
                    reasoning_tokens: 1,
                    extra: vec![("accepted_prediction_tokens".to_owned(), "3".to_owned())],
                }),
            )]),
        ]
    })
}

#[tokio::test]
async fn an_answer_comes_whole() {
    let world = Setting::default().start();
    let heard = world.chat(ASK).await;
    assert_snapshot!(heard.shown());
    assert_eq!(heard.header("content-type"), Some("application/json"));
    assert_eq!(heard.header("x-encaje-degraded"), None);
    let trace = heard.header("x-encaje-trace").unwrap();
    assert_eq!(trace.len(), 32);
    assert!(heard.json()["id"].as_str().unwrap().contains(trace));
    assert!(heard.header("x-request-id").unwrap().starts_with("req_"));
}

#[tokio::test]
async fn an_answer_comes_in_chunks() {
    let world = Setting::default().start();
    let heard = world.chat(&asking("hello", r#""stream":true"#)).await;
    assert_snapshot!(heard.shown());
    assert_eq!(heard.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(heard.header("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn usage_is_null_but_in_the_last_chunk_when_it_was_asked_for() {
    let world = Setting::default().start();
    let heard = world
        .chat(&asking(
            "hello",
            r#""stream":true,"stream_options":{"include_usage":true}"#,
        ))
        .await;
    assert_snapshot!(heard.shown());
}

#[tokio::test]
async fn several_choices_are_kept_apart() {
    let world = Setting::default().start();
    assert_snapshot!(
        "several_choices_whole",
        world.chat(&asking("hello", r#""n":2"#)).await.shown()
    );
    assert_snapshot!(
        "several_choices_streamed",
        world.chat(&asking("hello", r#""n":2,"stream":true"#)).await.shown()
    );
}

#[tokio::test]
async fn tool_calls_come_whole_and_in_pieces() {
    let world = tools().start();
    assert_snapshot!("tool_calls_whole", world.chat(&asking("tools", "")).await.shown());
    assert_snapshot!(
        "tool_calls_streamed",
        world.chat(&asking("tools", r#""stream":true"#)).await.shown()
    );
}

#[tokio::test]
async fn the_deprecated_functions_have_the_deprecated_answer() {
    let world = Setting::default()
        .script("tools", |_| {
            vec![Step::Say(vec![
                chunk(0, tool(0, Some(("call_a", "weather")), "{\"city\":\"Cádiz\"}")),
                finish(0, FinishReason::ToolCalls),
            ])]
        })
        .start();
    let functions = r#""functions":[{"name":"weather"}],"function_call":{"name":"weather"}"#;
    assert_snapshot!("functions_whole", world.chat(&asking("tools", functions)).await.shown());
    let streamed = world
        .chat(&asking("tools", &format!(r#"{functions},"stream":true"#)))
        .await;
    assert_snapshot!("functions_streamed", streamed.shown());

    let two = tools().start();
    assert_snapshot!(
        "functions_cannot_tell_of_two_calls",
        two.chat(&asking("tools", functions)).await.shown()
    );
}

#[tokio::test]
async fn reasoning_logprobs_and_unknown_events_have_their_places() {
    let world = odd().start();
    assert_snapshot!("odd_whole", world.chat(&asking("odd", "")).await.shown());
    let streamed = world
        .chat(&asking(
            "odd",
            r#""stream":true,"stream_options":{"include_usage":true}"#,
        ))
        .await;
    assert_snapshot!("odd_streamed", streamed.shown());
}

#[tokio::test]
async fn a_refusal_is_no_content() {
    let world = Setting::default()
        .script("odd", |_| {
            let refusal = chunk(0, ChatEvent::Refusal("I will not.".to_owned()));
            vec![Step::Say(vec![
                refusal,
                chunk(0, ChatEvent::Logprobs(vec![token("I", -0.5, &[])])),
                finish(0, FinishReason::Stop),
            ])]
        })
        .start();
    assert_snapshot!("refusal_whole", world.chat(&asking("odd", "")).await.shown());
    assert_snapshot!(
        "refusal_streamed",
        world.chat(&asking("odd", r#""stream":true"#)).await.shown()
    );
}

#[tokio::test]
async fn obfuscation_makes_chunks_of_one_length() {
    let world = Setting::default().start();
    let heard = world
        .chat(&asking(
            "hello",
            r#""stream":true,"stream_options":{"include_obfuscation":true}"#,
        ))
        .await;
    let lengths: Vec<usize> = heard
        .body
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok())
        .map(|event| {
            let said = event["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or_default()
                .len();
            said + event["obfuscation"].as_str().unwrap().len()
        })
        .collect();
    assert_eq!(lengths, vec![32; 4]);
}

#[tokio::test]
async fn a_second_best_answer_is_marked() {
    let world = Setting::default().start();
    assert_eq!(
        world.chat(&asking("second", "")).await.header("x-encaje-degraded"),
        Some("true")
    );
    assert_eq!(
        world
            .chat(&asking("second", r#""stream":true"#))
            .await
            .header("x-encaje-degraded"),
        Some("true")
    );
}

fn late(problem: Problem) -> Setting {
    Setting::default()
        .script("fail-late", move |_| {
            vec![Step::Say(vec![text("Once")]), Step::Fail(problem.clone())]
        })
        .script("fail-early", |_| {
            vec![Step::Fail(Problem::new(
                ProblemKind::Unavailable,
                "The upstream is down.",
            ))]
        })
}

#[tokio::test]
async fn a_failure_before_the_first_chunk_is_a_status_and_after_it_an_event() {
    let problem = Problem::new(ProblemKind::Unavailable, "The upstream went away.").with_detail("a secret detail");
    let world = late(problem).start();
    let streamed = r#""stream":true"#;
    assert_snapshot!(
        "fail_early_streamed",
        world.chat(&asking("fail-early", streamed)).await.shown()
    );
    assert_snapshot!(
        "fail_late_streamed",
        world.chat(&asking("fail-late", streamed)).await.shown()
    );
    let whole = world.chat(&asking("fail-late", "")).await;
    assert_snapshot!("fail_late_whole", whole.shown());
    assert!(whole.header("x-encaje-trace").is_some());
}

#[tokio::test]
async fn a_stream_without_a_finish_reason_is_not_taken_for_done() {
    let world = Setting::default()
        .script("odd", |_| vec![Step::Say(vec![text("cut of")])])
        .start();
    let heard = world.chat(&asking("odd", r#""stream":true"#)).await;
    assert!(heard.body.contains("internal_error"), "{}", heard.body);
    assert!(!heard.body.contains("[DONE]"), "{}", heard.body);
    assert_eq!(world.chat(&asking("odd", "")).await.status, 500);
}

/// An edge that sends a comment into a silence of 40 ms.
fn impatient() -> Setting {
    let config = EdgeConfig {
        keep_alive: Duration::from_millis(40),
        ..EdgeConfig::default()
    };
    Setting {
        config,
        ..Setting::default()
    }
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive() {
    let world = impatient()
        .script("wait", |_| {
            let wait = Step::Wait(Duration::from_millis(150));
            vec![
                Step::Say(vec![text("a")]),
                wait,
                Step::Say(vec![text("b"), finish(0, FinishReason::Stop)]),
            ]
        })
        .start();
    let heard = world.chat(&asking("wait", r#""stream":true"#)).await;
    let comments = heard.body.matches(": keep-alive\n\n").count();
    assert!((1..=4).contains(&comments), "{comments} comments: {}", heard.body);
    assert!(heard.body.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_stream_that_takes_long_to_begin_has_its_head_and_comments_before() {
    let wait = || Step::Wait(Duration::from_millis(150));
    let world = impatient()
        .script("slow", move |_| {
            vec![wait(), Step::Say(vec![text("a"), finish(0, FinishReason::Stop)])]
        })
        .script("fail-late", move |_| {
            vec![wait(), Step::Fail(Problem::new(ProblemKind::Unavailable, "down"))]
        })
        .start();
    let late = world.chat(&asking("slow", r#""stream":true"#)).await;
    assert_eq!(late.status, 200);
    assert!(late.body.starts_with(": keep-alive\n\n"), "{}", late.body);
    assert!(late.body.ends_with("data: [DONE]\n\n"), "{}", late.body);
    let lost = world.chat(&asking("fail-late", r#""stream":true"#)).await;
    assert_eq!(lost.status, 200, "it had begun");
    assert!(lost.body.starts_with(": keep-alive\n\n"), "{}", lost.body);
    assert!(
        lost.body.contains("\"error\"") && !lost.body.contains("[DONE]"),
        "{}",
        lost.body
    );
}

#[tokio::test]
async fn nothing_ends_before_its_trace_is_committed() {
    for members in ["", r#""stream":true"#] {
        let world = Setting::default().start();
        let closed = world.store.gate.acquire().await.unwrap();
        let asked = world.router.clone();
        let body = asking("hello", members);
        let answer = tokio::spawn(async move {
            use http_body_util::BodyExt as _;
            use tower::ServiceExt as _;
            let request = axum::http::Request::post("/v1/chat/completions").header("content-type", "application/json");
            let response = asked
                .oneshot(request.body(axum::body::Body::from(body)).unwrap())
                .await
                .unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!answer.is_finished(), "the answer ended before its trace was written");
        assert!(world.store.rows("spans").is_empty());
        drop(closed);
        let body = answer.await.unwrap();
        assert!(!world.store.rows("spans").is_empty());
        assert!(!body.is_empty());
    }
}

#[tokio::test]
async fn what_was_cut_off_is_never_taken_for_the_whole_answer() {
    let cancelled = Problem::new(ProblemKind::Cancelled, "The upstream cancelled.");
    let world = Setting::default()
        .script("fail-cancelled", move |_| {
            vec![Step::Say(vec![text("Once")]), Step::Fail(cancelled.clone())]
        })
        .start();
    assert_snapshot!("cut_off_whole", world.chat(&asking("fail-cancelled", "")).await.shown());
    let streamed = world.chat(&asking("fail-cancelled", r#""stream":true"#)).await;
    assert!(streamed.body.contains("\"code\":\"cancelled\""), "{}", streamed.body);
    assert!(!streamed.body.contains("[DONE]"), "{}", streamed.body);
}
