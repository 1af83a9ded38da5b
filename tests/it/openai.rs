//! `provider-openai` in its sandbox, against an upstream that speaks the wire and fails in every way; and through a second
//! server, so that every answer is the stub's own both ways.

use std::time::{Duration, Instant};

use encaje_capabilities::egress::{Egress, Hidden, Policy, Rule, Secret};
use encaje_core::chat::{ChatEvent, ChatRequest, FinishReason, Tool, ToolChoice};
use encaje_core::embeddings::{EmbedInput, EmbedRequest, Purpose};
use encaje_core::ports::Provider;
use encaje_core::trace::PluginKind;
use encaje_core::transcript::Transcript;
use encaje_core::{Problem, ProblemKind};
use encaje_runtime::ProviderPlugin;
use serde_json::{Value, json};

use crate::support::{ServerProcess, ask, call, chat, provider, registry, root, spec};
use crate::upstream::{Behaviour, Upstream, behaviour::Refusal};

const KEY: &str = "sk-test-9f86d081884c7d65";

async fn plugin(upstream: &Upstream) -> ProviderPlugin {
    let config = json!({ "base_url": upstream.base_url(), "secret": "OPENAI_API_KEY" });
    let mut spec = spec(
        "openai",
        PluginKind::Provider,
        "plugins/provider-openai",
        &config.to_string(),
    );
    let (host, port) = ("127.0.0.1".to_owned(), upstream.address().port());
    let key = Secret {
        host: host.clone(),
        header: "authorization".to_owned(),
        template: "Bearer {}".to_owned(),
        reveal: false,
        value: Some(Hidden::new(KEY.to_owned())),
    };
    let rule = Rule {
        host,
        port,
        methods: vec!["GET".to_owned(), "POST".to_owned()],
        path: Some("/v1".to_owned()),
        private: false,
    };
    let policy = Policy {
        plugin: "openai".to_owned(),
        rules: vec![rule],
        secrets: [("OPENAI_API_KEY".to_owned(), key)].into(),
    };
    spec.capabilities.http = Some(Egress::new(policy).unwrap());
    upstream.require_key(KEY);
    provider(spec).await.unwrap()
}

