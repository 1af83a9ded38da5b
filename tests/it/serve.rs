//! The server as a process: every answer traced, a client that leaves, a storage that fails, a kill at a random moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::Value;

use crate::support::process::{chat_body, connect, send};
use crate::support::{ServerProcess, registry};

/// How often the server is killed; each time at another moment of a busy half second.
const KILLS: u32 = 50;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Asks until the trace is as expected; the ledger writes cancelled calls after their client has gone.
async fn trace_with_status(server: &ServerProcess, status: &str) -> Value {
    for _ in 0..200 {
        let page = server
            .ask(Method::GET, &format!("/api/v1/traces?status={status}"), "")
            .await;
        if let Some(first) = json(&page.body)["traces"].get(0) {
            return first.clone();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no trace with status {status}\n{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_trace_with_spans_messages_and_usage() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let answer = server.chat("m", "hello there").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let trace = server
        .ask(Method::GET, &format!("/api/v1/traces/{}", answer.trace.unwrap()), "")
        .await;
    let trace = json(&trace.body);
    let call = &trace["calls"][0];
    assert_eq!(
        (call["model"].as_str(), call["plugin"].as_str()),
        (Some("m"), Some("stub"))
    );
    assert_eq!(
        (call["input_tokens"].as_u64(), call["output_tokens"].as_u64()),
        (Some(2), Some(3))
    );
    assert!(call["first_chunk_us"].as_u64() <= call["total_us"].as_u64());
    let names: Vec<_> = trace["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"chat m") && names.contains(&"provider.complete"),
        "{names:?}"
    );
    assert_eq!(trace["messages"][1]["content"][0]["content"], "echo: hello there");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commits_own_span_joins_the_traces_that_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let id = server.chat("m", "x").await.trace.unwrap();
    for _ in 0..200 {
        let trace = json(&server.ask(Method::GET, &format!("/api/v1/traces/{id}"), "").await.body);
        let spans = trace["spans"].as_array().unwrap();
        if let Some(span) = spans.iter().find(|span| span["name"] == "storage.write") {
            assert!(span["attributes"]["encaje.cpu_us"].as_u64().is_some(), "{span}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no storage span\n{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_generation_and_its_trace_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let mut body = json(&chat_body("m", "x", true));
    body["stub"] = serde_json::json!({ "endless": true, "delay_ms": 5 });
    let mut connection = server.connect().await.unwrap();
    let request = Request::post("/v1/chat/completions")
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let mut response = connection.send_request(request).await.unwrap();
    assert!(response.body_mut().frame().await.is_some(), "it streams");
    drop((response, connection));
    let trace = trace_with_status(&server, "cancelled").await;
    assert_eq!(trace["plugin"], "stub");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_what_is_wrong_and_the_server_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    for (method, path, body, status) in [
        (Method::POST, "/v1/chat/completions", "{", 400),
        (Method::POST, "/v1/chat/completions", r#"{"model":"m"}"#, 400),
        (
            Method::POST,
            "/v1/chat/completions",
            r#"{"model":"nobody","messages":[{"role":"user","content":"x"}]}"#,
            404,
        ),
        (
            Method::POST,
            "/v1/chat/completions",
            r#"{"model":"m","messages":[{"role":"user","content":1}]}"#,
            400,
        ),
        (Method::GET, "/v1/chat/completions", "", 405),
        (Method::GET, "/nowhere", "", 404),
        (Method::GET, "/v1/models/nobody/at-all", "", 404),
        (Method::GET, "/api/v1/traces/ffff", "", 404),
    ] {
        let answer = server.ask(method, path, body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        assert!(
            json(&answer.body)["error"]["message"]
                .as_str()
                .is_some_and(|said| !said.is_empty()),
            "{}",
            answer.body
        );
    }
    assert_eq!(server.chat("m", "x").await.status, 200);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_asked_for_where_keys_are_declared() {
    let folder = tempfile::tempdir().unwrap();
    // The digest of `secret`.
    let key =
        "\n[keys.one]\nsha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"\ntenant = \"a\"\n";
    let server = ServerProcess::start(folder.path(), &format!("{}{key}", registry("stub")), &[]);
    assert_eq!(server.chat("m", "x").await.status, 401);
    let mut connection = server.connect().await.unwrap();
    let request = Request::get("/v1/models")
        .header("host", "127.0.0.1")
        .header("authorization", "Bearer secret")
        .body(Full::new(Bytes::new()))
        .unwrap();
    assert_eq!(connection.send_request(request).await.unwrap().status(), 200);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    assert_eq!(server.ask(Method::GET, "/ready", "").await.status, 200);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib <= 80 << 10, "{kib} KiB are resident without a model");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_loses_no_trace_of_a_finished_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let (mut answered, mut fruitful) = (0, 0);
    for round in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..8 {
            let (address, stop) = (server.address(), Arc::clone(&stop));
            clients.spawn(async move { finished_answers(address, &stop, client % 2 == 0).await });
        }
        tokio::time::sleep(Duration::from_millis(30 + u64::from(round) * 37 % 400)).await;
        server.kill();
        stop.store(true, Ordering::Relaxed);
        let traces: Vec<String> = clients.join_all().await.concat();
        server = ServerProcess::restart(folder.path(), &[]);
        // By now the server itself has read the log that the killed one left.
        assert_eq!(
            check_of_the_database(&folder.path().join("data")),
            "ok",
            "round {round}"
        );
        let mut connection = server.connect().await.unwrap();
        for trace in &traces {
            let found = send(&mut connection, Method::GET, &format!("/api/v1/traces/{trace}"), "")
                .await
                .unwrap();
            assert_eq!(
                found.status, 200,
                "round {round}: {trace} was answered and is not recorded"
            );
        }
        answered += traces.len();
        fruitful += u32::from(!traces.is_empty());
    }
    assert!(
        fruitful * 5 > KILLS,
        "only {fruitful} rounds of {KILLS} finished an answer"
    );
    assert!(
        answered > 50,
        "only {answered} answers came to their end: this showed nothing"
    );
    server.stop();
}

/// What SQLite itself says of the ledger's file.
fn check_of_the_database(data: &std::path::Path) -> String {
    let database = rusqlite::Connection::open(data.join("main.db")).unwrap();
    let check = database.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    check.unwrap()
}

/// The traces of the answers that came to their end before the server died.
async fn finished_answers(address: std::net::SocketAddr, stop: &AtomicBool, stream: bool) -> Vec<String> {
    let mut traces = Vec::new();
    let Some(mut connection) = connect(address).await else {
        return traces;
    };
    while !stop.load(Ordering::Relaxed) {
        let body = chat_body("m", "a word", stream);
        let Some(answer) = send(&mut connection, Method::POST, "/v1/chat/completions", &body).await else {
            break;
        };
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!stream || answer.body.ends_with("data: [DONE]\n\n"), "{}", answer.body);
        traces.push(answer.trace.unwrap());
    }
    traces
}

/// Holds the database's write lock, as a backup tool that went wrong would.
fn lock(data: &std::path::Path) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(data.join("main.db")).unwrap();
    other.busy_timeout(Duration::from_secs(10)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_locked_calls_are_served_and_recorded_later() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let locked = lock(&folder.path().join("data"));
    let mut traces = Vec::new();
    for round in 0..20 {
        let begun = std::time::Instant::now();
        let answer = server.chat("m", "x").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        // The first one finds out that the storage is down; the others need not wait for it.
        assert!(
            round == 0 || begun.elapsed() < Duration::from_millis(4_500),
            "{:?}",
            begun.elapsed()
        );
        traces.push(answer.trace.unwrap());
    }
    locked.execute_batch("ROLLBACK").unwrap();
    for trace in &traces {
        let mut found = 0;
        for _ in 0..600 {
            found = server
                .ask(Method::GET, &format!("/api/v1/traces/{trace}"), "")
                .await
                .status;
            if found == 200 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(found, 200, "{trace} was answered and is not recorded\n{}", server.log());
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_have_calls_refused_while_the_database_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let refusing = registry("stub").replacen("[server]", "[server]\nwhen_storage_fails = \"refuse\"", 1);
    let server = ServerProcess::start(folder.path(), &refusing, &[]);
    let locked = lock(&folder.path().join("data"));
    for _ in 0..3 {
        let answer = server.chat("m", "x").await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert_eq!(json(&answer.body)["error"]["code"], "storage_unavailable");
    }
    assert_eq!(server.ask(Method::GET, "/ready", "").await.status, 503);
    locked.execute_batch("ROLLBACK").unwrap();
    for _ in 0..400 {
        if server.ask(Method::GET, "/ready", "").await.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.chat("m", "x").await.status, 200);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_the_database_is_locked_loses_no_trace_of_a_finished_answer() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let mut traces = Vec::new();
    for round in 0..4 {
        let locked = lock(&data);
        for text in 0..5 {
            let answer = server.chat("m", &format!("{round} {text}")).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            traces.push(answer.trace.unwrap());
        }
        // Every other time it is killed while it writes what it had to keep, or just has.
        if round % 2 == 1 {
            locked.execute_batch("ROLLBACK").unwrap();
            tokio::time::sleep(Duration::from_millis(round * 100)).await;
        }
        server.kill();
        drop(locked);
        server = ServerProcess::restart(folder.path(), &[]);
        assert_eq!(check_of_the_database(&data), "ok", "round {round}");
    }
    for trace in &traces {
        let mut found = Value::Null;
        for _ in 0..600 {
            let path = format!("/api/v1/traces/{trace}");
            let answer = server.ask(Method::GET, &path, "").await;
            if answer.status == 200 {
                found = json(&answer.body);
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let calls = found["calls"]
            .as_array()
            .unwrap_or_else(|| panic!("{trace} is lost\n{}", server.log()));
        assert_eq!(calls.len(), 1, "written once, however often it was replayed: {found}");
        let messages = found["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2, "{found}");
    }
    server.stop();
}
