//! The models that run on this machine as a provider: it hands each call to the host's inference and adds nothing. Which
//! models those are is the registry's grant; a model that was not granted is the host's `denied` or `not-found`.
#![cfg_attr(
    test,
    allow(clippy::indexing_slicing, reason = "a failed expectation is a failed test")
)]

use encaje_sdk::chat::{ChatRequest, Chunk};
use encaje_sdk::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use encaje_sdk::errors::Problem;
use encaje_sdk::host::inference::{self, Generation, LocalModel};
use encaje_sdk::provider::{Completion, ModelInfo, Provider};

struct Local;

impl Provider for Local {
    fn check() -> Result<Vec<String>, Problem> {
        // Asks for the list so that a missing grant shows when the plugin is loaded, not with the first request.
        inference::models()?;
        Ok(["chat", "embed", "rerank", "count-tokens"].map(str::to_owned).to_vec())
    }

    fn models() -> Result<Vec<ModelInfo>, Problem> {
        Ok(inference::models()?.into_iter().map(model_info).collect())
    }

    fn complete(request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        Ok(Box::new(Running(inference::generate(&request)?)))
    }

    fn embed(request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        inference::embed(&request)
    }

    fn rerank(request: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        inference::rerank(&request)
    }

    fn count_tokens(request: ChatRequest) -> Result<u32, Problem> {
        inference::count_tokens(&request)
    }
}

/// A generation of the host's; dropping it cancels the generation.
struct Running(Generation);

impl Completion for Running {
    fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        self.0.next()
    }
}

fn model_info(model: LocalModel) -> ModelInfo {
    ModelInfo {
        id: model.id,
        owned_by: "local".to_owned(),
        created: None,
        // 0 is a model that has not been read yet.
        context_tokens: (model.context_tokens > 0).then_some(model.context_tokens),
        max_output_tokens: None,
        capabilities: model.capabilities,
        extra: vec![
            (
                "architecture".to_owned(),
                serde_json::Value::from(model.architecture).to_string(),
            ),
            ("loaded".to_owned(), model.loaded.to_string()),
        ],
    }
}

encaje_sdk::export_provider!(Local);

#[cfg(test)]
mod tests {
    use super::{LocalModel, model_info};

    #[test]
    fn a_model_keeps_what_the_host_says_of_it() {
        let info = model_info(LocalModel {
            id: "small".to_owned(),
            architecture: "ll\"ama".to_owned(),
            context_tokens: 2048,
            capabilities: vec!["chat".to_owned()],
            loaded: false,
        });
        assert_eq!(
            (info.id.as_str(), info.owned_by.as_str(), info.context_tokens),
            ("small", "local", Some(2048))
        );
        assert_eq!(info.capabilities, ["chat"]);
        assert_eq!(info.extra[0], ("architecture".to_owned(), r#""ll\"ama""#.to_owned()));
        assert_eq!(info.extra[1], ("loaded".to_owned(), "false".to_owned()));
    }
}
