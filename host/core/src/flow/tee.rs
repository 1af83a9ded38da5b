//! Where an answer goes: to the edge as it comes, and into what is remembered.

use std::time::Instant;

use tokio::sync::mpsc::Sender;

use super::contract::Contract;
use crate::call::Call;
use crate::chat::{ChatRequest, Chunk};
use crate::ledger::Room;
use crate::limits;
use crate::problem::{Problem, ProblemKind};
use crate::server::Said;
use crate::time::now_us;
use crate::trace::{Asked, Exchange, Outcome};
use crate::transcript::Transcript;

fn gone() -> Problem {
    Problem::new(ProblemKind::Cancelled, "The caller went away.")
}

/// Where an answer goes: to the edge as it comes, and into the exchange.
pub(crate) struct Tee {
    said: Sender<Said>,
    /// What was sent so far keeps to it.
    pub(crate) contract: Contract,
    room: Room,
    began: Instant,
    start_us: u64,
    first_chunk_us: Option<u64>,
    transcript: Transcript,
    plugin: Option<String>,
    plugin_model: Option<String>,
    degraded: bool,
    /// Somebody is there, but takes nothing.
    stalled: bool,
}

impl Tee {
    pub(crate) fn new(said: Sender<Said>, room: Room) -> Self {
        Self {
            said,
            contract: Contract::default(),
            room,
            began: Instant::now(),
            start_us: now_us(),
            first_chunk_us: None,
            transcript: Transcript::default(),
            plugin: None,
            plugin_model: None,
            degraded: false,
            stalled: false,
        }
    }

    /// An answer to this request is expected.
    pub(crate) fn expect(&mut self, request: &ChatRequest) {
        self.contract = Contract::new(request.sampling.choices);
    }

    /// For the last word.
    pub(crate) fn sender(&self) -> Sender<Said> {
        self.said.clone()
    }

    /// Waits for work, but no longer than somebody is there to hear of it.
    pub(crate) async fn attend<T>(
        &self,
        call: &Call,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let late = || Problem::new(ProblemKind::Timeout, "The call took longer than it may.");
        tokio::select! {
            biased;
            done = work => done,
            () = self.said.closed() => Err(gone()),
            () = call.cancelled().cancelled() => Err(gone()),
            () = tokio::time::sleep(call.remaining()) => Err(late()),
        }
    }

    /// Whether nobody hears any more what is said.
    pub(crate) fn is_left(&self, call: &Call) -> bool {
        self.said.is_closed() || self.stalled || call.cancelled().is_cancelled()
    }

    /// Who is asked, whether or not it will answer.
    pub(crate) fn asked(&mut self, plugin: String, model: Option<String>, degraded: bool) {
        self.plugin = Some(plugin);
        self.plugin_model = model;
        self.degraded = degraded;
    }

    /// Somebody answers.
    pub(crate) async fn started(
        &mut self,
        plugin: String,
        model: Option<String>,
        degraded: bool,
    ) -> Result<(), Problem> {
        self.asked(plugin.clone(), model, degraded);
        self.send(Said::Started { plugin, degraded }).await
    }

    /// Something was said.
    pub(crate) async fn push(&mut self, chunks: Vec<Chunk>) -> Result<(), Problem> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.contract.check(&chunks)?;
        self.room.hold(self.contract.bytes())?;
        for chunk in &chunks {
            self.transcript.push(chunk);
        }
        if self.first_chunk_us.is_none() {
            self.first_chunk_us = Some(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        self.send(Said::Chunks(chunks.into())).await
    }

    async fn send(&mut self, said: Said) -> Result<(), Problem> {
        match self.said.send_timeout(said, limits::CLIENT_STALL).await {
            Ok(()) => Ok(()),
            Err(_) => {
                self.stalled = true;
                Err(Problem::new(
                    ProblemKind::Cancelled,
                    "The caller took nothing for too long, or went away.",
                ))
            }
        }
    }

    /// The call as the ledger remembers it.
    pub(crate) fn into_exchange(mut self, request: ChatRequest, outcome: Outcome) -> Exchange {
        Exchange {
            asked: Asked::Chat(request),
            plugin: self.plugin,
            plugin_model: self.plugin_model,
            degraded: self.degraded,
            annotations: Vec::new(),
            usage: self.transcript.usage.take(),
            transcript: self.transcript,
            outcome,
            start_us: self.start_us,
            end_us: now_us(),
            first_chunk_us: self.first_chunk_us,
        }
    }
}
