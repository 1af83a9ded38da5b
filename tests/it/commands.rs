//! The default registry as a user has it: local models through their plugin, and every command beside the server.

use hyper::Method;
use serde_json::{Value, json};

use crate::support::process::{Did, command};
use crate::support::{ServerProcess, default_registry, registry};

const CHAT: &str = "smollm2-135m-instruct";
const EMBED: &str = "all-minilm-l6-v2";

fn well(did: Did) -> String {
    assert!(did.well, "{}", did.said);
    did.said
}

/// All of these words.
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
}

/// The same chat, whole and streamed; the trace of the first.
async fn chats(server: &ServerProcess) -> String {
    let mut ask = json!({
        "model": CHAT, "temperature": 0, "max_tokens": 12,
        "messages": [{ "role": "user", "content": "Name the capital of France." }],
    });
    let whole = server.ask(Method::POST, "/v1/chat/completions", &ask.to_string()).await;
    assert_eq!(whole.status, 200, "{}", whole.body);
    let answer: Value = serde_json::from_str(&whole.body).unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    says(text, &["Paris"]);
    let used = answer["usage"]["completion_tokens"].as_u64().unwrap();
    assert!((1..=12).contains(&used), "{answer}");

    ask["stream"] = true.into();
    let streamed = server.ask(Method::POST, "/v1/chat/completions", &ask.to_string()).await;
    let events = streamed.body.lines().filter_map(|line| line.strip_prefix("data: {"));
    let pieces: String = events
        .filter_map(|event| {
            let event: Value = serde_json::from_str(&format!("{{{event}")).unwrap();
            event["choices"][0]["delta"]["content"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(pieces, text, "greedy, so the same words in pieces");
    assert!(streamed.body.ends_with("data: [DONE]\n\n"));
    whole.trace.unwrap()
}

async fn embeds(server: &ServerProcess) {
    let body = json!({ "model": EMBED, "input": ["hola", "hello"] }).to_string();
    let vectors = server.ask(Method::POST, "/v1/embeddings", &body).await;
    let vectors: Value = serde_json::from_str(&vectors.body).unwrap();
    for index in 0..2 {
        let row = vectors["data"][index]["embedding"].as_array().unwrap();
        let square: f64 = row.iter().map(|value| value.as_f64().unwrap().powi(2)).sum();
        assert!(
            row.len() == 384 && (square - 1.0).abs() < 1e-3,
            "{} {square}",
            row.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_models_answer_through_their_plugin_and_every_command_sees_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &default_registry(), &[]);
    let url = format!("http://{}", server.address());
    let here = |arguments: &[&str]| well(command(folder.path(), arguments, ""));

    let id = chats(&server).await;
    embeds(&server).await;
    for remote in [&["--url", url.as_str()][..], &[]] {
        let list = here(&[&["trace", "list"], remote].concat());
        says(&list, &[&id, CHAT, EMBED, "local", "ok"]);
        let one = here(&[&["trace", "show", &id], remote].concat());
        says(
            &one,
            &[
                "Name the capital of France.",
                "Paris",
                "provider.complete",
                "storage.write",
                "cpu",
                "tokens",
            ],
        );
        let json = here(&[&["trace", "show", &id, "--json"], remote].concat());
        says(&json, &["\"first_chunk_us\"", "\"encaje.peak_memory_bytes\""]);
    }
    says(&here(&["trace", "list", "--model", EMBED]), &["embeddings"]);
    assert!(!command(folder.path(), &["trace", "show", "ffff"], "").well);
    says(&here(&["model", "list"]), &[CHAT, EMBED, "gguf"]);
    says(&here(&["model", "pull", CHAT]), &[CHAT, ".gguf"]);
    says(
        &here(&["plugin", "list"]),
        &["provider-local", "provider-stub", "storage-sqlite"],
    );
    let said = well(command(
        folder.path(),
        &["chat", "--url", &url, "stub"],
        "hello there\n",
    ));
    says(&said, &["hello there"]);
    let measured = here(&["bench", "--url", &url, "--model", "stub", "--seconds", "1", "--stream"]);
    says(&measured, &["requests/s", "0 errors"]);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_an_edit_and_apply_brings_it_in_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let here = |arguments: &[&str]| command(folder.path(), arguments, "");
    std::fs::write(folder.path().join("registry.toml"), registry("stub")).unwrap();
    says(&well(here(&["plan"])), &["no server runs", "the route `m`"]);
    assert!(!here(&["apply"]).well);

    let server = ServerProcess::start(folder.path(), &registry("stub"), &["--no-watch"]);
    says(&well(here(&["plan"])), &["generation 1", "nothing changes"]);
    std::fs::write(server.registry(), registry("other")).unwrap();
    says(&well(here(&["plan"])), &["the route `m`", "other"]);
    says(&well(here(&["apply"])), &["generation 2"]);
    says(&well(here(&["plan"])), &["nothing changes"]);

    let absent = registry("other").replace("provider-stub", "provider-absent");
    std::fs::write(server.registry(), absent).unwrap();
    let refused = here(&["apply"]);
    assert!(!refused.well);
    says(&refused.said, &["provider-absent", "generation 2"]);
    assert_eq!(server.chat("m", "x").await.status, 200);

    // A server that was killed leaves its status behind; whoever has its number now is not to be signalled.
    server.kill();
    let status = folder.path().join("data/server.json");
    let mut left: Value = serde_json::from_slice(&std::fs::read(&status).unwrap()).unwrap();
    left["pid"] = std::process::id().into();
    std::fs::write(&status, left.to_string()).unwrap();
    says(&here(&["apply"]).said, &["no server runs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_data_folder_waits_for_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &["--no-watch"]);
    let elsewhere = folder.path().join("elsewhere");
    let moved = format!("[server]\ndata = \"{}\"", elsewhere.display());
    std::fs::write(server.registry(), registry("other").replacen("[server]", &moved, 1)).unwrap();
    says(&well(command(folder.path(), &["plan"], "")), &["restart"]);
    well(command(folder.path(), &["apply"], ""));
    let answer = server.chat("m", "x").await;
    let trace = format!("/api/v1/traces/{}", answer.trace.unwrap());
    assert_eq!(server.ask(Method::GET, &trace, "").await.status, 200);
    assert!(!elsewhere.exists(), "nothing is opened there while the server runs");
    server.stop();
}

/// The number before a word of a line.
fn figure(line: &str, word: &str) -> f64 {
    let (before, _) = line.split_once(word).unwrap_or_else(|| panic!("no `{word}` in {line}"));
    let number = before.trim_end().rsplit(' ').next().unwrap();
    number
        .parse()
        .unwrap_or_else(|error| panic!("{error}: `{number}` before `{word}` in {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_of_streams_beside_a_baseline_says_its_figures_and_fails_where_requests_do() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let baseline = ServerProcess::start(other.path(), &registry("other"), &[]);
    let (url, beside) = (
        format!("http://{}", server.address()),
        format!("http://{}", baseline.address()),
    );
    let place = folder.path().to_owned();
    let bench = async |arguments: Vec<String>| {
        let place = place.clone();
        tokio::task::spawn_blocking(move || {
            let common = ["bench", "--seconds", "1", "--connections", "2"];
            let more = arguments.iter().map(String::as_str);
            command(&place, &common.into_iter().chain(more).collect::<Vec<_>>(), "")
        })
        .await
        .unwrap()
    };
    let options = |url: &str, model: &str| {
        let words = ["--url", url, "--model", model, "--stream", "--baseline", &beside];
        words.map(str::to_owned).to_vec()
    };
    let said = well(bench(options(&url, "m")).await);
    let line = |start: &str| {
        let mut lines = said.lines().filter(|line| line.starts_with(start));
        lines.next().unwrap_or_else(|| panic!("no line `{start}` in {said}"))
    };
    for measured in [line("chat m "), line("baseline ")] {
        assert!(figure(measured, " requests/s") > 0.0, "{measured}");
        assert_eq!(figure(measured, " errors"), 0.0, "{measured}");
        let quantiles = ["p50 ", "p90 ", "p99 ", "p99.9 "].map(|name| {
            let (_, rest) = measured.split_once(name).unwrap_or_else(|| panic!("{measured}"));
            figure(&format!(" {rest}"), " ms")
        });
        assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{measured}");
    }
    says(line("added "), &["p50 ", "p99 ", " ms"]);
    let open = [options(&url, "m"), vec!["--rate".to_owned(), "50".to_owned()]].concat();
    let said = well(bench(open).await);
    let rate = figure(
        said.lines().find(|line| line.starts_with("chat m ")).unwrap(),
        " requests/s",
    );
    assert!(
        rate > 0.0 && rate < 60.0,
        "an open loop sends no more than it was told to: {said}"
    );

    let refused = bench(options(&url, "nobody")).await;
    assert!(!refused.well, "{}", refused.said);
    says(&refused.said, &["nobody"]);
    server.stop();
    baseline.stop();
}
