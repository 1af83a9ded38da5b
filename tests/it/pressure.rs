//! A server that is asked for too much: plugins that want more memory together than there is, answers that never end and
//! clients that do not read them.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use serde_json::{Value, json};

use crate::support::process::{chat_body, connect};
use crate::support::{ServerProcess, registry, root};

/// What one call of a hog takes: two of them fit what one plugin may have, three what all may have.
const HOARD: &str = "hoard 900";

/// A registry with two plugins that take much memory.
fn with_hogs() -> String {
    let fixture = root().join("tests/fixtures/misbehaves").display().to_string();
    let hog = |name: &str| {
        format!(
            "\n[plugins.{name}]\nkind = \"provider\"\nsource = {{ path = \"{fixture}\" }}\n\
             allow = {{ kv = true, sql = [\"main\"] }}\nlimits = {{ memory = \"1GiB\" }}\n\
             breaker = {{ failures = 0 }}\nretry = {{ attempts = 1 }}\n\
             \n[routes.{name}]\nto = [{{ plugin = \"{name}\" }}]\n"
        )
    };
    registry("stub") + &hog("hog") + &hog("boar")
}

/// Sends a request and reads the head of its answer.
async fn begun(server: &ServerProcess, body: &str) -> Response<Incoming> {
    let mut connection = connect(server.address()).await.unwrap();
    let request = Request::post("/v1/chat/completions")
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    connection.send_request(request).await.unwrap()
}

/// What came of one call for much memory.
enum Came {
    /// It has the memory for as long as this is kept.
    Holds(Response<Incoming>),
    Refused(Value),
}

/// Asks a plugin that takes much memory, and waits until it has it or has none.
async fn hoards(server: &ServerProcess, plugin: &str) -> Came {
    let mut response = begun(server, &chat_body(plugin, HOARD, true)).await;
    if response.status() == 200 {
        let mut said = String::new();
        while !said.contains("hoards") {
            let frame = response.body_mut().frame().await.unwrap().unwrap();
            said += &String::from_utf8_lossy(frame.data_ref().unwrap());
        }
        return Came::Holds(response);
    }
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Came::Refused(serde_json::from_slice(&body).unwrap())
}

/// Several calls at once: what the plugin holds on to, and how many were refused.
async fn together(server: &ServerProcess, plugin: &str, calls: usize) -> (Vec<Response<Incoming>>, usize) {
    let all = (0..calls).map(|_| hoards(server, plugin));
    let mut held = Vec::new();
    for came in futures::future::join_all(all).await {
        match came {
            Came::Holds(response) => held.push(response),
            Came::Refused(body) => assert_eq!(body["error"]["code"], "plugins_crowded", "{body}"),
        }
    }
    let refused = calls - held.len();
    (held, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_that_want_all_memory_together_are_refused_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &with_hogs(), &[]);
    let (hogs, refused) = together(&server, "hog", 8).await;
    assert_eq!((hogs.len(), refused), (2, 6), "what one plugin's instances may take");
    let (mut boars, refused) = together(&server, "boar", 4).await;
    assert_eq!((boars.len(), refused), (1, 3), "what all plugins' instances may take");
    for _ in 0..8 {
        let answer = server.chat("m", "x").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let path = format!("/api/v1/traces/{}", answer.trace.unwrap());
        assert_eq!(server.ask(Method::GET, &path, "").await.status, 200);
    }
    drop(hogs);
    // What they had is free again as soon as the server has noticed that they left.
    for _ in 0..600 {
        match hoards(&server, "boar").await {
            Came::Holds(response) => {
                boars.push(response);
                break;
            }
            Came::Refused(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    assert_eq!(
        boars.len(),
        2,
        "memory that was given back can be had again\n{}",
        server.log()
    );
    drop(boars);
    server.stop();
}

/// Resident bytes of the server.
fn resident(server: &ServerProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// A registry whose stub may talk for minutes.
fn talkative() -> String {
    let limits = "limits = { cpu = \"10m\", wall = \"10m\" }";
    registry("stub").replacen("[plugins.other]", &format!("{limits}\n\n[plugins.other]"), 1)
}

fn endless() -> String {
    let mut body: Value = serde_json::from_str(&chat_body("m", "x", true)).unwrap();
    body["stub"] = json!({ "endless": true, "batch": 256 });
    body.to_string()
}

/// What a client reads of an endless answer.
const READ: usize = 48 << 20;

/// How much more a server may have in memory for it: less than what went out, so that it cannot be all kept.
const GROWTH: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_not_gathered_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &talkative(), &[]);
    assert_eq!(server.chat("m", "x").await.status, 200);
    let before = resident(&server);

    let begin = Instant::now();
    let mut response = begun(&server, &endless()).await;
    let (mut read, mut most) = (0, 0);
    while read < READ {
        let Some(frame) = response.body_mut().frame().await else {
            break;
        };
        read += frame.unwrap().data_ref().map_or(0, Bytes::len);
        most = most.max(resident(&server));
    }
    let took = begin.elapsed();
    assert!(read >= READ, "it ended after {read} bytes");
    assert!(most < before + GROWTH, "{most} bytes, {before} before");
    drop(response);

    // And now a client that reads nothing, for as long.
    let unread = begun(&server, &endless()).await;
    let begin = Instant::now();
    let mut most = 0;
    while begin.elapsed() < took {
        most = most.max(resident(&server));
        assert_eq!(server.chat("m", "x").await.status, 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(most < before + GROWTH, "{most} bytes, {before} before");
    drop(unread);
    server.stop();
}
