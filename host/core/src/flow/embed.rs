//! The flow of an embedding call: route, provider with fallback, check of the shape, ledger.

use std::sync::Arc;

use super::ask;
use super::nested::Nested;
use crate::call::Call;
use crate::embeddings::{EmbedRequest, EmbedResponse};
use crate::generation::Generation;
use crate::ledger::Ledger;
use crate::problem::{Problem, ProblemKind};
use crate::route::Target;
use crate::server::Embedded;
use crate::time::now_us;
use crate::trace::{Asked, Exchange, Outcome};
use crate::transcript::Transcript;

/// Runs one call to its end and remembers it.
pub(crate) async fn run(
    generation: Arc<Generation>,
    ledger: Ledger,
    call: Call,
    request: EmbedRequest,
) -> Result<Embedded, Problem> {
    let start_us = now_us();
    call.bind(Arc::new(Nested(Arc::clone(&generation))));
    let mut asked = None;
    let result = match ledger.admit() {
        Ok(()) => answer(&generation, &call, &request, &mut asked).await,
        Err(problem) => Err(problem),
    };
    let outcome = match &result {
        Ok(_) => Outcome::Completed,
        Err(problem) if problem.kind == ProblemKind::Cancelled => Outcome::Cancelled,
        Err(problem) => Outcome::Failed(problem.clone()),
    };
    let target = asked;
    let degraded = target.is_some_and(|target| target.degraded);
    let exchange = Exchange {
        plugin: target.map(|target| target.plugin.clone()),
        plugin_model: target.and_then(|target| target.model.clone()),
        degraded,
        transcript: Transcript::default(),
        annotations: Vec::new(),
        usage: result.as_ref().ok().map(|response| response.usage.clone()),
        outcome,
        start_us,
        end_us: now_us(),
        first_chunk_us: None,
        asked: Asked::Embed(request),
    };
    let recorded = ledger.record(&call, exchange).await;
    result.and_then(|response| recorded.map(|()| Embedded { response, degraded }))
}

async fn answer<'g>(
    generation: &'g Generation,
    call: &Call,
    request: &EmbedRequest,
    asked: &mut Option<&'g Target>,
) -> Result<EmbedResponse, Problem> {
    let embed = |provider, target, call| ask::embed(provider, target, call, request);
    let work = ask::targets(generation, call, &request.model, |target| *asked = Some(target), embed);
    let answered = tokio::select! {
        biased;
        done = work => done?,
        () = call.cancelled().cancelled() => {
            return Err(Problem::new(ProblemKind::Cancelled, "The caller went away."));
        }
        () = tokio::time::sleep(call.remaining()) => {
            return Err(Problem::new(ProblemKind::Timeout, "The call took longer than it may."));
        }
    };
    answered.pass.succeeded();
    Ok(answered.value)
}
