//! The flow of a chat or completion: route, provider with fallback, tee to the edge and to the ledger.
//!
//! The edge's `End` or `Failed` is sent only when the ledger has committed the trace (invariant 9).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::Sender;

use crate::call::Call;
use crate::chat::{ChatEvent, ChatRequest, Chunk, TokenLogprob};
use crate::generation::Generation;
use crate::ledger::{Ledger, Room};
use crate::limits;
use crate::ports::{Completion, SharedProvider};
use crate::problem::{Problem, ProblemKind};
use crate::route::Target;
use crate::server::Said;
use crate::time::now_us;
use crate::trace::{Asked, Exchange, Outcome};
use crate::transcript::Transcript;

/// Runs one call to its end and remembers it.
pub(crate) async fn run(
    generation: Arc<Generation>,
    ledger: Ledger,
    call: Call,
    request: ChatRequest,
    said: Sender<Said>,
) {
    let mut tee = Tee::new(&request, said, ledger.room());
    let outcome = match ledger.admit() {
        Ok(()) => match answer(&generation, &call, &request, &mut tee).await {
            Ok(()) => Outcome::Completed,
            // A plugin may say `cancelled` too; then somebody is there to hear of it.
            Err(problem) if problem.kind == ProblemKind::Cancelled && tee.is_left(&call) => Outcome::Cancelled,
            Err(problem) => Outcome::Failed(problem),
        },
        Err(problem) => Outcome::Failed(problem),
    };
    let failure = match &outcome {
        Outcome::Failed(problem) => Some(problem.clone()),
        // Whoever still listens must not take what came for the whole answer.
        Outcome::Cancelled => Some(cut_off()),
        Outcome::Completed => None,
    };
    let said = tee.said.clone();
    let recorded = ledger.record(&call, tee.into_exchange(request, outcome)).await;
    let last = match failure.or(recorded.err()) {
        None => Said::End,
        Some(problem) => Said::Failed(problem),
    };
    // The caller may have gone; there is nobody left to tell.
    let _ = said.send(last).await;
}

fn cut_off() -> Problem {
    let message = "The answer was cut off: the call was cancelled, or what it said was not read for too long.";
    Problem::new(ProblemKind::Cancelled, message)
}

fn gone() -> Problem {
    Problem::new(ProblemKind::Cancelled, "The caller went away.")
}

/// Asks the route's targets in order until one says something, then passes on what it says.
async fn answer(generation: &Generation, call: &Call, request: &ChatRequest, tee: &mut Tee) -> Result<(), Problem> {
    let targets = generation.targets(&request.model)?;
    let mut last = None;
    for (target, provider) in targets {
        match tee.attend(call, open(provider, call, request, target)).await {
            Ok((completion, first)) => {
                tee.started(target, provider).await?;
                return pass_on(call, completion, first, tee).await;
            }
            Err(problem) if problem.kind.may_fall_back() => {
                tracing::warn!(plugin = provider.name(), %problem, "a provider failed before it said anything");
                tee.asked(target, provider);
                last = Some(problem);
            }
            Err(problem) => {
                tee.asked(target, provider);
                return Err(problem);
            }
        }
    }
    Err(last.unwrap_or_else(|| Problem::internal("a route without targets")))
}

/// Starts an answer and waits for the first thing it says, so that a failure before it can still fall back.
async fn open(
    provider: &SharedProvider,
    call: &Call,
    request: &ChatRequest,
    target: &Target,
) -> Result<(Box<dyn Completion>, Option<Vec<Chunk>>), Problem> {
    if !provider.offers().iter().any(|offer| offer == "chat") {
        return Err(Problem::new(
            ProblemKind::Unsupported,
            format!("The model `{}` does not chat.", request.model),
        )
        .with_param("model"));
    }
    let mut request = request.clone();
    if let Some(model) = &target.model {
        request.model.clone_from(model);
    }
    let mut completion = provider.complete(call, request).await?;
    let first = next_said(completion.as_mut()).await?;
    Ok((completion, first))
}

/// The next batch that says something.
async fn next_said(completion: &mut dyn Completion) -> Result<Option<Vec<Chunk>>, Problem> {
    for _ in 0..limits::MAX_EMPTY_BATCHES {
        match completion.next().await? {
            Some(chunks) if chunks.is_empty() => tokio::task::yield_now().await,
            said => return Ok(said),
        }
    }
    Err(Problem::internal(
        "the provider returned too many empty batches in a row",
    ))
}

async fn pass_on(
    call: &Call,
    mut completion: Box<dyn Completion>,
    first: Option<Vec<Chunk>>,
    tee: &mut Tee,
) -> Result<(), Problem> {
    let mut said = first;
    while let Some(chunks) = said {
        tee.push(chunks).await?;
        said = tee.attend(call, next_said(completion.as_mut())).await?;
    }
    tee.check_ended()
}

