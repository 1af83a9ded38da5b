//! A plugin that was built for the previous minor version of the contracts, beside plugins of the current one.

use encaje_core::ProblemKind;
use encaje_core::chat::ChatEvent;
use encaje_core::embeddings::{EmbedInput, EmbedRequest, Purpose, RerankRequest};
use encaje_core::ports::Provider;
use encaje_core::trace::PluginKind;
use encaje_core::transcript::Transcript;
use encaje_runtime::ProviderPlugin;
use hyper::Method;
use serde_json::Value;

use crate::support::{ServerProcess, ask, call, chat, component, provider, registry, root, spec};

const FIXTURE: &str = "tests/fixtures/previous-provider";

async fn previous(folder: &std::path::Path) -> ProviderPlugin {
    let mut spec = spec("old", PluginKind::Provider, FIXTURE, r#"{"greeting":"echo:"}"#);
    spec.capabilities.kv = Some(encaje_capabilities::kv::Kv::open(folder).await.unwrap());
    provider(spec).await.unwrap()
}

#[tokio::test]
async fn what_it_says_and_is_asked_is_converted() {
    let folder = tempfile::tempdir().unwrap();
    let old = previous(folder.path()).await;
    let said = ask(&old, &call("a"), chat("one two")).await.unwrap();
    let texts: Vec<_> = said
        .iter()
        .filter_map(|chunk| match &chunk.event {
            ChatEvent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["echo: ", "one ", "two"]);
    assert_eq!(Transcript::of(&said).usage.unwrap().output_tokens, 3);

    let models = old.models(&call("a")).await.unwrap();
    assert_eq!(
        (models[0].id.as_str(), models[0].context_tokens),
        ("echo-0", Some(1_000))
    );
    assert!(models[0].created.is_none() && models[0].max_output_tokens.is_none());

    let request = EmbedRequest {
        model: "echo-0".to_owned(),
        inputs: vec![EmbedInput::Text("aab".to_owned())],
        purpose: Purpose::Unspecified,
        dimensions: None,
        extra: Vec::new(),
    };
    let embedded = old.embed(&call("a"), request).await.unwrap();
    assert_eq!((embedded.dimensions, embedded.covered.as_slice()), (26, &[1][..]));
    assert!((embedded.vectors[0] - 2.0 * embedded.vectors[1]).abs() < 1e-6);
}

#[tokio::test]
async fn what_it_could_not_know_is_unsupported() {
    let folder = tempfile::tempdir().unwrap();
    let old = previous(folder.path()).await;
    let counted = old.count_tokens(&call("a"), chat("x")).await.unwrap_err();
    assert_eq!(counted.kind, ProblemKind::Unsupported, "{counted}");
    let request = RerankRequest {
        model: "echo-0".to_owned(),
        query: "x".to_owned(),
        documents: vec!["y".to_owned()],
        top: None,
        extra: Vec::new(),
    };
    assert_eq!(
        old.rerank(&call("a"), request).await.unwrap_err().kind,
        ProblemKind::Unsupported
    );
    let mut request = chat("x");
    request.sampling.logprobs = Some(1);
    let problem = ask(&old, &call("a"), request).await.unwrap_err();
    assert_eq!(
        (problem.kind, problem.param.as_deref()),
        (ProblemKind::Unsupported, Some("logprobs"))
    );
}

#[tokio::test]
async fn limits_hold_for_it_as_for_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let old = previous(folder.path()).await;
    let call = call("a");
    ask(&old, &call, chat("x")).await.unwrap();
    let crossing = call.take_crossings().remove(0);
    assert!(crossing.calls >= 3 && crossing.cpu.as_nanos() > 0, "{crossing:?}");
    let ungranted = provider(spec("old", PluginKind::Provider, FIXTURE, "{}"))
        .await
        .unwrap();
    let problem = ask(&ungranted, &call, chat("x")).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Denied, "{problem}");
    assert!(problem.message.contains("kv"), "{problem}");
}

#[tokio::test]
async fn a_version_before_the_previous_one_is_refused_in_words() {
    // The names alone are changed, in place: 0.0.1 to 0.0.0.
    let mut wasm = component(FIXTURE);
    let places: Vec<_> = wasm
        .windows(6)
        .enumerate()
        .filter(|(_, at)| at == b"@0.0.1")
        .map(|(at, _)| at)
        .collect();
    assert!(places.len() > 4);
    for at in places {
        wasm[at + 5] = b'0';
    }
    let mut spec = spec("old", PluginKind::Provider, FIXTURE, "{}");
    spec.wasm = wasm;
    let problem = provider(spec).await.err().unwrap();
    assert_eq!(problem.kind, ProblemKind::Misconfigured);
    for word in ["0.0.0", "0.1", "0.0.1", "build it again"] {
        assert!(problem.message.contains(word), "`{word}`: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_serve_side_by_side_and_are_swapped() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = root().join(FIXTURE).display().to_string();
    let with = |answers: &str| {
        registry(answers)
            + &format!(
                "\n[routes.always]\nto = [{{ plugin = \"old\" }}]\n\n[plugins.old]\nkind = \"provider\"\n\
                 source = {{ path = \"{fixture}\" }}\nallow = {{ kv = true }}\n"
            )
    };
    let server = ServerProcess::start(folder.path(), &with("old"), &[]);
    let said = async |model: &str| {
        let answer = server.chat(model, "hello").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let trace = server
            .ask(Method::GET, &format!("/api/v1/traces/{}", answer.trace.unwrap()), "")
            .await;
        let trace: Value = serde_json::from_str(&trace.body).unwrap();
        trace["calls"][0]["plugin"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (said("m").await.as_str(), said("always").await.as_str()),
        ("old", "old")
    );
    assert!(server.log().contains("was built for version 0.0"), "{}", server.log());
    assert!(server.log().contains("answer 1 to"), "its own line: {}", server.log());
    std::fs::write(server.registry(), with("stub")).unwrap();
    for _ in 0..2_000 {
        if said("m").await == "stub" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(
        (said("m").await.as_str(), said("always").await.as_str()),
        ("stub", "old")
    );
    server.stop();
}
