//! Coming to an end: what runs is served to its end, within a deadline.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use encaje_core::chat::FinishReason;
use encaje_http::EdgeConfig;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::fake::{Setting, Step, finish, text};
use crate::sockets::{eventually, listen, post, read_until};

const STREAM: &str = r#"{"model":"slow","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;

fn slow(wait: Duration, drain_time: Duration) -> Setting {
    let config = EdgeConfig {
        drain_time,
        ..EdgeConfig::default()
    };
    Setting {
        config,
        ..Setting::default()
    }
    .script("slow", move |_| {
        let end = Step::Say(vec![text("b"), finish(0, FinishReason::Stop)]);
        vec![Step::Say(vec![text("a")]), Step::Wait(wait), end]
    })
}

#[tokio::test]
async fn a_stream_ends_well_while_the_server_drains() {
    let listening = listen(slow(Duration::from_millis(400), Duration::from_secs(20))).await;
    let idle = listening.connect().await;
    let mut socket = listening.connect().await;
    socket.write_all(post(STREAM).as_bytes()).await.unwrap();
    read_until(&mut socket, "\"content\":\"a\"").await;
    listening.stop.send(()).unwrap();
    let address = listening.address;
    let mut refused = false;
    for _ in 0..100 {
        refused |= TcpStream::connect(address).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(refused, "no new connection is taken");
    let rest = read_until(&mut socket, "[DONE]").await;
    assert!(rest.contains("\"content\":\"b\""), "{rest}");
    let began = Instant::now();
    listening.served.await.unwrap().unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "an idle connection does not hold the server up"
    );
    drop(idle);
    listening.world.server.drain().await;
    assert!(!listening.world.store.rows("spans").is_empty());
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    let listening = listen(slow(Duration::from_secs(600), Duration::from_millis(200))).await;
    let mut socket = listening.connect().await;
    socket.write_all(post(STREAM).as_bytes()).await.unwrap();
    read_until(&mut socket, "\"content\":\"a\"").await;
    listening.stop.send(()).unwrap();
    let began = Instant::now();
    listening.served.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    let fake = &listening.world.fake;
    eventually("the provider is dropped", || fake.dropped.load(Ordering::SeqCst) == 1).await;
    listening.world.server.drain().await;
}