/// Where an answer goes: to the edge as it comes, and into the exchange.
struct Tee {
    said: Sender<Said>,
    choices: u32,
    finished: BTreeSet<u32>,
    bytes: usize,
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
    fn new(request: &ChatRequest, said: Sender<Said>, room: Room) -> Self {
        Self {
            said,
            choices: request.sampling.choices.max(1),
            finished: BTreeSet::new(),
            bytes: 0,
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

    /// Waits for work, but no longer than somebody is there to hear of it.
    async fn attend<T>(&self, call: &Call, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
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
    fn is_left(&self, call: &Call) -> bool {
        self.said.is_closed() || self.stalled || call.cancelled().is_cancelled()
    }

    fn asked(&mut self, target: &Target, provider: &SharedProvider) {
        self.plugin = Some(provider.name().to_owned());
        self.plugin_model.clone_from(&target.model);
        self.degraded = target.degraded;
    }

    async fn started(&mut self, target: &Target, provider: &SharedProvider) -> Result<(), Problem> {
        self.asked(target, provider);
        self.send(Said::Started {
            plugin: provider.name().to_owned(),
            degraded: target.degraded,
        })
        .await
    }

    async fn push(&mut self, chunks: Vec<Chunk>) -> Result<(), Problem> {
        for chunk in &chunks {
            self.check(chunk)?;
            self.transcript.push(chunk);
        }
        if self.first_chunk_us.is_none() {
            self.first_chunk_us = Some(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        self.send(Said::Chunks(chunks.into())).await
    }

    /// A provider that breaks its contract is stopped here, so that no edge has to cope with it.
    fn check(&mut self, chunk: &Chunk) -> Result<(), Problem> {
        match &chunk.event {
            ChatEvent::Usage(_) if self.transcript.usage.is_some() => {
                return Err(Problem::internal("the provider counted its tokens twice"));
            }
            ChatEvent::Usage(_) => {}
            _ if chunk.choice >= self.choices => {
                return Err(Problem::internal(
                    "the provider answered more choices than were asked for",
                ));
            }
            event => {
                let ended = if matches!(event, ChatEvent::Finish(_)) {
                    !self.finished.insert(chunk.choice)
                } else {
                    self.finished.contains(&chunk.choice)
                };
                if ended {
                    return Err(Problem::internal("the provider went on with a choice that had ended"));
                }
            }
        }
        self.bytes += size(&chunk.event);
        if self.bytes > limits::MAX_ANSWER_BYTES {
            return Err(Problem::new(
                ProblemKind::TooLarge,
                format!(
                    "The answer grew over {} bytes and was cut off.",
                    limits::MAX_ANSWER_BYTES
                ),
            ));
        }
        self.room.hold(self.bytes)
    }

    fn check_ended(&self) -> Result<(), Problem> {
        if self.finished.len() == self.choices as usize {
            return Ok(());
        }
        Err(Problem::internal(
            "the provider's stream ended without a finish reason for each choice",
        ))
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

    fn into_exchange(mut self, request: ChatRequest, outcome: Outcome) -> Exchange {
        Exchange {
            asked: Asked::Chat(request),
            plugin: self.plugin,
            plugin_model: self.plugin_model,
            degraded: self.degraded,
            usage: self.transcript.usage.take(),
            transcript: self.transcript,
            outcome,
            start_us: self.start_us,
            end_us: now_us(),
            first_chunk_us: self.first_chunk_us,
        }
    }
}

/// Bytes that an event adds to the transcript, at least; one that adds nothing counts for some too, or a stream of those
/// would never end.
fn size(event: &ChatEvent) -> usize {
    let said = match event {
        ChatEvent::Text(text) | ChatEvent::Reasoning(text) | ChatEvent::Refusal(text) => text.len(),
        ChatEvent::ToolCall(delta) => {
            let once = [&delta.id, &delta.name].into_iter().flatten().map(String::len);
            delta.arguments.len() + once.sum::<usize>()
        }
        ChatEvent::Other(name, json) => name.len() + json.len(),
        ChatEvent::Logprobs(tokens) => tokens.iter().map(size_of_token).sum(),
        ChatEvent::Usage(usage) => {
            let pairs = usage.extra.iter();
            pairs
                .map(|(name, json)| limits::EVENT_BYTES + name.len() + json.len())
                .sum()
        }
        ChatEvent::Finish(reason) => reason.as_str().len(),
    };
    limits::EVENT_BYTES + said
}

fn size_of_token(token: &TokenLogprob) -> usize {
    let rivals = token.top.iter().map(|rival| rival.token.len() + rival.bytes.len());
    let own = limits::TOKEN_BYTES + token.token.len() + token.bytes.len();
    own + token.top.len() * limits::TOKEN_BYTES + rivals.sum::<usize>()
}
