//! The flow of an embedding call: route, provider with fallback, check of the shape, ledger.

use std::sync::Arc;

use crate::call::Call;
use crate::embeddings::{EmbedRequest, EmbedResponse};
use crate::generation::Generation;
use crate::ledger::Ledger;
use crate::ports::SharedProvider;
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
    let target = asked.as_ref();
    let degraded = target.is_some_and(|target| target.degraded);
    let exchange = Exchange {
        plugin: target.map(|target| target.plugin.clone()),
        plugin_model: target.and_then(|target| target.model.clone()),
        degraded,
        transcript: Transcript::default(),
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

async fn answer(
    generation: &Generation,
    call: &Call,
    request: &EmbedRequest,
    asked: &mut Option<Target>,
) -> Result<EmbedResponse, Problem> {
    let mut last = None;
    for (target, provider) in generation.targets(&request.model)? {
        *asked = Some(target.clone());
        let outcome = tokio::select! {
            biased;
            done = ask(call, provider, target, request) => done,
            () = call.cancelled().cancelled() => Err(Problem::new(ProblemKind::Cancelled, "The caller went away.")),
            () = tokio::time::sleep(call.remaining()) => {
                Err(Problem::new(ProblemKind::Timeout, "The call took longer than it may."))
            }
        };
        match outcome {
            Err(problem) if problem.kind.may_fall_back() => {
                tracing::warn!(plugin = provider.name(), %problem, "a provider failed to embed");
                last = Some(problem);
            }
            done => return done,
        }
    }
    Err(last.unwrap_or_else(|| Problem::internal("a route without targets")))
}

async fn ask(
    call: &Call,
    provider: &SharedProvider,
    target: &Target,
    request: &EmbedRequest,
) -> Result<EmbedResponse, Problem> {
    if !provider.offers().iter().any(|offer| offer == "embed") {
        return Err(Problem::new(
            ProblemKind::Unsupported,
            format!("The model `{}` does not embed.", request.model),
        )
        .with_param("model"));
    }
    let mut request = request.clone();
    if let Some(model) = &target.model {
        request.model.clone_from(model);
    }
    let inputs = request.inputs.len();
    let response = provider.embed(call, request).await?;
    let width = usize::try_from(response.dimensions).unwrap_or(usize::MAX);
    if width == 0 || width.checked_mul(inputs) != Some(response.vectors.len()) || response.covered.len() != inputs {
        return Err(Problem::internal(
            "the provider's vectors do not match the inputs in number and length",
        ));
    }
    Ok(response)
}
