//! Edits of the registry under load: no request fails, a stream ends where it began, a bad edit changes nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request};
use serde_json::Value;

use crate::support::process::{chat_body, connect, send};
use crate::support::{ServerProcess, registry};

/// How often the route is edited.
const EDITS: u32 = 200;

/// Edits a file in place, or by writing another and renaming it.
fn edit(path: &Path, text: &str, by_rename: bool) {
    if by_rename {
        let beside = path.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, path).unwrap();
    } else {
        std::fs::write(path, text).unwrap();
    }
}

async fn plugin_of(server: &ServerProcess) -> String {
    let answer = server.chat("m", "x").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    plugin_of_trace(server, &answer.trace.unwrap()).await
}

async fn plugin_of_trace(server: &ServerProcess, trace: &str) -> String {
    let trace = server.ask(Method::GET, &format!("/api/v1/traces/{trace}"), "").await;
    let trace: Value = serde_json::from_str(&trace.body).unwrap();
    trace["calls"][0]["plugin"].as_str().unwrap().to_owned()
}

/// A stream of which the first piece has come, and which goes on for longer than a swap takes: its trace, and its rest.
async fn begun_stream(address: SocketAddr) -> (String, Incoming) {
    let mut body: Value = serde_json::from_str(&chat_body("m", "x", true)).unwrap();
    body["stub"] =
        serde_json::json!({ "text": "one two three four five six seven eight", "deltas": 8, "delay_ms": 60 });
    let mut connection = connect(address).await.unwrap();
    let request = Request::post("/v1/chat/completions")
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let mut response = connection.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.body_mut().frame().await.unwrap().unwrap();
    let trace = response.headers()["x-encaje-trace"].to_str().unwrap().to_owned();
    (trace, response.into_body())
}

/// Waits until this plugin answers; an edit is taken over within moments.
async fn until_answered_by(server: &ServerProcess, plugin: &str) {
    for _ in 0..400 {
        if plugin_of(server).await == plugin {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{plugin} never answered\n{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_edited_line_changes_who_answers_and_no_request_fails() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (address, stop) = (server.address(), Arc::clone(&stop));
        clients.spawn(async move {
            let mut connection = connect(address).await.unwrap();
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let body = chat_body("m", "x", count % 2 == 0);
                let answer = send(&mut connection, Method::POST, "/v1/chat/completions", &body)
                    .await
                    .unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body);
                count += 1;
            }
            count
        });
    }
    let mut outlived = 0;
    for round in 0..EDITS {
        let (before, next) = if round % 2 == 0 {
            ("stub", "other")
        } else {
            ("other", "stub")
        };
        let slow = if round % 10 == 0 {
            Some(begun_stream(server.address()).await)
        } else {
            None
        };
        edit(&server.registry(), &registry(next), round % 4 < 2);
        until_answered_by(&server, next).await;
        if let Some((trace, rest)) = slow {
            let swapped = Instant::now();
            let rest = rest
                .collect()
                .await
                .expect("a stream that lives through a swap ends well");
            outlived += u32::from(swapped.elapsed() > Duration::from_millis(20));
            assert!(rest.to_bytes().ends_with(b"data: [DONE]\n\n"));
            assert_eq!(plugin_of_trace(&server, &trace).await, before, "it ends where it began");
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(
        outlived >= EDITS / 10,
        "only {outlived} streams were still running when the next generation answered"
    );
    let answered: u32 = clients.join_all().await.iter().sum();
    assert!(answered >= EDITS, "only {answered} requests ran beside {EDITS} edits");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_edit_leaves_the_old_generation_serving_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    for (broken, said) in [
        (registry("nobody"), "nobody"),
        // Another text with the same mistake is another edit.
        (registry("nobody") + "# again\n", "nobody"),
        (
            registry("stub").replace("kind = \"provider\"", "knid = \"provider\""),
            "knid",
        ),
        (
            registry("stub").replace("provider-stub", "provider-absent"),
            "provider-absent",
        ),
        ("[server".to_owned(), "registry.toml:1"),
    ] {
        let before = server.log().len();
        edit(&server.registry(), &broken, false);
        let mut news = String::new();
        for _ in 0..400 {
            news = server.log()[before..].to_owned();
            if news.contains("was not taken over") && news.contains(said) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(
            news.contains("was not taken over") && news.contains(said),
            "{said}:\n{news}"
        );
        assert_eq!(plugin_of(&server).await, "stub");
    }
    edit(&server.registry(), &registry("other"), true);
    until_answered_by(&server, "other").await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_makes_the_server_look_at_its_registry() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &["--no-watch"]);
    edit(&server.registry(), &registry("other"), false);
    assert_eq!(plugin_of(&server).await, "stub", "nobody asked yet");
    // SAFETY: `kill` takes two numbers and touches no memory of ours.
    unsafe { libc::kill(libc::pid_t::try_from(server.pid()).unwrap(), libc::SIGHUP) };
    until_answered_by(&server, "other").await;
    server.stop();
}
