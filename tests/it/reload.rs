//! Edits of the registry under load: no request fails, a stream ends where it began, a bad edit changes nothing.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::process::{chat_body, command, connect, send};
use crate::support::{ServerProcess, component, registry, root};

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

/// A stream of which the first piece has come.
struct Begun {
    trace: String,
    /// When it ended, and what it said.
    rest: JoinHandle<(Instant, String)>,
}

impl Begun {
    /// What it said, once it has ended well, after this time.
    async fn ends_after(self, swapped: Instant) {
        let (ended, rest) = self.rest.await.unwrap();
        assert!(ended > swapped, "it was over before the next generation answered");
        assert!(rest.contains("eight") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    }
}

/// One that goes on for longer than a swap takes on a busy machine, and is read meanwhile.
async fn begun_stream(address: SocketAddr) -> Begun {
    let mut body: Value = serde_json::from_str(&chat_body("m", "x", true)).unwrap();
    body["stub"] = json!({ "text": "one two three four five six seven eight", "deltas": 8, "delay_ms": 600 });
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
    let rest = tokio::spawn(async move {
        let rest = response.into_body().collect().await;
        let rest = rest.expect("a stream that lives through a swap ends well").to_bytes();
        (Instant::now(), String::from_utf8(rest.to_vec()).unwrap())
    });
    Begun { trace, rest }
}

/// Waits until this plugin answers; an edit is taken over within moments.
async fn until_answered_by(server: &ServerProcess, plugin: &str) {
    for _ in 0..2_000 {
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
    let mut streams = Vec::new();
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
        streams.extend(slow.map(|slow| (slow, before, Instant::now())));
    }
    for (slow, before, swapped) in streams {
        let trace = slow.trace.clone();
        slow.ends_after(swapped).await;
        assert_eq!(plugin_of_trace(&server, &trace).await, before, "it ends where it began");
    }
    stop.store(true, Ordering::Relaxed);
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
        for _ in 0..2_000 {
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
async fn an_edit_in_place_is_taken_over_when_its_writer_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("other"), &[]);
    // The server has had its first look then, for which nothing need happen.
    edit(&server.registry(), &registry("stub"), true);
    until_answered_by(&server, "stub").await;
    let next = registry("other");
    // A registry in itself, which answers no model.
    let (half, rest) = next.split_at(next.find("[routes.m]").unwrap());
    let mut file = std::fs::File::create(server.registry()).unwrap();
    file.write_all(half.as_bytes()).unwrap();
    // Ten times as long as the server waits for more.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(plugin_of(&server).await, "stub", "half of an edit changes nothing");
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
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

/// The registry with other lines for the plugin that serves.
fn serving(source: &str, rest: &str) -> String {
    let text = registry("stub");
    let own = format!("source = {{ path = \"{}/plugins/provider-stub\" }}\n", root().display());
    assert_eq!(text.matches(&own).count(), 2, "{text}");
    let source = format!("source = {{ path = \"{}/{source}\" }}\n{rest}\n", root().display());
    text.replacen(&own, &source, 1)
}

/// What the model `m` answers to this.
async fn said(server: &ServerProcess, text: &str) -> String {
    let answer = server.chat("m", text).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

async fn until_said(server: &ServerProcess, text: &str, part: &str) {
    for _ in 0..1_000 {
        if said(server, text).await.contains(part) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("`{part}` was never said\n{}", server.log());
}

async fn plugins(server: &ServerProcess) -> Value {
    let listed = server.ask(Method::GET, "/api/v1/plugins", "").await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    serde_json::from_str(&listed.body).unwrap()
}

/// SHA-256 of the component of the plugin that serves.
async fn digest(server: &ServerProcess) -> String {
    let listed = plugins(server).await;
    listed["plugins"][0]["digest"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_whose_own_configuration_or_component_changes_ends_its_streams_as_it_was() {
    let stub = |text: &str| {
        serving(
            "plugins/provider-stub",
            &format!("config = {{ script = {{ text = \"{text}\" }} }}"),
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &stub("first"), &[]);
    assert_eq!(said(&server, "seek me").await, "first");
    let first = digest(&server).await;

    let stream = begun_stream(server.address()).await;
    edit(&server.registry(), &stub("second"), true);
    until_said(&server, "seek me", "second").await;
    stream.ends_after(Instant::now()).await;
    assert_eq!(
        digest(&server).await,
        first,
        "another configuration of the same component"
    );

    // The successor does not know what the stream's request asks the stub for; whoever mixed them would fail here.
    let echo = serving("tests/fixtures/previous-provider", "allow = { kv = true }");
    // The server builds it within the swap, for longer than a stream lasts, if nobody has before.
    component("tests/fixtures/previous-provider");
    let stream = begun_stream(server.address()).await;
    edit(&server.registry(), &echo, true);
    until_said(&server, "seek me", "seek").await;
    stream.ends_after(Instant::now()).await;
    assert_ne!(digest(&server).await, first);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_fails_during_a_reload_is_rolled_back_and_shown_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let before = plugins(&server).await;
    assert_eq!((&before["generation"], &before["refused"]), (&json!(1), &Value::Null));
    let broken = serving("tests/fixtures/spins-in-check", "limits = { cpu = \"100ms\" }");
    edit(&server.registry(), &broken, false);
    let why = "used up the CPU time";
    let mut log = String::new();
    for _ in 0..3_000 {
        log = server.log();
        if log.contains("was not taken over") && log.contains(why) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(log.contains("was not taken over") && log.contains(why), "{log}");
    let refused = plugins(&server).await["refused"].take();
    assert!(refused.as_str().is_some_and(|said| said.contains(why)), "{refused}");
    let plan = command(folder.path(), &["plan"], "");
    assert!(
        plan.well && plan.said.contains("generation 1") && plan.said.contains(why),
        "{}",
        plan.said
    );
    let after = plugins(&server).await;
    assert_eq!(after["generation"], 1);
    assert_eq!(after["plugins"][0]["digest"], before["plugins"][0]["digest"]);
    assert_eq!(plugin_of(&server).await, "stub", "the old one serves");

    edit(&server.registry(), &registry("other"), false);
    until_answered_by(&server, "other").await;
    for _ in 0..2_000 {
        if plugins(&server).await["refused"].is_null() {
            server.stop();
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a good edit is the last word\n{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_removed_ends_its_streams_and_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    let stream = begun_stream(server.address()).await;
    let trace = stream.trace.clone();
    let text = registry("other");
    let (start, end) = (
        text.find("[plugins.stub]").unwrap(),
        text.find("[plugins.other]").unwrap(),
    );
    edit(&server.registry(), &format!("{}{}", &text[..start], &text[end..]), true);
    until_answered_by(&server, "other").await;
    stream.ends_after(Instant::now()).await;
    assert_eq!(plugin_of_trace(&server, &trace).await, "stub");
    let listed = plugins(&server).await;
    let names: Vec<_> = listed["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["other", "store"]);
    let metrics = server.ask(Method::GET, "/metrics", "").await.body;
    assert!(
        metrics.contains("plugin=\"other\"") && !metrics.contains("plugin=\"stub\""),
        "{metrics}"
    );
    server.stop();
}
