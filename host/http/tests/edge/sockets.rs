//! Real sockets: disconnects, slow clients, pipelining, chunked bodies, heads that cannot be read, too many connections.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use encaje_core::chat::FinishReason;
use encaje_http::{EdgeConfig, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fake::{Setting, Step, World, finish, text};
use crate::store::get;

const ASK: &str = r#"{"model":"hello","messages":[{"role":"user","content":"Hi"}]}"#;

/// A world that listens.
pub(crate) struct Listening {
    pub(crate) world: World,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) stop: tokio::sync::oneshot::Sender<()>,
    pub(crate) served: tokio::task::JoinHandle<std::io::Result<()>>,
}

pub(crate) async fn listen(setting: Setting) -> Listening {
    let world = setting.start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let served = tokio::spawn(serve(listener, world.router.clone(), world.config.clone(), shutdown));
    Listening {
        world,
        address,
        stop,
        served,
    }
}

pub(crate) fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

impl Listening {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(bytes).await.unwrap();
        read_all(&mut socket).await
    }
}

async fn read_all(socket: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut heard))
        .await
        .expect("it never closed")
        .unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

/// Reads until the text holds something.
pub(crate) async fn read_until(socket: &mut TcpStream, wanted: &str) -> String {
    let mut heard = String::new();
    let mut buffer = [0_u8; 4_096];
    while !heard.contains(wanted) {
        let read = tokio::time::timeout(Duration::from_secs(20), socket.read(&mut buffer)).await;
        match read
            .unwrap_or_else(|_| panic!("never came: {wanted}; so far: {heard}"))
            .unwrap()
        {
            0 => panic!("closed before {wanted}: {heard}"),
            read => heard.push_str(&String::from_utf8_lossy(&buffer[..read])),
        }
    }
    heard
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn flood() -> Setting {
    Setting::default()
        .script("flood", |_| vec![Step::Repeat(vec![text(&"x".repeat(4_096))])])
        .script("slow", |_| {
            vec![Step::Say(vec![text("a")]), Step::Wait(Duration::from_secs(600))]
        })
        .script("wait", |_| vec![Step::Wait(Duration::from_secs(600))])
}

fn statuses(world: &World) -> Vec<String> {
    let rows = world.store.rows("spans");
    rows.iter()
        .filter(|row| get(row, "root").as_integer() == Some(1))
        .map(|row| get(row, "status").as_text().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_answer() {
    for (model, stream) in [("slow", true), ("wait", true), ("slow", false), ("wait", false)] {
        let listening = listen(flood()).await;
        let mut socket = listening.connect().await;
        let ask = ASK
            .replace("hello", model)
            .replace("{\"model\"", &format!("{{\"stream\":{stream},\"model\""));
        socket.write_all(post(&ask).as_bytes()).await.unwrap();
        if model == "slow" && stream {
            read_until(&mut socket, "\"content\":\"a\"").await;
        } else {
            let world = &listening.world;
            eventually("the provider is asked", || !world.fake.asked.lock().unwrap().is_empty()).await;
        }
        drop(socket);
        let world = &listening.world;
        eventually("the provider sees the drop", || {
            world.fake.dropped.load(Ordering::SeqCst) == 1
        })
        .await;
        eventually("the trace closes", || statuses(world) == ["cancelled"]).await;
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_the_provider_and_is_cut_off() {
    let config = EdgeConfig {
        write_stall: Duration::from_millis(300),
        ..EdgeConfig::default()
    };
    let listening = listen(Setting { config, ..flood() }).await;
    let mut socket = listening.connect().await;
    let ask = ASK
        .replace("hello", "flood")
        .replace("{\"model\"", "{\"stream\":true,\"model\"");
    socket.write_all(post(&ask).as_bytes()).await.unwrap();
    let fake = &listening.world.fake;
    eventually("the provider is dropped", || fake.dropped.load(Ordering::SeqCst) == 1).await;
    let taken = fake.taken.load(Ordering::SeqCst);
    assert!(
        taken < 10_000,
        "{taken} batches of 4 KiB were taken for a client that reads nothing"
    );
    let world = &listening.world;
    eventually("the trace closes", || statuses(world) == ["cancelled"]).await;
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let config = EdgeConfig {
        write_stall: Duration::from_secs(5),
        ..EdgeConfig::default()
    };
    let setting = Setting {
        config,
        ..Setting::default()
    }
    .script("big", |_| {
        let mut steps: Vec<Step> = (0..400).map(|_| Step::Say(vec![text(&"Z".repeat(8_192))])).collect();
        steps.push(Step::Say(vec![finish(0, FinishReason::Stop)]));
        steps
    });
    let listening = listen(setting).await;
    let mut socket = listening.connect().await;
    let ask = ASK
        .replace("hello", "big")
        .replace("{\"model\"", "{\"stream\":true,\"model\"");
    socket.write_all(post(&ask).as_bytes()).await.unwrap();
    let (mut heard, mut buffer) = (0, vec![0_u8; 256 << 10]);
    let mut last = Vec::new();
    while !last.ends_with(b"0\r\n\r\n") {
        let read = socket.read(&mut buffer).await.unwrap();
        assert!(read > 0, "closed after {heard} bytes");
        heard += buffer[..read].iter().filter(|byte| **byte == b'Z').count();
        last.extend_from_slice(&buffer[..read]);
        last.drain(..last.len().saturating_sub(64));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(heard, 400 * 8_192);
}

#[tokio::test]
async fn requests_may_come_one_behind_the_other() {
    let listening = listen(Setting::default()).await;
    let get = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let last = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let all = format!("{get}{}{}{get}{last}", post(ASK), post("{"));
    let heard = listening.exchange(all.as_bytes()).await;
    let statuses: Vec<&str> = heard.matches("HTTP/1.1 200").collect();
    assert_eq!(
        (statuses.len(), heard.matches("HTTP/1.1 400").count()),
        (4, 1),
        "{heard}"
    );
    assert!(heard.ends_with("]}"), "{heard}");
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let listening = listen(Setting::default()).await;
    let mut socket = listening.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    for piece in ASK.as_bytes().chunks(7) {
        socket
            .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
            .await
            .unwrap();
        socket.write_all(piece).await.unwrap();
        socket.write_all(b"\r\n").await.unwrap();
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(read_all(&mut socket).await.starts_with("HTTP/1.1 200"));

    let malformed = format!("{head}zz\r\n");
    let heard = listening.exchange(malformed.as_bytes()).await;
    assert!(
        heard.starts_with("HTTP/1.1 400") && heard.contains("incomplete_body"),
        "{heard}"
    );
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_sent_and_the_answer_arrives() {
    let config = EdgeConfig {
        body_bytes: 1 << 20,
        ..EdgeConfig::default()
    };
    let listening = listen(Setting {
        config,
        ..Setting::default()
    })
    .await;
    let waits = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 9000000\r\n\r\n";
    let mut socket = listening.connect().await;
    socket.write_all(waits.as_bytes()).await.unwrap();
    let heard = read_until(&mut socket, "request_too_large").await;
    assert!(heard.starts_with("HTTP/1.1 413"), "{heard}");

    // One that sends regardless reads the refusal too, though its body is never wanted.
    let body = format!(r#"{{"model":"{}"}}"#, "m".repeat(8 << 20));
    let heard = listening.exchange(post(&body).as_bytes()).await;
    assert!(
        heard.starts_with("HTTP/1.1 413") && heard.contains("connection: close"),
        "{heard}"
    );
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_timed_out_and_an_idle_connection_is_closed() {
    let config = EdgeConfig {
        head_time: Duration::from_millis(100),
        idle_time: Duration::from_millis(300),
        ..EdgeConfig::default()
    };
    let listening = listen(Setting {
        config,
        ..Setting::default()
    })
    .await;
    let heard = listening.exchange(b"GET /health HTTP/1.1\r\nhost: loc").await;
    assert!(
        heard.starts_with("HTTP/1.1 408") && heard.contains("request_timeout"),
        "{heard}"
    );
    assert!(heard.contains("x-request-id: req_"), "{heard}");
    assert_eq!(
        listening.exchange(b"").await,
        "",
        "an idle connection is closed without a word"
    );
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_timed_out() {
    let config = EdgeConfig {
        body_stall: Duration::from_millis(100),
        ..EdgeConfig::default()
    };
    let listening = listen(Setting {
        config,
        ..Setting::default()
    })
    .await;
    let ask = post(ASK);
    let heard = listening.exchange(&ask.as_bytes()[..ask.len() - 5]).await;
    assert!(
        heard.starts_with("HTTP/1.1 408") && heard.contains("connection: close"),
        "{heard}"
    );
}

#[tokio::test]
async fn heads_that_cannot_be_read_have_error_objects_too() {
    let listening = listen(Setting::default()).await;
    let many = "a: b\r\n".repeat(200);
    let long = format!("a: {}\r\n", "x".repeat(200 << 10));
    let address = "y".repeat(70_000);
    for (bytes, status, code) in [
        (
            format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
            431,
            "headers_too_large",
        ),
        (
            format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{long}\r\n"),
            431,
            "headers_too_large",
        ),
        (
            format!("GET /{address} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            414,
            "uri_too_long",
        ),
        ("nonsense\r\n\r\n".to_owned(), 400, "bad_http"),
        ("GET /health HTTP/1.1\r\nbad header\r\n\r\n".to_owned(), 400, "bad_http"),
        (
            "POST /health HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_owned(),
            400,
            "bad_http",
        ),
    ] {
        let heard = listening.exchange(bytes.as_bytes()).await;
        let start: String = bytes.chars().take(30).collect();
        assert!(heard.starts_with(&format!("HTTP/1.1 {status}")), "{start:?}: {heard:?}");
        assert!(
            heard.contains(code) && heard.contains("x-request-id: req_"),
            "{start:?}: {heard}"
        );
        let (_, body) = heard.split_once("\r\n\r\n").unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
    }
}

#[tokio::test]
async fn head_and_options_have_no_body_and_no_permission() {
    let listening = listen(Setting::default()).await;
    let ask = |method: &str| format!("{method} /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let head = listening.exchange(ask("HEAD").as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let options = listening.exchange(ask("OPTIONS").as_bytes()).await;
    assert!(
        options.starts_with("HTTP/1.1 405") && options.contains("allow: GET, HEAD"),
        "{options}"
    );
    assert!(!options.contains("access-control"), "{options}");
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let config = EdgeConfig {
        connections: 1,
        ..EdgeConfig::default()
    };
    let listening = listen(Setting {
        config,
        ..Setting::default()
    })
    .await;
    let mut first = listening.connect().await;
    first.write_all(post(ASK).as_bytes()).await.unwrap();
    read_until(&mut first, "chat.completion").await;
    let heard = listening
        .exchange(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    assert!(
        heard.starts_with("HTTP/1.1 503") && heard.contains("retry-after: 1"),
        "{heard}"
    );
    assert!(heard.contains("too many connections"), "{heard}");
    first.write_all(post(ASK).as_bytes()).await.unwrap();
    read_until(&mut first, "chat.completion").await;
    drop(first);
    let mut freed = false;
    for _ in 0..50 {
        let bytes = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        freed |= listening.exchange(bytes).await.starts_with("HTTP/1.1 200");
        if freed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(freed, "the place was not given back");
}
