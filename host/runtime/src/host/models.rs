//! `models`: any routed model that was granted, through the host's own flow, as a part of the call at hand.
//!
//! The work runs in a task of its own: what another plugin computes is not this one's CPU time. Dropping the handle, or the
//! visit, ends the task.

use std::sync::Arc;

use encaje_bindings::base::encaje::common::chat::{ChatRequest as GuestChat, Chunk as GuestChunk};
use encaje_bindings::base::encaje::common::embeddings as guest;
use encaje_bindings::base::encaje::common::errors::Problem as GuestProblem;
use encaje_bindings::base::encaje::host::models;
use encaje_core::ports::{Completion, RoutedModels};
use encaje_core::{Call, Problem, ProblemKind};
use tokio_util::task::AbortOnDropHandle;
use wasmtime::component::Resource;

use super::{Answer, answer, denied};
use crate::convert::{chat, embeddings, problem};
use crate::state::State;

/// What stands behind a guest's handle; empty while its `next` is under way, and after one that failed to come back.
struct Running(Option<Box<dyn Completion>>);

impl State {
    /// The call's models, where this one is granted.
    fn routed(&self, model: &str) -> Result<(Arc<dyn RoutedModels>, Call), GuestProblem> {
        if !self.shared.capabilities.models.covers(model) {
            let line = format!("models = [\"{}\"]", model.chars().take(64).collect::<String>());
            return Err(problem::to_guest(denied(&self.shared.name, "models", &line)));
        }
        match self.call.models() {
            Some(models) => Ok((Arc::clone(models), self.call.within(self.span))),
            None => Err(problem::to_guest(Problem::new(
                ProblemKind::Unavailable,
                "There are no models outside of a caller's call.",
            ))),
        }
    }
}

/// Runs what another plugin computes beside the guest that waits for it.
async fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem> {
    AbortOnDropHandle::new(tokio::spawn(work))
        .await
        .map_err(Problem::internal)
}

impl models::Host for State {
    async fn complete(&mut self, request: GuestChat) -> Answer<Resource<models::Completion>> {
        let (models, call) = match self.routed(&request.model) {
            Ok(routed) => routed,
            Err(problem) => return Ok(Err(problem)),
        };
        let request = chat::request_to_core(request);
        match beside(async move { models.complete(&call, request).await }).await {
            Ok(Ok(completion)) => Ok(Ok(self.hand_out(Running(Some(completion)))?)),
            Ok(Err(problem)) | Err(problem) => answer(Err(problem)),
        }
    }

    async fn embed(&mut self, request: guest::EmbedRequest) -> Answer<guest::EmbedResponse> {
        let (models, call) = match self.routed(&request.model) {
            Ok(routed) => routed,
            Err(problem) => return Ok(Err(problem)),
        };
        let request = embeddings::request_to_core(request);
        let embedded = beside(async move { models.embed(&call, request).await }).await;
        answer(embedded.flatten().map(embeddings::response_to_guest))
    }

    async fn rerank(&mut self, request: guest::RerankRequest) -> Answer<Vec<guest::Ranked>> {
        let (models, call) = match self.routed(&request.model) {
            Ok(routed) => routed,
            Err(problem) => return Ok(Err(problem)),
        };
        let request = embeddings::rerank_to_core(request);
        let ranked = beside(async move { models.rerank(&call, request).await }).await;
        answer(
            ranked
                .flatten()
                .map(|ranked| ranked.into_iter().map(embeddings::ranked_to_guest).collect()),
        )
    }
}

impl models::HostCompletion for State {
    async fn next(&mut self, handle: Resource<models::Completion>) -> Answer<Option<Vec<GuestChunk>>> {
        let running = self.table.get_mut(&Resource::<Running>::new_borrow(handle.rep()))?;
        let Some(mut completion) = running.0.take() else {
            return Ok(Ok(None));
        };
        let said = beside(async move {
            let said = completion.next().await;
            (said, completion)
        });
        match said.await {
            Ok((said, completion)) => {
                running.0 = Some(completion);
                answer(said.map(|chunks| chunks.map(|chunks| chunks.into_iter().map(chat::chunk_to_guest).collect())))
            }
            Err(problem) => answer(Err(problem)),
        }
    }

    async fn drop(&mut self, handle: Resource<models::Completion>) -> wasmtime::Result<()> {
        self.take_back::<Running, _>(&handle)
    }
}
