//! Completions on the OpenAI wire: every form of prompt, several of them, echo, log probabilities.

use encaje_core::chat::{Alternative, ChatEvent, FinishReason, Input, TokenLogprob};
use insta::assert_snapshot;

use crate::fake::{Setting, Step, World, chunk, finish, text, usage};

async fn complete(world: &World, members: &str) -> crate::fake::Heard {
    world
        .post("/v1/completions", &format!(r#"{{"model":"hello",{members}}}"#))
        .await
}

#[tokio::test]
async fn a_completion_comes_whole_and_in_chunks() {
    let world = Setting::default().start();
    assert_snapshot!(
        "completion_whole",
        complete(&world, r#""prompt":"Say hello""#).await.shown()
    );
    let streamed = complete(
        &world,
        r#""prompt":"Say hello","stream":true,"stream_options":{"include_usage":true}"#,
    )
    .await;
    assert_snapshot!("completion_streamed", streamed.shown());
    assert_eq!(world.asked().input, Input::Prompt("Say hello".to_owned()));
    assert_eq!(world.asked().sampling.max_tokens, Some(16), "the wire's own default");
}

#[tokio::test]
async fn several_prompts_are_answered_in_order() {
    let world = Setting::default().start();
    let several = r#""prompt":["one","two"],"n":2"#;
    assert_snapshot!("prompts_whole", complete(&world, several).await.shown());
    assert_snapshot!(
        "prompts_streamed",
        complete(&world, &format!(r#"{several},"stream":true"#)).await.shown()
    );
    let calls = world.fake.calls.lock().unwrap();
    assert_eq!(calls.len(), 4);
    assert_eq!(
        calls[0].trace(),
        calls[1].trace(),
        "both prompts of a request are one trace"
    );
    assert_eq!(calls[1].parent(), Some(calls[0].span()));
}

#[tokio::test]
async fn token_ids_are_prompts_too() {
    let world = Setting::default().start();
    assert_eq!(complete(&world, r#""prompt":[1,2,3.0]"#).await.status, 200);
    assert_eq!(world.asked().input, Input::Tokens(vec![1, 2, 3]));
    assert_eq!(complete(&world, r#""prompt":[[4,5],[6]]"#).await.status, 200);
    assert_eq!(world.asked().input, Input::Tokens(vec![6]));
    assert_snapshot!(
        "a_wrong_token",
        complete(&world, r#""prompt":[[4,5],[6,-1]]"#).await.shown()
    );
    assert_snapshot!("a_mixed_prompt", complete(&world, r#""prompt":["a",{}]"#).await.shown());
    assert_snapshot!("an_empty_prompt", complete(&world, r#""prompt":[]"#).await.shown());
}

#[tokio::test]
async fn an_echo_is_the_prompt_itself() {
    let world = Setting::default().start();
    let whole = complete(&world, r#""prompt":"Say: ","echo":true"#).await;
    assert_eq!(whole.json()["choices"][0]["text"], "Say: Hello there.");
    assert_snapshot!(
        "echo_streamed",
        complete(&world, r#""prompt":"Say: ","echo":true,"stream":true"#)
            .await
            .shown()
    );
}

#[tokio::test]
async fn what_needs_the_model_is_left_to_it() {
    let world = Setting::default().start();
    for (members, param) in [
        (r#""prompt":"a","suffix":"b""#, "suffix"),
        (r#""prompt":"a","best_of":3"#, "best_of"),
        (r#""prompt":"a","echo":true,"logprobs":1"#, "echo"),
        (r#""prompt":[1],"echo":true"#, "echo"),
    ] {
        let heard = complete(&world, members).await;
        assert_eq!(heard.status, 400, "{members}");
        assert_eq!(heard.json()["error"]["param"], param);
        assert_eq!(heard.json()["error"]["code"], "unsupported_parameter");
    }
    for members in [
        r#""prompt":"a","suffix":"","best_of":1,"echo":false"#,
        r#""prompt":"a","n":2,"best_of":2"#,
    ] {
        assert_eq!(complete(&world, members).await.status, 200, "{members}");
    }
    let below = complete(&world, r#""prompt":"a","n":2,"best_of":1"#).await;
    assert_eq!(below.json()["error"]["param"], "best_of");
}

#[tokio::test]
async fn log_probabilities_have_the_older_shape() {
    let token = |text: &str, top: Vec<Alternative>| TokenLogprob {
        token: text.to_owned(),
        bytes: text.as_bytes().to_vec(),
        logprob: -0.5,
        top,
    };
    let rival = |text: &str, logprob| Alternative {
        token: text.to_owned(),
        bytes: Vec::new(),
        logprob,
    };
    let setting = Setting::default().script("hello", move |_| {
        let top = vec![
            rival("é", -0.5),
            rival("\u{fffd}", -2.0),
            rival("\u{fffd}", f64::NEG_INFINITY),
        ];
        vec![
            Step::Say(vec![
                text("éa"),
                chunk(0, ChatEvent::Logprobs(vec![token("é", top), token("a", Vec::new())])),
            ]),
            Step::Say(vec![
                text("b"),
                chunk(0, ChatEvent::Logprobs(vec![token("b", Vec::new())])),
            ]),
            Step::Say(vec![finish(0, FinishReason::Length), usage(1, 3)]),
        ]
    });
    let world = setting.start();
    assert_snapshot!(
        "older_logprobs_whole",
        complete(&world, r#""prompt":"a","logprobs":2"#).await.shown()
    );
    let streamed = complete(&world, r#""prompt":"a","logprobs":2,"stream":true"#).await;
    assert_snapshot!("older_logprobs_streamed", streamed.shown());
    assert_eq!(world.asked().sampling.logprobs, Some(2));
}

#[tokio::test]
async fn no_request_has_more_answers_than_the_limit() {
    let world = Setting::default().start();
    assert_snapshot!(
        "too_many_answers",
        complete(&world, r#""prompt":["a","b"],"n":100"#).await.shown()
    );
    assert!(world.fake.asked.lock().unwrap().is_empty());
}
