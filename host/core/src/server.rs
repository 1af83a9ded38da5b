//! The server as its edges see it: what can be asked, and the flows behind it.
//!
//! Every call runs in a task of its own, so that a caller who goes away ends the work but never the ledger's entry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio_util::task::TaskTracker;

use crate::call::Call;
use crate::chat::{ChatRequest, Chunk};
use crate::embeddings::{EmbedRequest, EmbedResponse};
use crate::flow;
use crate::generation::{Current, Generation};
use crate::ledger::Ledger;
use crate::limits;
use crate::ports::ModelInfo;
use crate::problem::{Problem, ProblemKind};
use crate::traces::{self, Trace, TracePage, TraceQuery};

/// What an answer says, in order: `Started` once, then `Chunks`, then `End` or `Failed`. `Failed` may come at any place.
#[derive(Debug, Clone)]
pub enum Said {
    /// Somebody answers.
    Started {
        /// The plugin.
        plugin: String,
        /// Whether it is a second-best target of the route.
        degraded: bool,
    },
    /// Something was said; never empty.
    Chunks(Arc<[Chunk]>),
    /// All was said, and the trace is committed.
    End,
    /// It ended badly, and the trace is committed where the storage or the spool took it.
    Failed(Problem),
}

/// The receiving end of an answer. Dropping it cancels the call.
#[derive(Debug)]
pub struct Answer {
    said: mpsc::Receiver<Said>,
    ended: bool,
}

impl Answer {
    /// Waits for the next thing said; `None` after `End` or `Failed`.
    pub async fn next(&mut self) -> Option<Said> {
        if self.ended {
            return None;
        }
        // A sender that is gone without a last word is a flow that panicked or a server that is shutting down.
        let said = self
            .said
            .recv()
            .await
            .unwrap_or_else(|| Said::Failed(Problem::internal("the flow ended early")));
        self.ended = matches!(said, Said::End | Said::Failed(_));
        Some(said)
    }
}

/// Vectors, and who gave them.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// The vectors.
    pub response: EmbedResponse,
    /// Whether a second-best target of the route answered.
    pub degraded: bool,
}

/// A server: a current generation, a ledger, and the calls that run.
pub struct Server {
    current: Arc<Current>,
    ledger: Ledger,
    running: TaskTracker,
    reads: Semaphore,
    stopping: AtomicBool,
    refused: ArcSwapOption<String>,
}

impl Server {
    /// A server over its current generation and its ledger.
    pub fn new(current: Arc<Current>, ledger: Ledger) -> Self {
        Self {
            current,
            ledger,
            running: TaskTracker::new(),
            reads: Semaphore::new(limits::TRACE_READS),
            stopping: AtomicBool::new(false),
            refused: ArcSwapOption::empty(),
        }
    }

    /// The generation that a new request takes, once, when it is admitted: whatever is asked for it is asked of this one.
    pub fn generation(&self) -> Arc<Generation> {
        self.current.get()
    }

    /// Puts a new generation in place; see [`Current::swap`].
    pub fn swap(&self, next: Generation) -> Arc<Generation> {
        self.current.swap(next)
    }

    /// Notes why the last edit of the registry was not taken over; `None` when it was.
    pub fn note_refused(&self, why: Option<String>) {
        self.refused.store(why.map(Arc::new));
    }

    /// Why the last edit of the registry was not taken over, while that is so.
    pub fn refused(&self) -> Option<Arc<String>> {
        self.refused.load_full()
    }

    /// Starts a chat or completion on the generation that its request was admitted by.
    pub fn chat(&self, generation: &Arc<Generation>, call: Call, request: ChatRequest) -> Answer {
        let (sender, said) = mpsc::channel(limits::ANSWER_BUFFER);
        let flow = flow::chat::run(Arc::clone(generation), self.ledger.clone(), call, request, sender);
        self.running.spawn(flow);
        Answer { said, ended: false }
    }

    /// Embeds texts on the generation that the request was admitted by.
    ///
    /// # Errors
    /// The route's or the provider's problem.
    pub async fn embed(
        &self,
        generation: &Arc<Generation>,
        call: Call,
        request: EmbedRequest,
    ) -> Result<Embedded, Problem> {
        let cancel_on_drop = call.cancelled().clone().drop_guard();
        let task = self.running.spawn(flow::embed::run(
            Arc::clone(generation),
            self.ledger.clone(),
            call,
            request,
        ));
        let answer = task.await.unwrap_or_else(|error| Err(Problem::internal(error)));
        cancel_on_drop.disarm();
        answer
    }

    /// The models that can be asked for: those that routes name exactly, and those that providers name and a route
    /// answers. Ordered by id.
    ///
    /// # Errors
    /// None of its own: a provider that fails is left out and logged.
    pub async fn models(&self, generation: &Generation, call: &Call) -> Result<Vec<ModelInfo>, Problem> {
        flow::models::list(generation, call).await
    }

    /// Whether new calls can be served.
    ///
    /// # Errors
    /// `Unavailable` while the storage is down and the operator chose to refuse.
    pub fn ready(&self) -> Result<(), Problem> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Problem::new(ProblemKind::Unavailable, "The server is shutting down."));
        }
        self.ledger.admit()
    }

    /// A page of the traces of the caller's tenant, newest first.
    ///
    /// # Errors
    /// The storage's problem; `InvalidRequest` for a foreign cursor.
    pub async fn traces(&self, generation: &Generation, call: &Call, query: &TraceQuery) -> Result<TracePage, Problem> {
        let _turn = self.turn(call).await?;
        let reading = own_part(call);
        traces::list(generation.storage.as_ref(), &reading, &call.caller().tenant, query).await
    }

    /// One trace of the caller's tenant, whole.
    ///
    /// # Errors
    /// `NotFound`; `InvalidRequest` for an ambiguous prefix; the storage's problem.
    pub async fn trace(&self, generation: &Generation, call: &Call, id: &str) -> Result<Trace, Problem> {
        let _turn = self.turn(call).await?;
        let reading = own_part(call);
        traces::show(generation.storage.as_ref(), &reading, &call.caller().tenant, id).await
    }

    /// A turn to read traces.
    async fn turn(&self, call: &Call) -> Result<SemaphorePermit<'_>, Problem> {
        match tokio::time::timeout(call.remaining(), self.reads.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => {
                let message = "Too many traces are being read at once.";
                Err(Problem::new(ProblemKind::Overloaded, message).with_retry_after(Duration::from_secs(1)))
            }
        }
    }

    /// From now on the server is not [`Server::ready`]: it was told to stop. What comes is still served.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Lets what runs come to its end, then empties the ledger. New calls are still served until the edge stops taking
    /// them.
    pub async fn drain(&self) {
        self.running.close();
        self.running.wait().await;
        self.ledger.close().await;
    }
}

/// The ledger is written as the server's own, so it is read as that too, in what time the caller has left: a storage over
/// `kv`, which is one map a tenant, would find nothing in the caller's.
fn own_part(call: &Call) -> Call {
    Call::of_server(call.remaining())
}
