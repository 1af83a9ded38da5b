//! `inference`: the native models that the operator granted by name.

use std::sync::Arc;

use encaje_bindings::base::encaje::common::chat::{ChatRequest as GuestChat, Chunk as GuestChunk};
use encaje_bindings::base::encaje::common::embeddings as guest;
use encaje_bindings::base::encaje::common::errors::Problem as GuestProblem;
use encaje_bindings::base::encaje::host::inference::{self, Generation};
use encaje_core::ports::{Completion, Inference};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::{answer, denied};
use crate::convert::{chat, embeddings, problem};
use crate::state::State;

/// What stands behind a guest's handle. Dropping it cancels the generation within one token.
struct Running(Box<dyn Completion>);

impl State {
    fn native(&self) -> std::result::Result<(&Arc<dyn Inference>, &[String]), GuestProblem> {
        match &self.shared.capabilities.inference {
            Some((inference, models)) => Ok((inference, models)),
            None => Err(problem::to_guest(denied(
                &self.shared.name,
                "inference",
                "inference = [\"…\"]",
            ))),
        }
    }

    /// The native models, when this one is granted.
    fn native_for(&self, model: &str) -> std::result::Result<Arc<dyn Inference>, GuestProblem> {
        let (inference, models) = self.native()?;
        if models.iter().any(|granted| granted == model) {
            return Ok(Arc::clone(inference));
        }
        let line = format!("inference = [\"{}\"]", model.chars().take(64).collect::<String>());
        Err(problem::to_guest(denied(&self.shared.name, "inference", &line)))
    }
}

impl inference::Host for State {
    async fn models(&mut self) -> Result<std::result::Result<Vec<inference::LocalModel>, GuestProblem>> {
        let (inference, granted) = match self.native() {
            Ok(native) => native,
            Err(problem) => return Ok(Err(problem)),
        };
        let models = inference
            .models()
            .into_iter()
            .filter(|model| granted.contains(&model.id));
        Ok(Ok(models
            .map(|model| inference::LocalModel {
                id: model.id,
                architecture: model.architecture,
                context_tokens: model.context_tokens,
                capabilities: model.capabilities,
                loaded: model.loaded,
            })
            .collect()))
    }

    async fn generate(
        &mut self,
        request: GuestChat,
    ) -> Result<std::result::Result<Resource<Generation>, GuestProblem>> {
        let inference = match self.native_for(&request.model) {
            Ok(inference) => inference,
            Err(problem) => return Ok(Err(problem)),
        };
        match inference.generate(chat::request_to_core(request)).await {
            Ok(running) => Ok(Ok(self.hand_out(Running(running))?)),
            Err(problem) => answer(Err(problem)),
        }
    }

    async fn embed(
        &mut self,
        request: guest::EmbedRequest,
    ) -> Result<std::result::Result<guest::EmbedResponse, GuestProblem>> {
        match self.native_for(&request.model) {
            Ok(inference) => {
                let answered = inference.embed(embeddings::request_to_core(request)).await;
                answer(answered.map(embeddings::response_to_guest))
            }
            Err(problem) => Ok(Err(problem)),
        }
    }

    async fn rerank(
        &mut self,
        request: guest::RerankRequest,
    ) -> Result<std::result::Result<Vec<guest::Ranked>, GuestProblem>> {
        match self.native_for(&request.model) {
            Ok(inference) => {
                let answered = inference.rerank(embeddings::rerank_to_core(request)).await;
                answer(answered.map(|ranked| ranked.into_iter().map(embeddings::ranked_to_guest).collect()))
            }
            Err(problem) => Ok(Err(problem)),
        }
    }

    async fn count_tokens(&mut self, request: GuestChat) -> Result<std::result::Result<u32, GuestProblem>> {
        match self.native_for(&request.model) {
            Ok(inference) => answer(inference.count_tokens(chat::request_to_core(request)).await),
            Err(problem) => Ok(Err(problem)),
        }
    }
}

impl inference::HostGeneration for State {
    async fn next(
        &mut self,
        handle: Resource<Generation>,
    ) -> Result<std::result::Result<Option<Vec<GuestChunk>>, GuestProblem>> {
        let running = self.table.get_mut(&Resource::<Running>::new_borrow(handle.rep()))?;
        let said = running.0.next().await;
        answer(said.map(|chunks| chunks.map(|chunks| chunks.into_iter().map(chat::chunk_to_guest).collect())))
    }

    async fn drop(&mut self, handle: Resource<Generation>) -> Result<()> {
        self.take_back::<Running, _>(&handle)
    }
}