async fn fails(plugin: &dyn Provider) -> Problem {
    let problem = ask(plugin, &call("a"), chat("hi")).await.expect_err("it must fail");
    assert!(!format!("{problem:?}").contains(KEY), "{problem:?}");
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_embeddings_and_models_use_one_connection_and_the_key() {
    let upstream = Upstream::start().await;
    let plugin = plugin(&upstream).await;
    let said = ask(&plugin, &call("a"), chat("hi")).await.unwrap();
    let transcript = Transcript::of(&said);
    assert!(!transcript.choices[&0].text.is_empty());
    assert_eq!(transcript.choices[&0].finish, Some(FinishReason::Stop));
    assert!(transcript.usage.unwrap().input_tokens > 0);
    let sent = upstream.last();
    assert_eq!(
        (sent.method.as_str(), sent.path.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(sent.json()["stream"], json!(true));

    let mut request = chat("use the tool");
    request.tools = vec![Tool {
        name: "look_up".to_owned(),
        description: None,
        parameters: r#"{"type":"object"}"#.to_owned(),
        strict: true,
        extra: Vec::new(),
    }];
    request.tool_choice = Some(ToolChoice::Required);
    request.sampling.choices = 2;
    request.sampling.logprobs = Some(2);
    request.extra = vec![("user".to_owned(), "\"ann\"".to_owned())];
    let said = ask(&plugin, &call("a"), request).await.unwrap();
    let body = upstream.last().json();
    assert_eq!(body["tools"][0]["function"]["strict"], json!(true));
    assert_eq!((&body["tool_choice"], &body["n"]), (&json!("required"), &json!(2)));
    assert_eq!((&body["top_logprobs"], &body["user"]), (&json!(2), &json!("ann")));
    let transcript = Transcript::of(&said);
    assert_eq!(transcript.choices.len(), 2);
    let calls = &transcript.choices[&1].tool_calls;
    assert_eq!(calls[0].name, "look_up", "{calls:?}");
    serde_json::from_str::<Value>(&calls[0].arguments).unwrap();

    let embedded = plugin
        .embed(
            &call("a"),
            EmbedRequest {
                model: "text-embedding-3-small".to_owned(),
                inputs: vec![EmbedInput::Text("a".to_owned()), EmbedInput::Text("b".to_owned())],
                purpose: Purpose::Unspecified,
                dimensions: None,
                extra: Vec::new(),
            },
        )
        .await
        .unwrap();
    assert_eq!(embedded.vectors.len(), 2 * embedded.dimensions as usize);
    assert!(!plugin.models(&call("a")).await.unwrap().is_empty());
    assert!(plugin.count_tokens(&call("a"), chat("hi")).await.unwrap() > 0);
    // A connection goes back to the pool a moment behind its answer, so now and then the next request is earlier.
    let (made, asked) = (upstream.connections(), upstream.asked().len());
    assert!(asked >= 5 && made < asked, "{made} connections for {asked} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_of_the_upstream_has_its_class() {
    let upstream = Upstream::start().await;
    let plugin = plugin(&upstream).await;
    for (status, kind) in [
        (400, ProblemKind::InvalidRequest),
        (401, ProblemKind::Misconfigured),
        (403, ProblemKind::Denied),
        (404, ProblemKind::NotFound),
        (422, ProblemKind::InvalidRequest),
        (429, ProblemKind::RateLimited),
        (500, ProblemKind::Unavailable),
        (503, ProblemKind::Overloaded),
        (529, ProblemKind::Overloaded),
    ] {
        upstream.will([Refusal::of(status).with_header("retry-after", "2").into()]);
        let problem = fails(&plugin).await;
        assert_eq!(
            (&problem.kind, problem.upstream_status),
            (&kind, Some(status)),
            "{problem:?}"
        );
        if status >= 429 {
            assert_eq!(problem.retry_after, Some(Duration::from_secs(2)), "{status}");
        }
    }
    for (behaviour, kind) in [
        (Refusal::quota().into(), ProblemKind::QuotaExceeded),
        (Refusal::context().into(), ProblemKind::ContextExceeded),
        (Behaviour::Close, ProblemKind::Unavailable),
        (Behaviour::Cut(2), ProblemKind::Unavailable),
        (Behaviour::Malformed(2), ProblemKind::Unavailable),
        (Behaviour::ContentType("text/html"), ProblemKind::Unavailable),
        (Behaviour::EndlessLine, ProblemKind::Unavailable),
        (Behaviour::Gzip, ProblemKind::Unavailable),
        (Behaviour::RefuseEchoingAuthorization, ProblemKind::Misconfigured),
        (
            Behaviour::ErrorInStream(
                1,
                json!({ "error": { "message": "busy", "type": "server_error", "code": null } }),
            ),
            ProblemKind::Unavailable,
        ),
    ] {
        let shown = format!("{behaviour:?}");
        upstream.will([behaviour]);
        let problem = fails(&plugin).await;
        assert_eq!(problem.kind, kind, "{shown}: {problem:?}");
    }
    assert!(
        ask(&plugin, &call("a"), chat("hi")).await.is_ok(),
        "and then it works again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_odd_is_understood() {
    let upstream = Upstream::start().await;
    let plugin = plugin(&upstream).await;
    let plain = Transcript::of(&ask(&plugin, &call("a"), chat("hi")).await.unwrap());
    for behaviour in [
        Behaviour::WithoutUsage,
        Behaviour::WithoutDone,
        Behaviour::EmptyChoices,
        Behaviour::Comments,
        Behaviour::UsageWithFinish,
        Behaviour::Drip(Duration::from_micros(200)),
    ] {
        let shown = format!("{behaviour:?}");
        upstream.will([behaviour]);
        let said = Transcript::of(&ask(&plugin, &call("a"), chat("hi")).await.unwrap());
        assert_eq!(said.choices[&0].text, plain.choices[&0].text, "{shown}");
        assert_eq!(said.choices[&0].finish, plain.choices[&0].finish, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_waits_for_ends_upstream_too() {
    let upstream = Upstream::start().await;
    let plugin = plugin(&upstream).await;
    upstream.will([Behaviour::Endless]);
    let mut answer = plugin.complete(&call("a"), chat("hi")).await.unwrap();
    let first = answer.next().await.unwrap();
    assert!(first.is_some());
    drop(answer);
    upstream.wait_for_hangups(1).await;

    upstream.will([Behaviour::Stall(1)]);
    let mut answer = plugin.complete(&call("a"), chat("hi")).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(300), async {
        loop {
            if let Err(problem) = answer.next().await {
                return problem;
            }
        }
    });
    assert!(waited.await.is_err(), "it goes on waiting while its call lasts");
    drop(answer);
    upstream.wait_for_hangups(2).await;
}

/// A registry whose every model goes through `provider-openai` to another server.
fn through(port: u16) -> String {
    let folder = root().join("plugins/provider-openai").display().to_string();
    registry("stub").replace(
        "[routes.m]\nto = [{ plugin = \"stub\" }]",
        "[routes.\"*\"]\nto = [{ plugin = \"up\" }]",
    ) + &format!(
        "\n[plugins.up]\nkind = \"provider\"\nsource = {{ path = \"{folder}\" }}\n\
             allow = {{ http = [{{ host = \"127.0.0.1:{port}\", path = \"/v1\" }}] }}\n\
             config = {{ base_url = \"http://127.0.0.1:{port}/v1\", secret = \"\" }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_second_server_the_answers_are_the_same() {
    let (near, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let behind = ServerProcess::start(far.path(), &registry("stub"), &[]);
    let front = ServerProcess::start(near.path(), &through(behind.address().port()), &[]);
    let user = |text: &str| json!([{ "role": "user", "content": text }]);
    for (path, body) in [
        (
            "chat/completions",
            json!({ "model": "m", "messages": user("Tell me of the sea.") }),
        ),
        (
            "chat/completions",
            json!({ "model": "m", "messages": user("x"), "n": 2, "logprobs": true, "top_logprobs": 2 }),
        ),
        (
            "chat/completions",
            json!({ "model": "m", "messages": user("x"), "tool_choice": "required",
                    "tools": [{ "type": "function", "function": { "name": "look_up", "parameters": { "type": "object" } } }] }),
        ),
        (
            "chat/completions",
            json!({ "model": "m", "messages": user("x"), "response_format": { "type": "json_schema", "json_schema": {
                    "name": "s", "strict": true, "schema": { "type": "object", "properties": { "a": { "type": "integer" } },
                    "required": ["a"], "additionalProperties": false } } } }),
        ),
        (
            "completions",
            json!({ "model": "m", "prompt": "Once", "max_tokens": 5 }),
        ),
        (
            "embeddings",
            json!({ "model": "m", "input": ["a", "b"], "dimensions": 8 }),
        ),
        (
            "embeddings",
            json!({ "model": "m", "input": [[1, 2, 3]], "encoding_format": "base64" }),
        ),
        (
            "chat/completions",
            json!({ "model": "m", "messages": user("x"), "stub": { "fail": "rate-limited" } }),
        ),
        (
            "chat/completions",
            json!({ "model": "m", "messages": user("x"), "stub": { "fail": "content-blocked" } }),
        ),
    ] {
        let path = format!("/v1/{path}");
        let mut both = Vec::new();
        for server in [&behind, &front] {
            let answer = server.ask(hyper::Method::POST, &path, &body.to_string()).await;
            let mut told: Value = serde_json::from_str(&answer.body).unwrap();
            for volatile in ["id", "created", "system_fingerprint"] {
                told.as_object_mut().unwrap().remove(volatile);
            }
            both.push((answer.status, told));
        }
        assert_eq!(both[0], both[1], "{path} {body}");
    }
    front.stop();
    behind.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_tried_again_as_the_upstream_asks_and_then_falls_back() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let text = through(upstream.address().port()).replace(
        "to = [{ plugin = \"up\" }]",
        "to = [{ plugin = \"up\" }, { plugin = \"stub\", degraded = true }]",
    ) + "retry = { attempts = 2, first = \"10ms\", most = \"2s\" }\nbreaker = { failures = 3, pause = \"60s\" }\n";
    let server = ServerProcess::start(folder.path(), &text, &[]);
    let plugin = async || {
        let answer = server.chat("m", "hi").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let id = answer.trace.unwrap();
        let path = format!("/api/v1/traces/{id}");
        let trace: Value = serde_json::from_str(&server.ask(hyper::Method::GET, &path, "").await.body).unwrap();
        (trace["calls"][0]["plugin"].as_str().unwrap().to_owned(), trace)
    };
    upstream.will([Refusal::of(429).with_header("retry-after-ms", "300").into()]);
    let began = Instant::now();
    let (name, trace) = plugin().await;
    assert_eq!(name, "up");
    assert!(began.elapsed() >= Duration::from_millis(300), "not before it said");
    let tries: Vec<&Value> = trace["spans"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|span| span["name"] == "provider.complete")
        .collect();
    assert_eq!(tries.len(), 2, "each try is a span: {trace:#}");
    assert_eq!(tries[1]["attributes"]["encaje.attempt"], 2);

    upstream.will([Behaviour::Close, Behaviour::Close]);
    assert_eq!(plugin().await.0, "stub", "the next target, when the tries are used up");
    upstream.will([Behaviour::Close]);
    assert_eq!(
        plugin().await.0,
        "stub",
        "the third failure opens the breaker before the second try"
    );
    let asked = upstream.asked().len();
    assert_eq!(plugin().await.0, "stub");
    assert_eq!(upstream.asked().len(), asked, "it is left alone");
    let plugins = server.ask(hyper::Method::GET, "/api/v1/plugins", "").await.body;
    let plugins: Value = serde_json::from_str(&plugins).unwrap();
    let up = plugins["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "up")
        .unwrap();
    assert_eq!(up["breaker"], "open", "{up:#}");
    assert_eq!(up["errors"]["unavailable"], 3, "{up:#}");
    let metrics = server.ask(hyper::Method::GET, "/metrics", "").await.body;
    assert!(
        metrics.contains("encaje_plugin_breaker_open{plugin=\"up\",kind=\"provider\"} 1.0"),
        "{metrics}"
    );
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_raw_texts_arrive_as_they_are() {
    let upstream = Upstream::start().await;
    let plugin = plugin(&upstream).await;
    let mut request: ChatRequest = chat("what is this?");
    let encaje_core::chat::Input::Messages(messages) = &mut request.input else {
        panic!("a chat is a conversation");
    };
    messages[0].content.push(encaje_core::chat::Part {
        body: encaje_core::chat::PartBody::Media(encaje_core::chat::Media {
            mime: "image/png".to_owned(),
            bytes: vec![1, 2, 3],
            name: None,
        }),
        extra: vec![("detail".to_owned(), "\"low\"".to_owned())],
    });
    ask(&plugin, &call("a"), request).await.unwrap();
    let picture = &upstream.last().json()["messages"][0]["content"][1];
    assert_eq!(picture["image_url"]["url"], "data:image/png;base64,AQID", "{picture}");
    assert_eq!(picture["image_url"]["detail"], "low");

    let mut request = chat("x");
    request.input = encaje_core::chat::Input::Prompt("Once upon".to_owned());
    let said = ask(&plugin, &call("a"), request).await.unwrap();
    assert!(said.iter().any(|chunk| matches!(chunk.event, ChatEvent::Text(_))));
    assert_eq!(upstream.last().path, "/v1/completions");
}
