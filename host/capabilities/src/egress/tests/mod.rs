//! Egress over real sockets of this machine: a small server that answers as told, and a resolver that lies as told.

mod addresses;
mod allowed;
mod bodies;
mod patience;
mod redirects;
mod secrets;
mod tls;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

pub(super) const WITHIN: Duration = Duration::from_secs(20);

/// What the server does in turn once it has read a request; then it reads the next one.
#[derive(Clone)]
pub(super) enum Step {
    Say(Vec<u8>),
    /// The same again and again, until nobody listens.
    Flood(Vec<u8>),
    Wait(u64),
    Close,
}

/// What it was asked, head and body, and what became of its connections.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) accepted: AtomicUsize,
    pub(super) closed: AtomicUsize,
}

pub(super) struct Server {
    pub(super) port: u16,
    pub(super) seen: Arc<Seen>,
}

impl Server {
    pub(super) async fn new(answer: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, answer) = (Arc::<Seen>::default(), Arc::new(answer));
        let noted = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                noted.accepted.fetch_add(1, Ordering::SeqCst);
                let (noted, answer) = (noted.clone(), answer.clone());
                tokio::spawn(async move {
                    serve(stream, &noted, &*answer).await;
                    noted.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, seen }
    }

    /// One that answers every request with the same status and body.
    pub(super) async fn saying(body: &str) -> Self {
        let reply = ok(body);
        Self::new(move |_| reply.clone()).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The requests so far; names of headers are in lower case as they came.
    pub(super) fn asked(&self) -> Vec<String> {
        self.seen.asked.lock().unwrap().clone()
    }

    pub(super) fn rule(&self) -> Rule {
        rule("127.0.0.1", self.port)
    }
}

/// Reads requests and answers them until one of the two ends the connection.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    seen: &Seen,
    answer: &(dyn Fn(&str) -> Vec<Step> + Send + Sync),
) {
    let mut input = Vec::new();
    loop {
        let request = loop {
            if let Some(bytes) = complete(&input) {
                break String::from_utf8_lossy(&input.drain(..bytes).collect::<Vec<_>>()).into_owned();
            }
            match stream.read_buf(&mut input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let steps = answer(&request);
        seen.asked.lock().unwrap().push(request);
        for step in steps {
            match step {
                Step::Say(bytes) => {
                    if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
                Step::Flood(bytes) => while stream.write_all(&bytes).await.is_ok() {},
                Step::Wait(milliseconds) => {
                    // A client that goes away meanwhile ends the connection.
                    let pause = tokio::time::sleep(Duration::from_millis(milliseconds));
                    tokio::select! {
                        () = pause => {}
                        read = stream.read_buf(&mut input) => if read.is_ok_and(|bytes| bytes == 0) { return },
                    }
                }
                Step::Close => return,
            }
        }
    }
}

fn complete(input: &[u8]) -> Option<usize> {
    let head = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&input[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let all = head + length.map_or(0, |length| length.trim().parse::<usize>().unwrap());
    (input.len() >= all).then_some(all)
}

pub(super) fn say(text: impl AsRef<[u8]>) -> Step {
    Step::Say(text.as_ref().to_vec())
}

pub(super) fn ok(body: &str) -> Vec<Step> {
    vec![say(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))]
}

pub(super) fn redirect_to(status: u16, location: &str) -> Vec<Step> {
    vec![say(format!(
        "HTTP/1.1 {status} There\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    ))]
}

/// A resolver that gives its answers of each name in turn, the last one again and again; any other name is unknown.
#[derive(Default)]
pub(super) struct Names {
    answers: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
    pub(super) asked: AtomicUsize,
}

impl Names {
    pub(super) fn with(host: &str, answers: &[&[&str]]) -> Arc<Self> {
        let names = Self::default();
        names.add(host, answers);
        Arc::new(names)
    }

    pub(super) fn add(&self, host: &str, answers: &[&[&str]]) {
        let parsed = answers
            .iter()
            .map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect());
        self.answers.lock().unwrap().insert(host.to_owned(), parsed.collect());
    }
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let queue = answers
            .get_mut(host)
            .ok_or_else(|| std::io::Error::other("no such name"))?;
        Ok(if queue.len() > 1 {
            queue.pop_front().unwrap()
        } else {
            queue.front().unwrap().clone()
        })
    }
}

pub(super) fn rule(host: &str, port: u16) -> Rule {
    Rule {
        host: host.to_owned(),
        port,
        methods: Vec::new(),
        path: None,
        private: false,
    }
}

pub(super) fn private(host: &str, port: u16) -> Rule {
    Rule {
        private: true,
        ..rule(host, port)
    }
}

pub(super) fn policy(rules: Vec<Rule>) -> Policy {
    Policy {
        plugin: "p".to_owned(),
        rules,
        secrets: BTreeMap::new(),
    }
}

pub(super) fn egress(rules: Vec<Rule>) -> Egress {
    Egress::with_resolver(policy(rules), Arc::<Names>::default()).unwrap()
}

pub(super) fn get(url: impl Into<String>) -> Request {
    Request {
        method: "GET".to_owned(),
        url: url.into(),
        ..Request::default()
    }
}

pub(super) async fn send(egress: &Egress, request: Request) -> Result<Response, Problem> {
    egress.send(request, WITHIN, &Arc::default()).await
}

/// The problem's kind and code.
pub(super) async fn refusal(egress: &Egress, request: Request) -> (ProblemKind, String) {
    let problem = send(egress, request).await.unwrap_err();
    (problem.kind, problem.code.unwrap_or_default())
}

pub(super) fn denied(code: &str) -> (ProblemKind, String) {
    (ProblemKind::Denied, code.to_owned())
}

pub(super) async fn body(mut response: Response) -> String {
    let mut all = Vec::new();
    while let Some(bytes) = response.read(u32::MAX).await.unwrap() {
        all.extend(bytes);
    }
    String::from_utf8(all).unwrap()
}

/// Waits until something has happened as often as expected.
pub(super) async fn reaches(counter: &AtomicUsize, expected: usize) {
    let wait = async {
        while counter.load(Ordering::SeqCst) < expected {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap();
}
