//! An upstream that speaks OpenAI's wire over real HTTP/1.1 on a port of its own: it answers like the real ones, notes what
//! it was asked on which connection, and fails on demand in every way that they do.
//!
//! It is written on bare TCP, because most of what it has to do no HTTP server would let it: cut an answer, never end a line,
//! lie about the content. `behaviour.rs` says what can be demanded, `answers.rs` what it says, `wire.rs` how, `encode.rs` in
//! which encodings.
#![allow(dead_code, reason = "it can do more than the tests of any one day ask of it")]

pub mod answers;
pub mod behaviour;
pub mod encode;
pub mod ollama;
pub mod wire;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub use behaviour::Behaviour;

/// How long a test waits for the upstream to notice something.
const PATIENCE: Duration = Duration::from_secs(10);

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In upper case.
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The connection that it came on, from 1; a connection that is used again keeps its number.
    pub connection: usize,
}

impl Asked {
    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Default)]
struct State {
    queue: Mutex<VecDeque<Behaviour>>,
    asked: Mutex<Vec<Asked>>,
    key: Mutex<Option<String>>,
    connections: AtomicUsize,
    hangups: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running upstream. Dropping it closes its port and every connection.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

impl Upstream {
    /// Listens on a free port of the loopback interface.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let serving = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            serving,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client is configured with: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// From now on it refuses, with OpenAI's own 401, whoever does not show this key as a bearer.
    pub fn require_key(&self, key: &str) {
        *lock(&self.state.key) = Some(key.to_owned());
    }

    /// What the next requests get, one each, in order; behind them it answers as it should.
    pub fn will(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        lock(&self.state.queue).extend(behaviours);
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// The request that came last.
    pub fn last(&self) -> Asked {
        self.asked().pop().expect("a request")
    }

    /// Connections that were made so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Answers that the client did not wait for: it closed the connection in the middle of them.
    pub fn hangups(&self) -> usize {
        self.state.hangups.load(Ordering::SeqCst)
    }

    /// Waits until so many clients have hung up.
    pub async fn wait_for_hangups(&self, count: usize) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.hangups() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{} of {count} clients hung up", self.hangups());
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Dropped together with this task, which ends every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let number = state.connections.fetch_add(1, Ordering::SeqCst) + 1;
                connections.spawn(serve(stream, number, Arc::clone(&state)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers the requests of one connection, one behind the other.
async fn serve(stream: TcpStream, number: usize, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let mut connection = wire::Connection::new(stream);
    while let Some(asked) = connection.request(number).await {
        let behaviour = lock(&state.queue).pop_front().unwrap_or_default();
        let key = lock(&state.key).clone();
        lock(&state.asked).push(asked.clone());
        let refusal = answers::refusal(&asked, key.as_deref());
        match behaviour.answer(&mut connection, &asked, refusal).await {
            Ok(wire::Then::KeepAlive) => {}
            Ok(wire::Then::Close) => return,
            Err(_) => {
                state.hangups.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}
