//! The answers to one HTTP request, one after the other: a chat has one, a completion one a prompt.
//!
//! Whoever drops this cancels what runs and starts nothing more.

use std::sync::Arc;

use encaje_core::call::CallParts;
use encaje_core::chat::{ChatEvent, ChatRequest, Chunk};
use encaje_core::generation::Generation;
use encaje_core::server::{Answer, Said, Server};
use encaje_core::{Call, Problem, ProblemKind};

use crate::body::Reserved;

/// What is said next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Somebody answers the first request.
    Started {
        /// Whether it is a second-best target.
        degraded: bool,
    },
    /// Chunks of the answer to this prompt.
    Chunks(usize, Arc<[Chunk]>),
    /// All was said, and every trace is committed.
    End,
    /// It ended badly.
    Failed(Problem),
}

/// The answers of one request.
pub(crate) struct Answers {
    server: Arc<Server>,
    /// All of them are its.
    generation: Arc<Generation>,
    call: Call,
    answer: Answer,
    prompt: usize,
    /// Choices of the answer at hand that have not ended yet.
    open: u32,
    waiting: std::vec::IntoIter<ChatRequest>,
    /// Held as long as the requests are.
    _reserved: Reserved,
}

impl Answers {
    /// Starts the first request; the others wait.
    pub(crate) fn start(
        server: &Arc<Server>,
        (generation, call): (Arc<Generation>, Call),
        first: ChatRequest,
        waiting: std::vec::IntoIter<ChatRequest>,
        reserved: Reserved,
    ) -> Self {
        let open = first.sampling.choices;
        let answer = server.chat(&generation, call.clone(), first);
        Self {
            server: Arc::clone(server),
            generation,
            call,
            answer,
            prompt: 0,
            open,
            waiting,
            _reserved: reserved,
        }
    }

    /// The first call, whose trace the others belong to.
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// Waits for the next thing said. Nothing is lost when the wait is given up and begun again. After `End` or `Failed`
    /// nothing more comes.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            match self.answer.next().await {
                Some(Said::Started { degraded, .. }) if self.prompt == 0 => return Next::Started { degraded },
                Some(Said::Started { .. }) => {}
                Some(Said::Chunks(chunks)) => {
                    let ends = chunks
                        .iter()
                        .filter(|chunk| matches!(chunk.event, ChatEvent::Finish(_)))
                        .count();
                    self.open = self.open.saturating_sub(u32::try_from(ends).unwrap_or(u32::MAX));
                    return Next::Chunks(self.prompt, chunks);
                }
                // A call that was cancelled ends like any other, but a client that is still there must not take what it
                // has for the whole answer.
                Some(Said::End) | None if self.open > 0 => return Next::Failed(cut_off()),
                Some(Said::End) | None => match self.waiting.next() {
                    None => return Next::End,
                    Some(request) => {
                        self.prompt += 1;
                        self.open = request.sampling.choices;
                        self.answer = self.server.chat(&self.generation, self.follow_up(), request);
                    }
                },
                Some(Said::Failed(problem)) => return Next::Failed(problem),
            }
        }
    }

    /// A further call of the same request, in the same trace and within the same deadline.
    fn follow_up(&self) -> Call {
        Call::new(CallParts {
            caller: self.call.caller().clone(),
            request_id: self.call.request_id().to_owned(),
            parent: Some((self.call.trace(), self.call.span())),
            session: self.call.session().map(str::to_owned),
            idempotency_key: self.call.idempotency_key().map(|key| format!("{key}-{}", self.prompt)),
            time_limit: self.call.remaining(),
        })
    }

    /// Waits until it is known whether there is an answer at all, which decides the status: what failed before its first
    /// chunk is an error.
    ///
    /// # Errors
    /// What the call failed with.
    pub(crate) async fn open(&mut self) -> Result<(bool, Next), Problem> {
        let mut degraded = false;
        loop {
            match self.next().await {
                Next::Started { degraded: second_best } => degraded = second_best,
                Next::Failed(problem) => return Err(problem),
                said => return Ok((degraded, said)),
            }
        }
    }
}

fn cut_off() -> Problem {
    let message = "The answer was cut off: the call was cancelled, or what it said was not read for too long.";
    Problem::new(ProblemKind::Cancelled, message)
}
