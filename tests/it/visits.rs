//! Visits: what an instance keeps from one to the next, whose time counts, and how the span of each one is told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use encaje_capabilities::kv::Kv;
use encaje_core::chat::ChatRequest;
use encaje_core::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use encaje_core::ports::{Completion, Instrumentor, Provider, Retriever, RoutedModels};
use encaje_core::trace::{Crossing, PluginKind};
use encaje_core::{Call, Problem, ProblemKind};
use encaje_runtime::{InstrumentorPlugin, Plugin, RetrieverPlugin};
use hyper::Method;
use serde_json::{Value, json};

use crate::reach::{errands, rule, runner, said, with_runner};
use crate::support::{ServerProcess, ask, call, chat, provider, runtime, spec};
use crate::upstream::Upstream;

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_instance_keeps_its_memory_until_it_is_spent_or_fails() {
    let mut warm = runner(Vec::new(), Vec::new());
    warm.uses = 3;
    let guest = provider(warm).await.unwrap();
    let said = |lines: &'static str| async {
        let call = call("a");
        let said = errands(&guest, &call, lines).await;
        (said, call.take_crossings().remove(0))
    };
    let (_, first) = said("remember blue").await;
    assert_eq!(first.instance_age, Duration::ZERO);
    let (recalled, second) = said("recall").await;
    assert_eq!(recalled.unwrap(), "blue");
    assert!(second.instance_age > Duration::ZERO);
    assert_eq!(said("recall").await.0.unwrap(), "blue");
    assert_eq!(said("recall").await.0.unwrap(), "", "after three visits it is replaced");

    said("remember red").await.0.unwrap();
    drop(guest.complete(&call("a"), chat("recall")).await.unwrap());
    assert_eq!(said("recall").await.0.unwrap(), "", "a cancelled visit spoils it");
    let fresh = provider(runner(Vec::new(), Vec::new())).await.unwrap();
    errands(&fresh, &call("a"), "remember blue").await.unwrap();
    assert_eq!(
        errands(&fresh, &call("a"), "recall").await.unwrap(),
        "",
        "one visit is the rule"
    );
}

/// Models of a generation, none of which answers.
struct Models;

#[async_trait]
impl RoutedModels for Models {
    async fn complete(&self, _: &Call, _: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        Err(Problem::internal("not asked"))
    }

    async fn embed(&self, _: &Call, _: EmbedRequest) -> Result<EmbedResponse, Problem> {
        Err(Problem::internal("not asked"))
    }

