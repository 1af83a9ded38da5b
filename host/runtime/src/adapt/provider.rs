//! The port `Provider` over a guest.

use async_trait::async_trait;
use encaje_bindings::provider::exports::encaje::provider::provider::ModelInfo as GuestModel;
use encaje_core::chat::{ChatRequest, Chunk};
use encaje_core::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use encaje_core::ports::{Completion, ModelInfo, Provider};
use encaje_core::{Call, Problem};
use wasmtime::component::ResourceAny;

use super::{adapter, answered};
use crate::convert;
use crate::limits;
use crate::previous::Provider as Guest;
use crate::visit::Visit;

adapter! {
    /// A provider plugin.
    ProviderPlugin, "provider", Guest
}

#[async_trait]
impl Provider for ProviderPlugin {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    fn offers(&self) -> &[String] {
        &self.offers
    }

    async fn models(&self, call: &Call) -> Result<Vec<ModelInfo>, Problem> {
        let mut visit = self.visit(call, "models").await?;
        let said = visit.call(async |store, guest| guest.models(store).await).await?;
        let models = answered!(visit, said);
        visit.done();
        Ok(models?.into_iter().map(model).collect())
    }

    async fn complete(&self, call: &Call, request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        let mut visit = self.visit(call, "complete").await?;
        let request = convert::chat::request_to_guest(request);
        let said = visit
            .call(async |store, guest| guest.complete(store, &request).await)
            .await?;
        let resource = answered!(visit, said)?;
        Ok(Box::new(GuestCompletion {
            visit,
            resource,
            ended: false,
        }))
    }

    async fn embed(&self, call: &Call, request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        let mut visit = self.visit(call, "embed").await?;
        let request = convert::embeddings::request_to_guest(request);
        let said = visit
            .call(async |store, guest| guest.embed(store, &request).await)
            .await?;
        let response = answered!(visit, said);
        visit.done();
        response.map(convert::embeddings::response_to_core)
    }

    async fn rerank(&self, call: &Call, request: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        let mut visit = self.visit(call, "rerank").await?;
        let request = convert::embeddings::rerank_to_guest(request);
        let said = visit
            .call(async |store, guest| guest.rerank(store, &request).await)
            .await?;
        let ranked = answered!(visit, said);
        visit.done();
        Ok(ranked?.into_iter().map(convert::embeddings::ranked_to_core).collect())
    }

    async fn count_tokens(&self, call: &Call, request: ChatRequest) -> Result<u32, Problem> {
        let mut visit = self.visit(call, "count-tokens").await?;
        let request = convert::chat::request_to_guest(request);
        let said = visit
            .call(async |store, guest| guest.count_tokens(store, &request).await)
            .await?;
        let answer = answered!(visit, said);
        visit.done();
        answer
    }
}

/// A guest's answer as it comes. Dropping it throws the instance away, and with it what the guest holds of the host.
struct GuestCompletion {
    visit: Visit<Guest>,
    resource: ResourceAny,
    ended: bool,
}

#[async_trait]
impl Completion for GuestCompletion {
    async fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        if self.ended {
            return Ok(None);
        }
        let resource = self.resource;
        let said = self
            .visit
            .call(async |store, guest| guest.next(store, resource).await)
            .await;
        match said {
            Ok(Ok(Some(chunks))) if chunks.len() > limits::CHUNKS_PER_NEXT => {
                self.ended = true;
                Err(self
                    .visit
                    .returned(Problem::internal("the plugin returned too many chunks at once")))
            }
            Ok(Ok(Some(chunks))) => Ok(Some(chunks.into_iter().map(convert::chat::chunk_to_core).collect())),
            Ok(Ok(None)) => {
                self.ended = true;
                // The guest may have something to tidy up; what it said stands, whatever comes of that.
                match self.visit.drop_resource(resource).await {
                    Ok(()) => self.visit.done(),
                    Err(problem) => tracing::warn!(%problem, "a plugin failed to drop a finished answer"),
                }
                Ok(None)
            }
            Ok(Err(problem)) => {
                self.ended = true;
                Err(self.visit.returned(convert::problem::to_core(problem)))
            }
            Err(problem) => {
                self.ended = true;
                Err(problem)
            }
        }
    }
}

fn model(model: GuestModel) -> ModelInfo {
    ModelInfo {
        id: model.id,
        owned_by: model.owned_by,
        created: model.created,
        context_tokens: model.context_tokens,
        max_output_tokens: model.max_output_tokens,
        capabilities: model.capabilities,
    }
}
