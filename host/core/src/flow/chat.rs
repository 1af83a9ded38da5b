//! The flow of a chat or completion: instruments, route, provider with fallback, tee to the edge and to the ledger.
//!
//! The edge's `End` or `Failed` is sent only when the ledger has committed the trace (invariant 9).

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use super::ask::{self, Answered, Opened};
use super::instruments::{Instruments, Verdict};
use super::nested::Nested;
use super::tee::Tee;
use crate::call::Call;
use crate::chat::ChatRequest;
use crate::generation::Generation;
use crate::ledger::Ledger;
use crate::problem::{Problem, ProblemKind};
use crate::server::Said;
use crate::supervise::Pass;
use crate::trace::Outcome;

/// Runs one call to its end and remembers it.
pub(crate) async fn run(
    generation: Arc<Generation>,
    ledger: Ledger,
    call: Call,
    mut request: ChatRequest,
    said: Sender<Said>,
) {
    call.bind(Arc::new(Nested(Arc::clone(&generation))));
    let mut tee = Tee::new(said, ledger.room());
    let mut instruments = None;
    let ended = match ledger.admit() {
        Ok(()) => answer(&generation, &call, &mut request, &mut instruments, &mut tee).await,
        Err(problem) => Err(problem),
    };
    let outcome = match ended {
        Ok(()) => Outcome::Completed,
        // A plugin may say `cancelled` too; then somebody is there to hear of it.
        Err(problem) if problem.kind == ProblemKind::Cancelled && tee.is_left(&call) => Outcome::Cancelled,
        Err(problem) => Outcome::Failed(problem),
    };
    let failure = match &outcome {
        Outcome::Failed(problem) => Some(problem.clone()),
        // Whoever still listens must not take what came for the whole answer.
        Outcome::Cancelled => Some(cut_off()),
        Outcome::Completed => None,
    };
    let said = tee.sender();
    let mut exchange = tee.into_exchange(request, outcome);
    if let Some(instruments) = instruments {
        exchange.annotations = instruments.after(&exchange).await;
    }
    let recorded = ledger.record(&call, exchange).await;
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

/// Instruments first, then the route's targets in order until one says something; passes on what it says.
async fn answer(
    generation: &Generation,
    call: &Call,
    request: &mut ChatRequest,
    begun: &mut Option<Instruments>,
    tee: &mut Tee,
) -> Result<(), Problem> {
    tee.expect(request);
    if generation.instruments.is_empty() {
        return ask_route(generation, call, request, None, tee).await;
    }
    let instruments = begun.insert(tee.attend(call, Instruments::begin(generation, call)).await?);
    let verdict = tee.attend(call, instruments.before(request)).await?;
    tee.expect(request);
    match verdict {
        Verdict::Ask => ask_route(generation, call, request, Some(instruments), tee).await,
        Verdict::Answered(name, chunks) => {
            tee.started(name, None, false).await?;
            let chunks = tee.attend(call, instruments.filter(chunks)).await?;
            tee.push(chunks).await?;
            let held = tee.attend(call, instruments.finish()).await?;
            tee.push(held).await?;
            tee.contract.check_ended()
        }
    }
}

async fn ask_route(
    generation: &Generation,
    call: &Call,
    request: &ChatRequest,
    mut instruments: Option<&mut Instruments>,
    tee: &mut Tee,
) -> Result<(), Problem> {
    let mut asked = None;
    let open = |provider, target, call| ask::open(provider, target, call, request);
    let work = ask::targets(generation, call, &request.model, |target| asked = Some(target), open);
    let answered = tee.attend(call, work).await;
    if let Some(target) = asked {
        tee.asked(target.plugin.clone(), target.model.clone(), target.degraded);
    }
    let Answered {
        target,
        mut pass,
        value,
    } = answered?;
    tee.started(target.plugin.clone(), target.model.clone(), target.degraded)
        .await?;
    let passed = pass_on(call, value, &mut pass, &mut instruments, tee).await;
    match &passed {
        Ok(()) => pass.succeeded(),
        // What an instrument or the caller did, or left undone for too long, is not the provider's.
        Err(Stopped { problem, by_provider }) if *by_provider => pass.ended(problem),
        Err(_) => drop(pass),
    }
    passed.map_err(|stopped| stopped.problem)
}

/// Why an answer stopped, and whether the provider is to blame.
struct Stopped {
    problem: Problem,
    by_provider: bool,
}

impl Stopped {
    fn by_provider(problem: Problem) -> Self {
        Self {
            problem,
            by_provider: true,
        }
    }
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            by_provider: false,
        }
    }
}

async fn pass_on(
    call: &Call,
    opened: Opened,
    pass: &mut Pass,
    instruments: &mut Option<&mut Instruments>,
    tee: &mut Tee,
) -> Result<(), Stopped> {
    let Opened {
        mut completion,
        first: mut said,
        mut shares,
    } = opened;
    let mut contract = tee.contract.clone();
    while let Some(chunks) = said {
        contract.check(&chunks).map_err(Stopped::by_provider)?;
        pass.begun();
        match instruments {
            Some(instruments) => {
                let filtered = tee.attend(call, instruments.filter(chunks)).await?;
                tee.push(filtered).await?;
            }
            None => tee.push(chunks).await?,
        }
        shares.turn(true);
        let next = tee.attend(call, ask::next_said(completion.as_mut())).await;
        shares.turn(false);
        said = next.map_err(|problem| Stopped {
            by_provider: shares.blame(&problem),
            problem,
        })?;
    }
    contract.check_ended().map_err(Stopped::by_provider)?;
    if let Some(instruments) = instruments {
        let held = tee.attend(call, instruments.finish()).await?;
        tee.push(held).await?;
    }
    Ok(tee.contract.check_ended()?)
}
