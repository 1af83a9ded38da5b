//! The local provider in a running server, with both models at work: nobody's answer changes, nobody waits for ever, and
//! nothing is computed for a client that has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::support::process::{connect, send};
use crate::support::{ServerProcess, default_registry};

const CHAT: &str = "smollm2-135m-instruct";
const EMBED: &str = "all-minilm-l6-v2";

const QUESTIONS: [&str; 3] = ["Name a colour.", "What is the capital of France?", "Count to five."];

/// How often each question is asked beside the embeddings.
const ROUNDS: usize = 3;

fn question(text: &str, most: u32) -> Value {
    json!({
        "model": CHAT, "temperature": 0, "max_tokens": most, "messages": [{ "role": "user", "content": text }],
    })
}

/// One that goes on for minutes.
fn endless() -> Value {
    let mut body = question("Count.", 7_000);
    body["stream"] = true.into();
    // The tokens that end a turn.
    body["logit_bias"] = json!({ "0": -100, "2": -100 });
    body
}

async fn said(server: &ServerProcess, text: &str) -> String {
    let answer = server
        .ask(Method::POST, "/v1/chat/completions", &question(text, 16).to_string())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

/// The vectors of some texts, one of them of several windows.
async fn vectors(address: std::net::SocketAddr) -> Vec<Vec<f64>> {
    let long = "The sea is wide and the harbour is small. ".repeat(120);
    let body = json!({ "model": EMBED, "input": ["hola", "hello", long] }).to_string();
    let mut connection = connect(address).await.unwrap();
    let answer = send(&mut connection, Method::POST, "/v1/embeddings", &body)
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let rows = answer["data"].as_array().unwrap().iter();
    let vector = |row: &Value| {
        let values = row["embedding"].as_array().unwrap().iter();
        values.map(|value| value.as_f64().unwrap()).collect()
    };
    rows.map(vector).collect()
}

fn same(one: &[Vec<f64>], other: &[Vec<f64>]) -> bool {
    let near = |(one, other): (&Vec<f64>, &Vec<f64>)| {
        let product: f64 = one.iter().zip(other).map(|(one, other)| one * other).sum();
        one.len() == other.len() && product > 0.999_9
    };
    one.len() == other.len() && one.iter().zip(other).all(near)
}

/// An answer that goes on until its client is dropped; how many pieces of it have come.
fn talk(server: &ServerProcess) -> (tokio::task::JoinHandle<()>, Arc<AtomicUsize>) {
    let pieces = Arc::new(AtomicUsize::new(0));
    let (address, counted) = (server.address(), Arc::clone(&pieces));
    let task = tokio::spawn(async move {
        let mut connection = connect(address).await.unwrap();
        let request = Request::post("/v1/chat/completions")
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(endless().to_string())))
            .unwrap();
        let mut response = connection.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        while let Some(frame) = response.body_mut().frame().await {
            frame.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (task, pieces)
}

/// Waits until more pieces have come than there were.
async fn more(pieces: &AtomicUsize, than: usize) -> usize {
    for _ in 0..6_000 {
        let now = pieces.load(Ordering::SeqCst);
        if now > than {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no more than {than} pieces came");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_vectors_beside_each_other_are_as_they_are_alone_and_neither_starves() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &default_registry(), &[]);
    let mut alone = Vec::new();
    for text in QUESTIONS {
        alone.push(said(&server, text).await);
    }
    let vectors_alone = vectors(server.address()).await;

    let done = Arc::new(AtomicBool::new(false));
    let mut embedders = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (address, done, expected) = (server.address(), Arc::clone(&done), vectors_alone.clone());
        embedders.spawn(async move {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) || count == 0 {
                assert!(same(&vectors(address).await, &expected), "other vectors than alone");
                count += 1;
            }
            count
        });
    }
    let chats = QUESTIONS.iter().zip(&alone).map(async |(text, alone)| {
        for _ in 0..ROUNDS {
            assert_eq!(&said(&server, text).await, alone, "another answer than alone");
        }
    });
    futures::future::join_all(chats).await;
    done.store(true, Ordering::Relaxed);
    let embedded: usize = embedders.join_all().await.iter().sum();
    assert!(embedded >= 3, "{embedded}");

    // Beside an answer without end, texts are embedded; and beside them it goes on.
    let (talking, pieces) = talk(&server);
    let mut seen = more(&pieces, 0).await;
    for _ in 0..3 {
        assert!(same(&vectors(server.address()).await, &vectors_alone));
        seen = more(&pieces, seen).await;
    }
    talking.abort();
    server.stop();
}

/// Clock ticks of CPU time that the server has used.
fn ticks(server: &ServerProcess) -> u64 {
    let line = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    // The name before it is in parentheses and may hold anything.
    let (_, rest) = line.rsplit_once(')').unwrap();
    let field = |index: usize| rest.split_whitespace().nth(index).unwrap().parse::<u64>().unwrap();
    field(11) + field(12)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_computed_for_a_client_that_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &default_registry(), &[]);
    let (talking, pieces) = talk(&server);
    more(&pieces, 3).await;
    talking.abort();
    let mut traces = Value::Null;
    for _ in 0..400 {
        let body = server
            .ask(Method::GET, "/api/v1/traces?status=cancelled", "")
            .await
            .body;
        traces = serde_json::from_str(&body).unwrap();
        if traces["traces"][0]["model"] == CHAT {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(traces["traces"][0]["model"], CHAT, "{traces}");
    let mut idle = false;
    for _ in 0..40 {
        let before = ticks(&server);
        tokio::time::sleep(Duration::from_millis(500)).await;
        // One that goes on takes a core, or its share of one: some tens of these hundredths of a second.
        idle = ticks(&server) - before <= 3;
        if idle {
            break;
        }
    }
    assert!(idle, "the server still computes\n{}", server.log());
    server.stop();
}