    async fn rerank(&self, _: &Call, _: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        Err(Problem::internal("not asked"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_waits_keeps_nothing_of_its_last_call() {
    let mut warm = runner(Vec::new(), Vec::new());
    warm.uses = 3;
    let guest = provider(warm).await.unwrap();
    let generation = Arc::new(Models);
    let of_call = call("a");
    of_call.bind(Arc::<Models>::clone(&generation));
    errands(&guest, &of_call, "remember blue").await.unwrap();
    drop(of_call);
    assert_eq!(
        Arc::strong_count(&generation),
        1,
        "a generation ends with its last call"
    );
    assert_eq!(errands(&guest, &call("a"), "recall").await.unwrap(), "blue");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_holds_an_answer_serves_nobody_else() {
    let upstream = Upstream::start().await;
    let mut warm = runner(vec![rule("127.0.0.1", upstream.address().port())], Vec::new());
    warm.uses = 10;
    let guest = provider(warm).await.unwrap();
    let keep = format!("remember blue\nkeep {}/models\nmore", upstream.base_url());
    let kept = errands(&guest, &call("a"), &keep).await.unwrap();
    assert_eq!(kept, "\nkept\ntrue");
    let found = errands(&guest, &call("b"), "more\nrecall").await.unwrap();
    assert_eq!(
        found, "false\n",
        "neither the answer nor the memory of who was asked before"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn instruments_and_collections_are_kept_warm_too() {
    let load = async |spec| {
        let loaded = tokio::task::spawn_blocking(move || Plugin::load(&runtime(), spec));
        loaded.await.unwrap().unwrap()
    };
    let age = |call: &Call| call.take_crossings().remove(0).instance_age;

    let config = r#"{"keywords":["x"],"whole_words":true,"patterns":[],"window":256,"action":"flag",
        "where":["input"],"replacement":""}"#;
    let mut guard = spec("guard", PluginKind::Instrumentor, "plugins/instrumentor-guard", config);
    guard.uses = 4;
    let guard = InstrumentorPlugin::start(load(guard).await).await.unwrap();
    for round in 0..2 {
        let call = call("a");
        let mut attending = guard.attend(&call).await.unwrap();
        attending.before(&chat("hello")).await.unwrap();
        drop(attending);
        assert_eq!(age(&call) > Duration::ZERO, round > 0, "an instrument, round {round}");
    }

    let folder = tempfile::tempdir().unwrap();
    let mut memory = spec("memory", PluginKind::Retriever, "plugins/retriever-memory", "{}");
    memory.capabilities.kv = Some(Kv::open(folder.path()).await.unwrap());
    memory.uses = 4;
    let memory = RetrieverPlugin::start(load(memory).await).await.unwrap();
    for round in 0..2 {
        let call = call("a");
        let mut notes = memory.open(&call, "notes", "{}").await.unwrap();
        notes.stats().await.unwrap();
        notes.close().await.unwrap();
        drop(notes);
        assert_eq!(age(&call) > Duration::ZERO, round > 0, "a collection, round {round}");
    }
}

fn slowly() -> encaje_runtime::PluginSpec {
    let script = json!({ "text": "one two three", "deltas": 3, "delay_ms": 20 });
    let config = json!({ "models": ["stub"], "context_tokens": 1_000, "dimensions": 8, "script": script });
    spec(
        "stub",
        PluginKind::Provider,
        "plugins/provider-stub",
        &config.to_string(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_an_answer_slowly_does_not_use_up_the_plugins_time() {
    let mut brief = slowly();
    brief.limits.wall = Duration::from_secs(2);
    let stub = provider(brief).await.unwrap();
    let mut answer = stub.complete(&call("a"), chat("x")).await.unwrap();
    let mut pieces = 0;
    while answer.next().await.unwrap().is_some() {
        pieces += 1;
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    assert!(pieces >= 3, "{pieces} pieces, over longer than its wall clock allows");
}

async fn crossing(work: impl AsyncFnOnce(&Call)) -> Crossing {
    let call = call("a");
    work(&call).await;
    call.take_crossings().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_was_cut_off_says_so() {
    let stub = provider(slowly()).await.unwrap();
    let whole = crossing(async |call| drop(ask(&stub, call, chat("x")).await.unwrap())).await;
    assert_eq!(whole.failure, None);
    let cut = crossing(async |call| {
        let mut answer = stub.complete(call, chat("x")).await.unwrap();
        answer.next().await.unwrap();
    });
    assert_eq!(cut.await.failure, Some(ProblemKind::Cancelled));
    let models = crossing(async |call| drop(stub.models(call).await.unwrap())).await;
    assert_eq!(models.failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_asks_hangs_under_its_own_span() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "RUNNER_KEY = { host = \"127.0.0.1\", header = \"authorization\", value = \"Bearer {}\" }";
    let granted = format!("http = [\"127.0.0.1:1\"], models = [\"other\"], secrets = {{ {secret} }}");
    let server = ServerProcess::start(folder.path(), &with_runner(&granted), &[]);
    let answer = said(&server, "ask other").await;
    assert!(answer.contains("ask other"), "{answer}");
    let traces = server.ask(Method::GET, "/api/v1/traces?limit=1", "").await;
    let traces: Value = serde_json::from_str(&traces.body).unwrap();
    let id = traces["traces"][0]["trace_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{traces}"));
    let trace = server.ask(Method::GET, &format!("/api/v1/traces/{id}"), "").await;
    let trace: Value = serde_json::from_str(&trace.body).unwrap();
    let spans = trace["spans"].as_array().unwrap();
    let of = |plugin: &str| {
        let crossings = spans.iter().filter(|span| span["name"] == "provider.complete");
        let found = crossings
            .into_iter()
            .find(|span| span["attributes"]["encaje.plugin"] == plugin);
        found.unwrap_or_else(|| panic!("{plugin}: {trace:#}"))
    };
    assert_eq!(of("stub")["parent_span_id"], of("runner")["span_id"], "{trace:#}");
    assert_ne!(of("runner")["parent_span_id"], of("stub")["span_id"]);
    server.stop();
}
