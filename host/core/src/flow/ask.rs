//! Asking the targets of a route: each one's breaker first, tries again where a failure allows it, then the next target.

use std::future::Future;

use tokio::time::sleep;

use crate::call::Call;
use crate::chat::{ChatRequest, Chunk};
use crate::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use crate::flow::shares::Shares;
use crate::generation::{Generation, Provided};
use crate::limits;
use crate::ports::Completion;
use crate::problem::{Problem, ProblemKind};
use crate::route::Target;
use crate::supervise::{Pass, Retrying};

/// What a target answered, and which one it was.
pub(crate) struct Answered<'g, T> {
    pub(crate) target: &'g Target,
    /// Says at the end of the answer how it went.
    pub(crate) pass: Pass,
    pub(crate) value: T,
}

/// Asks the targets of a model in order until one answers. `asked` hears of each before it is asked; `work` asks once.
pub(crate) async fn targets<'g, T, F>(
    generation: &'g Generation,
    call: &Call,
    model: &str,
    mut asked: impl FnMut(&'g Target),
    mut work: impl FnMut(&'g Provided, &'g Target, Call) -> F,
) -> Result<Answered<'g, T>, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let mut last = None;
    for (target, provider) in generation.targets(model)? {
        asked(target);
        let problem = match one(call, provider, target, &mut work).await {
            Ok((pass, value)) => return Ok(Answered { target, pass, value }),
            Err(problem) => problem,
        };
        if !problem.kind.may_fall_back() {
            return Err(problem);
        }
        tracing::warn!(plugin = provider.port.name(), %problem, "a provider failed before it said anything");
        last = Some(problem);
    }
    Err(last.unwrap_or_else(|| Problem::internal("a route without targets")))
}

/// Asks one target, as often as its settings and its failures allow.
async fn one<'g, T, F>(
    call: &Call,
    provider: &'g Provided,
    target: &'g Target,
    work: &mut impl FnMut(&'g Provided, &'g Target, Call) -> F,
) -> Result<(Pass, T), Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let mut retrying = Retrying::new(provider.supervisor.retry);
    loop {
        let attempt = retrying.begin();
        let pass = provider.supervisor.admit(provider.port.name())?;
        let problem = match work(provider, target, call.tried(attempt)).await {
            Ok(value) => return Ok((pass, value)),
            Err(problem) => problem,
        };
        pass.ended(&problem);
        match retrying.pause(call, &problem) {
            Some(pause) => {
                tracing::info!(plugin = provider.port.name(), attempt, %problem, "trying again");
                sleep(pause).await;
            }
            None => return Err(problem),
        }
    }
}

/// An answer of which the first words have come.
pub(crate) struct Opened {
    pub(crate) completion: Box<dyn Completion>,
    /// `None` where it has ended already.
    pub(crate) first: Option<Vec<Chunk>>,
    pub(crate) shares: Shares,
}

/// Starts an answer and waits for the first thing it says, so that a failure before it can still be tried again.
pub(crate) async fn open(
    provider: &Provided,
    target: &Target,
    call: Call,
    request: &ChatRequest,
) -> Result<Opened, Problem> {
    offered(provider, "chat", &request.model)?;
    let mut shares = Shares::begin();
    let mut request = request.clone();
    if let Some(model) = &target.model {
        request.model.clone_from(model);
    }
    let mut completion = provider.port.complete(&call, request).await?;
    let first = next_said(completion.as_mut()).await?;
    shares.turn(false);
    Ok(Opened {
        completion,
        first,
        shares,
    })
}

/// The next batch that says something.
pub(crate) async fn next_said(completion: &mut dyn Completion) -> Result<Option<Vec<Chunk>>, Problem> {
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

/// Embeds, and checks that there is one vector for each input.
pub(crate) async fn embed(
    provider: &Provided,
    target: &Target,
    call: Call,
    request: &EmbedRequest,
) -> Result<EmbedResponse, Problem> {
    offered(provider, "embed", &request.model)?;
    let mut request = request.clone();
    if let Some(model) = &target.model {
        request.model.clone_from(model);
    }
    let inputs = request.inputs.len();
    let response = provider.port.embed(&call, request).await?;
    let width = usize::try_from(response.dimensions).unwrap_or(usize::MAX);
    if width == 0 || width.checked_mul(inputs) != Some(response.vectors.len()) || response.covered.len() != inputs {
        return Err(Problem::internal(
            "the provider's vectors do not match the inputs in number and length",
        ));
    }
    Ok(response)
}

/// Ranks.
pub(crate) async fn rerank(
    provider: &Provided,
    target: &Target,
    call: Call,
    request: &RerankRequest,
) -> Result<Vec<Ranked>, Problem> {
    offered(provider, "rerank", &request.model)?;
    let mut request = request.clone();
    if let Some(model) = &target.model {
        request.model.clone_from(model);
    }
    provider.port.rerank(&call, request).await
}

/// Whether a provider does what is asked of it.
pub(crate) fn offered(provider: &Provided, what: &str, model: &str) -> Result<(), Problem> {
    if provider.port.offers().iter().any(|offer| offer == what) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::Unsupported,
        format!("The model `{model}` does not {what}."),
    )
    .with_param("model"))
}
