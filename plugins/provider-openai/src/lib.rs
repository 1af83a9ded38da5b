//! Any upstream that speaks OpenAI's wire as a provider: chat, completions, embeddings, models. It translates, and nothing
//! else: what it cannot say on that wire is refused by name, retries and routes are the host's, and it never sees a key.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

mod answer;
mod calls;
mod client;
mod config;
mod count;
mod embedding;
mod error;
mod json;
mod limits;
mod logprobs;
mod message;
mod models;
mod request;
mod stream;
#[cfg(test)]
mod testing;
mod usage;

use encaje_sdk::chat::ChatRequest;
use encaje_sdk::embeddings::{EmbedRequest, EmbedResponse};
use encaje_sdk::errors::Problem;
use encaje_sdk::host;
use encaje_sdk::http::Host;
use encaje_sdk::provider::{Completion, ModelInfo, Provider};

use client::{Client, Origin};
use config::Config;

struct OpenAi;

impl Provider for OpenAi {
    fn check() -> Result<Vec<String>, Problem> {
        // The upstream is not asked: whether it is up must not decide whether a registry can be loaded.
        config()?.check_secret(&host::secrets::available())?;
        Ok(["chat", "embed", "count-tokens"].map(str::to_owned).to_vec())
    }

    fn models() -> Result<Vec<ModelInfo>, Problem> {
        models::list(&client(&config()?))
    }

    fn complete(request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        Ok(Box::new(stream::start(&client(&config()?), &request)?))
    }

    fn embed(request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        embedding::embed(&client(&config()?), &request)
    }

    fn count_tokens(request: ChatRequest) -> Result<u32, Problem> {
        count::count(&client(&config()?), &request)
    }
}

fn config() -> Result<Config, Problem> {
    encaje_sdk::config::<Config>().and_then(Config::checked)
}

fn client(config: &Config) -> Client<'_, Host> {
    let call = host::call::current();
    let origin = Origin {
        traceparent: Some(call.traceparent).filter(|trace| !trace.is_empty()),
        idempotency_key: call.idempotency_key,
    };
    Client {
        transport: &Host,
        config,
        origin,
    }
}

encaje_sdk::export_provider!(OpenAi);
