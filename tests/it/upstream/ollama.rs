//! An upstream that speaks Ollama's wire, as far as `plugins/examples/provider-ollama` uses it: it counts, cuts and stops as
//! the real one, calls a tool where there is one, and answers in JSON where it must. It fails in no way of its own.

use serde_json::{Value, json};
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::Asked;
use super::wire::{Connection, Then};

const WORDS: [&str; 10] = [
    "one", " two", " three", " four", " five", " six", " ñ", " 🌊", " nine", " ten",
];
/// Length of a vector.
const DIMENSIONS: usize = 8;

/// A running upstream. Dropping it closes its port and every connection.
pub struct Ollama {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Ollama {
    /// Listens on a free port of the loopback interface.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut connection = Connection::new(stream);
                    while let Some(asked) = connection.request(0).await {
                        let (status, body) = answer(&asked);
                        let kind = ("content-type".to_owned(), "application/x-ndjson".to_owned());
                        let told = connection.whole(status, &[kind], body.as_bytes()).await;
                        if !matches!(told, Ok(Then::KeepAlive)) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, serving }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Ollama {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn answer(asked: &Asked) -> (u16, String) {
    let body = asked.json();
    if asked.path == "/api/tags" {
        let model = |name: &str, family: &str| json!({ "name": name, "details": { "family": family } });
        let models = json!({ "models": [model("tiny", "llama"), model("small-embed", "bert")] });
        return (200, models.to_string());
    }
    if !["tiny", "small-embed"].contains(&body["model"].as_str().unwrap_or_default()) {
        return (404, json!({ "error": "model not found" }).to_string());
    }
    match asked.path.as_str() {
        "/api/chat" | "/api/generate" => (200, said(&body, asked.path == "/api/generate")),
        "/api/embed" if body["input"].as_array().is_some_and(Vec::is_empty) => {
            (400, json!({ "error": "input must not be empty" }).to_string())
        }
        "/api/embed" => (200, vectors(&body).to_string()),
        _ => (404, json!({ "error": "no such path" }).to_string()),
    }
}

/// An answer as lines of JSON.
fn said(body: &Value, raw: bool) -> String {
    let most = body["options"]["num_predict"]
        .as_u64()
        .map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    let mut pieces: Vec<String> = WORDS.map(str::to_owned).to_vec();
    if !body["format"].is_null() {
        pieces = vec!["{\"town\":".to_owned(), " \"Bergen\"}".to_owned()];
    }
    for stop in body["options"]["stop"].as_array().into_iter().flatten() {
        let whole = pieces.concat();
        if let Some(at) = whole.find(stop.as_str().unwrap_or_default()) {
            pieces = vec![whole[..at].to_owned()];
        }
    }
    let reason = if pieces.len() > most { "length" } else { "stop" };
    pieces.truncate(most);
    let line = |text: &str| match raw {
        true => json!({ "response": text, "done": false }),
        false => json!({ "message": { "role": "assistant", "content": text }, "done": false }),
    };
    let mut lines: Vec<Value> = pieces.iter().map(|text| line(text)).collect();
    if let Some(tool) = body["tools"].as_array().and_then(|tools| tools.first()) {
        let call = json!({ "function": { "name": tool["function"]["name"], "arguments": { "town": "Bergen" } } });
        lines = vec![json!({ "message": { "content": "", "tool_calls": [call] }, "done": false })];
    }
    lines.push(json!({
        "message": { "content": "" }, "done": true, "done_reason": reason, "prompt_eval_count": 7,
        "eval_count": lines.len(),
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A vector of each input that its bytes decide.
fn vectors(body: &Value) -> Value {
    let vector = |text: &Value| -> Vec<f64> {
        let mut sum = 7_u32;
        for byte in text.as_str().unwrap_or_default().bytes() {
            sum = sum.wrapping_mul(31).wrapping_add(u32::from(byte));
        }
        let number = |at| f64::from(sum.rotate_left(at) % 997) / 997.0;
        (0..8).map(number).take(DIMENSIONS).collect()
    };
    let rows: Vec<Vec<f64>> = body["input"].as_array().into_iter().flatten().map(vector).collect();
    json!({ "embeddings": rows, "prompt_eval_count": rows.len() * 3 })
}
