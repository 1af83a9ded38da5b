//! The kinds beside provider and storage, each through its first plugin: in the sandbox, and instruments in a server.

use encaje_capabilities::kv::Kv;
use encaje_core::documents::Document;
use encaje_core::evaluation::Sample;
use encaje_core::ports::{DocumentSource, Evaluator, Retriever};
use encaje_core::retrieval::Search;
use encaje_core::trace::PluginKind;
use encaje_core::value::{Comparator, Comparison, Value as Field};
use encaje_core::{Problem, ProblemKind};
use encaje_runtime::{EvaluatorPlugin, Plugin, PluginSpec, RetrieverPlugin, SourcePlugin};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::support::process::chat_body;
use crate::support::{ServerProcess, call, registry, root, runtime, spec};
use crate::upstream::{Behaviour, Upstream};

async fn loaded(spec: PluginSpec) -> Result<Plugin, Problem> {
    tokio::task::spawn_blocking(move || Plugin::load(&runtime(), spec))
        .await
        .unwrap()
}

fn sample(id: &str, output: &str, references: &[&str]) -> Sample {
    Sample {
        id: id.to_owned(),
        output: output.to_owned(),
        references: references.iter().map(|text| (*text).to_owned()).collect(),
        ..Sample::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_judges_each_sample_and_then_all_of_them() {
    let plugin = loaded(spec("exact", PluginKind::Evaluator, "plugins/evaluator-exact", "{}"))
        .await
        .unwrap();
    let exact = EvaluatorPlugin::start(plugin).await.unwrap();
    let call = call("a");
    let metrics = exact.metrics(&call).await.unwrap();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["exact_match", "token_f1", "length"]);

    let mut run = exact.start(&call, "exact_match", "{}").await.unwrap();
    let mut scores = run
        .push(vec![
            sample("1", "The sea.", &["a lake", "the sea"]),
            sample("2", "a hill", &["the sea"]),
        ])
        .await
        .unwrap();
    scores.extend(run.push(vec![sample("3", "x", &[])]).await.unwrap());
    let value = |index: usize| scores[index].outcome.as_ref().unwrap().value;
    assert_eq!((value(0), value(1)), (Some(1.0), Some(0.0)));
    assert!(scores[2].outcome.is_err(), "there is nothing to compare it with");
    let corpus = run.finish().await.unwrap();
    assert_eq!(corpus.scores[0].value, Some(0.5));

    let unknown = exact.start(&call, "taste", "{}").await.err().unwrap();
    assert_eq!(unknown.kind, ProblemKind::NotFound);
    let unfit = exact.start(&call, "length", r#"{"unit":"miles"}"#).await.err().unwrap();
    assert_eq!(unfit.kind, ProblemKind::InvalidRequest);
}

fn document(id: &str, text: &str, language: &str) -> Document {
    Document {
        id: id.to_owned(),
        text: text.to_owned(),
        title: None,
        url: None,
        metadata: vec![("language".to_owned(), Field::Text(language.to_owned()))],
        extra: Vec::new(),
    }
}

fn search(text: &str, filter: encaje_core::value::Filter) -> Search {
    Search {
        text: text.to_owned(),
        k: 3,
        filter,
        extra: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retriever_keeps_documents_a_tenant_and_finds_them_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut memory = spec("memory", PluginKind::Retriever, "plugins/retriever-memory", "{}");
    memory.capabilities.kv = Some(Kv::open(folder.path()).await.unwrap());
    let retriever = RetrieverPlugin::start(loaded(memory).await.unwrap()).await.unwrap();
    let mut notes = retriever.open(&call("a"), "notes", "{}").await.unwrap();
    let documents = vec![
        document("sea", "The sea is salt and wide.", "en"),
        document("mar", "El mar es salado.", "es"),
        document("hill", "A hill is a small mountain.", "en"),
    ];
    let upserted = notes.upsert(documents.clone()).await.unwrap();
    assert_eq!((upserted.added, upserted.passages), (3, 3));
    assert_eq!(
        notes.upsert(documents).await.unwrap().unchanged,
        3,
        "the same again changes nothing"
    );
    drop(notes);

    let mut notes = retriever.open(&call("a"), "notes", "{}").await.unwrap();
    let found = notes.retrieve(search("salt sea", Vec::new())).await.unwrap();
    assert_eq!(found.hits[0].passage.document, "sea");
    assert_eq!(found.rung, "keyword");
    let spanish = vec![vec![Comparison {
        field: "language".to_owned(),
        by: Comparator::Equal,
        values: vec![Field::Text("es".to_owned())],
    }]];
    let found = notes.retrieve(search("sea mar", spanish.clone())).await.unwrap();
    assert!(found.hits.iter().all(|hit| hit.passage.document == "mar"), "{found:?}");
    assert_eq!(notes.remove(&spanish).await.unwrap(), 1);
    assert_eq!(notes.stats().await.unwrap().documents, 2);

    let mut others = retriever.open(&call("b"), "notes", "{}").await.unwrap();
    assert_eq!(
        others.stats().await.unwrap().documents,
        0,
        "another tenant's is its own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_brings_a_text_and_knows_it_again() {
    let config = json!({ "texts": { "hello": "Hello, sea." }, "max_bytes": 1_000, "timeout_ms": 1_000 });
    let text = spec("text", PluginKind::Source, "plugins/source-text", &config.to_string());
    let source = SourcePlugin::start(loaded(text).await.unwrap()).await.unwrap();
    let call = call("a");
    let beginning = source.begin(&call, "text:hello").await.unwrap();
    assert_eq!(beginning.locations, ["text:hello"]);
    let item = source.fetch(&call, "text:hello", None).await.unwrap();
    assert_eq!(item.document.unwrap().text, "Hello, sea.");
    let again = source.fetch(&call, "text:hello", Some(&item.state)).await.unwrap();
    assert_eq!(again.document, None, "nothing has changed");
    let absent = source.fetch(&call, "text:absent", None).await.unwrap_err();
    assert_eq!(absent.kind, ProblemKind::NotFound);
    let outside = source.fetch(&call, "https://example.com/", None).await.unwrap_err();
    assert_eq!(outside.kind, ProblemKind::Denied, "{outside:?}");
}

/// A registry whose chats a guard watches.
fn guarded(config: &str, on_error: &str) -> String {
    let guard = root().join("plugins/instrumentor-guard").display().to_string();
    registry("stub")
        + &format!(
            "\n[plugins.guard]\nkind = \"instrumentor\"\nsource = {{ path = \"{guard}\" }}\non_error = \"{on_error}\"\n\
             config = {{ {config} }}\n"
        )
}

fn streamed_text(body: &str) -> String {
    let events = body.lines().filter_map(|line| line.strip_prefix("data: {"));
    let texts = events.filter_map(|event| {
        let event: Value = serde_json::from_str(&format!("{{{event}")).unwrap();
        event["choices"][0]["delta"]["content"].as_str().map(str::to_owned)
    });
    texts.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_redacts_what_is_said_across_the_borders_of_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let config = "keywords = [\"kraken\"], action = \"redact\", replacement = \"[fish]\", where = [\"output\"]";
    let server = ServerProcess::start(folder.path(), &guarded(config, "fail"), &[]);
    let mut body: Value = serde_json::from_str(&chat_body("m", "x", true)).unwrap();
    body["stub"] = json!({ "text": "Behold the Kraken, the krakens and the kra.", "deltas": 40 });
    let answer = server
        .ask(Method::POST, "/v1/chat/completions", &body.to_string())
        .await;
    let said = streamed_text(&answer.body);
    assert!(
        said.starts_with("Behold the [fish], the") && said.ends_with("and the kra."),
        "{said}"
    );
    assert!(!said.to_lowercase().contains("kraken,"), "{said}");
    let path = format!("/api/v1/traces/{}", answer.trace.unwrap());
    let trace = server.ask(Method::GET, &path, "").await.body;
    assert!(trace.contains("[fish]") && !trace.contains("the Kraken"), "{trace}");
    assert!(
        trace.contains("guard.matches") && trace.contains("guard:redact"),
        "{trace}"
    );
    assert!(trace.contains("instrumentor.attend"), "{trace}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_blocks_a_question_before_anybody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = "patterns = [\"sk-[a-z0-9]{8,}\"], action = \"block\", where = [\"input\"]";
    let server = ServerProcess::start(folder.path(), &guarded(config, "fail"), &[]);
    let refused = server.chat("m", "my key is sk-abcdef0123").await;
    let body: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(refused.status, 400, "{body}");
    assert_eq!(body["error"]["code"], "guard_blocked", "{body}");
    let path = format!("/api/v1/traces/{}", refused.trace.unwrap());
    let trace: Value = serde_json::from_str(&server.ask(Method::GET, &path, "").await.body).unwrap();
    let spans = trace["spans"].as_array().unwrap();
    assert!(
        !spans.iter().any(|span| span["name"] == "provider.complete"),
        "{trace:#}"
    );
    assert_eq!(server.chat("m", "no key here").await.status, 200);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instrument_that_cannot_serve_ends_calls_or_is_left_out_as_the_operator_says() {
    for (on_error, status) in [("fail", 503), ("skip", 200)] {
        let folder = tempfile::tempdir().unwrap();
        let text = guarded("keywords = [\"x\"], action = \"flag\"", on_error)
            + "limits = { instances = 1, queue = 0 }\nbreaker = { failures = 0 }\n";
        let server = ServerProcess::start(folder.path(), &text, &[]);
        let mut slow: Value = serde_json::from_str(&chat_body("m", "hold", true)).unwrap();
        slow["stub"] = json!({ "text": "one two three", "deltas": 3, "delay_ms": 3_000 });
        let request = Request::post("/v1/chat/completions")
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(slow.to_string())))
            .unwrap();
        let mut connection = server.connect().await.unwrap();
        let mut held = connection.send_request(request).await.unwrap();
        // The guard's one instance is busy from here on, until the answer's last piece.
        held.body_mut().frame().await.unwrap().unwrap();
        let other = server.chat("m", "hi").await;
        assert_eq!(other.status, status, "{on_error}: {}", other.body);
        let rest = held.into_body().collect().await.unwrap().to_bytes();
        assert!(rest.ends_with(b"data: [DONE]\n\n"), "{rest:?}");
        server.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_reads_pages_of_hosts_that_were_allowed() {
    let upstream = Upstream::start().await;
    let port = upstream.address().port();
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\netag: \"v1\"\r\ncontent-length: 4\r\n\r\n";
    let unchanged = "HTTP/1.1 304 Not Modified\r\netag: \"v1\"\r\n\r\n";
    upstream.will([
        Behaviour::Raw(format!("{head}page").into_bytes()),
        Behaviour::Raw(unchanged.as_bytes().to_vec()),
    ]);
    let config = json!({ "texts": {}, "max_bytes": 1_000, "timeout_ms": 2_000 });
    let mut text = spec("text", PluginKind::Source, "plugins/source-text", &config.to_string());
    let policy = encaje_capabilities::egress::Policy {
        plugin: "text".to_owned(),
        rules: vec![encaje_capabilities::egress::Rule {
            host: "127.0.0.1".to_owned(),
            port,
            methods: vec!["GET".to_owned()],
            path: None,
            private: false,
        }],
        secrets: [].into(),
    };
    text.capabilities.http = Some(encaje_capabilities::egress::Egress::new(policy).unwrap());
    let source = SourcePlugin::start(loaded(text).await.unwrap()).await.unwrap();
    let location = format!("http://127.0.0.1:{port}/page.txt");
    let item = source.fetch(&call("a"), &location, None).await.unwrap();
    assert_eq!(item.document.unwrap().text, "page");
    let again = source.fetch(&call("a"), &location, Some(&item.state)).await.unwrap();
    assert_eq!(again.document, None);
    assert_eq!(upstream.last().header("if-none-match"), Some("\"v1\""));
}
