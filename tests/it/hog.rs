//! A provider whose upstream hangs, on a server with little room: it holds its share of the requests and no more.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use crate::support::process::{chat_body, send};
use crate::support::{ServerProcess, registry};

/// Requests that hang; the server works on one more at once, since the connection of the first may not have gone yet.
const IN_FLIGHT: usize = 16;

/// A question to the hanging plugin, as it stays in the server for longer than the test looks.
fn hanging() -> String {
    let mut body: Value = serde_json::from_str(&chat_body("hangs", "x", false)).unwrap();
    body["stub"] = json!({ "text": "late", "delay_ms": 30_000 });
    body.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hanging_provider_leaves_room_for_the_others() {
    let text = registry("other").replace("[server]\n", &format!("[server]\nmax_in_flight = {}\n", IN_FLIGHT + 1))
        + "\n[routes.hangs]\nto = [{ plugin = \"stub\" }]\n";
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &text, &[]);
    assert_eq!(server.chat("m", "warm").await.status, 200);

    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let mut connection = server.connect().await.expect("a place for every connection");
        let body = hanging();
        callers.spawn(async move {
            let answer = send(&mut connection, Method::POST, "/v1/chat/completions", &body).await;
            answer.map(|answer| (answer.status, answer.body))
        });
    }
    let mut refused = 0;
    while refused < IN_FLIGHT / 2 {
        let answer = tokio::time::timeout(Duration::from_secs(20), callers.join_next()).await;
        let answer = answer.expect("half of the requests are the provider's share").unwrap();
        let (status, body) = answer.unwrap().expect("an answer");
        assert_eq!(status, 503, "{body}");
        assert!(
            body.contains("plugin_busy"),
            "turned away by the plugin, not by the server: {body}"
        );
        refused += 1;
    }
    let began = Instant::now();
    for _ in 0..4 {
        let answer = server.chat("m", "hello").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());

    let metrics = server.ask(Method::GET, "/metrics", "").await.body;
    let line =
        format!("encaje_plugin_refused_total{{plugin=\"stub\",kind=\"provider\",reason=\"plugin_busy\"}} {refused}.0");
    assert!(metrics.contains(&line), "{metrics}");
    while let Some(answer) = callers.join_next().await {
        let (status, body) = answer.unwrap().expect("an answer");
        assert_eq!(status, 200, "those that were let in are answered: {body}");
    }
    server.stop();
}
